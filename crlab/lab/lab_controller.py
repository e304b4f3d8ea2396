"""A controller as a user holds it: what `@lab.controller(...)` puts in place of a function.

It joins `Controller` (floor 4) and the stepper's buttons (floor 6), and is still the
function it was: calling it calls the user's reconcile.

Thread: any; see `crlab.controller.controller`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crlab.controller import Breakpoints, Controller, Request, StepRecord
from crlab.errors import ConfigError, LifecycleError
from crlab.lab.source.step_source import KEPT_STEPS
from crlab.model.argument import checked_count, checked_timeout

BACK_OFF_SECONDS = 2.0

if TYPE_CHECKING:
    from crlab.lab.lab import Lab
    from crlab.lab.parts import Parts
    from crlab.report.explain import Explanation
    from crlab.widgets.stepper import StepperView
    from crlab.workqueue import RateLimitingQueue


class LabController:
    """A reconcile function with its queue, its workers and its stepper.

    Attributes:
        lab: whose it is.
        controller: the `Controller` underneath.
        reconcile: the user's function.
    """

    def __init__(
        self, lab: Lab, parts: Parts, controller: Controller, reconcile: Callable[..., Any]
    ) -> None:
        self.lab = lab
        self._parts = parts
        self.controller = controller
        self.reconcile = reconcile
        self.__name__ = controller.name
        self.__doc__ = reconcile.__doc__
        self._taken: list[tuple[StepRecord, Any]] = []  # steps with the server before each

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.reconcile(*args, **kwargs)

    @property
    def name(self) -> str:
        """The controller's name: threads, trace, field manager."""
        return self.controller.name

    # -- by hand -------------------------------------------------------------------------

    def step(self, key: str | None = None, *, dry_run: bool | None = None) -> StepRecord | None:
        """Take one key through its reconcile and return what was read, written and led to.

        A dry run only looks. What the reconcile writes through `ctx` or any client of crlab
        is checked by the server and not stored (also where this lab may not write); the key
        waits as before, with its reasons, attempts and back-off, for `step(dry_run=False)` or
        `start()`; the next dry run looks at the key behind it, after the last at the first.
        Not covered: plain threads the reconcile starts (other than by `ctx`), other programs,
        and what is done to a sandbox itself (`lab.server`, `lab.faults`, ...).

        Args:
            key: this key instead of the next one.
            dry_run: None is the mode of this lab (on for a real cluster).

        Returns:
            The record; None if no key was waiting.

        Raises:
            LifecycleError: the workers run; `pause()` or `stop()` first.
        """
        self._check_open("step")
        before = self._parts.server.snapshot() if self._parts.server is not None else None
        record = self.controller.step(key, dry_run=dry_run)
        if record is not None and before is not None and not record.is_dry_run:
            self._taken = [*self._taken, (record, before)][-KEPT_STEPS:]
        return record

    def run(self, max_steps: int = 1000) -> list[StepRecord]:
        """Step until a breakpoint is met or nothing is queued; return the records.

        Dry runs end when each waiting key was looked at.
        """
        self._check_open("run")
        checked_count(max_steps, "max_steps")
        return self.controller.stepper.run(max_steps, step=self.step)

    @property
    def can_go_back(self) -> bool:
        """Whether there is a step that `back` can undo."""
        return bool(self._taken) and self._parts.server is not None

    def back(self) -> StepRecord:
        """Undo the last step: the server as it was before it, the key queued again.

        The objects return under new resourceVersions, never older ones (a server does not
        go back), so the informers see the return as changes and the key's attempts are what
        they were. The newest 50 steps can be undone, the newest first.

        Returns:
            The step that was undone.

        Raises:
            LifecycleError: no step is left to undo, or the workers run.
            ConfigError: this is no sandbox; nobody can take back what a real server did.
        """
        server = self._parts.server
        if server is None:
            raise ConfigError(f"cannot go back: {self.lab!r} is not a sandbox; use dry_run=True")
        self._check_open("undo a step of")
        self.controller.check_steppable()
        if not self._taken:
            raise LifecycleError(f"{self.name}: there is no step to undo")
        record, before = self._taken.pop()
        server.restore(before)
        self._set_attempts(record.key, record.attempt - 1)
        self.controller.enqueue(record.request)
        self.lab.settle()
        if self.lab.driver.is_manual:
            self.lab.advance(BACK_OFF_SECONDS)  # the reflectors back off before they list again
            self.lab.settle()
        return record

    def fork(self) -> LabController:
        """Open a fork of the sandbox with this controller in it; ``fork().lab`` is the lab.

        It lists everything anew, so every key is queued; attempts and breakpoints start
        over. What it does is not seen here.

        Raises:
            ConfigError: this is no sandbox.
        """
        from crlab.lab.sandbox import Sandbox

        if not isinstance(self.lab, Sandbox):
            raise ConfigError(f"cannot fork: {self.lab!r} is not a sandbox")
        return self.lab.fork(self).controllers[0]

    def _set_attempts(self, key: str, failures: int) -> None:
        self.queue.forget(key)
        for _ in range(failures):
            self.queue.limiter.when(key)

    @property
    def breakpoints(self) -> Breakpoints:
        """Where `run` stops: by key, by attempt, by predicate."""
        return self.controller.breakpoints

    def stepper(self) -> StepperView:
        """Return the stepper with its buttons."""
        from crlab.lab.view import stepper_view

        return stepper_view(self._parts, self)

    # -- running -------------------------------------------------------------------------

    def start(self, workers: int | None = None) -> LabController:
        """Let workers take the keys; they begin once every source has synced."""
        self._check_open("start")
        self.controller.start(workers)
        return self

    def pause(self) -> None:
        """Let no worker take another key until `resume`."""
        self.controller.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.controller.resume()

    def stop(self) -> None:
        """Let the run in hand end and take no more; returns at once. Idempotent."""
        self.controller.stop()

    def join(self, timeout_seconds: float | None = None) -> list[str]:
        """Wait for the workers; return the names of those still alive."""
        return self.controller.join(checked_timeout(timeout_seconds))

    def close(self) -> list[str]:
        """Stop, remove the handlers, shut the queue down; return threads left behind."""
        self.controller.stop()
        left = self.controller.join(self._parts.life.patience_seconds())
        self.controller.close()
        with contextlib.suppress(ValueError):  # another thread may have closed it meanwhile
            self._parts.controllers.remove(self.controller)
        self._parts.life.release(self)
        return left

    # -- looking -------------------------------------------------------------------------

    @property
    def queue(self) -> RateLimitingQueue[str]:
        """The workqueue; ``queue.snapshot()`` shows it."""
        return self.controller.queue

    @property
    def history(self) -> list[StepRecord]:
        """The newest runs, oldest first."""
        return self.controller.history

    @property
    def given_up(self) -> dict[str, str]:
        """Keys that failed more often than `max_retries`, with their last error."""
        return self.controller.given_up

    def explain(self, key: str) -> Explanation:
        """Tell one key's way from watch event to write."""
        from crlab.report.explain import explain

        chosen = Request.of(key, self.controller.resource).key
        return explain(self._parts.trace, chosen, controller=self.name)

    def _check_open(self, what: str) -> None:
        self._parts.life.check_open(f"{what} controller {self.name}")

    def __repr__(self) -> str:
        return repr(self.controller)
