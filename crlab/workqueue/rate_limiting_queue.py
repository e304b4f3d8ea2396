"""The workqueue controllers use: retries paced by a rate limiter (rules 60, 61).

From and to: as `queue.py`. `add_rate_limited` is `add_after` with the limiter's delay.

Thread: as `queue.py`; the limiter has a lock of its own.
Source: kubernetes/client-go:util/workqueue/rate_limiting_queue.go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from crlab.runtime.clock import Clock
from crlab.trace.cause import current_causes
from crlab.trace.record import Trace
from crlab.workqueue.queue import WorkQueue
from crlab.workqueue.rate_limiter import RateLimiter, default_controller_rate_limiter
from crlab.workqueue.trigger import Trigger

K = TypeVar("K", bound=Hashable)


class RateLimitingQueue(WorkQueue[K]):
    """A workqueue whose retries are paced by a rate limiter.

    `forget` clears the limiter only; `done` is still required (rule 61).
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
        """Make an empty queue; `clock` defaults to the machine's, `limiter` to client-go's."""
        super().__init__(
            name,
            clock=clock,
            trace=trace,
            resource=resource,
            touch=touch,
            keep_triggers=keep_triggers,
        )
        self.limiter = limiter or default_controller_rate_limiter(self._clock)

    def add_rate_limited(self, item: K, *, trigger: Trigger | None = None) -> float:
        """Add `item` after the limiter's delay, which counts a failure; return the delay."""
        delay_seconds = self.limiter.when(item)
        with self._lock:
            self._metrics.rate_limited.observe(delay_seconds)
        self.add_after(item, delay_seconds, trigger=trigger)
        return delay_seconds

    def forget(self, item: K) -> None:
        """Let the limiter start over with `item`."""
        if self._trace is not None and self.limiter.num_requeues(item):
            self._record("forgotten", item, causes=current_causes())
        self.limiter.forget(item)

    def num_requeues(self, item: K) -> int:
        """Return the failures the limiter remembers of `item`."""
        return self.limiter.num_requeues(item)

    def _attempts(self, item: K) -> int:
        return self.limiter.num_requeues(item)
