"""A controller taken by hand, for the stepper view.

From: `LabController` and, on a sandbox, the server's snapshots (one before each step, so
that Back and Fork have somewhere to go). To: the stepper view.

Thread: `stepper_state` any; commands on the command thread, one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from crlab.controller import Breakpoint, Breakpoints, Controller, StepRecord
from crlab.errors import ConfigError, Conflict, LifecycleError
from crlab.lab.source.event_source import as_json, diff_of
from crlab.lab.source.status_source import Changing, status_state
from crlab.model.redaction import mask_text, redact_object
from crlab.views.state import CallState, QueueState, StepperState, StepState

if TYPE_CHECKING:
    from crlab.lab.parts import Parts

KEPT_STEPS = 50


class Stepped(Protocol):
    """A controller with the server behind it, as `LabController` is one."""

    controller: Controller

    def step(self) -> StepRecord | None: ...
    def back(self) -> StepRecord: ...
    def fork(self) -> Stepped: ...
    @property
    def lab(self) -> object: ...
    @property
    def name(self) -> str: ...
    @property
    def can_go_back(self) -> bool: ...
    @property
    def breakpoints(self) -> Breakpoints: ...


class Steps(Changing):
    """One controller's steps."""

    def __init__(self, parts: Parts, controller: Stepped) -> None:
        super().__init__(parts)
        self._controller = controller
        self._records: list[StepRecord] = []
        self._breakpoint = ""
        self._breakpoint_error = ""
        self.forked: object | None = None

    def stepper_state(self) -> StepperState:
        """Return the last step and the queue now; see `StepperSource`."""
        controller = self._controller.controller
        informer = next(
            (i for i in list(self.parts.informers) if i.resource == controller.resource), None
        )
        records = self._records or controller.history[-KEPT_STEPS:]
        return StepperState(
            controller=self._controller.name,
            status=status_state(self.parts, informer),
            step=step_state(records[-1]) if records else None,
            history=tuple((r.number, r.key, r.outcome) for r in records[-KEPT_STEPS:]),
            queue=queue_state(controller.queue.snapshot()),
            is_dry_run=controller.stepper.is_dry_run,
            breakpoint=self._breakpoint,
            breakpoint_error=self._breakpoint_error,
            can=self._can(),
        )

    def _can(self) -> frozenset[str]:
        can = {"step", "run", "dry_run", "conflict", "requeue", "forget"}
        if self.parts.server is not None:
            can.add("fork")
            if self._controller.can_go_back:
                can.add("back")
        return frozenset() if self.parts.life.state != "open" else frozenset(can)

    # -- commands ------------------------------------------------------------------------

    def step(self) -> None:
        """Take one key."""
        self._step()

    def _step(self) -> StepRecord | None:
        record = self._controller.step()
        if record is not None:
            self._records = [*self._records, record][-KEPT_STEPS:]
        return record

    def run(self) -> None:
        """Step until a breakpoint is met or the queue is empty."""
        self._controller.controller.stepper.run(step=self._step)

    def back(self) -> None:
        """Undo the last step: the server gets the state before it, under a new revision."""
        undone = self._controller.back()
        self._records = [record for record in self._records if record is not undone]

    def fork(self) -> None:
        """Open a copy of the lab, with this controller; it is kept in `forked`."""
        self.forked = self._controller.fork().lab

    def set_dry_run(self, dry_run: bool) -> None:
        """Send writes as dry runs, or for real."""
        self._controller.controller.stepper.is_dry_run = dry_run

    def set_breakpoint(self, text: str) -> None:
        """Stop before a key ("default/web"), an attempt ("attempt>2"), or never ("")."""
        self._breakpoint, self._breakpoint_error = text, ""
        try:
            self._controller.breakpoints.parse(text)
        except ConfigError as error:  # shown beside the box; the breakpoints stay
            self._breakpoint_error = str(error)

    def conflict(self) -> None:
        """Let the next write meet a 409."""
        remove: list[Any] = []
        remove.append(self._controller.controller.add_hook(_OneConflict(remove)))

    def requeue(self, key: str) -> None:
        """Add a key to the queue ("": the last step's)."""
        self._controller.controller.enqueue(key or self._last_key())

    def forget(self, key: str) -> None:
        """Forget a key's failures ("": the last step's)."""
        self._controller.controller.queue.forget(key or self._last_key())

    def _last_key(self) -> str:
        if not self._records:
            raise LifecycleError("no step was taken yet; name a key")
        return self._records[-1].key


class _OneConflict:
    """Fails the next write with a conflict, then takes itself away."""

    def __init__(self, remove: list[Any]) -> None:
        self._remove = remove

    def before(self, verb: str, resource: str, key: str, write: bool) -> None:
        if not write:
            return
        self._remove[0]()
        raise Conflict(
            f'Operation cannot be fulfilled on {resource} "{key.rpartition("/")[2]}": the object '
            "has been modified; please apply your changes to the latest version and try again",
            code=409,
            reason="Conflict",
            tried=f"{verb} {resource} {key} (injected)",
        )

    def after(self, call: Any) -> None:
        del call


def step_state(record: StepRecord) -> StepState:
    """Return one step as the view shows it."""
    return StepState(
        number=record.number,
        key=record.key,
        attempt=record.attempt,
        triggers=tuple(str(trigger) for trigger in record.triggers),
        object_text=_yaml(record.object),
        calls=tuple(call_state(call) for call in record.calls),
        result=record.outcome,
        error=record.traceback,
        log=(*map(mask_text, record.log), *(f"printed: {mask_text(x)}" for x in record.printed)),
        events_back=tuple(str(event) for event in record.events_back),
        before=queue_state(record.before),
        after=queue_state(record.after),
        sentence=record.sentence,
        rule=record.rule,
    )


def call_state(call: Any) -> CallState:
    """Return one call as the view shows it."""
    return CallState(
        verb=call.verb,
        target=call.target,
        code=call.code,
        is_write=call.is_write,
        is_dry_run=call.is_dry_run,
        is_cached=call.is_cached,
        duration_seconds=None,
        diff=tuple(diff_of(call.changes)),
        error=call.error,
    )


def queue_state(snapshot: Any) -> QueueState:
    """Return a queue as the view shows it."""
    return QueueState(
        ready=tuple(key.key for key in snapshot.queued),
        processing=tuple(key.key for key in snapshot.processing),
        delayed=tuple((key.key, key.due_in_seconds) for key in snapshot.delayed),
        attempts=tuple((key.key, key.attempts) for key in snapshot.keys if key.attempts),
    )


def _yaml(obj: Any) -> str:
    if obj is None:
        return ""
    import yaml

    tree = redact_object(obj)
    tree.get("metadata", {}).pop("managedFields", None)
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    return text


__all__ = ["Breakpoint", "Steps", "as_json", "call_state", "queue_state", "step_state"]
