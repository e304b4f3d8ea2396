"""Deployments: one ReplicaSet per pod template, rolled from old to new.

From: deployments and the replica sets they own. To: replica sets and the status. Of the real
controller it keeps the revisions, surge and unavailability limits, Recreate, pausing and the
two conditions; it has no rollback, no progress deadline and no proportional scaling.

Thread: the manager's stage.
Source: kubernetes/kubernetes:pkg/controller/deployment/{deployment_controller,rolling,sync}.go.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import msgspec

from crlab.controller.builtin.feed import Feed, owned_by
from crlab.controller.context import Context
from crlab.controller.reconcile import Request
from crlab.model.resource import ApiResource
from crlab.model.timestamp import timestamp
from crlab.runtime.clock import Clock
from crlab.runtime.ids import SUFFIX_ALPHABET

REVISION = "deployment.kubernetes.io/revision"
HASH_LABEL = "pod-template-hash"

_encode = msgspec.json.Encoder(order="deterministic").encode


class Deployments:
    """The reconcile of deployments."""

    def __init__(self, feed: Feed, sets: ApiResource, clock: Clock) -> None:
        self._feed = feed
        self._sets = sets
        self._clock = clock

    def reconcile(self, request: Request, ctx: Context) -> None:
        """Bring a deployment's replica sets to what its spec says."""
        deployment = ctx.object
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return
        uid = deployment["metadata"]["uid"]
        owned = owned_by(self._feed, self._sets, request.namespace, uid)
        spec = deployment.get("spec") or {}
        wanted = template_hash(spec.get("template") or {})
        new = next((rs for rs in owned if _hash(rs) == wanted), None)
        old = [rs for rs in owned if rs is not new]
        if not spec.get("paused"):
            new = self._roll(deployment, new, old, wanted, ctx)
        self._report(deployment, new, old, ctx)

    def _roll(
        self,
        deployment: dict[str, Any],
        new: dict[str, Any] | None,
        old: list[dict[str, Any]],
        wanted: str,
        ctx: Context,
    ) -> dict[str, Any] | None:
        spec = deployment["spec"]
        replicas = _count(spec.get("replicas"), 1)
        strategy = spec.get("strategy") or {}
        total_old = sum(_wanted(rs) for rs in old)
        if strategy.get("type") == "Recreate":
            for rs in old:
                self._scale(rs, 0, ctx)
            if any(_status(rs, "replicas") for rs in old):
                return new
            target = replicas
        else:
            surge, unavailable = _limits(strategy.get("rollingUpdate") or {}, replicas)
            have = 0 if new is None else _wanted(new)
            room = max(0, replicas + surge - total_old - have)
            target = min(replicas, have + room) if have <= replicas else replicas
        if new is None:
            new = self._create(deployment, old, wanted, target, ctx)
        elif _wanted(new) != target:
            new = self._scale(new, target, ctx)
        if strategy.get("type") != "Recreate" and total_old:
            self._shrink_old(old, new, replicas - unavailable, ctx)
        return new

    def _shrink_old(
        self, old: list[dict[str, Any]], new: dict[str, Any], least: int, ctx: Context
    ) -> None:
        """Scale old sets down as far as enough pods stay available.

        A pod that its set is about to delete is no longer counted as available.
        """
        for rs in old:  # what is not available costs nothing
            sick = _wanted(rs) - _available(rs)
            if sick and _status(rs, "observedGeneration") >= rs["metadata"].get("generation", 0):
                rs.update(self._scale(rs, _wanted(rs) - sick, ctx))
        spare = max(0, sum(_available(rs) for rs in [*old, new]) - least)
        for rs in old:
            step = min(spare, _wanted(rs))
            if step:
                self._scale(rs, _wanted(rs) - step, ctx)
                spare -= step

    def _create(
        self,
        deployment: dict[str, Any],
        old: list[dict[str, Any]],
        wanted: str,
        replicas: int,
        ctx: Context,
    ) -> dict[str, Any]:
        template = deployment["spec"].get("template") or {}
        metadata = template.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), HASH_LABEL: wanted}
        selector = deployment["spec"].get("selector") or {}
        match = {**(selector.get("matchLabels") or {}), HASH_LABEL: wanted}
        revision = 1 + max((_revision(rs) for rs in old), default=0)
        child = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{wanted}",
                "namespace": deployment["metadata"]["namespace"],
                "labels": labels,
                "annotations": {REVISION: str(revision)},
            },
            "spec": {
                "replicas": replicas,
                "selector": {**selector, "matchLabels": match},
                "template": {**template, "metadata": {**metadata, "labels": labels}},
            },
        }
        created = ctx.create(ctx.own(child, deployment))
        self._annotate(deployment, revision, ctx)
        return created

    def _annotate(self, deployment: dict[str, Any], revision: int, ctx: Context) -> None:
        known = deployment["metadata"].get("annotations") or {}
        if known.get(REVISION) != str(revision):
            # by way of status: an annotation of the main resource would be a new generation
            patch = {"metadata": {"annotations": {REVISION: str(revision)}}, "status": {}}
            deployment |= ctx.patch_status(patch)

    def _scale(self, rs: dict[str, Any], replicas: int, ctx: Context) -> dict[str, Any]:
        if _wanted(rs) == replicas:
            return rs
        patch = {"spec": {"replicas": replicas}}
        return ctx.patch(self._sets, rs["metadata"]["name"], patch)

    def _report(
        self,
        deployment: dict[str, Any],
        new: dict[str, Any] | None,
        old: list[dict[str, Any]],
        ctx: Context,
    ) -> None:
        every = [*old, *([new] if new is not None else [])]
        replicas = _count(deployment["spec"].get("replicas"), 1)
        available = sum(_status(rs, "availableReplicas") for rs in every)
        total = sum(_status(rs, "replicas") for rs in every)
        counts = {
            "replicas": total,
            "updatedReplicas": 0 if new is None else _status(new, "replicas"),
            "readyReplicas": sum(_status(rs, "readyReplicas") for rs in every),
            "availableReplicas": available,
            "unavailableReplicas": max(0, replicas - available),
        }
        status = {"observedGeneration": deployment["metadata"].get("generation", 0)}
        status |= {name: count for name, count in counts.items() if count}
        status["conditions"] = self._conditions(deployment, new, counts, replicas)
        if deployment.get("status") != status:
            ctx.update_status({**ctx_object(deployment), "status": status})

    def _conditions(
        self,
        deployment: dict[str, Any],
        new: dict[str, Any] | None,
        counts: dict[str, int],
        replicas: int,
    ) -> list[dict[str, Any]]:
        strategy = deployment["spec"].get("strategy") or {}
        _, unavailable = _limits(strategy.get("rollingUpdate") or {}, replicas)
        is_available = counts["availableReplicas"] >= replicas - unavailable
        name = "" if new is None else new["metadata"]["name"]
        is_complete = (
            counts["updatedReplicas"] == replicas
            and counts["replicas"] == replicas
            and counts["availableReplicas"] == replicas
        )
        made = [
            ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            if is_available
            else (
                "Available",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            ),
            (
                "Progressing",
                "NewReplicaSetAvailable",
                f'ReplicaSet "{name}" has successfully progressed.',
            )
            if is_complete
            else ("Progressing", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'),
        ]
        known = {c["type"]: c for c in (deployment.get("status") or {}).get("conditions") or ()}
        now = timestamp(self._clock.now())
        conditions = []
        for type_, reason, message in made:
            value = "False" if reason.endswith("Unavailable") else "True"
            before = known.get(type_)
            if before is not None and (before["status"], before["reason"]) == (value, reason):
                conditions.append(before)
                continue
            moved = before is None or before["status"] != value
            conditions.append(
                {
                    "type": type_,
                    "status": value,
                    "reason": reason,
                    "message": message,
                    "lastUpdateTime": now,
                    "lastTransitionTime": now
                    if moved or before is None
                    else before["lastTransitionTime"],
                }
            )
        return conditions


def ctx_object(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what an update of the status needs of an object."""
    return {name: obj[name] for name in ("apiVersion", "kind", "metadata", "spec") if name in obj}


def template_hash(template: dict[str, Any]) -> str:
    """Return a short name of a pod template, of letters that make no words."""
    number = zlib.crc32(_encode(template)) | zlib.adler32(_encode(template)) << 32
    letters = []
    for _ in range(10):
        number, index = divmod(number, len(SUFFIX_ALPHABET))
        letters.append(SUFFIX_ALPHABET[index])
    return "".join(letters)


def _hash(rs: dict[str, Any]) -> str:
    return str((rs["metadata"].get("labels") or {}).get(HASH_LABEL))


def _revision(rs: dict[str, Any]) -> int:
    text = (rs["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if str(text).isdigit() else 0


def _wanted(rs: dict[str, Any]) -> int:
    return _count((rs.get("spec") or {}).get("replicas"), 1)


def _status(rs: dict[str, Any], field: str) -> int:
    return _count((rs.get("status") or {}).get(field), 0)


def _available(rs: dict[str, Any]) -> int:
    return min(_wanted(rs), _status(rs, "availableReplicas"))


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _limits(rolling: dict[str, Any], replicas: int) -> tuple[int, int]:
    """Return (surge, unavailable) in pods; 25 % each unless said otherwise."""
    surge = _share(rolling.get("maxSurge", "25%"), replicas, rounded_up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, rounded_up=False)
    return surge, unavailable if surge or unavailable else 1


def _share(value: object, replicas: int, *, rounded_up: bool) -> int:
    if isinstance(value, int):
        return max(0, value)
    percent = str(value).rstrip("%")
    if not percent.isdigit():
        return 0
    exact = replicas * int(percent) / 100
    return math.ceil(exact) if rounded_up else math.floor(exact)
