"""DeltaFIFO: for each key its deltas, and a queue of keys. The classic, as the books draw it.

From: the reflector. To: the processor.

Guarantees:
  1. A key is queued iff it has deltas, once; a pop takes the oldest key with all of them.
  2. Updates are not compressed; only two adjacent deletions merge.
  3. `replace` infers deletions for queued keys and for known keys that the list lacks.
  4. `has_synced` once as many keys as the first replace produced have been processed, or
     at once if an event came first.
  5. Keys overtake each other, so the store is at a version only once every key that was
     queued with it is processed: at the latest after two rounds of the queue.

Differs from client-go: processing does not run under the lock. To keep its meaning, the
deltas in the hands of the processor stay here until `done`, and count as if they had been
applied; so no deletion is missed or doubled while one is in flight.

Thread: see `fifo.py`; `_cond` guards every field.
Source: kubernetes/client-go:tools/cache/delta_fifo.go (rules 25-33).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from crlab.cache.blocking_queue import BlockingQueue
from crlab.cache.fifo import Delta, DeltaType, KnownObjects, Popped
from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.model.object import KubeObject
from crlab.runtime import fork
from crlab.runtime.clock import Clock


class DeltaFIFO(BlockingQueue):
    """The per-key queue."""

    def __init__(self, clock: Clock, known_objects: KnownObjects | None) -> None:
        """Make an empty queue; without `known_objects` only queued keys are inferred."""
        super().__init__(clock)
        self._known_objects = known_objects
        self._items: dict[str, list[Delta]] = {}
        self._keys: dict[str, None] = {}  # an ordered set: the queue of keys
        self._in_flight: dict[str, list[Delta]] = {}
        self._is_ahead = False  # versions came that the store was not told of
        self._round: dict[str, str] = {}  # what came before the present round of the queue
        self._round_left = 0  # keys of it that are still queued

    # Producing ---------------------------------------------------------------------------

    def add(self, deltas: Sequence[Delta], *, waking: bool = True) -> None:
        with self._cond:
            for delta in deltas:
                self._is_populated = True
                self._came_locked(delta)
                if delta.type is DeltaType.DELETED and not self._is_there_locked(delta.key):
                    continue
                self._queue_locked(delta)
            if waking:
                self._cond.notify_all()

    def replace(self, replaced: Delta) -> None:
        with self._cond:
            listed = dict.fromkeys(obj.key for obj in replaced.items)
            for obj in replaced.items:
                self._queue_locked(replaced.of_item(obj))
            deleted = self._infer_locked(listed, replaced)
            self._came_locked(replaced)
            self._populated_locked(len(listed) + deleted)
            self._listed_locked(replaced.scope, listed)
            self._cond.notify_all()

    def _infer_locked(self, listed: dict[str, None], replaced: Delta) -> int:
        """Queue a tombstone for each key that is queued or known and was not listed."""
        assert fork.held(self._cond)
        count = 0
        for key in [*self._items, *(k for k in self._in_flight if k not in self._items)]:
            newest = self._newest_locked(key)
            if key in listed or newest is None or not replaced.covers(key):
                continue
            is_deleted = newest.type is DeltaType.DELETED
            if key not in self._items and is_deleted:
                continue  # in the processor's hands already
            self._queue_locked(replaced.of_absence(key, _unwrapped(newest.object)))
            count += not is_deleted
        known = self._known_objects
        for key in known.list_keys() if known is not None else ():
            if key in listed or key in self._items or key in self._in_flight:
                continue
            if not replaced.covers(key):
                continue
            assert known is not None
            self._queue_locked(replaced.of_absence(key, known.get_by_key(key)))
            count += 1
        return count

    def resync(self, cause: int = 0) -> None:
        with self._cond:
            known = self._known_objects
            for key in known.list_keys() if known is not None else ():
                assert known is not None
                obj = known.get_by_key(key)
                flying = self._in_flight.get(key)
                # On its way to the store: its newest delta is what the store will hold.
                if flying:
                    last = flying[-1].object
                    obj = last if isinstance(last, KubeObject) else None
                    if flying[-1].type is DeltaType.DELETED:
                        obj = None
                # As upstream: a queued key is told of anyway, and the store's object behind it
                # would bring an older state after a newer one.
                if key not in self._items and obj is not None:
                    self._queue_locked(Delta(DeltaType.SYNC, key, obj, cause=cause))
            self._cond.notify_all()

    def bookmark(self, resource_version: str, cause: int = 0, scope: str = "") -> None:
        with self._cond:
            mark = DeltaType.BOOKMARK
            self._came_locked(
                Delta(mark, resource_version=resource_version, cause=cause, scope=scope)
            )
            self._cond.notify_all()

    def _came_locked(self, delta: Delta) -> None:
        """Take the version of what came; the queue itself is of keys."""
        assert fork.held(self._cond)
        if self._is_closed or not delta.resource_version:
            return
        self._is_ahead = True
        if delta.is_new_epoch:
            self._round.pop(delta.scope, None)
        self._reach_locked(delta.scope, delta.resource_version, new_epoch=delta.is_new_epoch)

    def _queue_locked(self, delta: Delta) -> None:
        assert fork.held(self._cond)
        if self._is_closed:
            return
        deltas = self._items.setdefault(delta.key, [])
        deltas.append(delta)
        _merge_deletions(deltas)
        self._keys.setdefault(delta.key)

    def _newest_locked(self, key: str) -> Delta | None:
        assert fork.held(self._cond)
        deltas = self._items.get(key) or self._in_flight.get(key)
        return deltas[-1] if deltas else None

    def _is_there_locked(self, key: str) -> bool:
        """Whether a deletion of the key means anything (rule 27)."""
        assert fork.held(self._cond)
        if key in self._items:
            return True
        flying = self._in_flight.get(key)
        if flying:
            return flying[-1].type is not DeltaType.DELETED
        known = self._known_objects
        return known is not None and known.get_by_key(key) is not None

    # Consuming ---------------------------------------------------------------------------

    def pop(self, limit: int) -> Popped | None:
        with self._cond:
            if not self._keys:
                if not self._is_ahead:
                    return None
                return Popped([Delta(DeltaType.BOOKMARK)], False, 1, self._versions_locked())
            key = next(iter(self._keys))
            del self._keys[key]
            deltas = self._items.pop(key)
            # Upstream processes under the lock. Here a relist may come meanwhile, and must not
            # judge by a store that these deltas have not reached.
            self._in_flight[key] = deltas
            is_initial = not self._has_synced_locked() or self._is_first_locked(key)
            return Popped(deltas, is_initial, 1, self._versions_locked())

    def _versions_locked(self) -> dict[str, str]:
        """Return what the store is at once the key just taken is applied; {} is as before."""
        assert fork.held(self._cond)
        # Keys overtake each other: what came before this round is applied only once every key that
        # was queued at its beginning was taken.
        self._round_left -= 1
        if self._keys and self._round_left > 0:
            return {}
        whole = dict(self._reached)
        reached = self._round if self._keys else whole
        self._round, self._round_left = whole, len(self._keys)
        self._is_ahead = self._is_ahead and bool(self._keys)
        return reached

    def done(self, popped: Popped) -> None:
        with self._cond:
            key = popped.deltas[0].key
            if not key:
                return
            self._in_flight.pop(key, None)
            self._applied_locked([key])
            if self._initial:
                self._initial -= 1
                self._cond.notify_all()

    def snapshot(self) -> list[Delta]:
        with self._cond:
            queued = [delta for key in self._keys for delta in self._items[key]]
            return queued or ([Delta(DeltaType.BOOKMARK)] if self._is_ahead else [])

    def __len__(self) -> int:
        return len(self._keys) or int(self._is_ahead)


def _unwrapped(obj: KubeObject | DeletedFinalStateUnknown | None) -> KubeObject | None:
    return obj.obj if isinstance(obj, DeletedFinalStateUnknown) else obj


def _merge_deletions(deltas: list[Delta]) -> None:
    """Of two adjacent deletions keep the newer if the older is a tombstone, else the older."""
    if len(deltas) < 2 or not deltas[-1].type is deltas[-2].type is DeltaType.DELETED:
        return
    older, newer = deltas[-2], deltas[-1]
    kept = newer if isinstance(older.object, DeletedFinalStateUnknown) else older
    deltas[-2:] = [msgspec.structs.replace(kept, resource_version=newer.resource_version)]
