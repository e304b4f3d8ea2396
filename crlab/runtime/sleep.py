"""Did the machine sleep? Wall time went on meanwhile, monotonic time did not.

A wall clock that was set forward looks the same, so what is done about a sleep must be
cheap and harmless when there was none.

Guarantees:
  1. A gap counts once, whatever its size; slow drift between the two clocks never does.
  2. A wall clock set back is no sleep.

Thread: `notice` by one owner; `slept_seconds` by any thread.
Source: clock_gettime(2): CLOCK_MONOTONIC does not count time that the system is suspended.
"""

from __future__ import annotations

from crlab.runtime.clock import Clock

#: A shorter sleep is left to the deadlines; connections survive it.
THRESHOLD_SECONDS = 10.0


class SleepWatch:
    """Compares the clocks since it was last asked."""

    def __init__(self, clock: Clock, *, threshold_seconds: float = THRESHOLD_SECONDS) -> None:
        self._clock = clock
        self._threshold_seconds = threshold_seconds
        self._ahead_seconds = self._measured()

    def _measured(self) -> float:
        """Return how far wall time is ahead of monotonic time."""
        return self._clock.now() - self._clock.monotonic()

    @property
    def slept_seconds(self) -> float:
        """How long the machine slept since the last `notice`; 0 if it did not."""
        return self._counted(self._measured() - self._ahead_seconds)

    def notice(self) -> float:
        """Return `slept_seconds` and start counting again."""
        ahead = self._measured()
        gap, self._ahead_seconds = ahead - self._ahead_seconds, ahead
        return self._counted(gap)

    def _counted(self, gap_seconds: float) -> float:
        is_sleep = gap_seconds > self._threshold_seconds and self._clock.has_wall_time
        return gap_seconds if is_sleep else 0.0
