"""Who performs the stages: one thread each, or the caller, step by step.

A stage is written once, as `Stage`: `step` does ready work without blocking, `wait`
blocks until there may be some. `ThreadDriver` runs ``step``/``wait`` in a named thread
per stage. `ManualDriver` runs nothing by itself; `step` and `settle` perform the same
code on the caller's thread, always in the same order, so that lessons can stop between
any two transitions and outputs are the same on every run.

Guarantees:
  1. A stage's `step` and `wait` are never entered by two threads at once.
  2. `ManualDriver.step` performs at most one unit of work, of the first stage (in order
     of registration, upstream first) that has some.
  3. An exception that leaves a stage is kept on its handle and reported to `on_error`
     (without one: logged); the other stages go on.

Thread: `add` and handles from any thread; `ManualDriver.step` from one thread at a time
(a second caller waits).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from crlab.errors import LifecycleError
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.dependency import unread
from crlab.runtime.dry_run import dry_run
from crlab.runtime.teller import tell_of_end
from crlab.runtime.thread import StageThread

BATCH = 1000
LOOK_SECONDS = 0.01  # how long a manual driver waits before it looks at the sockets again


class Stage(Protocol):
    """One box of the pipeline."""

    @property
    def name(self) -> str:
        """Short name; the thread is ``crlab-<name>``."""

    def step(self, limit: int) -> int:
        """Do up to `limit` units of ready work without waiting; return how many."""

    def wait(self) -> None:
        """Block until `step` may have work, or until `wake`."""

    def wake(self) -> None:
        """Make `wait` return soon. Any thread."""


class StageHandle:
    """A stage in the hands of a driver."""

    def __init__(self, stage: Stage, on_error: Callable[[BaseException], None] | None) -> None:
        self.stage = stage
        self.error: BaseException | None = None
        self.is_stopping = False
        self._on_error = on_error
        self._thread: StageThread | None = None

    def stop(self) -> None:
        """Ask the stage to end after its present unit; idempotent, never blocks."""
        self.is_stopping = True
        self.stage.wake()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for its thread; False if still alive (or if called from that thread)."""
        return self._thread is None or self._thread.join(timeout_seconds)

    @property
    def is_alive(self) -> bool:
        """Whether a thread of this stage still runs."""
        return self._thread is not None and self._thread.is_alive

    @property
    def thread_name(self) -> str:
        """The name of the stage's thread, whether or not it has one."""
        return f"crlab-{self.stage.name}"

    def failed(self, error: BaseException) -> None:
        """Keep what ended the stage and report it, or log it if nobody asked for it."""
        self.error = error
        self.is_stopping = True
        if self._on_error is not None:
            self._on_error(error)
        else:
            tell_of_end(self.thread_name, error)

    def run_in_thread(self) -> None:
        """Start a thread that performs the stage until `stop`."""
        self._thread = StageThread(self.stage.name, self._loop, on_error=self.failed)
        self._thread.start()

    def _loop(self) -> None:
        stage = self.stage
        while not self.is_stopping:
            # `stop` may come between this look and the wait: its wake is not lost, since a stage
            # keeps it for the next wait, or never waits for long.
            if stage.step(BATCH) == 0 and not self.is_stopping:
                stage.wait()


class Driver(Protocol):
    """Performs stages."""

    @property
    def is_manual(self) -> bool:
        """Whether stages move only when somebody steps them."""

    def add(
        self, stage: Stage, *, on_error: Callable[[BaseException], None] | None = None
    ) -> StageHandle:
        """Take a stage and begin to perform it."""

    def close(self, timeout_seconds: float = 1.0) -> list[str]:
        """End the threads that are left; return the names of those still alive."""

    def wait_until(
        self,
        condition: threading.Condition,
        predicate: Callable[[], bool],
        timeout_seconds: float | None,
    ) -> bool:
        """Return True once `predicate` (read under `condition`) holds, False on time-out."""


class ThreadDriver:
    """One named daemon thread per stage."""

    is_manual = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = fork.lock()
        self._handles: list[StageHandle] = []

    def add(
        self, stage: Stage, *, on_error: Callable[[BaseException], None] | None = None
    ) -> StageHandle:
        handle = StageHandle(stage, on_error)
        with self._lock:
            # One that another thread has added may not be alive yet, but nobody has stopped it.
            alive = [each for each in self._handles if each.is_alive or not each.is_stopping]
            self._handles = [*alive, handle]
        try:
            handle.run_in_thread()
        except BaseException:  # an interrupt: the thread may run already
            handle.stop()
            raise
        return handle

    def close(self, timeout_seconds: float = 1.0) -> list[str]:
        """End the threads that nobody ended, since whoever asked for them was interrupted.

        Returns:
            Names of those still alive.
        """
        with self._lock:
            alive = [each for each in self._handles if each.is_alive]
        handles = [each for each in alive if not each.is_stopping]  # the others were waited for
        for handle in alive:
            handle.stop()  # again: whoever stopped it may have been interrupted before it woke
        deadline = Deadline(self._clock, timeout_seconds)
        for handle in handles:
            handle.join(deadline.remaining_seconds())
        return [handle.thread_name for handle in handles if handle.is_alive]

    def wait_until(
        self,
        condition: threading.Condition,
        predicate: Callable[[], bool],
        timeout_seconds: float | None,
    ) -> bool:
        deadline = Deadline(self._clock, timeout_seconds)
        with condition:
            while not predicate():
                if deadline.is_over():
                    return False
                self._clock.wait(condition, deadline.remaining_seconds())
        return True


class ManualDriver:
    """Stages move only by `step` and `settle`, on the caller's thread.

    Attributes:
        clock: goes on by itself while nothing is stepped, and with it the world outside
            (a server behind a socket); None: nothing moves but by `step`.
        steps: how many units were performed.
    """

    is_manual = True

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock
        self.steps = 0
        # Reentrant: a reconcile that waits steps the driver that runs it.
        self._turn = threading.RLock()
        self._handles: list[StageHandle] = []

    def add(
        self, stage: Stage, *, on_error: Callable[[BaseException], None] | None = None
    ) -> StageHandle:
        handle = StageHandle(stage, on_error)
        self._handles.append(handle)
        return handle

    def stages(self) -> list[Stage]:
        """Return the stages still performed, upstream first."""
        self._handles = [h for h in self._handles if not h.is_stopping]
        return [handle.stage for handle in self._handles]

    def close(self, timeout_seconds: float = 1.0) -> list[str]:
        """There are no threads to end."""
        del timeout_seconds
        return []

    def step(self, only: Callable[[Stage], bool] | None = None) -> Stage | None:
        """Perform one unit of the first stage that has work; None if nothing moves."""
        # A dry run or a live expression that waits moves others: theirs is real, and not its.
        with self._turn, dry_run(False), unread():
            # A copy: a step may add stages.
            for handle in list(self._handles):
                if handle.is_stopping or (only is not None and not only(handle.stage)):
                    continue
                try:
                    if handle.stage.step(1):
                        self.steps += 1
                        return handle.stage
                except Exception as error:  # noqa: BLE001 - kept and reported by `failed`
                    handle.failed(error)
                    return handle.stage
        return None

    def settle(self, max_steps: int = 100_000, only: Callable[[Stage], bool] | None = None) -> int:
        """Step until nothing moves; return how many steps it took.

        Raises:
            LifecycleError: it still moves after `max_steps` (a loop feeds itself).
        """
        for count in range(max_steps):
            if self.step(only) is None:
                return count
        raise LifecycleError(
            f"still moving after {max_steps} steps: something feeds itself "
            "(a reconcile that always writes?)"
        )

    def wait_until(
        self,
        condition: threading.Condition,
        predicate: Callable[[], bool],
        timeout_seconds: float | None,
    ) -> bool:
        deadline = None if self.clock is None else Deadline(self.clock, timeout_seconds)
        while True:
            with condition:
                if predicate():
                    return True
            # Outside the condition: stages notify it, and take locks of their own.
            if self.step() is not None:
                continue
            if self.clock is None or deadline is None or deadline.is_over():
                return predicate()  # nothing moves: more waiting changes nothing
            left = deadline.remaining_seconds()
            with condition:
                self.clock.wait(
                    condition, LOOK_SECONDS if left is None else min(LOOK_SECONDS, left)
                )
