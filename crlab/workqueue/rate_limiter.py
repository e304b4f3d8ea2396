"""How long a failing key has to wait, with client-go's numbers (rule 60).

Every limiter answers `when(item)` (the delay of the next try; it counts as a failure),
`forget(item)` (start over) and `num_requeues(item)` (failures since).

Thread: any; each limiter has its own lock, which guards its counters.
Source: kubernetes/client-go:util/workqueue/default_rate_limiters.go,
golang.org/x/time/rate (the bucket).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable
from typing import Protocol

from crlab.errors import ConfigError
from crlab.runtime.clock import Clock, RealClock


class RateLimiter(Protocol):
    """Decides delays per item."""

    def when(self, item: Hashable) -> float:
        """Return how many seconds `item` has to wait; counts one failure."""

    def forget(self, item: Hashable) -> None:
        """Drop the failures of `item`: it succeeded, or is given up."""

    def num_requeues(self, item: Hashable) -> int:
        """Return the failures of `item` since it was last forgotten."""


def checked_seconds(seconds: float, what: str, *, least: float = 0.0) -> float:
    """Return `seconds` if it is a finite number of at least `least`.

    Raises:
        ConfigError: it is not.
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < least:
        raise ConfigError(f"{what} must be a number of seconds ≥ {least:g}, not {seconds!r}")
    return float(seconds)


class _FailureCounts:
    """Failures per item; the base of the limiters that remember."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[Hashable, int] = {}

    def _count(self, item: Hashable) -> int:
        with self._lock:
            before = self._failures.get(item, 0)
            self._failures[item] = before + 1
            return before

    def forget(self, item: Hashable) -> None:
        with self._lock:
            self._failures.pop(item, None)

    def num_requeues(self, item: Hashable) -> int:
        with self._lock:
            return self._failures.get(item, 0)


class ItemExponentialFailureRateLimiter(_FailureCounts):
    """base · 2^failures, up to a cap: 5, 10, 20 ms … 655.36 s, then 1000 s."""

    def __init__(self, base_seconds: float = 0.005, max_seconds: float = 1000.0) -> None:
        super().__init__()
        self.base_seconds = checked_seconds(base_seconds, "base_seconds")
        self.max_seconds = checked_seconds(max_seconds, "max_seconds")

    def when(self, item: Hashable) -> float:
        failures = self._count(item)
        if failures > 1000:  # 2.0**failures would overflow; the cap was reached long ago
            return self.max_seconds if self.base_seconds else 0.0
        return float(min(self.base_seconds * 2.0**failures, self.max_seconds))


class ItemFastSlowRateLimiter(_FailureCounts):
    """A short delay for the first tries, a long one after."""

    def __init__(self, fast_seconds: float, slow_seconds: float, max_fast_attempts: int) -> None:
        super().__init__()
        self.fast_seconds = checked_seconds(fast_seconds, "fast_seconds")
        self.slow_seconds = checked_seconds(slow_seconds, "slow_seconds")
        self.max_fast_attempts = max_fast_attempts

    def when(self, item: Hashable) -> float:
        failures = self._count(item) + 1
        return self.fast_seconds if failures <= self.max_fast_attempts else self.slow_seconds


class BucketRateLimiter:
    """A token bucket for all items together; a token taken is never given back.

    `_tokens`, `_last_at` — guarded by `_lock`.
    """

    def __init__(
        self, clock: Clock | None = None, *, rate_per_second: float = 10.0, burst: int = 100
    ) -> None:
        """Make a full bucket; `clock` defaults to the machine's."""
        if not math.isfinite(rate_per_second) or rate_per_second <= 0 or burst < 1:
            raise ConfigError(
                f"a bucket needs rate_per_second > 0 and burst ≥ 1, not {rate_per_second!r} "
                f"and {burst!r}"
            )
        self._clock = clock or RealClock()
        self._lock = threading.Lock()
        self.rate_per_second = rate_per_second
        self.burst = burst
        self._tokens = float(burst)
        self._last_at = self._clock.monotonic()

    def when(self, item: Hashable) -> float:
        del item  # one bucket for all
        with self._lock:
            now = self._clock.monotonic()
            grown = self._tokens + (now - self._last_at) * self.rate_per_second
            self._tokens = min(float(self.burst), grown) - 1.0
            self._last_at = now
            return max(0.0, -self._tokens / self.rate_per_second)

    def forget(self, item: Hashable) -> None:
        """Do nothing: a bucket remembers no item."""

    def num_requeues(self, item: Hashable) -> int:
        del item
        return 0


class MaxOfRateLimiter:
    """Asks every limiter (each counts, also the one that loses) and takes the longest."""

    def __init__(self, *limiters: RateLimiter) -> None:
        self.limiters = limiters

    def when(self, item: Hashable) -> float:
        return max((limiter.when(item) for limiter in self.limiters), default=0.0)

    def forget(self, item: Hashable) -> None:
        for limiter in self.limiters:
            limiter.forget(item)

    def num_requeues(self, item: Hashable) -> int:
        return max((limiter.num_requeues(item) for limiter in self.limiters), default=0)


class WithMaxWaitRateLimiter:
    """Another limiter's delay, cut at a maximum."""

    def __init__(self, limiter: RateLimiter, max_seconds: float) -> None:
        self.limiter = limiter
        self.max_seconds = checked_seconds(max_seconds, "max_seconds")

    def when(self, item: Hashable) -> float:
        return min(self.limiter.when(item), self.max_seconds)

    def forget(self, item: Hashable) -> None:
        self.limiter.forget(item)

    def num_requeues(self, item: Hashable) -> int:
        return self.limiter.num_requeues(item)


def default_controller_rate_limiter(clock: Clock | None = None) -> MaxOfRateLimiter:
    """Return client-go's default: 5 ms … 1000 s per item and 10/s with burst 100 overall."""
    return MaxOfRateLimiter(ItemExponentialFailureRateLimiter(), BucketRateLimiter(clock))


def default_item_based_rate_limiter() -> ItemExponentialFailureRateLimiter:
    """Return client-go's item-only default: 1 ms … 1000 s."""
    return ItemExponentialFailureRateLimiter(0.001, 1000.0)
