"""Many moments, one timer: deadlines of watches, bookmarks, event expiry.

A clock's `call_at` may cost a thread each (`RealClock`); the server has hundreds of
moments to wait for, so it keeps them in one heap and asks the clock for the next only.
Most are cancelled long before they are due (a watch that ends); the heap never holds more
than `MIN_SWEEP` entries or twice what waited at the last sweep.

Thread: any; callbacks run on the clock's thread (or the caller of `FakeClock.advance`)
and may take the server's lock.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from crlab.runtime.clock import Clock, Timer

MIN_SWEEP = 256


class Appointment:
    """A callback that is due at a moment; `cancel` forgets it."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Make sure it does not run, if it has not yet."""
        self.callback = None


class Alarm:
    """A heap of appointments on one clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._heap: list[tuple[float, int, Appointment]] = []
        self._sweep_at = MIN_SWEEP
        self._order = itertools.count()
        self._timer: Timer | None = None
        self._armed_at = float("inf")
        self._is_closed = False

    def call_in(self, seconds: float, callback: Callable[[], object]) -> Appointment:
        """Run a callback in so many seconds."""
        return self.call_at(self.clock.monotonic() + seconds, callback)

    def call_at(self, at: float, callback: Callable[[], object]) -> Appointment:
        """Run a callback once the clock's `monotonic` reaches `at`."""
        appointment = Appointment(callback)
        with self._lock:
            if len(self._heap) >= self._sweep_at:
                self._sweep_locked()
            heapq.heappush(self._heap, (at, next(self._order), appointment))
            self._arm_locked()
        return appointment

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._is_closed = True
            self._heap.clear()
            timer = self._timer
        if timer is not None:  # it is kept: who was interrupted here may come again
            timer.cancel()
            timer.join(1.0)  # not under the lock: the callback takes it

    def _sweep_locked(self) -> None:
        """Drop what was cancelled below the top; at most as often as the heap doubles."""
        assert self._lock.locked()
        self._heap = [entry for entry in self._heap if entry[2].callback is not None]
        heapq.heapify(self._heap)
        self._sweep_at = max(MIN_SWEEP, 2 * len(self._heap))

    def _arm_locked(self) -> None:
        assert self._lock.locked()
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        if self._is_closed or not self._heap or self._heap[0][0] >= self._armed_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = self._heap[0][0]
        self._timer = self.clock.call_at(self._armed_at, self._ring)

    def _ring(self) -> None:
        due = []
        with self._lock:
            self._timer = None
            self._armed_at = float("inf")
            now = self.clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                due.append(heapq.heappop(self._heap)[2])
            self._arm_locked()
        for appointment in due:
            callback, appointment.callback = appointment.callback, None
            if callback is not None:
                callback()
