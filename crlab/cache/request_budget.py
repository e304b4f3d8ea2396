"""How often a failing server may be asked: a token bucket that only failure drains.

Every request that begins a list or a watch takes a token; a watch that brought something
new gives its token back. So a healthy server is never waited for, and whatever a failing
one answers, in whatever loop, it sees `burst` requests and then `per_second`.

Thread: one owner; not locked.
"""

from __future__ import annotations

from crlab.runtime.clock import Clock


class RequestBudget:
    """At most one request a second on average, after a burst."""

    def __init__(self, clock: Clock, *, per_second: float = 1.0, burst: int = 5) -> None:
        self._clock = clock
        self.per_second = per_second
        self.burst = burst
        self._tokens = float(burst)
        self._at = clock.monotonic()

    def _fill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
        self._at = now

    def delay_seconds(self) -> float:
        """Return how long to wait before the next request; 0 if it may go now."""
        self._fill()
        # After a wait of just this delay the sum may be a rounding below 1.
        if self._tokens >= 1.0 - 1e-9:
            return 0.0
        return (1.0 - self._tokens) / self.per_second

    def take(self) -> None:
        """Count a request."""
        self._fill()
        self._tokens -= 1.0

    def give_back(self) -> None:
        """Count that a request was worth it."""
        self._tokens = min(self.burst, self._tokens + 1.0)
