"""The cache as it was: rebuilt from the trace at any moment that the trace holds.

From: reflector.listed (the exact list, the base) and reflector.watch_event records.

Guarantees:
  1. `at` a resourceVersion is exactly the list the server would have given at it, for
     every revision from the first list on.
  2. A moment that cannot be rebuilt exactly is an `OutOfTrace`, never an approximation.

Thread: any; nothing is kept.
Source: decision 6 of docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Integral  # those of numpy, in an index of seqs, are some too
from typing import Any

import pandas as pd

from crlab.errors import ConfigError, OutOfTrace
from crlab.frame.array import cells, seqs, texts, times
from crlab.frame.column import Column
from crlab.frame.column_set import choose_columns
from crlab.frame.events_frame import change_text
from crlab.frame.field_manager import changes_between
from crlab.frame.row_reader import RowReader
from crlab.frame.slot import Slots
from crlab.model.diff import NOISE
from crlab.model.key import join_key, split_key
from crlab.model.object import KubeObject
from crlab.model.plural import counted
from crlab.model.resource import ApiResource
from crlab.trace.record import Trace, TraceRecord
from crlab.trace.sentence import brief_of


@dataclass(frozen=True)
class Moment:
    """The cache at one moment of the past.

    Attributes:
        seq: the last trace record that it includes.
        at: wall time of that record, seconds since the epoch.
        resource_version: the revision the cache had reached.
        objects: key → object.
    """

    resource: ApiResource | None
    columns: tuple[Column, ...]
    seq: int
    at: float
    resource_version: str
    objects: dict[str, KubeObject]

    @property
    def df(self) -> pd.DataFrame:
        """The frame of that moment, in the shape of the live one; attrs state is "past"."""
        slots, reader = Slots(self.columns), RowReader(self.columns)
        slots.build(self.objects, reader)
        frame = slots.frame()
        moment = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        frame.attrs.update(
            resource=self.resource.gvr.group_resource if self.resource else "",
            resource_version=self.resource_version,
            time=moment.replace("+00:00", "Z"),
            state="past",
            **reader.failing.attrs(),
        )
        return frame

    def __repr__(self) -> str:
        count = counted(len(self.objects), "objects")
        return f"Moment(rv={self.resource_version}, seq={self.seq}, {count})"


When = str | int | datetime | Moment


class TimeTravel:
    """Moments, differences and timelines of one resource."""

    def __init__(
        self,
        trace: Trace,
        resource: ApiResource,
        *,
        namespace: str | None = None,
        columns: Sequence[Column] | None = None,
        source: str = "",
        later: Callable[[], Sequence[Column] | None] | None = None,
    ) -> None:
        """Look at a trace.

        Args:
            columns: of the frames; None for the kind's own.
            source: the informer's `source`, where several watch this resource; "" for all.
            later: gives the columns, or None while they are not known; asked at each moment
                until then.
        """
        self._later = later
        self._source = source
        self._trace = trace
        self._resource = resource
        self._name = resource.gvr.group_resource
        self._namespace = namespace
        self._columns = tuple(columns if columns is not None else choose_columns(resource))

    def at(
        self,
        moment: When | None = None,
        *,
        seq: int | None = None,
        time: float | datetime | None = None,
    ) -> Moment:
        """Return the cache as it was; of nothing named, as it is.

        Args:
            moment: a resourceVersion (a text or an int), a datetime, or a `Moment`.
            seq: a record of the trace.
            time: wall time: seconds since the epoch, or a datetime.

        Raises:
            OutOfTrace: the trace does not reach that far back, or not yet that far.
            ConfigError: none of these, or more than one.
        """
        if sum(given is not None for given in (moment, seq, time)) > 1:
            raise ConfigError("one moment at a time: a resourceVersion, seq= or time=")
        if isinstance(moment, Moment):
            return moment
        if isinstance(moment, datetime):
            moment, time = None, moment
        if moment is not None:
            if not isinstance(moment, str) and not _is_whole(moment):
                raise ConfigError(
                    "a moment is a resourceVersion (a text or an int) or a datetime, not "
                    f"{moment!r}; at(seq=…) is a record of the trace, at(time=…) a wall time"
                )
            return self._at_version(str(moment))
        if seq is not None:
            if not _is_whole(seq):
                raise ConfigError(f"seq is a record of the trace (1, 2, …), not {seq!r}")
            return self._at_seq(int(seq))
        if time is None:
            return self._at_seq(self._trace.last_seq)
        if isinstance(time, datetime):
            return self._at_time(time.timestamp())
        if isinstance(time, bool) or not isinstance(time, int | float) or time < 0:
            raise ConfigError(f"time is seconds since the epoch, or a datetime, not {time!r}")
        return self._at_time(float(time))

    def diff(self, before: When, after: When, *, ignore: Collection[str] = NOISE) -> pd.DataFrame:
        """Return what changed between two moments, field by field.

        Args:
            before, after: as `at` takes them; ``diff(at(seq=3), at(seq=9))`` for others.

        Shape: RangeIndex; key, change ("added", "removed", "modified"), path ("" for whole
            objects), old, new (object).
        """
        first, second = self.at(before), self.at(after)
        rows: list[tuple[str, str, str, Any, Any]] = []
        for key in sorted(first.objects.keys() | second.objects.keys()):
            old, new = first.objects.get(key), second.objects.get(key)
            if old is None or new is None:
                word = "added" if old is None else "removed"
                rows.append((key, word, "", None, None))
                continue
            rows += [
                (key, "modified", change.path, change.old, change.new)
                for change in changes_between(old, new, ignore=ignore)
            ]
        return pd.DataFrame(
            {
                "key": texts(row[0] for row in rows),
                "change": texts(row[1] for row in rows),
                "path": texts(row[2] for row in rows),
                "old": cells([row[3] for row in rows]),
                "new": cells([row[4] for row in rows]),
            }
        )

    def __repr__(self) -> str:
        return f"TimeTravel({self._name})"

    def _learn(self) -> None:
        """Take up columns that were not known before, if they are now."""
        columns = self._later() if self._later is not None else None
        if columns is not None:
            self._columns, self._later = tuple(columns), None

    # --- rebuilding ------------------------------------------------------------------

    def _streams(self) -> list[list[TraceRecord]]:
        """The records of each reflector: one, or one per namespace of the informer."""
        streams: dict[str, list[TraceRecord]] = {}
        for record in self._trace.records():
            if record.stage != "reflector" or record.resource != self._name:
                continue
            if record.kind not in ("listed", "watch_event", "bookmark"):
                continue
            if not self._source or record.get("source", self._source) == self._source:
                streams.setdefault(record.get("namespace") or "", []).append(record)
        return list(streams.values()) or [[]]

    def _at_seq(self, seq: int) -> Moment:
        if seq > self._trace.last_seq:
            raise OutOfTrace(f"no record {seq} yet; the trace ends at seq {self._trace.last_seq}")
        streams = [[r for r in stream if r.seq <= seq] for stream in self._streams()]
        return self._rebuilt(streams, f"seq {seq}")

    def _at_time(self, stamp: float) -> Moment:
        try:
            shown = datetime.fromtimestamp(stamp, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            raise OutOfTrace(f"{stamp} is no time (seconds since 1970-01-01T00:00:00Z)") from None
        streams = [[r for r in stream if r.at <= stamp] for stream in self._streams()]
        return self._rebuilt(streams, f"time {shown}")

    def _at_version(self, version: str) -> Moment:
        wanted = _number(version)
        if wanted is None:
            raise OutOfTrace(f"{version!r} is not a resourceVersion (a number)")
        streams = self._streams()
        known = [n for s in streams for r in s if (n := _number(r.resource_version)) is not None]
        if known and wanted > max(known):
            raise OutOfTrace(
                f"resourceVersion {version} is ahead of what was seen (up to {max(known)})"
            )
        upto = [self._upto(stream, wanted) for stream in streams]
        return self._rebuilt(upto, f"resourceVersion {version}", version)

    def _upto(self, stream: list[TraceRecord], wanted: int) -> list[TraceRecord]:
        """The newest list at or before a revision, and the events from it to there."""
        bases = [
            place
            for place, record in enumerate(stream)
            if record.kind == "listed" and (_number(record.resource_version) or 0) <= wanted
        ]
        if not bases:
            return []
        found = [stream[bases[-1]]]
        reached = 0
        for record in stream[bases[-1] :]:
            number = _number(record.resource_version) or 0
            if record.kind == "listed" and record is not found[0]:
                if wanted > reached:
                    raise OutOfTrace(
                        f"resourceVersion {wanted} was not watched: {self._name} was followed "
                        f"up to {reached} and listed again at {number}"
                    )
                break
            reached = max(reached, number)
            if number <= wanted and record is not found[0]:
                found.append(record)
        return found

    def _rebuilt(self, streams: list[list[TraceRecord]], what: str, version: str = "") -> Moment:
        """Replay each stream onto the newest list in it."""
        objects: dict[str, KubeObject] = {}
        reached = ""
        for stream in streams:
            starts = [place for place, record in enumerate(stream) if record.kind == "listed"]
            if not starts:
                raise OutOfTrace(
                    f"{what} is before the first list of {self._name} that the trace holds"
                    f" (it begins at seq {self._trace.first_seq})"
                )
            part, at = _replayed(stream[starts[-1] :])
            objects |= part
            reached = max(reached, at, key=lambda text: _number(text) or 0)
        if self._namespace is not None:
            objects = {k: o for k, o in objects.items() if split_key(k)[0] == self._namespace}
        last = max((stream[-1] for stream in streams), key=lambda record: record.seq)
        self._learn()
        return Moment(self._resource, self._columns, last.seq, last.at, version or reached, objects)


def _replayed(records: list[TraceRecord]) -> tuple[dict[str, KubeObject], str]:
    """The objects after a list and the events that follow it, and the revision reached."""
    objects: dict[str, KubeObject] = {}
    reached = ""
    for record in records:
        obj = record.get("object")
        if record.kind == "listed":
            objects = {obj.key: obj for obj in record.get("objects") or ()}
        elif record.kind == "watch_event" and record.get("type") == "DELETED":
            objects.pop(record.key, None)
        elif record.kind == "watch_event" and isinstance(obj, KubeObject):
            objects[record.key] = obj
        reached = record.resource_version or reached
    return objects, reached


def timeline(trace: Trace, key: str, *, resource: str = "") -> pd.DataFrame:
    """Return everything the trace holds of one key, in order.

    Shape: index "seq" (int64); time, stage, kind, resource, resource_version, causes (list),
        what (text).
    """
    last: dict[str, KubeObject] = {}
    found: list[tuple[TraceRecord, str]] = []
    for record in trace.records():
        if resource and record.resource != resource:
            continue
        if record.kind == "listed":
            for obj in record.get("objects") or ():
                if obj.key == key:
                    last[record.resource] = obj
                    found.append((record, "was in the list"))
        elif record.key == key or _is_request_of(record, key):
            found.append((record, _what(record, last)))
    return _timeline_frame(found)


def _is_request_of(record: TraceRecord, key: str) -> bool:
    """Whether a record is a request for this one object."""
    name = record.get("name")
    if record.stage != "client" or record.key or not isinstance(name, str) or not name:
        return False
    return join_key(record.get("namespace"), name) == key


def _what(record: TraceRecord, last: dict[str, KubeObject]) -> str:
    obj = record.get("object")
    if record.kind == "watch_event" and isinstance(obj, KubeObject):
        old = last.get(record.resource)
        last[record.resource] = obj
        text = change_text(changes_between(old, obj))
        return f"{record.get('type')} {text}".strip()
    return brief_of(record)


def _timeline_frame(found: Iterable[tuple[TraceRecord, str]]) -> pd.DataFrame:
    rows = list(found)
    return pd.DataFrame(
        {
            "time": times([record.at for record, _ in rows]),
            "stage": texts(str(record.stage) for record, _ in rows),
            "kind": texts(record.kind for record, _ in rows),
            "resource": texts(record.resource for record, _ in rows),
            "resource_version": texts(record.resource_version for record, _ in rows),
            "causes": cells([list(record.causes) for record, _ in rows]),
            "what": texts(what for _, what in rows),
        },
        index=seqs([record.seq for record, _ in rows]),
    )


def trace_frame(trace: Trace, after: int = 0) -> pd.DataFrame:
    """Return the whole trace as a frame.

    Shape: index "seq" (int64); time, stage, kind, resource, key, resource_version, causes.
    """
    records = trace.records(after=after)
    return pd.DataFrame(
        {
            "time": times([record.at for record in records]),
            "stage": texts(str(record.stage) for record in records),
            "kind": texts(record.kind for record in records),
            "resource": texts(record.resource for record in records),
            "key": texts(record.key for record in records),
            "resource_version": texts(record.resource_version for record in records),
            "causes": cells([list(record.causes) for record in records]),
        },
        index=seqs([record.seq for record in records]),
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


def _number(version: str) -> int | None:
    return int(version) if version.isascii() and version.isdigit() and len(version) < 40 else None
