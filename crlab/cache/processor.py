"""Applies deltas to the store and tells the handlers' backlogs.

From: the queue. To: the indexer (it is the only writer) and the listeners.

Guarantees:
  1. The store and its indices change before anybody is told.
  2. Add, update or delete is decided by what the store holds, not by the watch event.
  3. A relist is diffed here and swapped in one step: no reader sees half of it. All
     deletions (always tombstones) are told first, then adds and updates in list order.
  4. A version older than the stored one, a repeated one, and what comes after its own
     deletion are ignored and counted, unless a relist or a new epoch says so.
  5. A late handler is replayed the store between two deltas, so it misses and repeats
     nothing.

Thread: ``crlab-processor-<resource>``, or the reflector's for a few events at a time, if no
user's index function could hold it up; `_turn` admits one. `_lock` guards the lists of
listeners.
Source: kubernetes/client-go:tools/cache/controller.go (processDeltas,
processReplacedAllInfo), shared_informer.go (sharedProcessor); rules 36-40, 47-49, 53.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import count, repeat

from crlab.cache import revision
from crlab.cache.fifo import Delta, DeltaType, Popped, Queue
from crlab.cache.indexer import Indexer
from crlab.cache.listener import ADD, DELETE, UPDATE, Listener, Notification
from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.model.object import KubeObject
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.driver import BATCH
from crlab.trace.record import Draft, Trace, TraceStage

MAX_DELETED = 10_000
_INDEXER = TraceStage.INDEXER
_DELETED = DeltaType.DELETED
_FROM_LIST = (DeltaType.REPLACED, DeltaType.SYNC)
_OPERATION = {
    ADD: "add",
    UPDATE: "update",
    DELETE: "delete",
}


class Processor:
    """A `Stage`: pops, stores, tells."""

    def __init__(
        self,
        name: str,
        queue: Queue,
        indexer: Indexer,
        *,
        resource: str,
        clock: Clock,
        trace: Trace,
        on_processed: Callable[[], None],
    ) -> None:
        self._name = name
        self._queue = queue
        self._indexer = indexer
        self._resource = resource
        self._clock = clock
        self._trace = trace
        self._on_processed = on_processed
        self._lock = fork.lock()
        self._turn = threading.Lock()  # one thread at a time pops and stores
        self._listeners: tuple[Listener, ...] = ()
        self._joining: tuple[Listener, ...] = ()
        self._deleted: OrderedDict[str, str] = OrderedDict()
        self.is_idle = True
        self.replaced_scopes: frozenset[str] = frozenset()
        self.ignored_older = 0
        self.ignored_repeated = 0
        self.processed = 0

    @property
    def name(self) -> str:
        return self._name

    # Listeners ---------------------------------------------------------------------------

    def add_listener(self, listener: Listener) -> None:
        """Let a listener join before the next delta. Never waits."""
        with self._lock:
            self._joining = (*self._joining, listener)
        self._queue.wake()

    def remove_listener(self, listener: Listener) -> None:
        """Tell a listener nothing more. Never waits."""
        with self._lock:
            self._listeners = tuple(x for x in self._listeners if x is not listener)
            self._joining = tuple(x for x in self._joining if x is not listener)

    def listeners(self) -> tuple[Listener, ...]:
        """Return those that joined or are about to."""
        with self._lock:
            return (*self._listeners, *self._joining)

    def _join_one(self) -> bool:
        with self._lock:
            if not self._joining:
                return False
            listener = self._joining[0]
        # Only the holder of `_turn` changes the store, so nothing can come between this list and
        # the place among the listeners: the handler misses nothing and hears nothing twice.
        at = self._clock.monotonic()
        listener.push(
            [
                Notification(ADD, obj.key, obj, is_in_initial_list=True, at=at)
                for obj in self._indexer.list()
            ]
        )
        with self._lock:
            if listener in self._joining:  # else it was removed meanwhile
                self._joining = tuple(x for x in self._joining if x is not listener)
                self._listeners = (*self._listeners, listener)
        listener.joined()
        self._on_processed()
        return True

    # Stage -------------------------------------------------------------------------------

    def step(self, limit: int) -> int:
        with self._turn:
            return self._step(limit)

    def process_now(self) -> None:
        """Do what is queued on the caller's thread; leave it to whoever is at it already.

        An event that comes alone reaches its handlers a change of threads earlier.
        """
        # Index functions are user code and may be slow: on the reflector's thread they would hold
        # up the stream. If the processor's own thread has the turn, waiting for it would too. In
        # both cases that thread is woken, since the entries were queued without waking it; a queue
        # keeps the wake for a thread that has just found it empty.
        if not self._indexer.has_custom_indices and self._turn.acquire(blocking=False):
            try:
                while self._step(BATCH):
                    pass
            finally:
                self._turn.release()
        else:
            self._queue.wake()

    def _step(self, limit: int) -> int:
        if self._join_one():
            return 1
        self.is_idle = False  # before the pop: an empty queue must not look settled
        popped = self._queue.pop(limit)
        if popped is None:
            self.is_idle = True
            return 0
        self._process(popped)
        # After the store has it: until then the queue counts these entries as on their way.
        self._queue.done(popped)
        self.is_idle = True
        self.processed += popped.size
        self._on_processed()
        return popped.size

    def wait(self) -> None:
        self._queue.wait()

    def wake(self) -> None:
        self._queue.wake()

    def _process(self, popped: Popped) -> None:
        first = popped.deltas[0]
        match first.type:
            case DeltaType.REPLACED_ALL:
                is_initial = popped.is_in_initial_list or first.scope not in self.replaced_scopes
                self._replace_all(first, is_initial)
                self.replaced_scopes |= {first.scope}
            case DeltaType.SYNC_ALL:
                self._sync_all(first)
            case DeltaType.BOOKMARK:
                self._indexer.advance(popped.versions)
            case _:
                deltas, is_initial = popped.deltas, popped.is_in_initial_list
                if len({delta.key for delta in deltas}) < len(deltas):
                    for delta in deltas[:-1]:  # the classic queue: several of one key
                        self._apply((delta,), is_initial, {})
                    deltas = deltas[-1:]
                self._apply(deltas, is_initial, popped.versions)

    # Single objects ----------------------------------------------------------------------

    def _apply(self, deltas: Sequence[Delta], initial: bool, versions: Mapping[str, str]) -> None:
        notes: list[Notification] = []
        changes: list[tuple[str, KubeObject | None]] = []
        at = self._clock.monotonic()
        for delta in deltas:
            note = self._note(delta, initial, at)
            if note is None:
                self._ignored(delta)
            else:
                notes.append(note)
                if note.type is not DELETE:
                    assert isinstance(note.obj, KubeObject)
                    changes.append((note.key, note.obj))
                elif note.key in self._indexer:
                    changes.append((note.key, None))
        self._indexer.apply(changes, versions)
        self._stored(notes)
        self._tell(notes)

    def _note(self, delta: Delta, initial: bool, at: float) -> Notification | None:
        """Return what a delta means for the store, None if it is old news."""
        key, obj = delta.key, delta.object
        old = self._indexer.get_by_key(key)
        if delta.type is _DELETED:
            return self._deletion(delta, old, at)
        assert isinstance(obj, KubeObject)
        is_from_list = delta.type in _FROM_LIST
        if not is_from_list and self._is_old_news(obj, old):
            return None
        self._deleted.pop(key, None)
        if old is None:
            return Notification(ADD, key, obj, None, initial, False, delta.cause, at)
        is_same = is_from_list and _is_same(old, obj)
        return Notification(UPDATE, key, obj, old, False, is_same, delta.cause, at)

    def _is_old_news(self, obj: KubeObject, old: KubeObject | None) -> bool:
        if old is not None:
            held = old.resource_version
            if revision.is_older(held, obj.resource_version):
                return False
            is_same = _is_same(old, obj)
        else:
            # With the object gone, only its deletion can tell an event from before it from one
            # that makes the object again.
            held = self._deleted.get(obj.key, "")
            is_same = bool(held) and held == obj.resource_version
        if is_same:
            self.ignored_repeated += 1
            return True
        if revision.is_older(obj.resource_version, held):
            self.ignored_older += 1
            return True
        return False

    def _deletion(self, delta: Delta, old: KubeObject | None, at: float) -> Notification | None:
        obj = delta.object
        if isinstance(obj, KubeObject):
            version = obj.resource_version
            # A DELETED event is at the version of the deletion: an older one was of an earlier
            # object of this name.
            if old is not None and revision.is_older(version, old.resource_version):
                self.ignored_older += 1
                return None
        else:
            version = delta.resource_version or (old.resource_version if old else "")
        deleted = self._deleted.get(delta.key)
        if old is None and deleted is not None and not revision.is_older(deleted, version):
            self.ignored_repeated += 1
            return None
        self._note_deleted(delta.key, version)
        return Notification(
            DELETE,
            delta.key,
            obj if obj is not None else DeletedFinalStateUnknown(delta.key, old),
            old=old,
            cause=delta.cause,
            at=at,
        )

    def _note_deleted(self, key: str, version: str) -> None:
        """Remember a deletion, so that an event from before it does not bring the object back."""
        self._deleted[key] = version
        self._deleted.move_to_end(key)
        if len(self._deleted) > MAX_DELETED:
            self._deleted.popitem(last=False)

    # The whole store ---------------------------------------------------------------------

    def _replace_all(self, delta: Delta, initial: bool) -> None:
        before = self._indexer.read().rows
        others: dict[str, KubeObject] = {}
        if delta.scope:
            others = {k: o for k, o in before.items() if o is not None and not delta.covers(k)}
            before = {key: obj for key, obj in before.items() if key not in others}
        # The server's revision went back: what was remembered would refuse good events.
        if delta.is_new_epoch:
            self._deleted.clear()
        items: dict[str, KubeObject] = {}
        notes: list[Notification] = []
        changed: list[str] = []
        at, kinds = self._clock.monotonic(), [0, 0, 0]
        for obj in delta.items:
            key = obj.key
            old = before.get(key)
            if old is None:
                note = Notification(ADD, key, obj, None, initial, False, 0, at)
                kinds[0] += 1
                changed.append(key)
            else:
                is_same = not delta.is_new_epoch and _is_same(old, obj)
                if is_same:
                    obj = old  # the same version: readers may go on comparing by identity
                else:
                    kinds[1] += 1
                    changed.append(key)
                note = Notification(UPDATE, key, obj, old=old, is_sync=is_same, at=at)
            items[key] = obj
            notes.append(note)
        gone = [key for key in before if key not in items]
        kinds[2] = len(gone)
        deletions = []
        # By key: the list does not say in which order they went.
        for key in sorted(gone):
            self._note_deleted(key, delta.resource_version)
            tombstone = DeletedFinalStateUnknown(key, before[key])
            deletions.append(Notification(DELETE, key, tombstone, old=before[key], at=at))
        # The store first, then the handlers, deletions before the rest: a handler that looks
        # into the cache finds the whole list there, and never half of it.
        self._swap({**others, **items} if others else items, delta, changed, gone)
        self._replaced([*deletions, *notes], delta, kinds)

    def _swap(
        self, items: dict[str, KubeObject], delta: Delta, changed: list[str], gone: list[str]
    ) -> None:
        """Bring the store to `items` in one step, by the cheaper of two ways."""
        version = {delta.scope: delta.resource_version} if delta.resource_version else {}
        # Many changes: fill new dictionaries beside the old ones and swap them, so that readers do
        # not wait. Few, as after a short break: index those few rows only.
        if len(changed) + len(gone) > len(items) // 8:
            self._indexer.replace(items, version, [*changed, *gone])
            return
        changes: list[tuple[str, KubeObject | None]] = [(key, None) for key in gone]
        changes.extend((key, items[key]) for key in changed)
        self._indexer.apply(changes, version)

    def _replaced(self, notes: list[Notification], delta: Delta, kinds: Sequence[int]) -> None:
        seq = self._trace.append(
            TraceStage.INDEXER,
            "replaced",
            resource=self._resource,
            resource_version=delta.resource_version,
            causes=(delta.cause,) if delta.cause else (),
            data={"added": kinds[0], "updated": kinds[1], "deleted": kinds[2]},
        )
        for note in notes:
            note.cause = seq
        self._tell(notes)

    def _sync_all(self, delta: Delta) -> None:
        at = self._clock.monotonic()
        self._tell(
            [
                Notification(
                    UPDATE,
                    obj.key,
                    obj,
                    old=obj,
                    is_sync=True,
                    cause=delta.cause,
                    at=at,
                )
                for obj in self._indexer.list()
            ]
        )

    # Telling -----------------------------------------------------------------------------

    def _stored(self, notes: Sequence[Notification]) -> None:
        """Note what was stored, and make that the cause of what follows."""
        drafts: list[Draft] = []
        for note in notes:
            obj, old = note.obj, note.old
            version = obj.resource_version if isinstance(obj, KubeObject) else ""
            causes = (note.cause,) if note.cause else ()
            data = {"operation": _OPERATION[note.type], "object": obj, "old": old}
            size = old.size_bytes if old is not None else 0
            drafts.append(
                (_INDEXER, "stored", self._resource, note.key, version, causes, data, size)
            )
        # Appended in one go, so the numbers follow each other; 0 where nothing is kept.
        first = self._trace.append_many(drafts)
        for note, seq in zip(notes, count(first) if first else repeat(0), strict=False):
            note.cause = seq

    def _ignored(self, delta: Delta) -> None:
        """Note that a delta was old news: it left the queue, and the store is as it was."""
        causes = (delta.cause,) if delta.cause else ()
        self._trace.append(
            _INDEXER, "ignored", resource=self._resource, key=delta.key, causes=causes
        )

    def _tell(self, notes: Sequence[Notification]) -> None:
        if notes:
            # Without `_lock`: the tuple is replaced whole and never changed.
            for listener in self._listeners:
                listener.push(notes)


def _is_same(old: KubeObject, new: KubeObject) -> bool:
    return (
        old.resource_version == new.resource_version
        and bool(new.resource_version)
        and old.uid == new.uid
    )
