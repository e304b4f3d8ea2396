"""Take one key by hand and see everything its reconcile did.

From: the caller (a cell, a button). To: the runner.

`step` lets the informers deliver what is under way, takes one key, runs the reconcile,
lets the writes' own events come back, and returns the whole of it. A dry run takes nothing:
its key waits on, with its place, its reasons, its failures and its times.

Thread: one stepping thread at a time (`_turn`); the controller's workers must not run.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crlab.controller.breakpoint import Breakpoint, Breakpoints
from crlab.controller.call import Call, in_order, requests_beside
from crlab.controller.reconcile import Request
from crlab.controller.step_record import EventBack, StepRecord
from crlab.errors import LifecycleError, SyncTimeout
from crlab.model.argument import checked_number
from crlab.runtime.dry_run import in_dry_run
from crlab.workqueue import QueueSnapshot

if TYPE_CHECKING:
    from crlab.controller.controller import Controller

COME_BACK_SECONDS = 2.0
KEY_SECONDS = 1.0


class Stepper:
    """Steps one controller.

    Attributes:
        is_dry_run: steps are dry runs unless told otherwise.
        breakpoints: where `run` stops.
        stopped_at: the breakpoint that ended the last `run`, None if the queue was empty.
    """

    def __init__(self, controller: Controller, *, dry_run: bool) -> None:
        self._controller = controller
        self._turn = threading.Lock()
        self._stepping: int | None = None  # the thread whose turn it is
        self._looked = ""  # the key of the last dry run that nobody named
        self.is_dry_run = dry_run
        self.breakpoints = Breakpoints()
        self.stopped_at: Breakpoint | None = None

    def step(
        self,
        what: Any = None,
        *,
        dry_run: bool | None = None,
        timeout_seconds: float = 10.0,
    ) -> StepRecord | None:
        """Take one key through its reconcile, or (a dry run) look at what that would do.

        Args:
            what: this key, whether or not it waits; None is the next one. As a dry run takes
                none away, the next dry run's is the one behind it, then the first again.
            dry_run: None is the stepper's own mode. Inside a dry run every step is one.
            timeout_seconds: how long to wait for the caches to sync, and, up to 1 s, for a
                key to come (threads; the manual driver delivers what there is).

        Returns:
            What was done; None if no key was ready.

        Raises:
            LifecycleError: the workers run (pause or stop them first), or this is called from
                the reconcile that is being stepped.
            SyncTimeout: the caches did not sync in time.
        """
        controller = self._controller
        controller.check_steppable()
        checked_number(timeout_seconds, "timeout_seconds")
        request = None if what is None else Request.of(what, controller.resource)
        self._check_turn()
        with self._turn, self._own_turn():
            self._wait_for_sync(timeout_seconds)
            is_dry_run = in_dry_run() or (self.is_dry_run if dry_run is None else dry_run)
            taken = self._take(request, timeout_seconds, is_dry_run)
            if taken is None:
                return None
            before, key = taken
            try:
                record = controller.runner.run(key, dry_run=is_dry_run, before=before)
            finally:
                if is_dry_run:
                    controller.queue.release(key)
            others = self._requests_beside(record)
            events = self._events_back(record, others)
            done = dataclasses.replace(
                record,
                calls=in_order(record.calls, others),
                events_back=events,
                after=controller.queue.snapshot(),
            )
            controller.runner.amend(record, done)
            return done

    def _check_turn(self) -> None:
        """Refuse a step inside a step: it would wait for its own end."""
        if self._stepping == threading.get_ident():
            raise LifecycleError(
                f"controller {self._controller.name} is being stepped by this very call: a "
                "reconcile cannot step its own controller; return Result(requeue=True), or "
                "enqueue() another key"
            )

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        self._stepping = threading.get_ident()
        try:
            yield
        finally:
            self._stepping = None

    def run(
        self, max_steps: int = 1000, *, step: Callable[[], StepRecord | None] | None = None
    ) -> list[StepRecord]:
        """Step until a breakpoint is met, the queue is empty or `max_steps` were made.

        The key of a breakpoint met at the very start is taken: it was stopped at before. Dry
        runs leave the queue full: they end when each waiting key was looked at once.

        Args:
            step: what to call for each; None is `self.step`, without waiting long for a key.
        """
        take = step or (lambda: self.step(timeout_seconds=0.2))
        records: list[StepRecord] = []
        self.stopped_at = None
        while len(records) < max_steps:
            self._deliver()
            key = self._next_look() if self.is_dry_run else self._controller.queue.peek()
            hit = self._breakpoint_at(key) if records else None
            if hit is not None:
                self.stopped_at = hit
                break
            if self.is_dry_run and key in {record.key for record in records}:
                break
            record = take()
            if record is None:
                break
            records.append(record)
        return records

    def _next_look(self) -> str | None:
        """Return the waiting key behind the one that was looked at last."""
        waiting = [state.key for state in self._controller.queue.snapshot().queued]
        if self._looked in waiting:
            after = waiting.index(self._looked) + 1
            waiting = waiting[after:] + waiting[:after]
        return next(iter(waiting), None)

    def next_breakpoint(self) -> Breakpoint | None:
        """Return the breakpoint that stops before the next key, None if none does."""
        return self._breakpoint_at(self._controller.queue.peek())

    def _breakpoint_at(self, key: str | None) -> Breakpoint | None:
        attempt = 0 if key is None else self._controller.queue.num_requeues(key) + 1
        return None if key is None else self.breakpoints.met(key, attempt)

    def _wait_for_sync(self, timeout_seconds: float) -> None:
        controller = self._controller
        if not controller.env.wait_until(lambda: controller.has_synced, timeout_seconds):
            raise SyncTimeout(controller.unsynced, timeout_seconds=timeout_seconds)

    def _take(
        self, request: Request | None, timeout_seconds: float, dry_run: bool
    ) -> tuple[QueueSnapshot, str] | None:
        """Return the queue and a key of it that is now taken, or held for a dry run."""
        controller = self._controller
        queue = controller.queue
        self._deliver()
        if request is None and not controller.driver.is_manual:
            queue.wait(min(timeout_seconds, KEY_SECONDS))
        before = queue.snapshot()
        if request is None:
            key = self._next_look() if dry_run else queue.try_get()
            if key is None or not dry_run:
                return None if key is None else (before, key)
            self._looked = key
        else:
            key = request.key
            if not dry_run and not any(state.key == key for state in before.queued):
                controller.enqueue(request)
                before = queue.snapshot()
        if not (queue.hold(key) if dry_run else queue.take(key)):
            raise LifecycleError(f"{key} is being reconciled just now")
        return before, key

    def _deliver(self) -> None:
        """With the manual driver, let everything but workers reach its end."""
        self._controller.deliver()

    def _requests_beside(self, record: StepRecord) -> list[Call]:
        """Return what the run asked past its context, with ``lab.client``."""
        records = self._controller.env.trace.records(after=record.started_seq)
        return requests_beside(record.calls, records, record.started_seq, record.finished_seq)

    def _events_back(self, record: StepRecord, others: list[Call]) -> tuple[EventBack, ...]:
        """Wait for the events of the run's writes and return them."""
        env = self._controller.env
        writes = [
            call
            for call in (*record.calls, *others)
            if call.is_write
            and not call.is_dry_run
            and call.resource_version
            # An answer to a write that changed nothing shows somebody else's revision.
            and (call.changes or call.is_new or call.verb == "delete" or call in others)
        ]
        self._deliver()
        for call in writes:
            self._wait_for(call)
        versions = {(call.resource, call.resource_version) for call in writes}
        return tuple(
            EventBack(
                str(entry.get("type", "")),
                entry.resource,
                entry.key,
                entry.resource_version,
                entry.seq,
            )
            for entry in env.trace.records(after=record.started_seq)
            if entry.stage == "reflector"
            and entry.kind == "watch_event"
            and (entry.resource, entry.resource_version) in versions
        )

    def _wait_for(self, call: Call) -> None:
        env = self._controller.env
        informer = env.reader.informer_named(call.resource)
        if informer is not None and not env.driver.is_manual:
            env.wait_for_version(informer.resource, call.resource_version, COME_BACK_SECONDS)
