"""One moment by which a wait of several steps must end.

Thread: immutable; any thread.
Source: python-websockets/websockets:src/websockets/sync/utils.py (the idea).
"""

from __future__ import annotations

from crlab.runtime.clock import Clock


class Deadline:
    """A point on a clock's monotonic line, or none."""

    __slots__ = ("_at", "_clock", "timeout_seconds")

    def __init__(self, clock: Clock, timeout_seconds: float | None) -> None:
        """End `timeout_seconds` from now; None never ends."""
        self._clock = clock
        self.timeout_seconds = timeout_seconds
        self._at = None if timeout_seconds is None else clock.monotonic() + timeout_seconds

    def remaining_seconds(self) -> float | None:
        """Return what is left, never negative; None without a limit."""
        return None if self._at is None else max(0.0, self._at - self._clock.monotonic())

    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self._at is not None and self._clock.monotonic() >= self._at
