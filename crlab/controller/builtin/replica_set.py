"""ReplicaSets: as many pods as the spec says.

From: replica sets and the pods they own. To: pods and the status. It neither adopts
orphaned pods nor slows down after failed creates.

Thread: the manager's stage.
Source: kubernetes/kubernetes:pkg/controller/replicaset/replica_set.go.
"""

from __future__ import annotations

from typing import Any

from crlab.controller.builtin.deployment import ctx_object
from crlab.controller.builtin.feed import Feed, owned_by
from crlab.controller.context import Context
from crlab.controller.reconcile import Request, Result
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock

MAX_PER_RUN = 500


class ReplicaSets:
    """The reconcile of replica sets."""

    def __init__(self, feed: Feed, pods: ApiResource, clock: Clock) -> None:
        self._feed = feed
        self._pods = pods
        self._clock = clock

    def reconcile(self, request: Request, ctx: Context) -> Result | None:
        """Create or delete pods until their number is right."""
        replica_set = ctx.object
        if replica_set is None:
            return None
        pods = self._active(request.namespace, replica_set["metadata"]["uid"])
        result = None
        if not replica_set["metadata"].get("deletionTimestamp"):
            result = self._balance(replica_set, pods, ctx)
            pods = self._active(request.namespace, replica_set["metadata"]["uid"])
        self._report(replica_set, pods, ctx)
        return result

    def _active(self, namespace: str, uid: str) -> list[dict[str, Any]]:
        return [
            pod
            for pod in owned_by(self._feed, self._pods, namespace, uid)
            if not pod["metadata"].get("deletionTimestamp")
            and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        ]

    def _balance(
        self, replica_set: dict[str, Any], pods: list[dict[str, Any]], ctx: Context
    ) -> Result | None:
        wanted = (replica_set.get("spec") or {}).get("replicas", 1)
        missing = wanted - len(pods)
        for _ in range(min(missing, MAX_PER_RUN)):
            ctx.create(ctx.own(_new_pod(replica_set), replica_set))
        surplus = sorted(pods, key=_keep_order)[: max(0, -missing)]
        for pod in surplus:
            ctx.delete(pod)
        return Result(requeue=True) if missing > MAX_PER_RUN else None

    def _report(
        self, replica_set: dict[str, Any], pods: list[dict[str, Any]], ctx: Context
    ) -> None:
        template = ((replica_set.get("spec") or {}).get("template") or {}).get("metadata") or {}
        labels = (template.get("labels") or {}).items()
        ready = sum(is_ready(pod) for pod in pods)
        status: dict[str, Any] = {
            "replicas": len(pods),
            "observedGeneration": replica_set["metadata"].get("generation", 0),
        }
        counts = {
            "fullyLabeledReplicas": sum(
                labels <= (pod["metadata"].get("labels") or {}).items() for pod in pods
            ),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        status |= {name: count for name, count in counts.items() if count}
        if replica_set.get("status") != status:
            ctx.update_status({**ctx_object(replica_set), "status": status})


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod's Ready condition is true."""
    return any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in (pod.get("status") or {}).get("conditions") or ()
    )


def _keep_order(pod: dict[str, Any]) -> tuple[bool, str]:
    """Order pods for deletion: those that are not ready first."""
    return is_ready(pod), str(pod["metadata"].get("name"))


def _new_pod(replica_set: dict[str, Any]) -> dict[str, Any]:
    template = (replica_set.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{replica_set['metadata']['name']}-",
            "namespace": replica_set["metadata"]["namespace"],
            **{name: metadata[name] for name in ("labels", "annotations") if name in metadata},
        },
        "spec": template.get("spec") or {},
    }
