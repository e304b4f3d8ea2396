"""How a lab moves: step by step, to rest, until something holds.

Thread: any; with the manual driver one at a time (a second caller waits).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from crlab.apiserver import ADMIN
from crlab.client import ListOptions, ResourceListerWatcher
from crlab.errors import ConfigError, SyncTimeout
from crlab.lab.core import LabCore
from crlab.lab.wait_text import activity, advice_for, check_wait, name_of_predicate
from crlab.model.argument import checked_answer, checked_number, checked_text, checked_timeout
from crlab.report.transition import Transition
from crlab.runtime.clock import FakeClock
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import ManualDriver, Stage
from crlab.trace.record import TraceRecord

if TYPE_CHECKING:
    from crlab.lab.informer import Informer


class PacedLab(LabCore):
    """A lab that can be stepped, settled and waited for."""

    # -- time ----------------------------------------------------------------------------

    def step(self, *, only: str = "") -> Transition | None:
        """Perform one transition anywhere in the pipeline (manual driver).

        ``print(lab.step())`` says what happened in one sentence, and the rule behind it.

        Args:
            only: of stages whose name begins so: "reflector", "processor", "listener".

        Returns:
            What happened, with every trace record it left; None if nothing was left to do.

        Raises:
            ConfigError: this lab runs in threads; open it with ``driver="manual"``.
        """
        driver = self._manual("step")
        checked_text(only, "only", '"reflector", "processor" or "listener"')
        before = self.trace.last_seq
        while (stage := driver.step(_chosen(only))) is not None:
            # A unit may leave no record (a wake-up for nothing): that is no transition.
            if records := self.trace.records(after=before):
                return Transition(stage.name, tuple(records))
        return None

    def settle(self, timeout_seconds: float = 10.0, *, only: str = "") -> int:
        """Let everything that is under way reach its end.

        With the manual driver this performs every transition there is, on this thread; with
        threads it waits until nothing is queued and no handler is busy. In a sandbox the
        informers then hold the server's present revision; on any other server (manual
        too) they hold every write that this lab made, and what it deleted is gone from them
        or, where finalizers hold it, terminating. What others write is not waited for.

        Args:
            only: (manual) let only these stages move: "reflector", "processor", "listener";
                what they hand on stays in the queue behind them, to be looked at.

        Returns:
            How many transitions were performed (manual), else 0.

        Raises:
            SyncTimeout: it did not come to rest in time; says what had not, and where.
            ConfigError: `only` in a lab that runs in threads.
        """
        self.check_open("settle")
        self.check_here("settle")
        checked_timeout(timeout_seconds)
        checked_text(only, "only", '"reflector", "processor" or "listener"')
        if isinstance(self.driver, ManualDriver):
            before = self.driver.steps
            self.driver.settle(only=_chosen(only))
            if not only and not self._is_still:
                self.wait_until(
                    lambda: not self._on_its_way(), timeout_seconds, what=self._on_its_way
                )
                self.driver.settle()
            return self.driver.steps - before
        if only:
            self._manual(f"settle only {only}")
        self.wait_until(lambda: not self._unsettled(), timeout_seconds, what=self._unsettled)
        return 0

    def advance(self, seconds: float) -> None:
        """Move a manual lab's clock on, letting timers, back-offs and deadlines fire.

        Raises:
            ConfigError: the clock of this lab is the machine's, or time would go back.
        """
        self.check_open("advance")
        if not isfinite(checked_number(seconds, "time only moves on: seconds")):
            raise ConfigError("time moves on, but not for ever: seconds is inf")
        if not isinstance(self.clock, FakeClock):
            raise ConfigError(
                "this lab runs on the machine's clock; "
                'crlab.sandbox(driver="manual") has one that can be advanced'
            )
        self.clock.advance(seconds)

    def wait_until(
        self,
        predicate: Callable[[], object],
        timeout_seconds: float = 10.0,
        *,
        what: Callable[[], Sequence[str]] | str = "",
    ) -> None:
        """Return once `predicate()` is true; it is looked at after each thing that happens.

        Args:
            timeout_seconds: on the lab's clock; the manual driver of a sandbox gives up as
                soon as nothing moves any more.
            what: for the error: what was awaited; "" is the predicate's name or its line.

        Raises:
            SyncTimeout: it did not become true in time; says what was awaited, and what the
                informers, controllers and queues were doing then.
            ConfigError: `predicate` is no function, or the limit no number.
        """
        self.check_open("wait")
        check_wait(predicate, timeout_seconds, what)
        happened = threading.Condition()

        def is_true() -> bool:
            return bool(checked_answer(predicate(), name_of_predicate(predicate)))

        def notify(_: TraceRecord) -> None:
            # Whoever writes the trace may hold a lock that the predicate is waiting for, so
            # nothing waits here; a missed notification costs one slice.
            if happened.acquire(blocking=False):
                happened.notify_all()
                happened.release()

        untap = self.trace.tap(notify)
        try:
            if self.driver.wait_until(happened, is_true, 0):
                return
            deadline = Deadline(self.clock, timeout_seconds)
            while not deadline.is_over():
                # Not every change leaves a record (a backlog that drains): look again soon.
                left = deadline.remaining_seconds()
                slice_seconds = 0.05 if left is None else min(0.05, left)
                if self.driver.wait_until(happened, is_true, slice_seconds):
                    return
                if self._is_still:
                    break
        finally:
            untap()
        missing = [what] if isinstance(what, str) else list(what())
        raise SyncTimeout(
            [text for text in missing if text] or [name_of_predicate(predicate)],
            timeout_seconds=timeout_seconds,
            said=self._said(timeout_seconds, settling=callable(what)),
            now=activity(self._whole),
            advice=advice_for(self._whole),
        )

    def _said(self, timeout_seconds: float, *, settling: bool) -> str:
        if self._is_still:
            return "not true, and nothing moves any more"
        return f"not {'settled' if settling else 'true'} after {timeout_seconds:g} s"

    def _manual(self, verb: str) -> ManualDriver:
        self.check_open(verb)
        self.check_here(verb)
        if not isinstance(self.driver, ManualDriver):
            raise ConfigError(
                f"cannot {verb}: this lab runs in threads; "
                'crlab.sandbox(driver="manual") moves only when told'
            )
        return self.driver

    @property
    def _is_still(self) -> bool:
        """Whether nothing at all moves unless it is stepped."""
        return isinstance(self.driver, ManualDriver) and self.driver.clock is None

    def _on_its_way(self) -> list[str]:
        """Say what informers that are stepped by hand still have to get from a server."""
        found: list[str] = []
        for informer in self.informers:
            is_refused = informer.status.state in ("failed", "gone")
            found += informer.unheld() if is_refused else informer.unsettled(None)
        return found

    def _unsettled(self) -> list[str]:
        """Say what is still under way; [] if nothing is."""
        found: list[str] = []
        for informer in self.informers:
            found += informer.unsettled(self._truth(informer))
        for controller in self.controllers:
            found += controller.unsettled()
        if self._builtin is not None:
            found += self._builtin.unsettled()
        return found

    def _truth(self, informer: Informer) -> dict[str, str] | None:
        """Return key → resourceVersion as the embedded server has it; None elsewhere."""
        if self.server is None:
            return None
        from crlab.lab.in_process import InProcessTransport

        transport = InProcessTransport(self.server, identity=ADMIN)
        found: dict[str, str] = {}
        for place in informer.namespaces or (None,):
            mine = ResourceListerWatcher(
                transport,
                informer.resource,
                place,
                informer.label_selector,
                informer.field_selector,
                clock=self.clock,
            )
            items = mine.list(ListOptions()).items
            found.update((obj.key, obj.resource_version) for obj in items)
        return found


def _chosen(only: str) -> Callable[[Stage], bool] | None:
    """Return the driver's filter for stages whose name begins with `only`."""
    return (lambda stage: stage.name.startswith(only)) if only else None
