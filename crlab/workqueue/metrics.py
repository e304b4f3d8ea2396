"""The seven numbers client-go exports of a workqueue, and the one it lacks.

depth and the two "running" numbers are computed when read; the rest are counted. The
delay a rate limiter imposes (`rate_limited_seconds`) has no upstream counterpart
(kubernetes/kubernetes#138256): items stuck in back-off are invisible there.

Thread: written under the queue's lock; `QueueMetrics` values handed out are copies.
Source: kubernetes/client-go:util/workqueue/metrics.go.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

BOUNDS_SECONDS = tuple(10.0**power for power in range(-8, 4))


class Histogram(msgspec.Struct):
    """A count per duration bucket, 10 ns to 1000 s in powers of ten, and the sum."""

    count: int = 0
    sum_seconds: float = 0.0
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self.sum_seconds += seconds
        self.buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1

    @property
    def mean_seconds(self) -> float:
        """The mean duration, 0 if nothing was counted."""
        return self.sum_seconds / self.count if self.count else 0.0

    def copy(self) -> Histogram:
        """Return a copy that stands still."""
        return Histogram(self.count, self.sum_seconds, list(self.buckets))


class QueueMetrics(msgspec.Struct):
    """How a queue is doing.

    Attributes:
        depth: keys ready to be taken.
        adds: adds that were not collapsed into a waiting one.
        collapsed: adds that were.
        retries: calls of `add_after` and `add_rate_limited`.
        queue_latency: from the add to the take.
        work_duration: from the take to done.
        rate_limited: delays given by the rate limiter.
        unfinished_work_seconds: sum over the keys in processing.
        longest_running_seconds: the oldest key in processing.
    """

    depth: int = 0
    adds: int = 0
    collapsed: int = 0
    retries: int = 0
    queue_latency: Histogram = msgspec.field(default_factory=Histogram)
    work_duration: Histogram = msgspec.field(default_factory=Histogram)
    rate_limited: Histogram = msgspec.field(default_factory=Histogram)
    unfinished_work_seconds: float = 0.0
    longest_running_seconds: float = 0.0

    def frozen(self, depth: int, running_since: list[float], now: float) -> QueueMetrics:
        """Return a copy at this moment."""
        ages = [now - since for since in running_since]
        return QueueMetrics(
            depth=depth,
            adds=self.adds,
            collapsed=self.collapsed,
            retries=self.retries,
            queue_latency=self.queue_latency.copy(),
            work_duration=self.work_duration.copy(),
            rate_limited=self.rate_limited.copy(),
            unfinished_work_seconds=sum(ages),
            longest_running_seconds=max(ages, default=0.0),
        )
