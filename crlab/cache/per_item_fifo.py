"""RealFIFO with a relist item by item: what client-go ran from 1.33 until it became atomic.

From: the reflector. To: the processor.

Guarantees:
  1. As `RealFIFO`, but 2: a relist is many entries, first a tombstone for each key that is
     queued or known and was not listed, then one Replaced per item.
  2. So readers see a relist half applied: the deletions first, then item after item; the
     store is at the list's version with the last of them.
  3. What is in the hands of the processor counts as applied (see `delta_fifo.py`).

Thread: see `fifo.py`; `_cond` guards every field.
Source: kubernetes/client-go:tools/cache/the_real_fifo.go (reconcileReplacement; rule 35).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from crlab.cache.fifo import Delta, DeltaType, KnownObjects, Popped
from crlab.cache.real_fifo import RealFIFO
from crlab.model.object import KubeObject
from crlab.runtime import fork
from crlab.runtime.clock import Clock


class PerItemFIFO(RealFIFO):
    """The in-order queue that is not atomic."""

    def __init__(self, clock: Clock, known_objects: KnownObjects) -> None:
        super().__init__(clock)
        self._known_objects = known_objects
        self._in_flight: dict[str, Delta] = {}

    def replace(self, replaced: Delta) -> None:
        with self._cond:
            if self._is_closed:
                return
            listed = {obj.key for obj in replaced.items}
            entries = list(self._vanished_locked(listed, replaced))
            entries.extend(map(replaced.of_item, replaced.items))
            # Entries leave in order, so with the last of them the whole list is applied.
            if entries:
                entries[-1] = msgspec.structs.replace(entries[-1], is_partial=False)
            self._entries.extend(entries)
            self._populated_locked(len(self._entries))
            if not entries:  # the version still has to come to the store, in its turn
                self._entries.append(
                    msgspec.structs.replace(replaced, type=DeltaType.BOOKMARK, items=())
                )
            self._listed_locked(replaced.scope, listed)
            self._cond.notify_all()

    def _vanished_locked(self, listed: set[str], replaced: Delta) -> Iterator[Delta]:
        """Make a tombstone for each key that the list lacks and nobody deleted."""
        assert fork.held(self._cond)
        newest = self._newest_locked()
        for key, delta in newest.items():
            if key not in listed and delta.type is not DeltaType.DELETED and replaced.covers(key):
                assert isinstance(delta.object, KubeObject)
                yield replaced.of_absence(key, delta.object)
        for key in self._known_objects.list_keys():
            if key not in listed and key not in newest and replaced.covers(key):
                yield replaced.of_absence(key, self._known_objects.get_by_key(key))

    def _newest_locked(self) -> dict[str, Delta]:
        """Return the last of each key that is in flight or queued."""
        assert fork.held(self._cond)
        # In flight first: what is queued of the same key is newer, and overwrites it.
        newest = dict(self._in_flight)
        newest.update((delta.key, delta) for delta in self._entries if delta.key)
        return newest

    def resync(self, cause: int = 0) -> None:
        with self._cond:
            newest = self._newest_locked()
            for key in self._known_objects.list_keys():
                obj = self._known_objects.get_by_key(key)
                # As upstream: a queued key is told of anyway, and the store's object behind it
                # would bring an older state after a newer one.
                if not self._is_closed and key not in newest and obj is not None:
                    self._entries.append(Delta(DeltaType.SYNC, key, obj, cause=cause))
            self._cond.notify_all()

    def pop(self, limit: int) -> Popped | None:
        with self._cond:
            # Both steps under one lock: a relist must find these entries queued or in flight. In
            # between it would judge by a store that they have not reached.
            popped = super().pop(limit)
            if popped is not None:
                self._in_flight = {delta.key: delta for delta in popped.deltas if delta.key}
            return popped

    def done(self, popped: Popped) -> None:
        with self._cond:
            self._in_flight = {}
            self._applied_locked(delta.key for delta in popped.deltas)
            super().done(popped)
