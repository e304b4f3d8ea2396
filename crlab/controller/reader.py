"""Cached reads for reconciles: the informers' indexers, newest own writes on top.

From: the indexers of the controller's informers, the overlay, and for resources without an
informer the API server. To: `Context`.

Thread: any; holds no state of its own but the list of informers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from crlab.cache.revision import is_older
from crlab.controller.draft import Draft
from crlab.controller.overlay import MutationOverlay
from crlab.controller.schema_help import NO_SCHEMA, SchemaNode
from crlab.errors import ConfigError
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.redaction import redact_kube_object
from crlab.model.resource import ApiResource, GroupVersionKind


class Reader:
    """Reads of one controller."""

    def __init__(
        self,
        informers: Iterable[Any],
        overlay: MutationOverlay,
        schema_of: Callable[[ApiResource], SchemaNode] | None = None,
    ) -> None:
        self.overlay = overlay
        self._informers: dict[str, Any] = {}
        self._schema_of = schema_of
        for informer in informers:
            self._informers.setdefault(informer.resource.gvr.group_resource, informer)

    def informer(self, resource: ApiResource) -> Any | None:
        """Return the controller's informer for `resource`, None if it has none."""
        return self._informers.get(resource.gvr.group_resource)

    def informer_named(self, plural: str) -> Any | None:
        """Return the controller's informer for "plural.group", None if it has none."""
        return self._informers.get(plural)

    def resource_of(self, kind: GroupVersionKind) -> ApiResource | None:
        """Return the resource of a kind if an informer knows it."""
        for informer in self._informers.values():
            if (informer.resource.gvk.group, informer.resource.kind) == (kind.group, kind.kind):
                found: ApiResource = informer.resource
                return found
        return None

    def cached(self, resource: ApiResource, key: str) -> KubeObject | None:
        """Return the newest known state of a key; needs an informer."""
        informer = self._informers[resource.gvr.group_resource]
        held: KubeObject | None = informer.indexer.get_by_key(key)
        return self.overlay.newest(
            resource.gvr.group_resource, key, held, informer.last_sync_resource_version
        )

    def kept(self, resource: ApiResource, obj: KubeObject) -> KubeObject:
        """Return an answer as the cache will hold it: a Secret masked, if it masks them."""
        informer = self._informers.get(resource.gvr.group_resource)
        is_masked = informer is not None and getattr(informer, "is_redacted", False)
        return redact_kube_object(obj, resource) if is_masked else obj

    def cached_list(self, resource: ApiResource, namespace: str) -> list[KubeObject]:
        """Return the newest known states, sorted by key; needs an informer."""
        informer = self._informers[resource.gvr.group_resource]
        held: dict[str, KubeObject] = {obj.key: obj for obj in informer.indexer.list()}
        self._lay_over(resource, held)
        return [
            held[key] for key in sorted(held) if not namespace or held[key].namespace == namespace
        ]

    def by_index(self, resource: ApiResource, index: str, value: str) -> list[KubeObject]:
        """Return the cached objects under a value of an index, own writes on top."""
        informer = self._informers.get(resource.gvr.group_resource)
        if informer is None:
            raise ConfigError(
                f"no informer of this controller holds {resource.gvr.group_resource}: "
                "by_index reads a cache; add the resource to owns or watches"
            )
        held: dict[str, KubeObject] = {
            obj.key: obj for obj in informer.indexer.by_index(index, value)
        }
        for key in list(held):
            newest = self.cached(resource, key)
            if newest is None:
                del held[key]
            else:
                held[key] = newest
        return [held[key] for key in sorted(held)]

    def _lay_over(self, resource: ApiResource, held: dict[str, KubeObject]) -> None:
        informer = self._informers[resource.gvr.group_resource]
        ahead = self.overlay.ahead(resource.gvr.group_resource, informer.last_sync_resource_version)
        for key, obj in ahead.items():
            known = held.get(key)
            if obj is None:
                held.pop(key, None)
            elif known is None or is_older(known.resource_version, obj.resource_version):
                held[key] = obj

    def staleness(self) -> str:
        """Say why cached reads may be behind, "" if nothing suggests it."""
        for name, informer in self._informers.items():
            behind = self.overlay.ahead(name, informer.last_sync_resource_version)
            if behind:
                keys = ", ".join(sorted(behind)[:3])
                return f"the cache of {name} has not seen this controller's write of {keys}"
            status = getattr(informer, "status", None)
            state = str(getattr(status, "state", "live"))
            if state in ("stale", "degraded", "failed", "gone"):
                return f"the informer of {name} is {state}: {getattr(status, 'cause', '')}"
        return ""

    def draft(self, resource: ApiResource, obj: KubeObject | dict[str, Any]) -> Draft:
        """Return a fresh copy that is the caller's own, with the help of its schema."""
        tree = obj.to_dict() if isinstance(obj, KubeObject) else obj
        return Draft(tree, self.schema(resource))

    def schema(self, resource: ApiResource) -> SchemaNode:
        """Return the schema of a resource, an empty one if none is known."""
        return self._schema_of(resource) if self._schema_of is not None else NO_SCHEMA


def key_of(resource: ApiResource, namespace: str, name: str) -> str:
    """Return the key of an object of `resource`."""
    return join_key(namespace if resource.is_namespaced else "", name)
