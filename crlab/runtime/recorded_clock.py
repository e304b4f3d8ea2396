"""Clocks for replays: wall time is what the recording says.

From: a replay, which shows each record's time as it hands the record on. To: the trace,
frames and charts, which ask for `now`.

Guarantees:
  1. On the thread that handed a record on, `now` is that record's time until the next one;
     elsewhere it is the newest time that was shown.
  2. Nothing was shown, or `show(None)` was last: `now` is the time of the clock beneath.
  3. Waits and timers are the clock's beneath; only `now` differs.

Thread: any.
"""

from __future__ import annotations

import threading

from crlab.runtime.clock import FakeClock, RealClock


class _Shown:
    """What was shown: to each thread, and the newest to all."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._newest: float | None = None

    def put(self, at: float | None) -> None:
        self._mine.at = at
        self._newest = at if at is None or self._newest is None else max(self._newest, at)

    def get(self) -> float | None:
        newest = self._newest
        if newest is None:
            return None
        mine: float | None = getattr(self._mine, "at", None)
        return newest if mine is None else mine


class RecordedRealClock(RealClock):
    """The machine's clock, with recorded wall time."""

    has_wall_time = False  # it stands still between records, which is no sleep

    def __init__(self) -> None:
        """Show the machine's time until something else is shown."""
        super().__init__()
        self._shown = _Shown()

    def show(self, at: float | None) -> None:
        """Let `now` be `at`; None: the machine's time."""
        self._shown.put(at)

    def now(self) -> float:
        at = self._shown.get()
        return super().now() if at is None else at


class RecordedFakeClock(FakeClock):
    """A clock that moves only when told to, with recorded wall time."""

    has_wall_time = False

    def __init__(self, start: float) -> None:
        """Start at wall time `start` and monotonic 0."""
        super().__init__(start)
        self._shown = _Shown()
        self._shown_at = 0.0  # monotonic

    def show(self, at: float | None) -> None:
        """Let `now` be `at`, and go on from there by `advance`; None: as if nothing was."""
        self._shown.put(at)
        self._shown_at = self.monotonic()

    def now(self) -> float:
        at = self._shown.get()
        return super().now() if at is None else at + self.monotonic() - self._shown_at
