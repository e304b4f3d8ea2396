"""Namespaces that really go: their content first, then the finalizer, then they.

From: namespaces with a deletionTimestamp. To: deletes of every namespaced object in them,
custom ones included, conditions that say what is left, and the end of the "kubernetes"
finalizer (items 138-141).

Thread: the manager's stage.
Source: kubernetes/kubernetes:pkg/controller/namespace/deletion/namespaced_resources_deleter.go,
status_condition_utils.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crlab.controller.builtin.feed import Feed, metadata_of
from crlab.controller.context import Context
from crlab.controller.reconcile import Request, Result
from crlab.errors import ApiError, NotFound
from crlab.model.resource import ApiResource
from crlab.model.timestamp import timestamp
from crlab.runtime.clock import Clock

if TYPE_CHECKING:
    from crlab.client import DynamicClient

FINALIZER = "kubernetes"
AGAIN_SECONDS = 5.0


class NamespaceDeleter:
    """The reconcile of terminating namespaces."""

    def __init__(self, feed: Feed, client: DynamicClient, clock: Clock) -> None:
        self._feed = feed
        self._client = client
        self._clock = clock

    def reconcile(self, request: Request, ctx: Context) -> Result | None:
        """Empty a terminating namespace; come back while something is left."""
        namespace = ctx.object
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return None
        spec_finalizers = namespace.get("spec", {}).get("finalizers") or []
        if FINALIZER not in spec_finalizers:
            return None
        failures = self._delete_content(request.name, ctx)
        remaining, held = self._remaining(request.name)
        if remaining or failures:
            self._report(namespace, remaining, held, failures, ctx)
            return Result(requeue_after_seconds=AGAIN_SECONDS)
        self._finalize(namespace, ctx)
        return None

    def _delete_content(self, namespace: str, ctx: Context) -> list[str]:
        failures = []
        for plural in self._feed.resources():
            found = self._feed.items(plural, namespace)
            if not found:
                continue
            resource = self._client.resolve(plural)
            if not resource.is_namespaced:
                continue
            for key, stored in found:
                metadata = metadata_of(stored)
                if metadata.deletionTimestamp is not None:
                    continue
                try:
                    ctx.delete(_head(resource, key, metadata.uid), propagation_policy="Background")
                except ApiError as error:
                    failures.append(f"{plural} {key}: {error.code} {error.reason}")
        return failures

    def _remaining(self, namespace: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many objects of each resource are left, and how many hold which finalizer."""
        remaining: dict[str, int] = {}
        held: dict[str, int] = {}
        for plural in self._feed.resources():
            found = self._feed.items(plural, namespace)
            if not found or not self._client.resolve(plural).is_namespaced:
                continue
            remaining[_dotted(plural)] = len(found)
            for _, stored in found:
                for finalizer in metadata_of(stored).finalizers or ():
                    held[finalizer] = held.get(finalizer, 0) + 1
        return remaining, held

    def _report(
        self,
        namespace: dict[str, Any],
        remaining: dict[str, int],
        held: dict[str, int],
        failures: list[str],
        ctx: Context,
    ) -> None:
        known = {c.get("type"): c for c in namespace.get("status", {}).get("conditions") or ()}
        now = timestamp(self._clock.now())
        conditions = []
        for made in _conditions(remaining, held, failures):
            old = known.get(made["type"])
            moved = old is None or old.get("status") != made["status"]
            made["lastTransitionTime"] = now if moved or old is None else old["lastTransitionTime"]
            conditions.append(made)
        status = {"phase": "Terminating", "conditions": conditions}
        if namespace.get("status") != status:
            try:
                ctx.update_status({**namespace, "status": status})
            except NotFound:
                return

    def _finalize(self, namespace: dict[str, Any], ctx: Context) -> None:
        body = {**namespace}
        left = [name for name in body["spec"]["finalizers"] if name != FINALIZER]
        body["spec"] = {**body["spec"], "finalizers": left}
        ctx.update_subresource(body, "finalize")


def _conditions(
    remaining: dict[str, int], held: dict[str, int], failures: list[str]
) -> list[dict[str, Any]]:
    left = ", ".join(f"{name} has {n} resource instances" for name, n in sorted(remaining.items()))
    keeps = ", ".join(f"{name} in {n} resource instances" for name, n in sorted(held.items()))
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            "",
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            f"Failed to delete all resource types, {len(failures)} remaining: {failures[0]}"
            if failures
            else "",
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            "ContentDeletionFailed",
        ),
        _condition(
            "NamespaceContentRemaining",
            f"Some resources are remaining: {left}" if left else "",
            ("ContentRemoved", "All content successfully removed"),
            "SomeResourcesRemain",
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            f"Some content in the namespace has finalizers remaining: {keeps}" if keeps else "",
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            "SomeFinalizersRemain",
        ),
    ]


def _condition(type_: str, message: str, well: tuple[str, str], reason: str = "") -> dict[str, Any]:
    is_bad = bool(message)
    return {
        "type": type_,
        "status": "True" if is_bad else "False",
        "reason": reason if is_bad else well[0],
        "message": message if is_bad else well[1],
    }


def _dotted(plural: str) -> str:
    return plural if "." in plural else f"{plural}."


def _head(resource: ApiResource, key: str, uid: str) -> dict[str, Any]:
    namespace, _, name = key.rpartition("/")
    return {
        "apiVersion": resource.gvr.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
    }
