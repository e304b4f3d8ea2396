"""One run of one key: call the reconcile, judge its answer, give the key back.

From: a worker or the stepper, with a key taken from the queue. To: the queue and the trace.

Result order (rule 63): an error wins; `TerminalError` is not retried; a delay forgets the
failures and adds after it; `requeue` is rate limited; else the failures are forgotten.
A dry run says which of these would have been, and does none of them.

Thread: the caller's; runs of different keys may overlap. `_lock` guards the history.
Source: kubernetes-sigs/controller-runtime:pkg/internal/controller/controller.go.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from crlab.controller.context import Context
from crlab.controller.environment import Environment
from crlab.controller.print_capture import keeping_prints
from crlab.controller.reconcile import Request, Result, checked_result
from crlab.controller.step_record import StepRecord
from crlab.errors import Conflict, TerminalError, describe_error
from crlab.model.plural import counted
from crlab.runtime.dry_run import dry_run as acting_dry
from crlab.trace.cause import caused_by
from crlab.trace.record import TraceStage
from crlab.workqueue import QueueMetrics, QueueSnapshot, RateLimitingQueue, Trigger

HISTORY = 200
MAX_GIVEN_UP = 10_000

_NO_SNAPSHOT = QueueSnapshot("", (), (), (), False, QueueMetrics())


class Runner:
    """Runs a controller's reconcile.

    Attributes:
        history: the newest runs, oldest first, dry ones too.
        given_up: keys that failed too often, with what they failed of last.
        runs, errors: how many there were; the error of a dry run counts for nothing.
    """

    def __init__(
        self,
        environment: Environment,
        queue: RateLimitingQueue[str],
        reconcile: Callable[[Request, Context], Any],
        *,
        max_retries: int | None,
        timeout_seconds: float | None,
    ) -> None:
        self._env = environment
        self._queue = queue
        self._reconcile = reconcile
        self._max_retries = max_retries
        self._timeout_seconds = timeout_seconds
        self._actor = environment.actor
        self._lock = threading.Lock()
        self.history: deque[StepRecord] = deque(maxlen=HISTORY)
        self.given_up: OrderedDict[str, str] = OrderedDict()
        self.runs = 0
        self.errors = 0

    def run(
        self, key: str, *, dry_run: bool = False, before: QueueSnapshot = _NO_SNAPSHOT
    ) -> StepRecord:
        """Reconcile a key that was taken from the queue, and give it back.

        Args:
            dry_run: the key is only held, by the caller; nothing comes of the run.

        Raises:
            KeyboardInterrupt: the user interrupted it; the key is queued again.
        """
        env, queue = self._env, self._queue
        request = Request.of(key)
        triggers = queue.running_triggers(key)
        attempt = queue.num_requeues(key) + 1
        seq = env.trace.append(
            TraceStage.RECONCILE,
            "started",
            resource=env.resource.gvr.group_resource,
            key=key,
            causes=tuple(trigger.seq for trigger in triggers if trigger.seq),
            data={
                "controller": env.name,
                "attempt": attempt,
                "collapsed": len(triggers),
                "dry_run": dry_run,
            },
        )
        context = Context(
            env,
            request,
            attempt=attempt,
            triggers=triggers,
            seq=seq,
            dry_run=dry_run,
            deadline_seconds=self._timeout_seconds,
        )
        obj = env.reader.cached(env.resource, key)
        staleness = env.reader.staleness()
        started = env.clock.monotonic()
        result: Result | None = None
        error: BaseException | None = None
        outcome = "interrupted"
        with (
            caused_by((seq,), self._actor),
            acting_dry(dry_run),
            keeping_prints() as printed,
        ):
            try:
                try:
                    result = checked_result(self._reconcile(request, context))
                except BaseException as raised:  # noqa: BLE001 - no user code ends a worker
                    error = raised
                # A thread that the reconcile began may still hold the context: its calls would go
                # into a record that is closed.
                context.end("it has returned")
                duration = env.clock.monotonic() - started
                if printed.lines:
                    env.note(key, "printed", seq, {"message": printed.text})
                if dry_run:
                    outcome = self._foretold(key, result, error, attempt)
                else:
                    outcome = self._settle(key, result, error, attempt)
                finished = env.note(
                    key,
                    "finished",
                    seq,
                    {
                        "result": str(result) if result is not None else "",
                        "error": describe_error(error),
                        "duration_seconds": duration,
                        "attempt": attempt,
                        "outcome": outcome,
                        "dry_run": dry_run,
                    },
                )
            finally:
                # After `_settle`: what is added while a key is in processing only marks it, and
                # `done` queues it once. In `finally`: a key that is not given back never runs
                # again.
                if not dry_run:
                    queue.done(key)
        # After `done`: this may log, and a slow handler of logging must not hold the key back.
        self._tell(key, error, outcome, dry_run=dry_run)
        with self._lock:
            # The number and the place in the history go together: several workers come here.
            self.runs += 1
            self.errors += error is not None and not dry_run
            record = StepRecord(
                controller=env.name,
                number=self.runs,
                request=request,
                attempt=attempt,
                triggers=triggers,
                object=obj,
                calls=tuple(context.calls),
                result=result,
                error=error,
                outcome=outcome,
                log=tuple(context.logged),
                events_back=(),
                before=before,
                after=_NO_SNAPSHOT,
                is_dry_run=dry_run,
                reconcile_id=context.reconcile_id,
                duration_seconds=duration,
                started_seq=seq,
                finished_seq=finished,
                staleness=staleness,
                printed=printed.lines,
            )
            self.history.append(record)
        if isinstance(error, KeyboardInterrupt) and _is_main_thread():
            raise error
        return record

    def _tell(self, key: str, error: BaseException | None, outcome: str, *, dry_run: bool) -> None:
        """Keep and log that a run failed, or that it works now."""
        failures = self._env.trace.failures
        failures.worked("stuck", self._actor, key)
        if dry_run or (isinstance(error, KeyboardInterrupt) and _is_main_thread()):
            return  # nothing of it stays: whoever looked has seen it, or ended it
        if error is None:
            failures.worked("reconcile", self._actor, key)
        elif key in self.given_up:
            failures.failed("given up", self._actor, key, error, then=outcome)
        else:
            # A conflict is how two writers take turns, not a fault, unless it goes on.
            level = logging.INFO if isinstance(error, Conflict) else None
            failures.failed("reconcile", self._actor, key, error, then=outcome, level=level)

    def amend(self, old: StepRecord, new: StepRecord) -> None:
        """Put a completed record in place of the one of the same run."""
        with self._lock:
            for index in range(len(self.history) - 1, -1, -1):
                if self.history[index] is old:
                    self.history[index] = new
                    return

    def _settle(
        self, key: str, result: Result | None, error: BaseException | None, attempt: int
    ) -> str:
        queue = self._queue
        if isinstance(error, KeyboardInterrupt) and _is_main_thread():
            queue.add(key, trigger=Trigger("interrupted"))
            return "interrupted, queued again"
        if isinstance(error, TerminalError):
            queue.forget(key)
            self._give_up(key, error)
            return "not retried (terminal error)"
        if error is not None:
            return self._retry(key, error, attempt)
        self.given_up.pop(key, None)
        assert result is not None
        if result.requeue_after_seconds:
            queue.forget(key)
            queue.add_after(key, result.requeue_after_seconds, trigger=Trigger("requeue"))
            return f"done, again in {result.requeue_after_seconds:g} s"
        if result.requeue:
            delay = queue.add_rate_limited(key, trigger=Trigger("requeue"))
            return f"done, again in {delay:g} s"
        queue.forget(key)
        return "done"

    def _foretold(
        self, key: str, result: Result | None, error: BaseException | None, attempt: int
    ) -> str:
        """Say what would have become of the key, which stays as it is."""
        if isinstance(error, KeyboardInterrupt) and _is_main_thread():
            would = "interrupted"
        elif isinstance(error, TerminalError):
            would = "would not be retried (terminal error)"
        elif error is not None and self._may_retry(key):
            would = f"would be retried (attempt {attempt + 1})"
        elif error is not None:
            would = f"would be given up after {counted(attempt, 'attempts')}"
        elif result is not None and result.requeue_after_seconds:
            would = f"would be done, again in {result.requeue_after_seconds:g} s"
        elif result is not None and result.requeue:
            would = "would be done, again after a back-off"
        else:
            would = "would be done"
        return f"{would}; dry run: the queue is as it was"

    def _may_retry(self, key: str) -> bool:
        return self._max_retries is None or self._queue.num_requeues(key) < self._max_retries

    def _retry(self, key: str, error: BaseException, attempt: int) -> str:
        queue = self._queue
        if self._may_retry(key):
            delay = queue.add_rate_limited(key, trigger=Trigger("retry"))
            return f"retry in {delay:g} s (attempt {attempt + 1})"
        queue.forget(key)
        self._give_up(key, error)
        return f"given up after {counted(attempt, 'attempts')}"

    def _give_up(self, key: str, error: BaseException) -> None:
        with self._lock:
            self.given_up[key] = describe_error(error)
            if len(self.given_up) > MAX_GIVEN_UP:
                self.given_up.popitem(last=False)
        self._env.note(key, "given_up", 0, {"error": describe_error(error)})


def _is_main_thread() -> bool:
    # Python delivers Ctrl-C to the main thread only: in any other a KeyboardInterrupt was raised
    # by the user's code, and is an error like the rest.
    return threading.current_thread() is threading.main_thread()
