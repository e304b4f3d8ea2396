"""Cached reads for reconciles: the informers' indexers, newest own writes on top.

From: the indexers of the controller's informers, the overlay, and for resources without an
informer the API server. To: `Context`.

Thread: any; holds no state of its own but the list of informers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crlab.cache.index import IndexFunc, values_of
from crlab.cache.revision import is_older, newest
from crlab.client.write_ledger import Written
from crlab.controller.draft import Draft
from crlab.controller.overlay import MutationOverlay
from crlab.controller.schema_help import NO_SCHEMA, SchemaNode
from crlab.errors import ConfigError, DecodeError, KeyFuncError
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionKind


class CacheReader:
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
        plural = resource.gvr.group_resource
        informer = self._informers[plural]
        version = informer.resource_version_in(
            key.rpartition("/")[0]
        )  # before the state: see `newest`
        held: KubeObject | None = informer.indexer.get_by_key(key)
        return self.overlay.newest(plural, key, held, version)

    def held(self, resource: ApiResource, key: str) -> KubeObject | None:
        """Return what the cache itself holds of a key, own writes aside; needs an informer."""
        held: KubeObject | None = self._informers[resource.gvr.group_resource].indexer.get_by_key(
            key
        )
        return held

    def cached_list(self, resource: ApiResource, namespace: str) -> list[KubeObject]:
        """Return the newest known states, sorted by key; needs an informer."""
        informer = self._informers[resource.gvr.group_resource]
        versions = self._versions(informer)
        held: dict[str, KubeObject] = {obj.key: obj for obj in informer.indexer.list()}
        self._lay_over(informer, held, versions, held.get)
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
        versions, indexer = self._versions(informer), informer.indexer
        held: dict[str, KubeObject] = {obj.key: obj for obj in indexer.by_index(index, value)}
        func = indexer.indexers()[index] if versions else None
        self._lay_over(
            informer, held, versions, indexer.get_by_key, lambda obj: _has(func, obj, value)
        )
        return [held[key] for key in sorted(held)]

    def _versions(self, informer: Any) -> dict[str, str]:
        """Return what the cache has reached at each key of an own write; read before the rows."""
        keys = self.overlay.keys(informer.resource.gvr.group_resource)
        return {key: informer.resource_version_in(key.rpartition("/")[0]) for key in keys}

    def _lay_over(
        self,
        informer: Any,
        rows: dict[str, KubeObject],
        versions: Mapping[str, str],
        held: Callable[[str], KubeObject | None],
        is_in: Callable[[KubeObject], bool] = lambda obj: True,
    ) -> None:
        """Put the newest state of each key into `rows`, or take it out."""
        plural = informer.resource.gvr.group_resource
        for key, version in versions.items():
            newest = self.overlay.newest(plural, key, held(key), version)
            if newest is not None and is_in(newest):
                rows[key] = newest
            else:
                rows.pop(key, None)

    def staleness(self) -> str:
        """Say why cached reads may be behind, "" if nothing suggests it."""
        for name, informer in self._informers.items():
            behind = [
                key
                for key, version in self._versions(informer).items()
                if self.overlay.is_ahead(name, key, informer.indexer.get_by_key(key), version)
            ]
            if behind:
                keys = ", ".join(sorted(behind)[:3])
                return f"the cache of {name} has not seen this controller's write of {keys}"
            status = getattr(informer, "status", None)
            state = str(getattr(status, "state", "live"))
            if state in ("stale", "degraded", "failed", "gone"):
                return f"the informer of {name} is {state}: {getattr(status, 'cause', '')}"
        return ""

    # -- what the server said --------------------------------------------------------------

    def learn(
        self,
        resource: ApiResource,
        written: Written,
        known: Any = None,
        held: KubeObject | None = None,
    ) -> None:
        """Lay what a write did over the cache.

        Args:
            known: the last state of the object that the run saw.
            held: what the cache held before the write was sent: it is older for certain.
        """
        plural, key = resource.gvr.group_resource, written.key
        informer = self._informers.get(plural)
        if informer is None:
            return
        cached = self.cached(resource, key)
        if written.is_gone:
            states = [x for x in (cached, _state(known)) if x is not None]
            uid = written.uid or next((x.uid for x in states), "")
            after = written.after
            for state in states:
                if state.uid == uid:
                    after = newest(after, state.resource_version)
            earlier = held.uid if held is not None and held.uid != uid else ""
            self.overlay.deleted(
                plural, key, uid, after, earlier=earlier, certain=written.is_certain
            )
        elif written.object is not None:
            self._learn_state(informer, written.object)
        elif written.version and cached is not None:
            self.overlay.written(plural, key, _scaled(cached, written), written.version)

    def learn_read(self, resource: ApiResource, answer: Mapping[str, Any]) -> None:
        """Lay a state that the server answered over a cache that is behind it."""
        informer, obj = self._informers.get(resource.gvr.group_resource), _state(answer)
        if informer is None or obj is None:
            return
        held = self.cached(resource, obj.key)
        if held is None or is_older(held.resource_version, obj.resource_version):
            self._learn_state(informer, obj)

    def learn_list(
        self,
        resource: ApiResource,
        namespace: str,
        items: Sequence[Mapping[str, Any]],
        version: str,
    ) -> None:
        """Lay a list of the server over a cache that is behind it.

        Args:
            version: of a list of everything in the namespace: what is older and not in it is
                gone; "" if it is of a part.
        """
        if resource.gvr.group_resource not in self._informers:
            return
        for item in items:
            self.learn_read(resource, item)
        listed = {state.key for item in items if (state := _state(item)) is not None}
        for obj in self.cached_list(resource, namespace) if version else ():
            if obj.key not in listed and not is_older(version, obj.resource_version):
                self.learn_absence(resource, obj)

    def learn_absence(self, resource: ApiResource, obj: KubeObject) -> None:
        """Lay over the cache that an object it held is there no more."""
        self.overlay.deleted(resource.gvr.group_resource, obj.key, obj.uid, obj.resource_version)

    def _learn_state(self, informer: Any, obj: KubeObject) -> None:
        if obj.get("apiVersion") != informer.resource.gvr.api_version:
            return  # the cache is of another version: it will hold another form
        try:
            seen = informer.as_cached(obj)
        except Exception:  # noqa: BLE001 - a user's transform; the cache will refuse it too
            return
        plural = informer.resource.gvr.group_resource
        self.overlay.written(plural, obj.key, seen, obj.resource_version)

    def draft(self, resource: ApiResource, obj: KubeObject | dict[str, Any]) -> Draft:
        """Return a fresh copy that is the caller's own, with the help of its schema."""
        schema = self.schema(resource)
        if isinstance(obj, KubeObject):
            return Draft(obj.to_dict(), schema, partial=obj.is_partial)
        return Draft(obj, schema)

    def schema(self, resource: ApiResource) -> SchemaNode:
        """Return the schema of a resource, an empty one if none is known."""
        return self._schema_of(resource) if self._schema_of is not None else NO_SCHEMA


def key_of(resource: ApiResource, namespace: str, name: str) -> str:
    """Return the key of an object of `resource`."""
    return join_key(namespace if resource.is_namespaced else "", name)


def _has(func: IndexFunc | None, obj: KubeObject, value: str) -> bool:
    """Whether an index has an object under a value; one it raises on is left out, as there."""
    try:
        return func is not None and value in values_of(func, obj)
    except Exception:  # noqa: BLE001 - a user's function
        return False


def _state(answer: object) -> KubeObject | None:
    try:
        return KubeObject.of(answer) if isinstance(answer, Mapping) else None
    except (DecodeError, KeyFuncError):
        return None


def _scaled(obj: KubeObject, written: Written) -> KubeObject:
    """Return a state with other replicas, as all scales but those of odd CRDs have them.

    It keeps its resourceVersion: others may have written between, and an update of it must
    be refused then.
    """
    tree = obj.to_dict()
    spec = tree.get("spec")
    if written.replicas is not None and isinstance(spec, dict) and "replicas" in spec:
        spec["replicas"] = written.replicas
    return KubeObject.of(tree)
