"""Commits of the embedded server in place of watches.

From: the store (`Feed`, which `crlab.apiserver.storage.Storage` is). To: controllers, which
see a `FeedInformer` where a user's controller has a shared informer. Its indexer reads the
store itself, so nothing is cached twice and nothing is ever stale.

Thread: `get_by_key` and `list` from any thread; events on the manager's stage.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource

if TYPE_CHECKING:
    from crlab.controller.builtin.garbage_collector import Graph


class StoredObject(Protocol):
    """An object in the store."""

    @property
    def data(self) -> bytes:
        """Its JSON, without apiVersion and kind."""


class FeedCommit(Protocol):
    """One commit of the store."""

    @property
    def type(self) -> str:
        """ADDED, MODIFIED or DELETED."""

    @property
    def resource(self) -> str:
        """ "plural.group", or the plural of a core resource."""

    @property
    def key(self) -> str:
        """ "namespace/name" or "name"."""

    @property
    def revision(self) -> int:
        """Its resourceVersion."""

    @property
    def stored(self) -> StoredObject:
        """The new state; of a deletion the last one."""

    @property
    def previous(self) -> StoredObject | None:
        """The state before, None for ADDED."""


class Feed(Protocol):
    """What the controllers need of the store."""

    @property
    def revision(self) -> int:
        """The newest resourceVersion."""

    def get(self, resource: str, key: str) -> StoredObject | None:
        """Return what is current under a key."""

    def items(self, resource: str, namespace: str = "") -> list[tuple[str, Any]]:
        """Return (key, object) of a namespace, or of all with ""."""

    def resources(self) -> list[str]:
        """Return the resources that hold objects."""

    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with every commit, under the store's lock; the result ends it."""


class OwnerReference(msgspec.Struct, gc=False):
    """What an object says of an owner."""

    uid: str = ""
    apiVersion: str = ""  # noqa: N815 - the wire's spelling
    kind: str = ""
    name: str = ""
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None  # noqa: N815 - the wire's spelling


class Metadata(msgspec.Struct, gc=False):
    """The part of an object's metadata that deletion is about."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    deletionTimestamp: str | None = None  # noqa: N815 - the wire's spelling
    finalizers: list[str] | None = None
    ownerReferences: list[OwnerReference] | None = None  # noqa: N815 - the wire's spelling

    @property
    def owners(self) -> list[OwnerReference]:
        """The owner references, [] if there are none."""
        return self.ownerReferences or []

    def is_held_by(self, finalizer: str) -> bool:
        """Whether it is being deleted and `finalizer` holds it."""
        return self.deletionTimestamp is not None and finalizer in (self.finalizers or ())


class _FeedHeader(msgspec.Struct, gc=False):
    metadata: Metadata


_decode_header = msgspec.json.Decoder(_FeedHeader).decode


def metadata_of(stored: StoredObject) -> Metadata:
    """Decode an object's metadata."""
    return _decode_header(stored.data).metadata


def kube_object(stored: StoredObject, resource: ApiResource) -> KubeObject:
    """Return a stored object as a watch would bring it."""
    head = f'{{"apiVersion":"{resource.gvr.api_version}","kind":"{resource.kind}",'
    return KubeObject(head.encode() + stored.data[1:])


def owned_by(feed: Feed, resource: ApiResource, namespace: str, uid: str) -> list[dict[str, Any]]:
    """Return fresh copies of the objects whose controller has this uid, in key order."""
    needle = f'"{uid}"'.encode()
    found = []
    for _, stored in feed.items(resource.gvr.group_resource, namespace):
        if needle in stored.data and any(
            ref.uid == uid and ref.controller for ref in metadata_of(stored).owners
        ):
            found.append(kube_object(stored, resource).to_dict())
    return found


class _Indexer:
    def __init__(self, feed: Feed, resource: ApiResource) -> None:
        self._feed = feed
        self._resource = resource
        self._name = resource.gvr.group_resource

    def get_by_key(self, key: str) -> KubeObject | None:
        stored = self._feed.get(self._name, key)
        return None if stored is None else kube_object(stored, self._resource)

    def list(self) -> list[KubeObject]:
        return [kube_object(s, self._resource) for _, s in self._feed.items(self._name)]


class Registration:
    """A handler's place; there is nothing to sync."""

    has_synced = True

    def __init__(self, remove: Callable[[], None]) -> None:
        self.remove = remove


class FeedInformer:
    """One resource's commits as an informer's notifications."""

    status = SimpleNamespace(state="live", cause="")
    namespace = None

    def __init__(self, feed: Feed, resource: ApiResource, indexer: Graph | None = None) -> None:
        self.resource = resource
        self.indexer = indexer or _Indexer(feed, resource)
        self._feed = feed
        self._handlers: list[tuple[Any, Any, Any]] = []

    @property
    def last_sync_resource_version(self) -> str:
        """The store's own revision: reads are never behind."""
        return str(self._feed.revision)

    def resource_version_in(self, namespace: str) -> str:
        """The same, for every namespace."""
        del namespace
        return self.last_sync_resource_version

    def as_cached(self, obj: KubeObject) -> KubeObject:
        """What the store holds is the object itself."""
        return obj

    def add_event_handler(
        self,
        *,
        on_add: Callable[[KubeObject, bool], object],
        on_update: Callable[[KubeObject, KubeObject], object],
        on_delete: Callable[[KubeObject], object],
        name: str = "",
    ) -> Registration:
        """Call functions with each commit; objects that exist come by `replay`."""
        del name
        handler = (on_add, on_update, on_delete)
        self._handlers.append(handler)

        def remove() -> None:  # twice, if who closes was interrupted after the first time
            if handler in self._handlers:
                self._handlers.remove(handler)

        return Registration(remove)

    def replay(self) -> None:
        """Show every object there is as an add."""
        for obj in self.indexer.list():
            for on_add, _, _ in list(self._handlers):
                on_add(obj, True)

    def handle(self, commit: FeedCommit) -> None:
        """Pass one commit on."""
        obj = kube_object(commit.stored, self.resource)
        old = None
        if commit.previous is not None:
            old = kube_object(commit.previous, self.resource)
        for on_add, on_update, on_delete in list(self._handlers):
            if commit.type == "DELETED":
                on_delete(obj)
            elif old is None:
                on_add(obj, False)
            else:
                on_update(old, obj)
