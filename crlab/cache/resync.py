"""Who is shown everything again, and when.

Guarantees (rules 19, 48-50):
  1. A requested period above 0 is at least 1 s. Before the start the check period shrinks
     to the smallest request; after it a smaller request is raised to the check period.
  2. Without a check period there is no resync at all, whatever was requested.
  3. Every listener starts as "syncing"; the flags are worked out again only when the
     reflector's timer asks. So without resync, all handlers see same-version updates
     after a relist.

Thread: `_lock` guards every field; `should_resync` is called by the reflector.
Source: kubernetes/client-go:tools/cache/shared_informer.go (determineResyncPeriod,
processorListener.shouldResync).
"""

from __future__ import annotations

import threading

from crlab.cache.listener import Listener
from crlab.runtime.clock import Clock

MIN_SECONDS = 1.0


class _Plan:
    __slots__ = ("next_at", "requested_seconds", "seconds")

    def __init__(self, requested_seconds: float, seconds: float, now: float) -> None:
        self.requested_seconds = requested_seconds
        self.seconds = seconds
        self.next_at = now + seconds


class ResyncPlan:
    """The resync periods of one informer's handlers."""

    def __init__(self, clock: Clock, default_seconds: float) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._plans: dict[Listener, _Plan] = {}
        self.default_seconds = default_seconds
        self.check_seconds = default_seconds

    def add(self, listener: Listener, requested_seconds: float | None, *, started: bool) -> None:
        """Take a listener with its wish; None is the informer's default."""
        wish = self.default_seconds if requested_seconds is None else requested_seconds
        with self._lock:
            if wish > 0:
                wish = max(wish, MIN_SECONDS)
                if wish < self.check_seconds:
                    if started:
                        wish = self.check_seconds
                    else:
                        self._shrink_locked(wish)
            now = self._clock.monotonic()
            self._plans[listener] = _Plan(wish, self._determine_locked(wish), now)

    def _shrink_locked(self, seconds: float) -> None:
        assert self._lock.locked()
        self.check_seconds = seconds
        for plan in self._plans.values():
            plan.seconds = self._determine_locked(plan.requested_seconds)
            plan.next_at = self._clock.monotonic() + plan.seconds

    def _determine_locked(self, wish: float) -> float:
        assert self._lock.locked()
        if wish == 0 or self.check_seconds == 0:
            return 0.0
        return max(wish, self.check_seconds)

    def remove(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            self._plans.pop(listener, None)

    def should_resync(self) -> bool:
        """Work out who is due, flag them, and say whether anybody is."""
        now = self._clock.monotonic()
        is_anybody = False
        with self._lock:
            for listener, plan in self._plans.items():
                is_due = plan.seconds > 0 and now >= plan.next_at
                listener.is_syncing = is_due
                if is_due:
                    is_anybody = True
                    plan.next_at = now + plan.seconds
        return is_anybody
