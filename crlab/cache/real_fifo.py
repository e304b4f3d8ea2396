"""RealFIFO: a plain list of deltas, in the order in which they came, for all objects.

From: the reflector. To: the processor. The default since client-go 1.33, because a queue
with one batch per key lets a later object reach the store before an earlier one.

Guarantees:
  1. Entries leave in the order they came, whatever their keys.
  2. A relist is one entry; the processor works out what it changes against the store it
     alone writes, so no deletion can be missed or doubled in between (atomic replace).
  3. A pop takes entries of distinct keys only; entries for the whole store come alone.
  4. `has_synced` once the first population is processed: one ReplacedAll, or at once if
     an event came first.

Differs from client-go: popping never runs the processing under the lock, whatever the
depth, because nothing here reads the store. The non-atomic mode is `per_item_fifo.py`.

Thread: see `fifo.py`; `_cond` guards every field.
Source: kubernetes/client-go:tools/cache/the_real_fifo.go (rules 34-40).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from crlab.cache.blocking_queue import BlockingQueue
from crlab.cache.fifo import WHOLE, Delta, DeltaType, Popped
from crlab.runtime.clock import Clock

MAX_BATCH = 1000


class RealFIFO(BlockingQueue):
    """The in-order queue."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._entries: deque[Delta] = deque()

    def add(self, deltas: Sequence[Delta], *, waking: bool = True) -> None:
        with self._cond:
            if not self._is_closed:
                self._is_populated = True
                self._entries.extend(deltas)
                # Without waking, the caller processes the entries itself: a woken thread would
                # find none.
                if waking:
                    self._cond.notify_all()

    def replace(self, replaced: Delta) -> None:
        with self._cond:
            if self._is_closed:
                return
            self._entries.append(replaced)
            self._populated_locked(len(self._entries))
            self._listed_locked(replaced.scope, [""])
            self._cond.notify_all()

    def resync(self, cause: int = 0) -> None:
        self._append(Delta(DeltaType.SYNC_ALL, cause=cause))

    def bookmark(self, resource_version: str, cause: int = 0, scope: str = "") -> None:
        self._append(
            Delta(DeltaType.BOOKMARK, resource_version=resource_version, cause=cause, scope=scope)
        )

    def _append(self, delta: Delta) -> None:
        with self._cond:
            if not self._is_closed:
                self._entries.append(delta)
                self._cond.notify_all()

    def pop(self, limit: int) -> Popped | None:
        with self._cond:
            entries = self._entries
            if not entries:
                return None
            is_initial = not self._has_synced_locked()
            # A batch never reaches over the end of the first population: all of it belongs to the
            # initial list, or none.
            most = min(limit, MAX_BATCH, self._initial or limit)
            batch = [entries.popleft()]
            if batch[0].type not in WHOLE:
                keys = {batch[0].key}
                while entries and len(batch) < most:
                    following = entries[0]
                    # A second entry of a key waits for the next batch: the store changes once a
                    # batch, and handlers are to hear of every state.
                    if following.type in WHOLE or following.key in keys:
                        break
                    keys.add(following.key)
                    batch.append(entries.popleft())
            # A partial entry is one item of a relist: the store is at the list's version only with
            # the last of them.
            last = {x.scope: x for x in batch if x.resource_version and not x.is_partial}
            versions = {
                scope: self._reach_locked(
                    scope, delta.resource_version, new_epoch=delta.is_new_epoch
                )
                for scope, delta in last.items()
            }
            return Popped(batch, is_initial, len(batch), versions)

    def done(self, popped: Popped) -> None:
        with self._cond:
            first = popped.deltas[0]
            if first.type is DeltaType.REPLACED_ALL:
                self._unapplied[first.scope] = set()
            if self._initial:
                self._initial = max(0, self._initial - popped.size)
                self._cond.notify_all()

    def snapshot(self) -> list[Delta]:
        with self._cond:
            return list(self._entries)

    def __len__(self) -> int:
        # Without the lock: the length of a deque is one look.
        return len(self._entries)

    def head(self, count: int) -> list[Delta]:
        """Return the `count` oldest entries, without taking them."""
        with self._cond:
            return list(islice(self._entries, count))
