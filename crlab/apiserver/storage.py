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

import bisect
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
KEEP_ENTRIES = 10_000
KEEP_BYTES = 100_000_000
KEEP_PER_RESOURCE = 100
KEEP_LINES = 1_000
RESTORE_STEP = 1_000

METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)

_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_encode_as_given = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Tree = dict[str, Any]


class Compacted(Exception):
    """The log does not reach back to the asked revision."""

    def __init__(self, revision: int, horizon: int) -> None:
        super().__init__(f"revision {revision} is older than {horizon}, the oldest that is held")
        self.revision = revision
        self.horizon = horizon


class Stored:
    """One object at one revision: bytes without apiVersion and kind, and what lists need.

    Attributes:
        data: JSON of the object, in the order `encode` gives it.
        revision: the resourceVersion it carries.
        labels: its labels, for selectors without decoding.
        form: token of the version it was written under (see `Version.form`); below 0 for
            built-in kinds.
    """

    __slots__ = ("data", "form", "labels", "revision")

    def __init__(
        self, data: bytes, revision: int, labels: dict[str, str] | None, form: int
    ) -> None:
        self.data = data
        self.revision = revision
        self.labels = labels
        self.form = form

    def tree(self) -> Tree:
        """Return a fresh tree; it is the caller's own."""
        tree = _decode(self.data)
        assert isinstance(tree, dict)
        return tree

    @classmethod
    def of(cls, tree: Tree, revision: int, form: int) -> Stored:
        """Stamp a tree with its revision and freeze it."""
        metadata = tree["metadata"]
        metadata["resourceVersion"] = str(revision)
        return cls(encode(tree, form), revision, metadata.get("labels") or None, form)

    @classmethod
    def unsaved(cls, tree: Tree, form: int) -> Stored:
        """Freeze an object that has no revision: the answer to a dry run."""
        tree["metadata"].pop("resourceVersion", None)
        return cls(encode(tree, form), 0, tree["metadata"].get("labels") or None, form)


def encode(tree: Tree, form: int = 0) -> bytes:
    """Return the JSON of an object: whole floats as integers, as Go prints them.

    Custom resources come out sorted. Objects of built-in kinds (`form` below 0) begin with
    their metadata, in the order of ObjectMeta's fields; the rest stays in the writer's order.
    """
    if form < 0:
        given = tree["metadata"]
        metadata = {key: given[key] for key in METADATA_ORDER if key in given}
        tree = {"metadata": metadata, **{k: v for k, v in tree.items() if k != "metadata"}}
        data = _encode_as_given(tree)
    else:
        data = _encode_sorted(tree)
    if (b".0" in data or b"e+" in data) and has_whole_float(tree):
        data = (_encode_as_given if form < 0 else _encode_sorted)(whole(tree))
    return data


def has_whole_float(value: Any) -> bool:
    """Whether a JSON value holds a float such as 1.0 anywhere."""
    if isinstance(value, dict):
        return any(has_whole_float(item) for item in value.values())
    if isinstance(value, list):
        return any(has_whole_float(item) for item in value)
    return isinstance(value, float) and value.is_integer()


def whole(value: Any) -> Any:
    """Return a JSON value with its whole floats (below 1e21) as integers."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return int(value) if is_whole else value


class Entry:
    """One commit.

    Attributes:
        type: ADDED, MODIFIED or DELETED.
        stored: the new state; of a deletion the last state under the deletion's revision.
        previous: the state before, None for ADDED.
        lines: serialised watch lines, shared by all watches (see watch.py).
    """

    __slots__ = ("_exit", "key", "lines", "previous", "resource", "revision", "stored", "type")

    def __init__(
        self,
        revision: int,
        resource: str,
        key: str,
        type_: str,
        stored: Stored,
        previous: Stored | None,
    ) -> None:
        self.revision = revision
        self.resource = resource
        self.key = key
        self.type = type_
        self.stored = stored
        self.previous = previous
        self.lines: dict[Any, bytes] | None = None
        self._exit: Stored | None = None

    def departed(self) -> Stored:
        """Return the previous state under this revision: what a selector's exit shows."""
        if self.type == DELETED:
            return self.stored
        if self._exit is None:
            assert self.previous is not None
            self._exit = Stored.of(self.previous.tree(), self.revision, self.previous.form)
        return self._exit


@dataclass(slots=True)
class _Collection:
    """All objects of one resource and the tail of their history."""

    items: dict[str, Stored] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    log: list[Entry] = field(default_factory=list)
    first: int = 0  # log[:first] is dropped already, cut off in bulk
    horizon: int = 0  # the oldest revision `at` knows
    lost: int = 0  # the newest commit that is no longer in the log
    floor: int = 0  # the oldest revision a watch may start from
    epoch: int = 0
    listeners: dict[object, Callable[[], None]] = field(default_factory=dict)

    def put(self, key: str, stored: Stored | None) -> None:
        if stored is None:
            del self.items[key]
            del self.keys[bisect.bisect_left(self.keys, key)]
            return
        if key not in self.items:
            bisect.insort(self.keys, key)
        self.items[key] = stored

    def after(self, revision: int) -> list[Entry]:
        start = bisect.bisect_right(self.log, revision, lo=self.first, key=_revision_of)
        return self.log[start:]

    def drop_until(self, revision: int) -> None:
        cut = bisect.bisect_right(self.log, revision, lo=self.first, key=_revision_of)
        if cut > self.first:
            self.lost = self.log[cut - 1].revision
        self.horizon = max(self.horizon, revision)
        self.floor = max(self.floor, revision)
        del self.log[:cut]
        self.first = 0

    def drop_oldest(self) -> None:
        self.horizon = self.lost = self.log[self.first].revision
        self.floor = max(self.floor, self.horizon)
        self.log[self.first] = _TOMBSTONE
        self.first += 1
        if self.first > 1000 and self.first * 2 > len(self.log):
            del self.log[: self.first]
            self.first = 0


def _revision_of(entry: Entry) -> int:
    return entry.revision


_TOMBSTONE = Entry(0, "", "", DELETED, Stored(b"", 0, None, 0), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a store holds at one revision; immutable and shareable."""

    revision: int
    compacted_revision: int
    items: dict[str, dict[str, Stored]]
    logs: dict[str, tuple[Entry, ...]]
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
        self._log: deque[Entry] = deque()
        self._log_bytes = 0
        self._collections: dict[str, _Collection] = {}
        self._subscribers: dict[object, Callable[[Entry], None]] = {}

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
            return [(key, collection.items[key]) for key in _scope(collection.keys, namespace)]

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
            return [(key, found) for key in _scope(keys, namespace) if (found := state[key])]

    def horizon(self, resource: str) -> int:
        """Return the oldest revision a watch of the resource may start from."""
        return max(self.compacted_revision, self._collection(resource).floor)

    def epoch(self, resource: str) -> int:
        """Return a number that grows whenever the resource's watches must end."""
        return self._collection(resource).epoch

    def entries_after(self, resource: str, revision: int) -> list[Entry]:
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

    def commit(self, resource: str, key: str, tree: Tree | None, form: int = 0) -> Entry:
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
            entry = Entry(revision, resource, key, type_, stored, previous)
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

    def subscribe(self, callback: Callable[[Entry], None]) -> Callable[[], None]:
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

    def snapshot(self) -> Snapshot:
        """Return everything at this moment; objects are shared, not copied."""
        with self.lock:
            found = self._collections.items()
            return Snapshot(
                self.revision,
                self.compacted_revision,
                {name: dict(c.items) for name, c in found},
                {name: tuple(c.log[c.first :]) for name, c in found},
                {name: (c.horizon, c.floor) for name, c in found},
                self.floor,
            )

    @classmethod
    def fork(cls, snapshot: Snapshot) -> Storage:
        """Make a second store that goes on from a snapshot, with its history."""
        storage = cls(first_revision=snapshot.revision)
        storage.compacted_revision = snapshot.compacted_revision
        storage.floor = snapshot.floor
        for name, items in snapshot.items.items():
            log = list(snapshot.logs[name])
            horizon, floor = snapshot.horizons[name]
            storage._collections[name] = _Collection(
                dict(items), sorted(items), log, horizon=horizon, floor=floor
            )
        merged = [entry for log in snapshot.logs.values() for entry in log]
        storage._log = deque(sorted(merged, key=_revision_of))
        storage._log_bytes = sum(len(entry.stored.data) for entry in storage._log)
        return storage

    def restore(self, snapshot: Snapshot) -> int:
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

    def _collection(self, resource: str) -> _Collection:
        collection = self._collections.get(resource)
        if collection is None:
            with self.lock:
                fresh = _Collection(floor=self.floor)
                collection = self._collections.setdefault(resource, fresh)
        return collection

    def _append(self, collection: _Collection, entry: Entry) -> None:
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


def _scope(keys: list[str], namespace: str) -> Iterable[str]:
    """Return the keys of a namespace ("" for all), in order."""
    if not namespace:
        return keys
    start = bisect.bisect_left(keys, f"{namespace}/")
    return _while_in(keys, start, f"{namespace}/")


def _while_in(keys: list[str], start: int, prefix: str) -> Iterator[str]:
    for index in range(start, len(keys)):
        if not keys[index].startswith(prefix):
            return
        yield keys[index]
