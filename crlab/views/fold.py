"""The pipeline's boxes, folded out of the trace record by record.

From: the trace (live, a recording, or up to any moment of it). To: `PipelineState`. The
same fold shows the present and the past, so the time slider cannot disagree with what
was live.

Guarantees:
  1. The state after record N depends on the records up to N alone.
  2. A record costs O(1); what is kept is bounded by the number of objects and keys.

Thread: not locked; its owner applies and reads from one thread at a time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from crlab.model.key import split_key
from crlab.trace.record import TraceRecord
from crlab.views.format import TYPE_MARKS, clock_time, lag
from crlab.views.state import MAX_ROWS, Item, StageState

_BOX = {
    "server": "server",
    "client": "client",
    "reflector": "reflector",
    "queue": "queue",
    "indexer": "indexer",
    "handler": "handlers",
    "workqueue": "workqueue",
    "reconcile": "reconcile",
    "fault": "server",
}
_OPERATIONS = {"add": "+", "update": "~", "delete": "-"}
MAX_LISTS = 64  # lists that wait to replace the store: one per namespace of the informer
MAX_FOREIGN = 20_000  # records between an event and its handlers, of the other informers


class PipelineFold:
    """What one informer's pipeline, and one controller's, look like after some records."""

    def __init__(self, resource: str = "", controller: str = "", source: str = "") -> None:
        """Start before the first record.

        Args:
            resource: "plural.group" of the informer; "" follows every resource.
            controller: name of the controller and its queue; "" follows every one.
            source: the informer's `source`, where several watch the resource; "" for all.
        """
        self.resource = resource
        self.controller = controller
        self.source = source
        self._foreign: dict[int, None] = {}  # records of the other informers
        self.seq = 0
        self.at = 0.0
        self.last: TraceRecord | None = None
        self.revision = ""
        # reflector
        self.phase, self.reason, self.version = "", "", ""
        self.retry_at: float | None = None
        self.list_text = ""
        self.events, self.errors = 0, 0
        self.recent: deque[Item] = deque(maxlen=MAX_ROWS)
        # queue and cache
        self.pending: dict[int, tuple[str, str, float]] = {}
        self.listed: dict[int, tuple[str, dict[str, Any]]] = {}  # seq → namespace, objects
        self.objects: dict[str, tuple[str, str]] = {}
        self.stored: dict[str, Any] = {}  # what the indexer holds
        self.stored_version = ""
        # handlers
        self.handlers: dict[str, tuple[int, str, float | None]] = {}
        self.handler_errors = 0
        # workqueue and reconcile
        self.ready: dict[str, int] = {}
        self.processing: dict[str, float] = {}
        self.delayed: dict[str, float] = {}
        self.failures: dict[str, int] = {}
        self.collapsed = 0
        self.runs, self.failed = 0, 0
        self.running: dict[str, int] = {}
        self.outcomes: deque[Item] = deque(maxlen=MAX_ROWS)
        # writes
        self.codes: Counter[str] = Counter()
        self.writes: deque[Item] = deque(maxlen=MAX_ROWS)
        self.requests, self.faults = 0, 0

    def apply_all(self, records: Iterable[TraceRecord]) -> None:
        """Apply records in order."""
        for record in records:
            self.apply(record)

    def apply(self, record: TraceRecord) -> None:
        """Apply the next record."""
        self.seq, self.at = record.seq, record.at
        if _newer(record.resource_version, self.revision):
            self.revision = record.resource_version
        apply = _APPLY.get(f"{record.stage}.{record.kind}")
        if apply is None or not self._concerns(record):
            return
        apply(self, record)
        self.last = record

    def _concerns(self, record: TraceRecord) -> bool:
        if record.stage in ("reflector", "queue", "indexer", "handler"):
            if self.resource and record.resource != self.resource:
                return False
            return not self.source or self._is_own(record)
        if record.stage == "workqueue":
            return not self.controller or record.get("queue") == self.controller
        if record.stage == "reconcile":
            return not self.controller or record.get("controller") == self.controller
        return True

    def _is_own(self, record: TraceRecord) -> bool:
        source = record.get("source")
        is_own = source == self.source if source else self._foreign.keys().isdisjoint(record.causes)
        if not is_own:
            self._foreign[record.seq] = None
            if len(self._foreign) > MAX_FOREIGN:
                del self._foreign[next(iter(self._foreign))]
        return is_own

    # --- records, by kind -----------------------------------------------------------------

    def _reflector_state(self, record: TraceRecord) -> None:
        self.phase = str(record.get("state") or "")
        self.reason = str(record.get("reason") or "")
        delay = record.get("delay_seconds")
        self.retry_at = record.at + delay if delay else None

    def _listed(self, record: TraceRecord) -> None:
        pages = record.get("pages") or 1
        self.version = record.resource_version
        self.list_text = f"{record.get('count')} in {pages} page{'' if pages == 1 else 's'}"
        objects = record.get("objects") or ()
        scope = str(record.get("namespace") or "")
        self.listed[record.seq] = (scope, {obj.key: obj for obj in objects})
        if len(self.listed) > MAX_LISTS:
            del self.listed[next(iter(self.listed))]
        self.recent.append(Item(f"list of {record.get('count')}", clock_time(record.at), "="))

    def _watch_event(self, record: TraceRecord) -> None:
        self.events += 1
        self.version = record.resource_version or self.version
        kind = str(record.get("type") or "")
        detail = f"{kind} rv {record.resource_version} {clock_time(record.at)}"
        self.recent.append(Item(record.key, detail, TYPE_MARKS.get(kind, "")))

    def _bookmark(self, record: TraceRecord) -> None:
        self.version = record.resource_version or self.version

    def _reflector_error(self, record: TraceRecord) -> None:
        self.errors += 1
        self.recent.append(Item("error", str(record.get("error") or ""), "!"))

    def _queued(self, record: TraceRecord) -> None:
        kind = str(record.get("type") or "")
        self.pending[record.seq] = (record.key, kind, record.at)

    def _taken(self, record: TraceRecord) -> None:
        for cause in record.causes:
            self.pending.pop(cause, None)

    def _stored(self, record: TraceRecord) -> None:
        self._taken(record)
        operation = str(record.get("operation") or "")
        self.stored_version = record.resource_version or self.stored_version
        if operation == "delete":
            self.objects.pop(record.key, None)
            self.stored.pop(record.key, None)
        else:
            self.objects[record.key] = (record.resource_version, _OPERATIONS.get(operation, ""))
            self.stored[record.key] = record.get("object")

    def _replaced(self, record: TraceRecord) -> None:
        self._taken(record)
        self.stored_version = record.resource_version or self.stored_version
        scope, objects = next(
            (self.listed[cause] for cause in record.causes if cause in self.listed), ("", {})
        )
        others = {k: o for k, o in self.stored.items() if scope and split_key(k)[0] != scope}
        marks = {key: self.objects[key] for key in others}
        self.stored = {**others, **objects}
        self.objects = {**marks, **{k: (o.resource_version, "") for k, o in objects.items()}}
        self.pending = {
            seq: what for seq, what in self.pending.items() if seq > max(record.causes, default=0)
        }

    def _notified(self, record: TraceRecord) -> None:
        name = str(record.get("handler") or "?")
        told = self.handlers.get(name, (0, "", None))[0] + 1
        text = f"{record.get('type')} {record.key}"
        self.handlers[name] = (told, text, record.get("lag_seconds"))

    def _handler_error(self, record: TraceRecord) -> None:
        self.handler_errors += 1

    def _added(self, record: TraceRecord) -> None:
        if record.get("collapsed"):
            self.collapsed += 1
        self.delayed.pop(record.key, None)
        self.ready[record.key] = self.ready.get(record.key, 0) + 1

    def _got(self, record: TraceRecord) -> None:
        self.ready.pop(record.key, None)
        self.processing[record.key] = record.at

    def _done(self, record: TraceRecord) -> None:
        self.processing.pop(record.key, None)

    def _requeued(self, record: TraceRecord) -> None:
        self.delayed[record.key] = record.at + float(record.get("delay_seconds") or 0.0)
        attempt = record.get("attempt")
        if attempt:
            self.failures[record.key] = int(attempt)

    def _forgotten(self, record: TraceRecord) -> None:
        self.failures.pop(record.key, None)

    def _started(self, record: TraceRecord) -> None:
        self.runs += 1
        self.running[record.key] = int(record.get("attempt") or 1)

    def _finished(self, record: TraceRecord) -> None:
        self.running.pop(record.key, None)
        error = record.get("error")
        self.failed += bool(error) and not record.get("dry_run")
        end = str(record.get("outcome") or record.get("result") or "done")
        took = lag(record.get("duration_seconds"))
        detail = f"{error}; {end}" if error else end
        self.outcomes.append(Item(record.key, f"{detail} {took}", "!" if error else ""))

    def _request(self, record: TraceRecord) -> None:
        self.requests += 1
        verb = str(record.get("verb") or "")
        if not str(record.get("actor") or "").startswith("controller/"):
            return
        if self.controller and record.get("actor") != f"controller/{self.controller}":
            return
        if verb in ("get", "list", "watch"):
            return
        code = str(record.get("status") or "?")
        self.codes[code] += 1
        sub = f"/{record.get('subresource')}" if record.get("subresource") else ""
        dry = " dry run" if record.get("dry_run") else ""
        mark = "" if code.startswith("2") else "!"
        name = f"{record.resource}{sub} {record.key}".strip()
        self.writes.append(Item(name, f"{verb} → {code}{dry}", mark))

    def _fault(self, record: TraceRecord) -> None:
        self.faults += 1

    # --- the picture ----------------------------------------------------------------------

    @property
    def active(self) -> tuple[str, ...]:
        """The box that moved last, () before anything did."""
        return (_BOX[self.last.stage],) if self.last and self.last.stage in _BOX else ()

    def stages(self, now: float, *, selected: str = "") -> tuple[StageState, ...]:
        """Return the eight boxes at wall time `now`; only `selected` carries its items."""
        from crlab.views.box import boxes_of

        return boxes_of(self, now, selected)


def _newer(version: str, than: str) -> bool:
    if not version.isdigit():
        return False
    return not than or (len(version), version) > (len(than), than)


_APPLY: dict[str, Callable[[Any, TraceRecord], None]] = {
    "reflector.state": PipelineFold._reflector_state,
    "reflector.listed": PipelineFold._listed,
    "reflector.watch_event": PipelineFold._watch_event,
    "reflector.bookmark": PipelineFold._bookmark,
    "reflector.error": PipelineFold._reflector_error,
    "queue.queued": PipelineFold._queued,
    "indexer.stored": PipelineFold._stored,
    "indexer.replaced": PipelineFold._replaced,
    "handler.notified": PipelineFold._notified,
    "handler.error": PipelineFold._handler_error,
    "workqueue.added": PipelineFold._added,
    "workqueue.got": PipelineFold._got,
    "workqueue.done": PipelineFold._done,
    "workqueue.requeued": PipelineFold._requeued,
    "workqueue.forgotten": PipelineFold._forgotten,
    "reconcile.started": PipelineFold._started,
    "reconcile.finished": PipelineFold._finished,
    "client.request": PipelineFold._request,
    "fault.injected": PipelineFold._fault,
}
