"""Watch events as a frame: what came, what it changed, who wrote it, how late it was.

From: the trace (reflector.listed, reflector.watch_event, client.request). Each record is
looked at once; a read adds the new ones.

Thread: any; `_lock` guards what was collected.
Source: decision 6 of docs/architecture.md.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from crlab.frame.array import cells, floats, seqs, texts, times
from crlab.frame.field_manager import MOST, Deletions, changes_between, writer_of
from crlab.model.diff import NOISE, Change
from crlab.model.key import split_key
from crlab.model.object import KubeObject
from crlab.model.printer import text_of
from crlab.runtime.dependency import note_read
from crlab.trace.record import Trace, TraceRecord

_SHORT = 60


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One watch event with its consequences for the object.

    Attributes:
        changes: field by field, noise left out; () for ADDED and DELETED.
        writer: manager of the newest managed fields entry, "" if unknown. Of a DELETED: who
            deleted it, which is known only if this lab did; never the last who wrote to it.
        lag_seconds: from the request that caused it, if that is in the trace; else None.
    """

    seq: int
    at: float
    type: str
    resource: str
    key: str
    resource_version: str
    changes: tuple[Change, ...]
    writer: str
    lag_seconds: float | None
    object: KubeObject | None
    old: KubeObject | None

    @property
    def paths(self) -> tuple[str, ...]:
        """The changed paths."""
        return tuple(change.path for change in self.changes)


class EventsFrame:
    """The watch events of one resource (or of all)."""

    def __init__(
        self,
        trace: Trace,
        resource: str = "",
        *,
        namespace: str | None = None,
        source: str = "",
        ignore: Collection[str] = NOISE,
        max_events: int = 100_000,
    ) -> None:
        """Look at a trace.

        Args:
            resource: "plural.group"; "" for every resource.
            namespace: events of this namespace only; None for all.
            source: the informer's `source`, where several watch this resource; "" for all.
            ignore: paths that are not shown as changes; () shows the noise too.
            max_events: older ones are dropped and counted in `dropped`.
        """
        self._trace = trace
        self._resource = resource
        self._namespace = namespace
        self._source = source
        self._ignore = ignore
        self._lock = threading.Lock()
        self._seen = 0
        self._last: dict[tuple[str, str], tuple[KubeObject, float]] = {}  # with when it came
        self._deletions = Deletions()
        self._unnamed: dict[str, int] = {}  # uid → number of its DELETED, while nobody did it
        self._events: deque[ObjectChange] = deque(maxlen=max_events)
        self._count = 0
        self._frame: pd.DataFrame | None = None
        self._frame_of: tuple[int, int] = (-1, -1)

    @property
    def dropped(self) -> int:
        """How many events fell off the old end, here or in the trace."""
        return self._count - len(self._events)

    def live_version(self) -> object:
        """Return what tells a live expression that there may be new events."""
        return self._trace.live_version()

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on every watch event (quick, on the writer's thread)."""

        def tap(record: TraceRecord) -> None:
            if record.kind == "watch_event" and self._resource in ("", record.resource):
                listener()

        return self._trace.tap(tap)

    def events(self) -> list[ObjectChange]:
        """Return the events, oldest first."""
        note_read(self)
        with self._lock:
            self._collect()
            return list(self._events)

    @property
    def df(self) -> pd.DataFrame:
        """The events, oldest first; the same object while none came.

        Shape: index "seq" (int64); time, type, key, resource_version, paths (list), change
            (text "path: old → new"), writer ("" where it is not known, as for a deletion by
            somebody else), lag_seconds.
        """
        note_read(self)
        with self._lock:
            self._collect()
            what = (self._count, len(self._events))
            if self._frame is None or self._frame_of != what:
                self._frame, self._frame_of = _frame(list(self._events)), what
            return self._frame.copy(deep=False)

    @property
    def changes(self) -> pd.DataFrame:
        """One row per changed field.

        Shape: index "seq" (int64); time, key, op ("add", "remove", "replace"), path, old,
            new (object), writer.
        """
        rows = [(event, change) for event in self.events() for change in event.changes]
        return pd.DataFrame(
            {
                "time": times([event.at for event, _ in rows]),
                "key": texts(event.key for event, _ in rows),
                "op": texts(change.op for _, change in rows),
                "path": texts(change.path for _, change in rows),
                "old": cells([change.old for _, change in rows]),
                "new": cells([change.new for _, change in rows]),
                "writer": texts(event.writer for event, _ in rows),
            },
            index=seqs([event.seq for event, _ in rows]),
        )

    def __len__(self) -> int:
        return len(self.events())

    def __repr__(self) -> str:
        return f"EventsFrame({self._resource or 'all resources'})"

    def _collect(self) -> None:
        for record in self._trace.records(after=self._seen):
            self._seen = record.seq
            if record.kind == "request" and self._resource in ("", record.resource):
                self._asked(record)
            if record.stage != "reflector" or (self._resource not in ("", record.resource)):
                continue
            if self._source and record.get("source", self._source) != self._source:
                continue
            if record.kind == "listed":
                self._relisted(record)
            elif record.kind == "watch_event":
                self._came(record)
        first = self._trace.first_seq
        while self._events and self._events[0].seq < first:
            self._events.popleft()  # its objects would outlive the bound of the trace

    def _relisted(self, record: TraceRecord) -> None:
        objects: Sequence[KubeObject] = record.get("objects") or ()
        scope = record.get("namespace")
        for place in [p for p in self._last if p[0] == record.resource]:
            if not scope or _namespace(place[1]) == scope:
                del self._last[place]
        self._last.update(((record.resource, obj.key), (obj, record.at)) for obj in objects)

    def _asked(self, record: TraceRecord) -> None:
        """Note a deletion; its event may have overtaken the answer to the request."""
        known, known_at = self._last.get((record.resource, record.key), (None, 0.0))
        uid = self._deletions.note(record, known, known_at)
        place = self._unnamed.pop(uid, 0) - 1 - self.dropped if uid else -1
        if place >= 0:
            event = self._events[place]
            self._events[place] = replace(event, writer=self._deletions.by(uid))
            self._frame = None

    def _came(self, record: TraceRecord) -> None:
        obj = record.get("object")
        kind = str(record.get("type", ""))
        place = (record.resource, record.key)
        old, _ = self._last.pop(place, (None, 0.0))
        if isinstance(obj, KubeObject) and kind != "DELETED":
            self._last[place] = obj, record.at
        if self._namespace is not None and _namespace(record.key) != self._namespace:
            return
        is_object = isinstance(obj, KubeObject)
        writer = ""
        if is_object:
            writer = self._deletions.by(obj.uid) if kind == "DELETED" else writer_of(obj, old)
        changes = changes_between(old, obj, ignore=self._ignore) if kind == "MODIFIED" else []
        self._count += 1
        if is_object and kind == "DELETED" and not writer:
            self._unnamed[obj.uid] = self._count
            if len(self._unnamed) > MOST:
                del self._unnamed[next(iter(self._unnamed))]
        self._events.append(
            ObjectChange(
                seq=record.seq,
                at=record.at,
                type=kind,
                resource=record.resource,
                key=record.key,
                resource_version=record.resource_version,
                changes=tuple(changes),
                writer=writer,
                lag_seconds=self._lag(record),
                object=obj if is_object else None,
                old=old,
            )
        )

    def _lag(self, record: TraceRecord) -> float | None:
        causes = record.causes
        if not causes:  # the event may come before the answer to the request is noted
            write = self._trace.write_seq(record.resource, record.resource_version)
            causes = (write,) if write else ()
        for seq in causes:
            cause = self._trace.get(seq)
            if cause is not None and cause.stage == "client":
                return max(0.0, record.at - cause.at)
        return None


def change_text(changes: Iterable[Change]) -> str:
    """Return changes in one line: ".spec.replicas: 1 → 3; + .metadata.labels.a: b"."""
    return "; ".join(_one(change) for change in changes)


def _one(change: Change) -> str:
    if change.op == "add":
        return f"+ {change.path}: {_short(change.new)}"
    if change.op == "remove":
        return f"- {change.path}: {_short(change.old)}"
    return f"{change.path}: {_short(change.old)} → {_short(change.new)}{change.note}"


def _short(value: object) -> str:
    text = "null" if value is None else text_of(value)
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _namespace(key: str) -> str:
    return split_key(key)[0] if key else ""


def _frame(events: list[ObjectChange]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": times([event.at for event in events]),
            "type": texts(event.type for event in events),
            "key": texts(event.key for event in events),
            "resource_version": texts(event.resource_version for event in events),
            "paths": cells([list(event.paths) for event in events]),
            "change": texts(change_text(event.changes) for event in events),
            "writer": texts(event.writer for event in events),
            "lag_seconds": floats([event.lag_seconds for event in events]),
        },
        index=seqs([event.seq for event in events]),
    )
