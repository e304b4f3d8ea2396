"""What one run of a reconcile did, for the stepper, `explain` and people.

Thread: immutable once handed out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crlab.controller.call import Call
from crlab.controller.reconcile import Request, Result
from crlab.errors import describe_error
from crlab.model.escape import plain
from crlab.model.object import KubeObject
from crlab.model.redaction import mask_text
from crlab.runtime.teller import traceback_of
from crlab.trace.sentence import rule_of_outcome
from crlab.workqueue.snapshot import QueueSnapshot
from crlab.workqueue.trigger import Trigger


@dataclass(frozen=True, slots=True)
class EventBack:
    """A watch event that one of the run's writes brought back."""

    type: str
    resource: str
    key: str
    resource_version: str
    seq: int = 0

    def __str__(self) -> str:
        return f"{self.type} {self.resource} {self.key} rv={self.resource_version}"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One run of one key.

    Attributes:
        number: how many runs the controller had made, this one included.
        attempt: 1 for the first try since the key last succeeded.
        triggers: every add that was collapsed into this run, oldest first.
        object: the object as it was cached at the start, None if it was gone.
        calls: every read and write, in order.
        result: what the reconcile answered, None if it failed.
        error: what it raised, None if it did not.
        outcome: what happened to the key: "done", "requeue after 30 s", "retry in 0.005 s
            (attempt 2)", "given up after 6 attempts", "not retried (terminal)"; of a dry run
            what would have: "would be done; …".
        events_back: watch events that its writes brought back (empty for a dry run).
        before, after: the queue, before the key was taken and after it was given back.
        started_seq, finished_seq: trace records, 0 without a trace.
        log: what `ctx.log` was given, formatted.
        printed: the lines it printed, at most 16 KiB.
    """

    controller: str
    number: int
    request: Request
    attempt: int
    triggers: tuple[Trigger, ...]
    object: KubeObject | None
    calls: tuple[Call, ...]
    result: Result | None
    error: BaseException | None
    outcome: str
    log: tuple[str, ...]
    events_back: tuple[EventBack, ...]
    before: QueueSnapshot
    after: QueueSnapshot
    is_dry_run: bool = False
    reconcile_id: str = ""
    duration_seconds: float = 0.0
    started_seq: int = 0
    finished_seq: int = 0
    staleness: str = ""
    seqs: tuple[int, ...] = field(default=())
    printed: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key that was reconciled."""
        return self.request.key

    @property
    def reads(self) -> list[Call]:
        """The calls that changed nothing."""
        return [call for call in self.calls if not call.is_write]

    @property
    def writes(self) -> list[Call]:
        """The calls that changed something, or would have."""
        return [call for call in self.calls if call.is_write]

    @property
    def traceback(self) -> str:
        """The error's traceback from the user's code on, "" if there was no error."""
        if self.error is None:
            return ""
        return traceback_of(self.error, users_only=True) or describe_error(self.error)

    @property
    def rule(self) -> str:
        """The rule behind the outcome."""
        return rule_of_outcome(self.outcome, dry_run=self.is_dry_run)

    @property
    def sentence(self) -> str:
        """What happened, in one sentence."""
        count = len(self.triggers)
        why = f"{count} event{'' if count == 1 else 's'} became 1 reconcile" if count else "run"
        reads = f"{len(self.reads)} read{'' if len(self.reads) == 1 else 's'}"
        verb = "would have written" if self.is_dry_run else "wrote"
        did = [
            f"{verb} {', '.join(calls)}"
            for verb, calls in (
                (verb, [str(call) for call in self.writes if not call.error]),
                ("tried", [str(call) for call in self.writes if call.error]),
            )
            if calls
        ] or ["wrote nothing"]
        failed = f", failed: {describe_error(self.error)}" if self.error is not None else ""
        return plain(f"{self.key}: {why}; {reads}, {', '.join(did)}{failed}; {self.outcome}.")

    def __str__(self) -> str:
        mode = " (dry run)" if self.is_dry_run else ""
        lines = [f"step {self.number} of {self.controller}: {self.key}, try {self.attempt}{mode}"]
        lines += [f"  because   {trigger}" for trigger in self.triggers]
        lines.append(f"  cached    {self.object!r}" if self.object else "  cached    nothing")
        if self.staleness:
            lines.append(f"  stale     {self.staleness}")
        for call in self.calls:
            did = ("tried" if call.error else "wrote") if call.is_write else "read"
            lines.append(f"  {did:<9} {call}")
            if not call.is_new:
                fields = [change for change in call.changes if change.path != "."]
                lines += [f"            {_short(change)}" for change in fields]
        lines += [f"  log       {mask_text(text)}" for text in self.log]
        lines += [f"  printed   {mask_text(text)}" for text in self.printed]
        if self.error is not None:
            lines.append(f"  error     {describe_error(self.error)}")
        lines.append(f"  outcome   {self.outcome}")
        lines += [f"  came back {event}" for event in self.events_back]
        lines += [f"  before    {self.before}", f"  after     {self.after}"]
        return "\n".join(map(plain, lines))

    def __repr__(self) -> str:
        return plain(f"<StepRecord {self.number} {self.key}: {self.outcome}>")


def _short(change: Any) -> str:
    text = str(change)
    return text if len(text) <= 160 else text[:157] + "..."
