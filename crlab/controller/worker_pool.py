"""The workers of one controller: started, paused, replaced, stopped.

From: the controller. To: the driver, which performs each worker.

Thread: any; `_lock` guards the slots and handles, `_idle` wakes workers that wait for
something else than a key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from crlab.cache import SharedInformer
from crlab.controller.worker import Watchdog, Worker
from crlab.errors import AlreadyStarted, ConfigError, SyncTimeout
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import StageHandle

if TYPE_CHECKING:
    from crlab.controller.controller import Controller


class WorkerPool:
    """The slots of a controller.

    Attributes:
        is_running: started and not stopped.
        is_stopping: stopped, and not started or stepped since.
        is_paused: workers take no keys.
        sync_timeout_seconds: how long `start` lets the sources sync; None is for ever.
    """

    def __init__(
        self,
        controller: Controller,
        timeout_seconds: float | None,
        sync_timeout_seconds: float,
    ) -> None:
        self._controller = controller
        self._timeout_seconds = timeout_seconds
        self.sync_timeout_seconds: float | None = sync_timeout_seconds
        self._sync_deadline: Deadline | None = None
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._slots: list[Worker] = []
        self._retired: list[Worker] = []
        self._handles: list[StageHandle] = []
        self._numbers = 0
        self.is_running = False
        self.is_stopping = False
        self.is_paused = False
        self.nudge: Callable[[], None] = lambda: None  # workers wait on the queue itself

    def start(self, count: int) -> None:
        """Start `count` workers.

        Raises:
            AlreadyStarted: they run.
        """
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"workers is a whole number ≥ 1, not {count!r}")
        controller = self._controller
        with self._lock:
            self._begin_locked()
            self._sync_deadline = Deadline(controller.clock, self.sync_timeout_seconds)
            for _ in range(count):
                self._add_worker_locked()
            if self._timeout_seconds is not None and not controller.driver.is_manual:
                watchdog = Watchdog(controller.name, self)
                handle = controller.driver.add(watchdog, on_error=controller.failed)
                self._handles.append(handle)

    def host(self, wake: Callable[[], None]) -> None:
        """Count as running without workers: somebody else runs the keys, woken by `wake`."""
        with self._lock:
            self._begin_locked()
            self.nudge = wake

    def _begin_locked(self) -> None:
        assert self._lock.locked()
        if self.is_running:
            raise AlreadyStarted(f"controller {self._controller.name} is running already")
        self.is_running, self.is_stopping, self.is_paused = True, False, False

    def _add_worker_locked(self) -> None:
        assert self._lock.locked()
        worker = Worker(self._controller, self, self._numbers)
        self._numbers += 1
        self._slots.append(worker)
        worker.handle = self._controller.driver.add(worker, on_error=self._controller.failed)
        self._handles.append(worker.handle)

    def is_ready_to_work(self) -> bool:
        """Whether a worker may take a key now.

        Raises:
            SyncTimeout: the sources did not sync in time; it ends the worker.
        """
        if self.is_paused or self.is_stopping:
            return False
        if self._controller.has_synced:
            return True
        for informer in self._controller.informers:
            if isinstance(informer, SharedInformer):
                informer.tell_trouble()  # its own thread may wait for an answer that never comes
        deadline = self._sync_deadline
        if deadline is not None and deadline.is_over():
            sources = self._controller.sources
            raise SyncTimeout(
                sources.unsynced,
                timeout_seconds=self.sync_timeout_seconds or 0.0,
                now=sources.unsynced_states,
            )
        return False

    def resume(self) -> None:
        """Let workers take keys again."""
        # The flag before the wake: a worker looks at it as soon as it is woken.
        self.is_paused = False
        for worker in list(self._slots):
            worker.wake()
        self.nudge()

    def stop(self) -> None:
        """Ask every worker to end after its run; returns at once."""
        with self._lock:
            self.is_running = False
            self.is_stopping = True
            handles, self._slots = list(self._handles), []
        # Outside the lock: `stop` wakes the stage, and that takes the queue's lock and `_idle`.
        for handle in handles:
            handle.stop()

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for the threads; return the names of those still alive."""
        for handle in list(self._handles):
            handle.join(deadline.remaining_seconds())
        with self._lock:
            self._handles = [handle for handle in self._handles if handle.is_alive]
            return [handle.thread_name for handle in self._handles]

    # -- runs over their time --------------------------------------------------------------

    def mark_stuck(self) -> int:
        """Replace the workers whose run is over its time; return how many."""
        now = self._controller.clock.monotonic()
        marked = []
        with self._lock:
            for worker in list(self._slots):
                if worker.is_over(now, self._timeout_seconds):
                    self._slots.remove(worker)
                    self._retired.append(worker)
                    marked.append(worker)
                    if self.is_running:
                        self._add_worker_locked()
        # Outside the lock: `failed` logs, and a handler of logging may wait.
        for worker in marked:
            if worker.handle is not None:
                worker.handle.stop()
            env, key = self._controller.env, worker.key or ""
            env.note(key, "stuck", 0, {"timeout_seconds": self._timeout_seconds})
            text = f"it has not returned after {self._timeout_seconds:g} s"
            env.trace.failures.failed("stuck", env.actor, key, text)
            if worker.key != key:  # it has returned meanwhile
                env.trace.failures.worked("stuck", env.actor, key)
        return len(marked)

    def next_stuck_seconds(self) -> float | None:
        """Return when the next run can be over its time."""
        if self._timeout_seconds is None:
            return None
        now = self._controller.clock.monotonic()
        left = [
            worker.started_at + self._timeout_seconds - now
            for worker in list(self._slots)
            if worker.key is not None
        ]
        # Never 0: the clock is read again in `is_over`, and what is not quite over then must not
        # make the thread spin.
        return max(0.001, min(left, default=self._timeout_seconds))

    @property
    def stuck(self) -> dict[str, float]:
        """Keys whose run does not return, with the seconds since it began."""
        now = self._controller.clock.monotonic()
        with self._lock:
            self._retired = [worker for worker in self._retired if worker.key is not None]
            return {str(worker.key): now - worker.started_at for worker in self._retired}

    # -- waiting ---------------------------------------------------------------------------

    def wait_idle(self, timeout_seconds: float | None, until: Callable[[], bool]) -> None:
        """Wait for `wake_idle`; not at all if `until` holds."""
        with self._idle:
            if not until():
                self._controller.clock.wait(self._idle, timeout_seconds)

    def wake_idle(self) -> None:
        """End every `wait_idle`."""
        with self._idle:
            self._idle.notify_all()
