"""How a lab moves: step by step, to rest, until something holds.

From: `Lab.step`, `settle`, `advance`, `wait_until`, the pipeline's buttons, waits of tests. To:
the driver and the clock.

Thread: any; with the manual driver one at a time (a second caller waits).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from math import isfinite

from crlab.apiserver import ADMIN
from crlab.cache import SharedInformer
from crlab.client import ListOptions, ResourceListerWatcher
from crlab.controller import Controller
from crlab.errors import ConfigError, SyncTimeout
from crlab.lab.held_write import HeldWrites
from crlab.lab.in_process import InProcessTransport
from crlab.lab.parts import Parts, lane_of
from crlab.lab.wait import activity, check_wait, name_of_predicate
from crlab.model.argument import checked_answer, checked_number, checked_text, checked_timeout
from crlab.model.plural import counted
from crlab.report.transition import Transition
from crlab.runtime.clock import FakeClock
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import ManualDriver, Stage
from crlab.trace.record import TraceRecord

_SLICE_SECONDS = 0.05
_STAGES = '"reflector", "processor" or "listener"'


class Pace:
    """What moves one lab, and what of it is still under way."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._held: dict[SharedInformer, HeldWrites] = {}

    def step(self, *, only: str = "") -> Transition | None:
        """Perform one transition; see `Lab.step`."""
        driver = self._manual("step")
        checked_text(only, "only", _STAGES)
        trace = self._parts.trace
        before = trace.last_seq
        while (stage := driver.step(_chosen(only))) is not None:
            # A unit may leave no record (a wake-up for nothing): that is no transition.
            if records := trace.records(after=before):
                return Transition(stage.name, tuple(records))
        return None

    def settle(self, timeout_seconds: float = 10.0, *, only: str = "") -> int:
        """Let everything that is under way reach its end; see `Lab.settle`."""
        self._check("settle")
        checked_timeout(timeout_seconds)
        checked_text(only, "only", _STAGES)
        driver = self._parts.driver
        if isinstance(driver, ManualDriver):
            before = driver.steps
            driver.settle(only=_chosen(only))
            if not only and not self._is_still:
                self.wait_until(
                    lambda: not self._on_its_way(), timeout_seconds, what=self._on_its_way
                )
                driver.settle()
            return driver.steps - before
        if only:
            self._manual(f"settle only {only}")
        self.wait_until(lambda: not self._unsettled(), timeout_seconds, what=self._unsettled)
        return 0

    def advance(self, seconds: float) -> None:
        """Move a manual lab's clock on; see `Lab.advance`."""
        self._parts.life.check_open("advance")
        if not isfinite(checked_number(seconds, "time only moves on: seconds")):
            raise ConfigError("time moves on, but not for ever: seconds is inf")
        if not isinstance(self._parts.clock, FakeClock):
            raise ConfigError(
                "this lab runs on the machine's clock; "
                'crlab.sandbox(driver="manual") has one that can be advanced'
            )
        self._parts.clock.advance(seconds)

    def wait_until(
        self,
        predicate: Callable[[], object],
        timeout_seconds: float = 10.0,
        *,
        what: Callable[[], Sequence[str]] | str = "",
    ) -> None:
        """Return once `predicate()` is true; see `Lab.wait_until`."""
        self._parts.life.check_open("wait")
        check_wait(predicate, timeout_seconds, what)
        if self._came_true(predicate, timeout_seconds):
            return
        missing = [what] if isinstance(what, str) else list(what())
        raise SyncTimeout(
            [text for text in missing if text] or [name_of_predicate(predicate)],
            timeout_seconds=timeout_seconds,
            said=self._said(timeout_seconds, settling=callable(what)),
            now=activity(self._parts),
            advice=self._advice(),
        )

    def _came_true(self, predicate: Callable[[], object], timeout_seconds: float) -> bool:
        """Wait on the trace and the clock; False once the time is over or nothing moves."""
        happened = threading.Condition()
        driver = self._parts.driver

        def is_true() -> bool:
            return bool(checked_answer(predicate(), name_of_predicate(predicate)))

        def notify(_: TraceRecord) -> None:
            # Whoever writes the trace may hold a lock that the predicate is waiting for, so
            # nothing waits here; a missed notification costs one slice.
            if happened.acquire(blocking=False):
                happened.notify_all()
                happened.release()

        untap = self._parts.trace.tap(notify)
        try:
            if driver.wait_until(happened, is_true, 0):
                return True
            deadline = Deadline(self._parts.clock, timeout_seconds)
            while not deadline.is_over():
                # Not every change leaves a record (a backlog that drains): look again soon.
                left = deadline.remaining_seconds()
                slice_seconds = _SLICE_SECONDS if left is None else min(_SLICE_SECONDS, left)
                if driver.wait_until(happened, is_true, slice_seconds):
                    return True
                if self._is_still:
                    return False
            return False
        finally:
            untap()

    def _said(self, timeout_seconds: float, *, settling: bool) -> str:
        if self._is_still:
            return "not true, and nothing moves any more"
        return f"not {'settled' if settling else 'true'} after {timeout_seconds:g} s"

    def _advice(self) -> str:
        if self._is_still:
            return (
                "a manual lab runs no workers and no clock: controller.step() takes a key, "
                "lab.advance(seconds) lets timers and back-offs fire"
            )
        return (
            "lab.pipeline() shows where things are, lab.explain(key) one key's way; "
            "timeout_seconds= waits longer"
        )

    def _check(self, verb: str) -> None:
        self._parts.life.check_open(verb)
        self._parts.life.check_here(verb)

    def _manual(self, verb: str) -> ManualDriver:
        self._check(verb)
        driver = self._parts.driver
        if not isinstance(driver, ManualDriver):
            raise ConfigError(
                f"cannot {verb}: this lab runs in threads; "
                'crlab.sandbox(driver="manual") moves only when told'
            )
        return driver

    @property
    def _is_still(self) -> bool:
        """Whether nothing at all moves unless it is stepped."""
        driver = self._parts.driver
        return isinstance(driver, ManualDriver) and driver.clock is None

    # -- what is under way ---------------------------------------------------------------

    def _on_its_way(self) -> list[str]:
        """Say what informers that are stepped by hand still have to get from a server."""
        found: list[str] = []
        for informer in list(self._parts.informers):
            is_refused = informer.status.state in ("failed", "gone")
            found += self._unheld(informer) if is_refused else self._informer(informer, None)
        return found

    def _unsettled(self) -> list[str]:
        """Say what is still under way; [] if nothing is."""
        found: list[str] = []
        for informer in list(self._parts.informers):
            found += self._informer(informer, self._truth(informer))
        for controller in list(self._parts.controllers):
            found += _controller(controller)
        for unsettled in list(self._parts.unsettled):
            found += unsettled()
        return found

    def _truth(self, informer: SharedInformer) -> dict[str, str] | None:
        """Return key → resourceVersion as the embedded server has it; None elsewhere."""
        server = self._parts.server
        if server is None:
            return None
        transport = InProcessTransport(server, identity=ADMIN)
        found: dict[str, str] = {}
        for each in informer.lister_watchers:
            mine = ResourceListerWatcher(
                transport,
                informer.resource,
                each.namespace,
                str(getattr(each, "label_selector", "")),
                str(getattr(each, "field_selector", "")),
                clock=self._parts.clock,
            )
            items = mine.list(ListOptions()).items
            found.update((obj.key, obj.resource_version) for obj in items)
        return found

    def _unheld(self, informer: SharedInformer) -> list[str]:
        """Say which of this lab's own writes a cache does not hold yet; [] if it has all."""
        if informer.is_stopped:
            return []
        held = self._held.get(informer)
        if held is None:
            # Of an informer that was replaced nothing is kept: its cache would stay with it.
            current = list(self._parts.informers)
            self._held = {each: known for each, known in self._held.items() if each in current}
            held = self._held[informer] = HeldWrites(informer, self._parts.client.written)
        return [f"{lane_of(informer)}: {text}" for text in held.missing()]

    def _informer(self, informer: SharedInformer, truth: dict[str, str] | None) -> list[str]:
        """Say what is on its way to an informer; [] if nothing is.

        Args:
            truth: key → resourceVersion as the server has it; None if unknown: then the
                informer is asked for this lab's own writes.
        """
        if informer.is_stopped or not informer.is_started:
            return []
        lane = lane_of(informer)
        found = [f"{lane}: {text}" for text in informer.unsynced()]
        if truth is None:
            found += self._unheld(informer)
        else:
            found += _differences(informer, truth)
        found += [f"{lane}: {text}" for text in _waiting(informer)]
        if not found and not informer.is_settled:
            found.append(f"{lane}: a change is on its way")
        return found


def _differences(informer: SharedInformer, truth: dict[str, str]) -> Iterator[str]:
    held = {obj.key: obj.resource_version for obj in informer.indexer.list()}
    if held != truth:
        differing = len({key for key, _ in held.items() ^ truth.items()})
        verb = "differs" if differing == 1 else "differ"
        yield f"{lane_of(informer)}: {counted(differing, 'keys')} {verb}"


def _waiting(informer: SharedInformer) -> Iterator[str]:
    if waiting := len(informer.queue):
        yield f"{counted(waiting, 'deltas')} queued"
    for each in informer.registrations:
        if not each.is_idle:
            what = f"has {each.backlog} to hear" if each.backlog else "has not returned yet"
            yield f"handler {each.name} {what}"


def _controller(controller: Controller) -> list[str]:
    """Say what a controller has still to do; [] if nothing (delays not counted)."""
    if not controller.is_running or controller.is_paused:
        return []
    snapshot = controller.queue.snapshot()
    waiting = len(snapshot.queued) + len(snapshot.processing)
    return [f"controller {controller.name}: {counted(waiting, 'keys')} to reconcile"] * bool(
        waiting
    )


def _chosen(only: str) -> Callable[[Stage], bool] | None:
    """Return the driver's filter for stages whose name begins with `only`."""
    return (lambda stage: stage.name.startswith(only)) if only else None
