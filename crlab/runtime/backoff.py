"""How long to wait before trying again.

Two generations of client-go's reflector back-off, by name:
  idle      the reset clock restarts on every delay: two quiet minutes reset it (before 1.36).
  sawtooth  the reset clock restarts only on a reset: during an outage the delays fall
            back to the first one about every two minutes (since 1.36).

Thread: one owner at a time; not locked.
Source: kubernetes/client-go:tools/cache/reflector.go,
kubernetes/apimachinery:pkg/util/wait/backoff.go.
"""

from __future__ import annotations

from enum import StrEnum

from crlab.runtime.clock import Clock
from crlab.runtime.ids import Ids


class BackoffReset(StrEnum):
    """When a `Backoff` returns to its first delay."""

    IDLE = "idle"
    SAWTOOTH = "sawtooth"


class Backoff:
    """Exponential back-off with jitter, a cap and a reset."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        *,
        first_seconds: float = 0.8,
        factor: float = 2.0,
        cap_seconds: float = 30.0,
        jitter: float = 1.0,
        reset_seconds: float = 120.0,
        reset: BackoffReset | str = BackoffReset.IDLE,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self.first_seconds = first_seconds
        self.factor = factor
        self.cap_seconds = cap_seconds
        self.jitter = jitter
        self.reset_seconds = reset_seconds
        self.reset = BackoffReset(reset)
        self._step_seconds = first_seconds
        self._last_at: float | None = None
        self.attempts = 0

    def next_seconds(self) -> float:
        """Return the next delay, uniform in [d, d·(1+jitter)), and grow d."""
        now = self._clock.monotonic()
        if self._last_at is None:
            self._last_at = now
        elif now - self._last_at > self.reset_seconds:
            self.restart()
            self._last_at = now
        elif self.reset is BackoffReset.IDLE:
            self._last_at = now
        base = self._step_seconds
        self._step_seconds = min(self.cap_seconds, base * self.factor)
        self.attempts += 1
        return base + self._ids.uniform(0.0, self.jitter * base)

    def restart(self) -> None:
        """Return to the first delay."""
        self._step_seconds = self.first_seconds
        self.attempts = 0
