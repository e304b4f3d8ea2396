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
depth, because nothing here reads the store; the non-atomic modes are left out (DeltaFIFO
shows what they show).

Thread: see `queue.py`; `_cond` guards every field.
Source: kubernetes/client-go:tools/cache/the_real_fifo.go (rules 34-40).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from crlab.cache.queue import WHOLE, Delta, DeltaType, Popped
from crlab.runtime.clock import Clock

MAX_BATCH = 1000


class RealFIFO:
    """The in-order queue."""

    def __init__(self, clock: Clock) -> None:
        self._cond = threading.Condition()
        self._clock = clock
        self._entries: deque[Delta] = deque()
        self._is_populated = False
        self._initial = 0
        self._is_woken = False
        self._is_closed = False

    def add(self, deltas: Sequence[Delta], *, is_waking: bool = True) -> None:
        with self._cond:
            if not self._is_closed:
                self._is_populated = True
                self._entries.extend(deltas)
                if is_waking:
                    self._cond.notify_all()

    def replace(self, replaced: Delta) -> None:
        with self._cond:
            if self._is_closed:
                return
            if not self._is_populated:
                self._is_populated = True
                self._initial = len(self._entries) + 1
            self._entries.append(replaced)
            self._cond.notify_all()

    def resync(self, cause: int = 0) -> None:
        self._append(Delta(DeltaType.SYNC_ALL, cause=cause))

    def bookmark(self, resource_version: str, cause: int = 0) -> None:
        self._append(Delta(DeltaType.BOOKMARK, resource_version=resource_version, cause=cause))

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
            most = min(limit, MAX_BATCH, self._initial or limit)
            batch = [entries.popleft()]
            if batch[0].type not in WHOLE:
                keys = {batch[0].key}
                while entries and len(batch) < most:
                    following = entries[0]
                    if following.type in WHOLE or following.key in keys:
                        break
                    keys.add(following.key)
                    batch.append(entries.popleft())
            return Popped(batch, is_initial, len(batch))

    def done(self, popped: Popped) -> None:
        with self._cond:
            if self._initial:
                self._initial = max(0, self._initial - popped.size)
                self._cond.notify_all()

    def wait(self) -> None:
        with self._cond:
            while not self._entries and not self._is_woken and not self._is_closed:
                self._clock.wait(self._cond, None)
            self._is_woken = False

    def wake(self) -> None:
        with self._cond:
            self._is_woken = True
            self._cond.notify_all()

    def close(self) -> None:
        with self._cond:
            self._is_closed = True
            self._cond.notify_all()

    @property
    def has_synced(self) -> bool:
        with self._cond:
            return self._has_synced_locked()

    def _has_synced_locked(self) -> bool:
        return self._is_populated and self._initial == 0

    def snapshot(self) -> list[Delta]:
        with self._cond:
            return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def head(self, count: int) -> list[Delta]:
        """Return the `count` oldest entries, without taking them."""
        with self._cond:
            return list(islice(self._entries, count))
