"""The garbage collector: what is owned goes with its owners (items 142-147).

From: commits of objects that name owners, or that wait for dependents, or that are gone.
To: deletes and patches of dependents.

The graph holds only what deletion needs: the owners of objects that have some, and the
objects they hold. Its keys are uids. Whether an owner exists is looked up in the store.

Guarantees:
  1. A dependent goes once none of its owners is left (by uid); a lost owner among others
     only loses its reference.
  2. An owner deleted in the foreground waits for dependents that block it; deleted with
     "orphan" it goes after its dependents have let go.
  3. An owner in another namespace counts as absent, with a Warning event; a cluster-scoped
     object with a namespaced owner is left alone.

Thread: the manager's stage; `note` and the reconcile run on it, one after the other.
Source: kubernetes/kubernetes:pkg/controller/garbagecollector/garbagecollector.go,
graph_builder.go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crlab.controller.builtin.feed import (
    Feed,
    FeedCommit,
    Metadata,
    OwnerReference,
    StoredObject,
    kube_object,
    metadata_of,
)
from crlab.controller.context import Context
from crlab.controller.reconcile import Request
from crlab.errors import AlreadyExists, CrlabError, UnknownResource
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource
from crlab.model.timestamp import timestamp
from crlab.runtime.clock import Clock
from crlab.runtime.ids import Ids

if TYPE_CHECKING:
    from crlab.client import DynamicClient

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
COMPONENT = "garbage-collector-controller"
NODES = ApiResource(GroupVersionResource("", "v1", "objects"), "Object", is_namespaced=False)
MAX_ABSENT = 500


class Graph:
    """Who owns whom, by uid. It is also the indexer of the collector's pseudo-informer."""

    def __init__(self, feed: Feed, client: DynamicClient) -> None:
        self._feed = feed
        self._client = client
        self.places: dict[str, tuple[str, str]] = {}  # uid → (plural.group, key)
        self.owners: dict[str, tuple[str, ...]] = {}
        self.dependents: dict[str, dict[str, None]] = {}
        self.waiting: set[str] = set()  # owners that wait for their dependents
        self.absent: OrderedDict[str, None] = OrderedDict()

    def get_by_key(self, uid: str) -> KubeObject | None:
        """Return the object of a uid, None if it is gone or nothing is known of it."""
        place = self.places.get(uid)
        stored = None if place is None else self._feed.get(*place)
        if place is None or stored is None or metadata_of(stored).uid != uid:
            return None
        return kube_object(stored, self._client.resolve(place[0]))

    def list(self) -> list[KubeObject]:
        """Return nothing: objects come by `put`."""
        return []

    def put(self, resource: str, key: str, metadata: Metadata) -> bool:
        """Take in an object; True if its owners changed or are new here."""
        uid = metadata.uid
        owners = tuple(reference.uid for reference in metadata.owners)
        before = self.owners.get(uid, ())
        for gone in set(before) - set(owners):
            self._let_go(gone, uid)
        for owner in owners:
            self.dependents.setdefault(owner, {})[uid] = None
        if owners:
            self.owners[uid] = owners
        else:
            self.owners.pop(uid, None)
        self.places[uid] = (resource, key)
        return owners != before

    def remove(self, uid: str) -> None:
        """Take out an object that is gone."""
        for owner in self.owners.pop(uid, ()):
            self._let_go(owner, uid)
        self.places.pop(uid, None)
        self.waiting.discard(uid)
        self.absent[uid] = None
        if len(self.absent) > MAX_ABSENT:
            self.absent.popitem(last=False)

    def _let_go(self, owner: str, uid: str) -> None:
        held = self.dependents.get(owner)
        if held is not None:
            held.pop(uid, None)
            if not held:
                del self.dependents[owner]


class GarbageCollector:
    """The collector's event intake and its reconcile."""

    def __init__(
        self, feed: Feed, client: DynamicClient, clock: Clock, ids: Ids, add: Callable[[str], None]
    ) -> None:
        """Make it.

        Args:
            add: queues a uid.
        """
        self._feed = feed
        self._client = client
        self._clock = clock
        self._ids = ids
        self.graph = Graph(feed, client)
        self.add = add

    # -- intake --------------------------------------------------------------------------

    @staticmethod
    def concerns(commit: FeedCommit) -> bool:
        """Whether a commit can matter; cheap, called under the store's lock."""
        if commit.type == "DELETED":
            return True
        data = commit.stored.data
        if b'"ownerReferences"' in data or b'"deletionTimestamp"' in data:
            return True
        return commit.previous is not None and b'"ownerReferences"' in commit.previous.data

    def note(self, commit: FeedCommit) -> None:
        """Take in one commit and queue what it can decide."""
        metadata = metadata_of(commit.stored)
        if commit.type == "DELETED":
            self._gone(metadata.uid)
        else:
            self.look(commit.resource, commit.key, metadata)

    def look(self, resource: str, key: str, metadata: Metadata) -> None:
        """Take in one object."""
        graph, uid = self.graph, metadata.uid
        before = graph.owners.get(uid, ())
        if graph.put(resource, key, metadata) or metadata.deletionTimestamp is not None:
            if metadata.owners and not self._has_solid_owners_only(key, metadata):
                self.add(uid)
            for owner in (*before, *graph.owners.get(uid, ())):
                if owner in graph.waiting:
                    self.add(owner)
        elif uid in graph.owners:
            for owner in graph.owners[uid]:
                if owner in graph.waiting:
                    self.add(owner)
        if metadata.is_held_by(FOREGROUND) or metadata.is_held_by(ORPHAN):
            graph.waiting.add(uid)
            self.add(uid)

    def _gone(self, uid: str) -> None:
        graph = self.graph
        owners = graph.owners.get(uid, ())
        graph.remove(uid)
        for dependent in list(graph.dependents.get(uid, ())):
            self.add(dependent)
        for owner in owners:
            if owner in graph.waiting:
                self.add(owner)

    def _has_solid_owners_only(self, key: str, metadata: Metadata) -> bool:
        try:
            return all(self._state(key, ref) == "solid" for ref in metadata.owners)
        except UnknownResource:
            return False

    # -- the reconcile ---------------------------------------------------------------------

    def reconcile(self, request: Request, ctx: Context) -> None:
        """Decide about one object."""
        uid = request.name
        place = self.graph.places.get(uid)
        stored = None if place is None else self._feed.get(*place)
        if place is None or stored is None:
            return
        plural, key = place
        metadata = metadata_of(stored)
        if metadata.uid != uid:
            return
        resource = self._client.resolve(plural)
        ctx.log(plural, key)
        if metadata.is_held_by(ORPHAN):
            self._orphan(resource, key, metadata, ctx)
        elif metadata.is_held_by(FOREGROUND):
            self._release(resource, key, metadata, ctx)
        elif metadata.deletionTimestamp is None and metadata.owners:
            self._collect(resource, key, metadata, ctx)

    def _orphan(self, resource: ApiResource, key: str, metadata: Metadata, ctx: Context) -> None:
        for uid in list(self.graph.dependents.get(metadata.uid, ())):
            found = self._live(uid)
            if found is not None:
                kind, place, dependent = found
                self._drop_owners(kind, place, dependent, {metadata.uid}, ctx)
        self._drop_finalizer(resource, key, metadata, ORPHAN, ctx)

    def _release(self, resource: ApiResource, key: str, metadata: Metadata, ctx: Context) -> None:
        is_blocked = False
        for uid in list(self.graph.dependents.get(metadata.uid, ())):
            found = self._live(uid)
            if found is None:
                continue
            dependent = found[2]
            is_blocked |= any(
                ref.uid == metadata.uid and ref.blockOwnerDeletion for ref in dependent.owners
            )
            if dependent.deletionTimestamp is None:
                self.add(uid)
        if not is_blocked:
            self._drop_finalizer(resource, key, metadata, FOREGROUND, ctx)

    def _collect(self, resource: ApiResource, key: str, metadata: Metadata, ctx: Context) -> None:
        if not resource.is_namespaced and self._has_namespaced_owner(metadata):
            self._warn(resource, key, metadata, ctx)
            return
        states = {ref.uid: self._state(key, ref) for ref in metadata.owners}
        lost = {uid for uid, state in states.items() if state != "solid"}
        if not lost:
            return
        if "dangling" in states.values():
            self._warn(resource, key, metadata, ctx)
        if len(lost) < len(states):
            self._drop_owners(resource, key, metadata, lost, ctx)
            return
        is_waited_for = "waiting" in states.values()
        has_dependents = bool(self.graph.dependents.get(metadata.uid))
        if is_waited_for and has_dependents:
            policy = "Foreground"
        elif ORPHAN in (metadata.finalizers or ()):
            policy = "Orphan"
        elif FOREGROUND in (metadata.finalizers or ()):
            policy = "Foreground"
        else:
            policy = "Background"
        ctx.delete(_head(resource, key, metadata.uid), propagation_policy=policy)

    # -- owners ------------------------------------------------------------------------------

    def _state(self, key: str, reference: OwnerReference) -> str:
        """Return "solid", "waiting" (for its dependents) or "dangling"."""
        owner = self._owner_resource(reference)
        namespace = key.rpartition("/")[0]
        place = f"{namespace}/{reference.name}" if owner.is_namespaced else reference.name
        stored = self._feed.get(owner.gvr.group_resource, place)
        if stored is None:
            return "dangling"
        metadata = metadata_of(stored)
        if metadata.uid != reference.uid:
            return "dangling"
        return "waiting" if metadata.is_held_by(FOREGROUND) else "solid"

    def _owner_resource(self, reference: OwnerReference) -> ApiResource:
        kind = GroupVersionKind.from_api_version(reference.apiVersion, reference.kind)
        found: ApiResource = self._client.resolve_kind(kind)
        return found

    def _has_namespaced_owner(self, metadata: Metadata) -> bool:
        return any(self._owner_resource(ref).is_namespaced for ref in metadata.owners)

    def _live(self, uid: str) -> tuple[ApiResource, str, Metadata] | None:
        place = self.graph.places.get(uid)
        stored = None if place is None else self._feed.get(*place)
        if place is None or stored is None:
            return None
        metadata = metadata_of(stored)
        return (self._client.resolve(place[0]), place[1], metadata) if metadata.uid == uid else None

    def _drop_owners(
        self,
        resource: ApiResource,
        key: str,
        metadata: Metadata,
        lost: set[str],
        ctx: Context,
    ) -> None:
        stored = self._feed.get(resource.gvr.group_resource, key)
        if stored is None:
            return
        tree = kube_object(stored, resource).to_dict()["metadata"]
        kept = [ref for ref in tree.get("ownerReferences") or () if ref.get("uid") not in lost]
        patch = {"metadata": {"ownerReferences": kept or None, "uid": metadata.uid}}
        namespace, _, name = key.rpartition("/")
        ctx.patch(resource, name, patch, namespace=namespace)

    def _drop_finalizer(
        self,
        resource: ApiResource,
        key: str,
        metadata: Metadata,
        finalizer: str,
        ctx: Context,
    ) -> None:
        kept = [name for name in metadata.finalizers or () if name != finalizer]
        namespace, _, name = key.rpartition("/")
        patch = {"metadata": {"finalizers": kept or None, "uid": metadata.uid}}
        ctx.patch(resource, name, patch, namespace=namespace)
        self.graph.waiting.discard(metadata.uid)

    # -- owners elsewhere ----------------------------------------------------------------------

    def _warn(self, resource: ApiResource, key: str, metadata: Metadata, ctx: Context) -> None:
        """Write an event about each owner that lives in another namespace."""
        for reference in metadata.owners:
            owner = self._owner_resource(reference)
            if not self._lives_elsewhere(owner, reference.uid, metadata.namespace):
                continue
            message = (
                f"ownerRef [{reference.apiVersion}/{reference.kind}, "
                f"namespace: {metadata.namespace}, name: {reference.name}, "
                f"uid: {reference.uid}] does not exist in namespace "
                f'"{metadata.namespace}"'
            )
            self._write_event(resource, key, metadata, message, ctx)

    def _lives_elsewhere(self, owner: ApiResource, uid: str, namespace: str) -> bool:
        if not owner.is_namespaced or uid in self.graph.absent:
            return False
        needle = f'"{uid}"'.encode()
        for key, stored in self._feed.items(owner.gvr.group_resource):
            place = key.rpartition("/")[0]
            if place != namespace and needle in stored.data and metadata_of(stored).uid == uid:
                return True
        self.graph.absent[uid] = None
        return False

    def _write_event(
        self, resource: ApiResource, key: str, metadata: Metadata, message: str, ctx: Context
    ) -> None:
        namespace, _, name = key.rpartition("/")
        now = timestamp(self._clock.now())
        about = {
            "apiVersion": resource.gvr.api_version,
            "kind": resource.kind,
            "name": name,
            "uid": metadata.uid,
            **({"namespace": namespace} if namespace else {}),
        }
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{name}.{self._ids.suffix(16)}",
                "namespace": namespace or "default",
            },
            "involvedObject": about,
            "reason": "OwnerRefInvalidNamespace",
            "message": message,
            "type": "Warning",
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
        try:
            ctx.create(event)
        except AlreadyExists:
            pass
        except CrlabError as error:  # an event is a courtesy; collection goes on
            ctx.log(f"event not written: {type(error).__name__}")


def concerns_content(stored: StoredObject) -> bool:
    """Whether an object that exists already can matter to the collector."""
    return b'"ownerReferences"' in stored.data or b'"deletionTimestamp"' in stored.data


def _head(resource: ApiResource, key: str, uid: str) -> dict[str, Any]:
    namespace, _, name = key.rpartition("/")
    metadata = {"name": name, "uid": uid, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": resource.gvr.api_version,
        "kind": resource.kind,
        "metadata": metadata,
    }
