"""The store: one append-only log of revisions and the map of what is current.

From: the writing verbs (`commit`). To: reads (`items`, `at`), watches (`entries_after`,
woken by `commit`) and built-in controllers (`subscribe`). Every commit of any resource
takes the next revision. A watch holds nothing but a revision: what it has not yet sent
is read from the log.

Guarantees:
  1. Revisions grow by one per commit and never go back, also over `restore`.
  2. A stored object never changes: its canonical JSON bytes are the truth, trees are copies.
  3. `at(resource, revision)` is exact for every revision from `horizon(resource)` on;
     older ones raise `Compacted`, they are never guessed.
  4. At least `KEEP_PER_RESOURCE` changes of each resource stay readable until `compact`.
  5. Listeners run after the commit, in its thread, under the lock: they may only signal.

Thread: any; one re-entrant lock (`lock`) guards everything. Whoever needs several calls to
see one moment holds it around them.
Source: k3s-io/kine:pkg/drivers/memory (a watch as a cursor), etcd's revision model.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from crlab.apiserver.collection import KEEP_PER_RESOURCE, Collection, revision_of, scope
from crlab.apiserver.stored import ADDED, DELETED, MODIFIED, Commit, Stored, Tree, encode

__all__ = [
    "ADDED",
    "DELETED",
    "KEEP_PER_RESOURCE",
    "MODIFIED",
    "Commit",
    "Compacted",
    "Storage",
    "StorageSnapshot",
    "Stored",
    "Tree",
    "encode",
]

KEEP_ENTRIES = 10_000
KEEP_BYTES = 100_000_000
KEEP_LINES = 1_000
RESTORE_STEP = 1_000


class Compacted(Exception):
    """The log does not reach back to the asked revision."""

    def __init__(self, revision: int, horizon: int) -> None:
        super().__init__(f"revision {revision} is older than {horizon}, the oldest that is held")
        self.revision = revision
        self.horizon = horizon


@dataclass(frozen=True, slots=True)
class StorageSnapshot:
    """Everything a store holds at one revision; immutable and shareable."""

    revision: int
    compacted_revision: int
    items: dict[str, dict[str, Stored]]
    logs: dict[str, tuple[Commit, ...]]
    horizons: dict[str, tuple[int, int]]
    floor: int


class Storage:
    """The one store of a server; see the module's guarantees."""

    def __init__(
        self,
        *,
        first_revision: int = 1,
        keep_entries: int = KEEP_ENTRIES,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self.lock = threading.RLock()
        self.revision = first_revision
        self.compacted_revision = 0
        self.floor = first_revision
        self._keep_entries = keep_entries
        self._keep_bytes = keep_bytes
        self._log: deque[Commit] = deque()
        self._log_bytes = 0
        self._collections: dict[str, Collection] = {}
        self._subscribers: dict[object, Callable[[Commit], None]] = {}

    # --- reading -----------------------------------------------------------------------------

    def get(self, resource: str, key: str) -> Stored | None:
        """Return what is current under a key, None if nothing is."""
        collection = self._collections.get(resource)
        return collection.items.get(key) if collection else None

    def resources(self) -> list[str]:
        """Return the resources that hold objects."""
        with self.lock:
            return [name for name, found in self._collections.items() if found.items]

    def count(self, resource: str) -> int:
        """Return how many objects a resource has."""
        collection = self._collections.get(resource)
        return len(collection.items) if collection else 0

    def items(self, resource: str, namespace: str = "") -> list[tuple[str, Stored]]:
        """Return (key, object) in key order: of a namespace, or of all with ""."""
        with self.lock:
            collection = self._collections.get(resource)
            if collection is None:
                return []
            return [(key, collection.items[key]) for key in scope(collection.keys, namespace)]

    def at(self, resource: str, revision: int, namespace: str = "") -> list[tuple[str, Stored]]:
        """Return (key, object) in key order as they were at a revision.

        Raises:
            Compacted: the log does not reach back that far.
        """
        with self.lock:
            collection = self._collections.get(resource)
            horizon = max(self.compacted_revision, collection.horizon if collection else 0)
            if revision < horizon:
                raise Compacted(revision, horizon)
            if collection is None:
                return []
            undone = collection.after(revision)
            if not undone:
                return self.items(resource, namespace)
            state: dict[str, Stored | None] = dict(collection.items)
            for entry in reversed(undone):
                state[entry.key] = entry.previous
            keys = sorted(key for key, stored in state.items() if stored is not None)
            return [(key, found) for key in scope(keys, namespace) if (found := state[key])]

    def horizon(self, resource: str) -> int:
        """Return the oldest revision a watch of the resource may start from."""
        return max(self.compacted_revision, self._collection(resource).floor)

    def epoch(self, resource: str) -> int:
        """Return a number that grows whenever the resource's watches must end."""
        return self._collection(resource).epoch

    def entries_after(self, resource: str, revision: int) -> list[Commit]:
        """Return the resource's commits above a revision, in order.

        Raises:
            Compacted: some of them are gone.
        """
        with self.lock:
            collection = self._collection(resource)
            if revision < collection.lost:
                raise Compacted(revision, collection.lost)
            return collection.after(revision)

    # --- writing -----------------------------------------------------------------------------

    def commit(self, resource: str, key: str, tree: Tree | None, form: int = 0) -> Commit:
        """Write an object (None deletes it) under the next revision and wake who listens.

        The tree is stamped with its resourceVersion; the caller hands it over.
        """
        with self.lock:
            collection = self._collection(resource)
            previous = collection.items.get(key)
            revision = self.revision + 1
            if tree is None:
                assert previous is not None, f"{resource} {key} is not there to be deleted"
                stored = Stored.of(previous.tree(), revision, previous.form)
                type_ = DELETED
            else:
                stored = Stored.of(tree, revision, form)
                type_ = ADDED if previous is None else MODIFIED
            entry = Commit(revision, resource, key, type_, stored, previous)
            self.revision = revision
            collection.put(key, None if tree is None else stored)
            self._append(collection, entry)
            for listener in list(collection.listeners.values()):
                listener()
            for subscriber in list(self._subscribers.values()):
                subscriber(entry)
            return entry

    def compact(self, revision: int | None = None) -> int:
        """Forget history up to a revision (None: all of it); return it.

        Watches that have read further go on; older starting points get 410 from now on.
        """
        with self.lock:
            target = self.revision if revision is None else min(revision, self.revision)
            self.compacted_revision = max(self.compacted_revision, target)
            for collection in self._collections.values():
                collection.drop_until(target)
            self._log = deque(entry for entry in self._log if entry.revision > target)
            self._log_bytes = sum(len(entry.stored.data) for entry in self._log)
            return target

    def seal(self) -> None:
        """Let watches of all resources begin at the present revision at the earliest."""
        with self.lock:
            self.floor = self.revision
            for collection in self._collections.values():
                collection.floor = self.revision

    def rebuild(self, resource: str) -> None:
        """Forget what watches of a resource could resume from and end them (a CRD changed)."""
        with self.lock:
            self._collection(resource).floor = self.revision
            self.end_watches(resource)

    def end_watches(self, resource: str | None = None) -> None:
        """End the watches of a resource, or of all, cleanly."""
        with self.lock:
            for name, collection in self._collections.items():
                if resource in (None, name):
                    collection.epoch += 1
                    for listener in list(collection.listeners.values()):
                        listener()

    # --- listening ---------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Commit], None]) -> Callable[[], None]:
        """Call back with every commit (it may only signal); the result ends it."""
        token = object()
        with self.lock:
            self._subscribers[token] = callback
        return lambda: self._unsubscribe(token)

    def _unsubscribe(self, token: object) -> None:
        with self.lock:
            self._subscribers.pop(token, None)

    def listen(self, resource: str, token: object, callback: Callable[[], None] | None) -> None:
        """Call back after each commit of a resource; None ends it."""
        with self.lock:
            listeners = self._collection(resource).listeners
            if callback is None:
                listeners.pop(token, None)
            else:
                listeners[token] = callback

    # --- moments -----------------------------------------------------------------------------

    def snapshot(self) -> StorageSnapshot:
        """Return everything at this moment; objects are shared, not copied."""
        with self.lock:
            found = self._collections.items()
            return StorageSnapshot(
                self.revision,
                self.compacted_revision,
                {name: dict(c.items) for name, c in found},
                {name: tuple(c.log[c.first :]) for name, c in found},
                {name: (c.horizon, c.floor) for name, c in found},
                self.floor,
            )

    @classmethod
    def fork(cls, snapshot: StorageSnapshot) -> Storage:
        """Make a second store that goes on from a snapshot, with its history."""
        storage = cls(first_revision=snapshot.revision)
        storage.compacted_revision = snapshot.compacted_revision
        storage.floor = snapshot.floor
        for name, items in snapshot.items.items():
            log = list(snapshot.logs[name])
            horizon, floor = snapshot.horizons[name]
            storage._collections[name] = Collection(
                dict(items), sorted(items), log, horizon=horizon, floor=floor
            )
        merged = [entry for log in snapshot.logs.values() for entry in log]
        storage._log = deque(sorted(merged, key=revision_of))
        storage._log_bytes = sum(len(entry.stored.data) for entry in storage._log)
        return storage

    def restore(self, snapshot: StorageSnapshot) -> int:
        """Put a snapshot's objects back, as etcd restores: the revision jumps ahead, all
        older history is compacted and every watch ends. Return the new revision."""
        with self.lock:
            top = max(self.revision, snapshot.revision)
            self.revision = (top // RESTORE_STEP + 1) * RESTORE_STEP
            self.compacted_revision = self.revision
            self._log.clear()
            self._log_bytes = 0
            for name in {*self._collections, *snapshot.items}:
                collection = self._collection(name)
                collection.items = dict(snapshot.items.get(name, {}))
                collection.keys = sorted(collection.items)
                collection.log, collection.first = [], 0
                collection.horizon = collection.floor = collection.lost = self.revision
            self.floor = self.revision
            self.end_watches()
            return self.revision

    def rewind(self, revision: int) -> int:
        """Write the inverse of everything since a revision; watchers see ordinary events.

        Returns how many objects changed.

        Raises:
            Compacted: the log does not reach back that far; nothing was written.
        """
        with self.lock:
            plan: list[tuple[str, str, Stored | None]] = []
            for name, collection in self._collections.items():
                past = dict(self.at(name, revision))
                for key in sorted({*past, *collection.items}):
                    then, now = past.get(key), collection.items.get(key)
                    if then is not now:
                        plan.append((name, key, then))
            for name, key, then in plan:
                self.commit(name, key, then.tree() if then else None, then.form if then else 0)
            return len(plan)

    # --- inside ------------------------------------------------------------------------------

    def _collection(self, resource: str) -> Collection:
        collection = self._collections.get(resource)
        if collection is None:
            with self.lock:
                fresh = Collection(floor=self.floor)
                collection = self._collections.setdefault(resource, fresh)
        return collection

    def _append(self, collection: Collection, entry: Commit) -> None:
        collection.log.append(entry)
        self._log.append(entry)
        self._log_bytes += len(entry.stored.data)
        if len(self._log) > KEEP_LINES:
            self._log[-KEEP_LINES].lines = None
        while len(self._log) > self._keep_entries or self._log_bytes > self._keep_bytes:
            oldest = self._log.popleft()
            self._log_bytes -= len(oldest.stored.data)
            home = self._collections[oldest.resource]
            while len(home.log) - home.first > KEEP_PER_RESOURCE and (
                home.log[home.first].revision <= oldest.revision
            ):
                home.drop_oldest()
