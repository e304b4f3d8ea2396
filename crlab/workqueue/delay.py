"""Keys on their way back: a time each, the earliest first (rule 59).

Thread: not locked; belongs to a queue and is touched under that queue's lock.
Source: kubernetes/client-go:util/workqueue/delaying_queue.go.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from crlab.errors import ConfigError
from crlab.workqueue.trigger import Trigger

K = TypeVar("K", bound=Hashable)

MAX_TRIGGERS = 100


class Delayed:
    """A key on its way back: when, since when, and why."""

    __slots__ = ("ready_at", "seqs", "since", "triggers")

    def __init__(self, ready_at: float, since: float) -> None:
        self.ready_at = ready_at
        self.since = since
        self.triggers: list[Trigger] = []
        self.seqs: list[int] = []

    @property
    def is_full(self) -> bool:
        """Whether it holds as many reasons as it may."""
        return len(self.triggers) >= MAX_TRIGGERS

    def note(self, trigger: Trigger, seq: int) -> None:
        """Keep a reason and its trace record."""
        self.triggers.append(trigger)
        self.seqs.append(seq)

    def reasons(self) -> Iterator[tuple[Trigger, tuple[int, ...] | None]]:
        """Return the reasons with their causes, None where there is no trace."""
        for trigger, seq in zip(self.triggers, self.seqs, strict=True):
            yield trigger, (seq,) if seq else None


class DelayedKeys(Generic[K]):
    """The keys that wait for a time.

    `entries` is the truth; heap entries that differ from it are stale and skipped. `heap` is
    public for its truth value alone: empty means that nothing can become due.
    """

    def __init__(self) -> None:
        self.entries: dict[K, Delayed] = {}
        self.heap: list[tuple[float, int, K, Delayed]] = []
        self._pushes = 0

    def put(self, item: K, now: float, ready_at: float) -> tuple[Delayed, bool]:
        """Delay a key, to the earlier time if it is delayed already.

        Returns:
            Its entry, and whether it is now the first one due.
        """
        entry = self.entries.get(item)
        if entry is None:
            self.entries[item] = entry = Delayed(ready_at, now)
        elif ready_at < entry.ready_at:
            entry.ready_at = ready_at  # its old heap entry is stale now
        else:
            return entry, False
        # Equal times leave in the order they came; and heapq never has to compare two keys, which
        # need have no order.
        self._pushes += 1
        heapq.heappush(self.heap, (ready_at, self._pushes, item, entry))
        if len(self.heap) > 2 * len(self.entries) + 64:  # mostly stale: keep no keys that are gone
            self.heap[:] = [each for each in self.heap if self._is_live(each)]
            heapq.heapify(self.heap)
        return entry, self.heap[0][3] is entry

    def pop_due(self, now: float) -> Iterator[tuple[K, Delayed]]:
        """Take out what is due, earliest first."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            pushed = heapq.heappop(heap)
            if self._is_live(pushed):
                del self.entries[pushed[2]]
                yield pushed[2], pushed[3]

    def pop(self, item: K) -> Delayed | None:
        """Take out one key, whenever it is due."""
        # Its heap entry is left to go stale: to find it would be a search through the heap.
        return self.entries.pop(item, None)

    def first_at(self) -> float | None:
        """Return a time before which nothing is due (it may be a stale one); None if empty."""
        return self.heap[0][0] if self.heap else None

    def next_at(self) -> float | None:
        """Return when the next key is due, None without one."""
        return min((entry.ready_at for entry in self.entries.values()), default=None)

    def by_time(self) -> list[tuple[K, Delayed]]:
        """Return all, earliest first."""
        return sorted(self.entries.items(), key=lambda pair: pair[1].ready_at)

    def clear(self) -> None:
        """Drop all."""
        self.entries.clear()
        self.heap.clear()

    def _is_live(self, pushed: tuple[float, int, K, Delayed]) -> bool:
        # By identity: a key that was taken out and delayed again has a new entry, perhaps for the
        # same time.
        ready_at, _, item, entry = pushed
        return self.entries.get(item) is entry and entry.ready_at == ready_at


def check_delay(delay_seconds: float) -> None:
    """Refuse a delay that is not a number (zero and less mean "now", rule 59)."""
    is_number = isinstance(delay_seconds, int | float) and not isinstance(delay_seconds, bool)
    if not is_number or math.isnan(delay_seconds) or delay_seconds == math.inf:
        raise ConfigError(f"delay_seconds must be a finite number, not {delay_seconds!r}")
