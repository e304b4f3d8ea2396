"""The priority queue beside the plain one: higher numbers first (rule 65).

From and to: as `queue.py`. What differs from the plain queue:
  1. Higher priority first; first in, first out within a priority.
  2. One entry per key: adds that meet take the higher priority and the earlier time, and
     an immediate add absorbs a delayed one (the plain queue runs both).
  3. A key in processing is held back until `done`, with whatever was added meanwhile.
  4. Low-priority keys starve for as long as higher ones keep coming. That is upstream's
     behaviour (kubernetes-sigs/controller-runtime#3496); `snapshot` shows their age.

Thread: as `queue.py`.
Source: kubernetes-sigs/controller-runtime:pkg/controller/priorityqueue.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.trace.record import Trace
from crlab.workqueue.delay import check_delay
from crlab.workqueue.rate_limiter import ItemExponentialFailureRateLimiter, RateLimiter
from crlab.workqueue.rate_limiting_queue import RateLimitingQueue
from crlab.workqueue.trigger import Trigger

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY = -100


class _PriorityLine(Generic[K]):
    """The keys that may start, highest priority first, then by arrival.

    `_place` is the truth; heap entries that differ from it are stale and skipped.
    """

    def __init__(self, priority_of: Callable[[K], int]) -> None:
        self._priority_of = priority_of
        self._order = 0
        self._place: dict[K, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, K]] = []

    def append(self, item: K, /) -> None:
        self._order += 1
        self._put(item, self._order)

    def reorder(self, item: K) -> None:
        """Move a key whose priority changed; it keeps its turn among its new equals."""
        if item in self._place:
            self._put(item, self._place[item][1])

    def _put(self, item: K, order: int) -> None:
        # A number belongs to one key, so heapq never has to compare two keys, which need have no
        # order.
        self._place[item] = place = (-self._priority_of(item), order)
        heapq.heappush(self._heap, (*place, item))

    def popleft(self) -> K:
        while True:
            priority, order, item = heapq.heappop(self._heap)
            if self._place.get(item) == (priority, order):
                del self._place[item]
                return item

    def remove(self, item: K, /) -> None:
        del self._place[item]

    def order(self, item: K) -> int:
        """Return the turn of a key among its equals; `insert` takes it."""
        return self._place[item][1]

    def insert(self, order: int, item: K, /) -> None:
        self._put(item, order)

    def __iter__(self) -> Iterator[K]:
        return iter(sorted(self._place, key=self._place.__getitem__))

    def __len__(self) -> int:
        return len(self._place)


class PriorityQueue(RateLimitingQueue[K]):
    """A rate-limiting queue with priorities.

    `_priorities` holds those of keys that wait, `_running` those of keys in processing.
    """

    def __init__(
        self,
        name: str = "",
        *,
        clock: Clock | None = None,
        limiter: RateLimiter | None = None,
        trace: Trace | None = None,
        resource: str = "",
        touch: Callable[[K], None] | None = None,
        keep_triggers: int = 1000,
    ) -> None:
        """Make an empty queue; `limiter` defaults to the exponential one alone (rule 64)."""
        super().__init__(
            name,
            clock=clock,
            limiter=limiter or ItemExponentialFailureRateLimiter(),
            trace=trace,
            resource=resource,
            touch=touch,
            keep_triggers=keep_triggers,
        )
        self._priorities: dict[K, int] = {}
        self._running: dict[K, int] = {}
        self._line: _PriorityLine[K] = _PriorityLine(self._priority_of)
        self._queue = self._line

    def _priority_of(self, item: K) -> int:
        return self._priorities.get(item, 0)

    def add(self, item: K, *, trigger: Trigger | None = None, priority: int = 0) -> None:
        """Ask for a run of `item`, now; takes the place of a delayed one."""
        self.check(item)
        with self._lock:
            if self._is_shutting_down:
                return
            self._merge_priority_locked(item, priority)
            absorbed = self._delayed.pop(item)
            self._add_locked(item, trigger, None)
            # One run now stands for both: it is told the reasons of the delayed one too.
            if absorbed is not None:
                for held, causes in absorbed.reasons():
                    self._add_locked(item, held, causes)

    def add_after(
        self,
        item: K,
        delay_seconds: float,
        *,
        trigger: Trigger | None = None,
        priority: int | None = None,
    ) -> None:
        """Add `item` once `delay_seconds` have passed; a key ready now stays so.

        Args:
            priority: None keeps that of the run in hand, else 0.
        """
        self.check(item)
        check_delay(delay_seconds)
        with self._lock:
            if self._is_shutting_down:
                return
            self._metrics.retries += 1
            if priority is None:
                priority = self._running.get(item, 0)
            if delay_seconds <= 0:
                # `add` takes the lock once more: it is reentrant.
                self.add(item, trigger=trigger, priority=priority)
                return
            self._merge_priority_locked(item, priority)
            if item in self._dirty:  # the earlier time wins, and that is now
                self._add_locked(item, trigger, None)
            else:
                self._delay_locked(item, delay_seconds, trigger)

    def add_rate_limited(
        self, item: K, *, trigger: Trigger | None = None, priority: int | None = None
    ) -> float:
        """Add `item` after the limiter's delay, which counts a failure; return the delay."""
        # Before the lock: a limiter may be somebody else's code.
        delay_seconds = self.limiter.when(item)
        with self._lock:
            self._metrics.rate_limited.observe(delay_seconds)
        self.add_after(item, delay_seconds, trigger=trigger, priority=priority)
        return delay_seconds

    def _merge_priority_locked(self, item: K, priority: int) -> None:
        known = self._priorities.get(item)
        if known is None or priority > known:
            self._priorities[item] = priority
            self._line.reorder(item)

    def _place_locked(self, item: K) -> int:
        assert fork.held(self._ready)
        return self._line.order(item)

    def _rejoin_locked(self, item: K, place: frozenset[K] | int) -> None:
        assert fork.held(self._ready)
        assert isinstance(place, int)
        self._line.insert(place, item)

    def _begin_locked(self, item: K) -> None:
        # Kept during the run: a retry that names no priority comes back with the same one.
        self._running[item] = self._priorities.pop(item, 0)
        super()._begin_locked(item)

    def done(self, item: K) -> None:
        with self._lock:
            self._running.pop(item, None)
            super().done(item)

    def _shut_down_locked(self) -> None:
        assert fork.held(self._ready)
        # Delayed keys are dropped: nothing else would ever take their priorities out.
        for item in self._delayed.entries:
            if item not in self._dirty:
                self._priorities.pop(item, None)
        super()._shut_down_locked()

    def _priority_now(self, state: str, item: K) -> int:
        return self._running.get(item, 0) if state == "processing" else self._priority_of(item)
