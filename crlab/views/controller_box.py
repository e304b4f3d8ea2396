"""The boxes behind the handlers: a controller's workqueue and runs, and the client's requests.

From: the records of one lane (`fold.py`). To: one `StageState` a box, as in `box.py`.

Guarantees: those of `box.py`.

Thread: not locked; whoever owns the fold applies and reads from one thread at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from crlab.model.plural import counted
from crlab.trace.record import TraceRecord
from crlab.views.format import lag
from crlab.views.state import MAX_ROWS, Item, StageState

READS = ("get", "list", "watch")


class WorkqueueBox:
    """One controller's keys: which wait, which are being processed, which come back."""

    def __init__(self) -> None:
        self.ready: dict[str, int] = {}
        self.processing: dict[str, float] = {}
        self.delayed: dict[str, float] = {}
        self.failures: dict[str, int] = {}

    def added(self, record: TraceRecord) -> None:
        """Add a key; one that is there already only gets another reason."""
        self.delayed.pop(record.key, None)
        self.ready[record.key] = self.ready.get(record.key, 0) + 1

    def got(self, record: TraceRecord) -> None:
        """Give a key to a worker."""
        self.ready.pop(record.key, None)
        self.processing[record.key] = record.at

    def done(self, record: TraceRecord) -> None:
        """Take a key back from its worker."""
        self.processing.pop(record.key, None)

    def requeued(self, record: TraceRecord) -> None:
        """Let a key come back after a while."""
        self.delayed[record.key] = record.at + float(record.get("delay_seconds") or 0.0)
        if attempt := record.get("attempt"):
            self.failures[record.key] = int(attempt)

    def forgotten(self, record: TraceRecord) -> None:
        """Forget the failures of a key."""
        self.failures.pop(record.key, None)

    def __len__(self) -> int:
        return len(self.processing.keys() | self.ready) + len(self.delayed)

    def items(self, now: float) -> list[Item]:
        """Return the keys, the ones in processing first."""
        items = [
            Item(key, "in processing" + (", added again" if key in self.ready else ""), "▶")
            for key in self.processing
        ]
        items += [
            Item(key, "ready" if n == 1 else f"ready, {n} triggers became one", "+")
            for key, n in self.ready.items()
            if key not in self.processing
        ]
        for key, due in sorted(self.delayed.items(), key=lambda pair: pair[1]):
            failed = self.failures.get(key)
            text = f"delayed, {counted(failed, 'failures')}" if failed else "delayed"
            items.append(Item(key, text, "~", max(0.0, due - now)))
        return items


class ReconcileBox:
    """One controller's runs."""

    def __init__(self) -> None:
        self.runs, self.failed = 0, 0
        self.is_last_failed = False
        self.has_workers = False
        self.running: dict[str, int] = {}
        self.outcomes: deque[Item] = deque(maxlen=MAX_ROWS)

    def started(self, record: TraceRecord) -> None:
        """Note a run that began."""
        self.running[record.key] = int(record.get("attempt") or 1)

    def finished(self, record: TraceRecord) -> None:
        """Note how a run ended."""
        self.running.pop(record.key, None)
        error = record.get("error")
        self.runs += 1
        self.failed += bool(error) and not record.get("dry_run")
        self.is_last_failed = bool(error)
        end = str(record.get("outcome") or record.get("result") or "done")
        took = lag(record.get("duration_seconds"))
        text = f"run {self.runs}: {error or end} {took}".rstrip()
        self.outcomes.append(Item(record.key, text, "!" if error else ""))


class Workqueues:
    """The box of all the controllers' queues."""

    def __init__(self, queues: Sequence[WorkqueueBox]) -> None:
        self._queues = queues

    def state(self, now: float) -> StageState:
        """Return the box."""
        if not self._queues:
            return StageState("workqueue", is_absent=True)
        total = sum(map(len, self._queues))
        dues = [due for queue in self._queues for due in queue.delayed.values()]
        next_due = f", next in {lag(max(0.0, min(dues) - now))}" if dues else ""
        processing = sum(len(queue.processing) for queue in self._queues)
        return StageState(
            "workqueue",
            state="busy" if total else "empty",
            tone="busy" if total else "",
            count=total - processing - len(dues),
            unit="ready",
            facts=(("processing", str(processing)), ("delayed", f"{len(dues)}{next_due}")),
            total=total,
        )

    def items(self, now: float) -> list[Item]:
        """Return the keys."""
        return [item for queue in self._queues for item in queue.items(now)]


class Reconciles:
    """The box of all the controllers' runs."""

    def __init__(self, boxes: Sequence[ReconcileBox]) -> None:
        self._boxes = boxes

    def state(self, now: float) -> StageState:
        """Return the box."""
        if not self._boxes:
            return StageState("reconcile", is_absent=True)
        failed = sum(box.failed for box in self._boxes)
        return StageState(
            "reconcile",
            state="running" if any(box.has_workers for box in self._boxes) else "by hand",
            tone="bad" if any(box.is_last_failed for box in self._boxes) else "good",
            count=sum(box.runs for box in self._boxes),
            unit="runs",
            facts=(("failed", str(failed)),) if failed else (),
            total=sum(len(box.running) + len(box.outcomes) for box in self._boxes),
        )

    def items(self, now: float) -> list[Item]:
        """Return the runs, those that go on first, then the newest."""
        running = [(key, n) for box in self._boxes for key, n in box.running.items()]
        items = [Item(key, f"running, attempt {n}", "▶") for key, n in running]
        return items + [item for box in self._boxes for item in reversed(box.outcomes)]


@dataclass(slots=True)
class ControllerBoxes:
    """What is kept of one controller."""

    workqueue: WorkqueueBox = field(default_factory=WorkqueueBox)
    reconcile: ReconcileBox = field(default_factory=ReconcileBox)


class ClientBox:
    """What was asked of the server."""

    def __init__(self) -> None:
        self.requests, self.writes = 0, 0
        self.recent: deque[Item] = deque(maxlen=MAX_ROWS)

    def requested(self, record: TraceRecord) -> None:
        """Note a request and its answer."""
        verb = str(record.get("verb") or "")
        code = str(record.get("status") or record.get("error") or "?")
        self.requests += 1
        self.writes += verb not in READS
        sub = f"/{record.get('subresource')}" if record.get("subresource") else ""
        dry = " dry run" if record.get("dry_run") else ""
        name = f"{verb} {record.resource}{sub} {record.key}".strip()
        self.recent.append(Item(name, f"{code}{dry}", "" if code.startswith("2") else "!"))

    def state(self, now: float) -> StageState:
        """Return the box."""
        facts = [("writes", str(self.writes))] if self.writes else []
        return StageState(
            "client",
            count=self.requests,
            unit="requests",
            facts=tuple(facts),
            total=len(self.recent),
        )

    def items(self, now: float) -> list[Item]:
        """Return the requests, the newest first."""
        return list(reversed(self.recent))
