"""One clock for everything: client, server, queues and views read and wait on it.

Real code never calls `time.time`, `time.monotonic` or `time.sleep`; it asks the clock
it was given. `RealClock` is the machine's. `FakeClock` stands still until `advance`,
which fires what became due, in order of its time.

Guarantees:
  1. `monotonic` never goes back, whatever the wall clock does.
  2. A timed wait on a `FakeClock` returns only when it is notified or time was advanced.
  3. `call_at` callbacks run in order of due time, on the clock's own thread (`RealClock`)
     or on the caller of `advance` (`FakeClock`); they must only signal.

Thread: every method may be called from any thread.
Source: k8s.io/utils/clock (Clock, FakeClock).
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Handle of a scheduled callback."""

    def cancel(self) -> None:
        """Make sure the callback does not run, if it has not yet."""

    def join(self, timeout_seconds: float) -> None:
        """Wait until what `cancel` ended is gone; at once from the callback itself."""


class Clock(Protocol):
    """What crlab needs to know of time.

    Attributes:
        has_wall_time: whether `now` goes as fast as `monotonic` while the machine is awake.
    """

    has_wall_time: bool

    def monotonic(self) -> float:
        """Return seconds since some start; only differences mean anything."""

    def now(self) -> float:
        """Return wall time as seconds since 1970-01-01T00:00:00Z."""

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> bool:
        """Wait on a held condition; False if `timeout_seconds` passed first (None: no limit)."""

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once `monotonic()` reaches `at`."""


class _Timer:
    __slots__ = ("callback", "is_cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def join(self, timeout_seconds: float) -> None:
        """Nothing runs on a thread of its own."""


class _RealTimer(threading.Timer):
    """A timer that is a daemon, has a name, and says when its thread ends."""

    def __init__(
        self, delay_seconds: float, callback: Callable[[], None], alive: set[_RealTimer]
    ) -> None:
        """Start; it is in `alive` from before its thread begins until that ends."""
        super().__init__(max(0.0, delay_seconds), callback)
        self.daemon = True
        self.name = "crlab-timer"
        self._alive = alive
        alive.add(self)
        self.start()

    def run(self) -> None:
        # Also of one that was cancelled: its thread still has to wake up and end.
        try:
            super().run()
        finally:
            self._alive.discard(self)

    def join(self, timeout: float | None = None) -> None:
        if threading.current_thread() is not self:
            super().join(timeout)


class RealClock:
    """The machine's clock."""

    has_wall_time = True

    def __init__(self) -> None:
        self._timers: set[_RealTimer] = set()

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> float:
        return time.time()

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> bool:
        return condition.wait(timeout_seconds)

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        return _RealTimer(at - time.monotonic(), callback, self._timers)

    def close(self) -> None:
        """Cancel what is scheduled, and wait for the threads of what was cancelled."""
        for timer in list(self._timers):
            timer.cancel()
            timer.join(1.0)


class FakeClock:
    """A clock that moves only when told to.

    `_now`, `_timers`, `_waiting` — guarded by `_lock`.
    """

    has_wall_time = True

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        """Start at wall time `start` (default 2026-01-01T00:00:00Z) and monotonic 0."""
        self._lock = threading.Lock()
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._waiting: dict[int, tuple[float, threading.Condition]] = {}

    def monotonic(self) -> float:
        return self._elapsed

    def now(self) -> float:
        return self._start + self._elapsed

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> bool:
        if timeout_seconds is None:
            return condition.wait()
        if timeout_seconds <= 0:
            return False
        # The caller holds the condition, and `advance` takes it before it notifies: so nothing is
        # lost between the entry and the wait.
        token = next(self._order)
        due = self._elapsed + timeout_seconds
        with self._lock:
            self._waiting[token] = (due, condition)
        try:
            condition.wait()
        finally:
            with self._lock:
                del self._waiting[token]
        return self._elapsed < due

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        timer = _Timer(callback)
        with self._lock:
            heapq.heappush(self._timers, (at, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move time on by `seconds`; run due callbacks in order and wake due waiters."""
        target = self._elapsed + seconds
        # One by one and without the lock: a callback may schedule another that is due too.
        while (timer := self._pop_due(target)) is not None:
            if not timer.is_cancelled:
                timer.callback()
        with self._lock:
            self._elapsed = target
            due = [cond for at, cond in self._waiting.values() if at <= target]
        # Outside `_lock`: a waiter takes it with its condition held (in `wait`); to take them in
        # the other order here would be a deadlock.
        for condition in due:
            with condition:
                condition.notify_all()

    def jump(self, seconds: float) -> None:
        """Let wall time jump, and nothing else: the machine slept, or its clock was set."""
        self._start += seconds

    def next_due_seconds(self) -> float | None:
        """Return how far to advance to the next callback; None if nothing is scheduled."""
        with self._lock:
            live = [at for at, _, timer in self._timers if not timer.is_cancelled]
        return max(0.0, min(live) - self._elapsed) if live else None

    def _pop_due(self, target: float) -> _Timer | None:
        with self._lock:
            if not self._timers or self._timers[0][0] > target:
                return None
            at, _, timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, at)
            return timer


class TickingClock(RealClock):
    """Real time for waits; a wall clock that moves one second per `tick`.

    A seeded lab that runs in threads needs both: back-offs that pass, and times in objects
    that are the same on every run. The embedded server ticks once per committed write.
    """

    has_wall_time = False

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        """Start at wall time `start` (default 2026-01-01T00:00:00Z)."""
        super().__init__()
        self._wall = start

    def now(self) -> float:
        return self._wall

    def tick(self, seconds: float = 1.0) -> None:
        """Move the wall time on."""
        self._wall += seconds
