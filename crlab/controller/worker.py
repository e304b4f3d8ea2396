"""The stage that takes keys and runs reconciles, and the one that watches over its time.

From: the workqueue. To: the user's reconcile, by way of the controller.

Guarantees:
  1. Whatever a reconcile raises, returns or leaves undone, its worker goes on with the
     next key, and the key is given back to the queue exactly once.
  2. A run over `timeout_seconds` is marked stuck and its worker replaced by a fresh one; a
     thread cannot be killed, so the old one ends when the call returns, and until then its
     key is in nobody else's hands.
  3. No worker takes a key before every source has synced (rule 66).

Thread: ``crlab-<controller>-worker-<n>``; ``crlab-<controller>-watchdog`` if there is a
time limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.runtime.driver import StageHandle

if TYPE_CHECKING:
    from crlab.controller.controller import Controller
    from crlab.controller.worker_pool import WorkerPool

SYNC_POLL_SECONDS = 0.1


class Worker:
    """One slot of a controller."""

    is_worker = True

    def __init__(self, controller: Controller, pool: WorkerPool, number: int) -> None:
        self.name = f"{controller.name}-worker-{number}"
        self.number = number
        self.handle: StageHandle | None = None
        self.key: str | None = None
        self.started_at = 0.0
        self._controller = controller
        self._pool = pool
        self._is_woken = False
        self._is_busy = False

    def step(self, limit: int) -> int:
        """Take one key through its reconcile; 0 if none is ready."""
        del limit  # one key at a time, so that a stop is noticed between two
        # A reconcile that waits under a manual driver moves the stages, and this one is among
        # them: its run must not begin another inside itself.
        if self._is_busy or not self._pool.is_ready_to_work():
            return 0
        key = self._controller.take_for_worker()
        if key is None:
            return 0
        self._is_busy = True
        # The time first: the watchdog takes a worker that has a key for one whose time runs.
        self.started_at = self._controller.clock.monotonic()
        self.key = key
        try:
            self._controller.runner.run(key)
        finally:
            self.key = None
            self._is_busy = False
        return 1

    def is_over(self, now: float, timeout_seconds: float | None) -> bool:
        """Whether its run is over its time."""
        if self.key is None or timeout_seconds is None:
            return False
        return now - self.started_at >= timeout_seconds

    def wait(self) -> None:
        """Wait for a key, or until the caches have synced."""
        # Unsynced caches tell nobody when they have synced: this wait has to look again.
        timeout = None if self._controller.has_synced else SYNC_POLL_SECONDS
        queue = self._controller.queue
        if timeout is not None or self._pool.is_paused or queue.is_shutting_down:
            # Not on the queue: a key that waits there may not be taken yet (or, once it shuts
            # down, ever), so its wait would return at once and the thread would spin.
            self._pool.wait_idle(timeout, lambda: self._is_woken)
        else:
            queue.wait(until=lambda: self._is_woken)
        self._is_woken = False

    def wake(self) -> None:
        """Make `wait` return."""
        # The flag comes first: whoever is about to wait sees it. It cannot be known here in
        # which of the two places the worker stands, so both are woken.
        self._is_woken = True
        self._pool.wake_idle()
        self._controller.queue.wake()


class Watchdog:
    """Marks runs that are over their time."""

    is_worker = False

    def __init__(self, controller_name: str, pool: WorkerPool) -> None:
        self.name = f"{controller_name}-watchdog"
        self._pool = pool
        self._is_woken = False

    def step(self, limit: int) -> int:
        """Mark what is stuck."""
        del limit
        return self._pool.mark_stuck()

    def wait(self) -> None:
        """Wait until the next run can be over its time."""
        self._pool.wait_idle(self._pool.next_stuck_seconds(), lambda: self._is_woken)
        self._is_woken = False

    def wake(self) -> None:
        """Make `wait` return."""
        self._is_woken = True
        self._pool.wake_idle()
