"""Watch events as the inspector shows them, and what one of them led to.

From: an `EventsFrame` and the trace. To: the events inspector.

Thread: any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crlab.lab.parts import Parts
from crlab.lab.source.status_source import Changing, status_state
from crlab.model.diff import Change
from crlab.model.object import KubeObject
from crlab.model.redaction import redact_object
from crlab.trace.record import TraceRecord
from crlab.views.filter import Filter
from crlab.views.state import (
    Diff,
    EventDetail,
    EventRow,
    EventsQuery,
    EventsState,
    Reach,
    SideBySide,
)

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.frame.events_frame import EventsFrame, ObjectChange

FIELDS = ("type", "key", "namespace", "name", "path", "writer", "resource", "rv", "seq")
LOOK_AHEAD = 5_000
_OPS = {"add": "+", "remove": "-", "replace": "~"}


class EventRows(Changing):
    """The events of one informer, or of a whole lab."""

    def __init__(
        self,
        parts: Parts,
        title: str,
        events: EventsFrame,
        informer: SharedInformer | None = None,
    ) -> None:
        super().__init__(parts)
        self._title = title
        self._events = events
        self._informer = informer

    def events_state(self, query: EventsQuery) -> EventsState:
        """Return the window asked for, newest first; see `EventsSource`."""
        events = self._events.events()
        if query.moment is not None:
            events = [event for event in events if event.seq <= query.moment]
        total = len(events)
        if query.filter is not None:
            events = matching(events, query.filter, self.parts.clock.now())
        events.reverse()
        offset = max(0, min(query.offset, max(0, len(events) - 1)))
        opened = next((e for e in events if e.seq == query.opened), None)
        return EventsState(
            title=self._title,
            rows=tuple(row_of(event) for event in events[offset : offset + query.limit]),
            matching=len(events),
            total=total,
            status=status_state(self.parts, self._informer, query.moment),
            offset=offset,
            opened=None if opened is None else self._detail(opened, query),
            dropped=self._events.dropped,
        )

    def _detail(self, event: ObjectChange, query: EventsQuery) -> EventDetail:
        reached = consequences(self.parts.trace.linked(after=event.seq - 1), event.seq)
        delta = next((r for r in reached if r.stage == "indexer"), None)
        return EventDetail(
            row=row_of(event),
            diff=tuple(diff_of(event.changes)),
            writer=event.writer,
            delta=f"{delta.kind} {delta.get('operation', '')}".strip() if delta else "",
            reached=tuple(_reach(record, event.at) for record in reached),
            side_by_side=self._side_by_side(event, query),
            sentence=_sentence(event, reached),
        )

    def _side_by_side(self, event: ObjectChange, query: EventsQuery) -> SideBySide | None:
        left, right = event.old, event.object
        if query.left_resource_version:
            left = self._version(event, query.left_resource_version)
        if query.right_resource_version:
            right = self._version(event, query.right_resource_version)
        if left is None and right is None:
            return None
        return side_by_side(left, right)

    def _version(self, event: ObjectChange, resource_version: str) -> KubeObject | None:
        for other in self._events.events():
            same = other.key == event.key and other.resource == event.resource
            if same and other.resource_version == resource_version:
                return other.object
        return None


def row_of(event: ObjectChange) -> EventRow:
    """Return one event as a row."""
    return EventRow(
        seq=event.seq,
        at=event.at,
        type=event.type,
        resource=event.resource,
        key=event.key,
        resource_version=event.resource_version,
        paths=event.paths,
        writer=event.writer,
        lag_seconds=event.lag_seconds,
    )


def diff_of(changes: Iterable[Change]) -> Iterable[Diff]:
    """Return changes as a view's diff, values as short JSON."""
    for change in changes:
        if change.path in ("", ".") and change.op != "replace":
            yield from _whole(change.op, change.new)
            continue
        yield Diff(
            op=_OPS.get(str(change.op), "~"),
            path=change.path,
            old=as_json(change.old) if change.op != "add" else "",
            new=as_json(change.new) + change.note if change.op != "remove" else "",
        )


def _whole(op: str, obj: object) -> Iterable[Diff]:
    """A created object as the lines of its YAML, a removed one as one line."""
    if op == "remove" or not isinstance(obj, Mapping):
        yield Diff(op=_OPS[op], path=".", old="", new="")
        return
    tree = {name: value for name, value in obj.items() if name not in _GIVEN}
    metadata = obj.get("metadata") or {}
    tree |= {name: metadata[name] for name in _SAID if metadata.get(name)}
    lines = yaml_lines(tree)
    shown = lines if len(lines) <= CREATED_LINES + 2 else lines[:CREATED_LINES]
    for line in shown:
        yield Diff(op="+", path=line, old="", new="")
    if more := len(lines) - len(shown):
        yield Diff(op="+", path=f"… {more} more lines", old="", new="")


_GIVEN = frozenset({"apiVersion", "kind", "metadata", "status"})
_SAID = ("labels", "annotations", "finalizers")
CREATED_LINES = 14


def yaml_lines(tree: Mapping[str, Any]) -> list[str]:
    """Return a JSON tree as lines of YAML, in the order it has."""
    import yaml

    text: str = yaml.safe_dump(
        tree, sort_keys=False, allow_unicode=True, width=200, default_flow_style=False
    )
    return text.splitlines()


def as_json(value: object, limit: int = 200) -> str:
    """Return a value as short JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def matching(events: list[ObjectChange], wanted: Filter, now: float) -> list[ObjectChange]:
    """Return the events that pass a filter.

    Raises:
        FilterError: the filter names a field that events do not have.
    """
    wanted.check(FIELDS)
    found = []
    for event in events:
        namespace, _, name = event.key.rpartition("/")
        fields: dict[str, Any] = {
            "type": event.type,
            "key": event.key,
            "namespace": namespace,
            "name": name,
            "path": (*event.paths, *(path.lstrip(".") for path in event.paths)),  # either form
            "writer": event.writer,
            "resource": event.resource,
            "rv": event.resource_version,
            "seq": event.seq,
        }
        cells = [*(value for name, value in fields.items() if name != "path"), *event.paths]
        if wanted.matches(fields.get, lambda cells=cells: cells, now):  # type: ignore[misc]
            found.append(event)
    return found


def consequences(records: list[TraceRecord], seq: int) -> list[TraceRecord]:
    """Return the records that `seq` led to, directly and through others, oldest first."""
    known = {seq}
    found = []
    for record in records[:LOOK_AHEAD]:
        if record.seq not in known and not known.isdisjoint(record.causes):
            known.add(record.seq)
            found.append(record)
    return found


def _reach(record: TraceRecord, since: float) -> Reach:
    name = record.get("handler") or record.get("queue") or record.get("controller") or record.key
    detail = record.get("type") or record.get("operation") or record.get("outcome") or ""
    if record.kind == "request":
        name = f"{record.get('verb', '')} {record.resource} {record.key}".strip()
        detail = str(record.get("status", ""))
    return Reach(
        seq=record.seq,
        stage=f"{record.stage} {record.kind}",
        name=str(name),
        detail=str(detail),
        lag_seconds=max(0.0, record.at - since),
    )


def _sentence(event: ObjectChange, reached: list[TraceRecord]) -> str:
    handlers = sum(1 for r in reached if r.kind == "notified")
    runs = sum(1 for r in reached if r.stage == "reconcile" and r.kind == "started")
    writes = sum(1 for r in reached if r.kind == "request" and r.get("verb") not in _READS)
    parts = [f"{event.type} {event.key} reached {handlers} handler{'s' * (handlers != 1)}"]
    if runs:
        parts.append(f"caused {runs} reconcile{'s' * (runs != 1)}")
    if writes:
        parts.append(f"which wrote {writes} time{'s' * (writes != 1)}")
    return ", ".join(parts) + "."


_READS = frozenset({"get", "list", "watch"})


def side_by_side(left: KubeObject | None, right: KubeObject | None) -> SideBySide:
    """Return two forms of an object as aligned lines."""
    import difflib

    before, after = _lines(left), _lines(right)
    lines: list[tuple[str, str, str]] = []
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            lines += [(" ", x, x) for x in before[a:b]]
            continue
        for offset in range(max(b - a, d - c)):
            x = before[a + offset] if a + offset < b else ""
            y = after[c + offset] if c + offset < d else ""
            op = "~" if a + offset < b and c + offset < d else ("-" if a + offset < b else "+")
            lines.append((op, x, y))
    return SideBySide(_title(left), _title(right), tuple(lines))


def _title(obj: KubeObject | None) -> str:
    return "(absent)" if obj is None else f"rv {obj.resource_version}"


def _lines(obj: KubeObject | None) -> list[str]:
    if obj is None:
        return []
    tree = redact_object(obj)
    tree.get("metadata", {}).pop("managedFields", None)
    return yaml_lines(tree)
