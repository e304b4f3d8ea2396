"""Events per second, by type, kind, namespace, key or writer, over any window.

From: watch events in the trace, taken in as they happen. To: frames, a matplotlib figure,
the live chart's counts. An event is kept as a time and five small numbers, so that a
million of them are 40 MB and a window over them is one pass of numpy.

Thread: the tap runs on the trace's appending threads and only queues the record; reads
take `_lock` and digest what is queued.
Source: decision 6 of docs/architecture.md.
"""

from __future__ import annotations

import itertools
import math
import threading
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crlab.errors import ConfigError, UnknownColumn, nearest
from crlab.frame.array import cells, floats, texts, times
from crlab.frame.events_frame import EventsFrame
from crlab.frame.field_manager import writer_of
from crlab.model.key import split_key
from crlab.model.object import KubeObject
from crlab.runtime.clock import Clock
from crlab.runtime.dependency import note_read
from crlab.trace.record import Trace, TraceRecord

DIMENSIONS = ("type", "kind", "namespace", "key", "writer")
_MAX_BINS = 100_000
_NOW_SECONDS = 1e-6  # so that an event of this very moment is inside


class Rates:
    """Counts of watch events of one resource (or of all)."""

    def __init__(
        self,
        trace: Trace,
        clock: Clock,
        resource: str = "",
        *,
        namespace: str | None = None,
        source: str = "",
        events: EventsFrame | None = None,
        max_events: int = 1_000_000,
    ) -> None:
        """Begin to count; what the trace holds already is counted too.

        Args:
            resource: "plural.group"; "" for every resource.
            source: the informer's `source`, where several watch this resource; "" for all.
            events: for `anomalies`, which look at changed fields; None makes its own.
            max_events: older ones are forgotten, half at a time.
        """
        self._trace = trace
        self._clock = clock
        self._resource = resource
        self._namespace = namespace
        self._source = source
        self._events = events or EventsFrame(trace, resource, namespace=namespace, source=source)
        self._max_events = max_events
        self._lock = threading.Lock()
        self._incoming: deque[TraceRecord] = deque()
        self._times = array("d")
        self._codes = {name: array("l") for name in DIMENSIONS}
        self._known: dict[str, dict[str, int]] = {name: {} for name in DIMENSIONS}
        self._last: dict[tuple[str, str], KubeObject] = {}  # to tell who wrote what follows
        self._total = 0
        self._untap = trace.tap(self._tap)
        backlog = trace.records()
        self._first_live = backlog[-1].seq + 1 if backlog else 0  # tapped before: seen here
        for record in backlog:
            if self._is_counted(record):
                self._take(record)

    @property
    def total(self) -> int:
        """How many events were counted so far."""
        note_read(self)
        with self._lock:
            self._digest()
            return self._total

    def close(self) -> None:
        """Count no more; what was counted stays."""
        self._untap()

    def live_version(self) -> object:
        """Return what tells a live expression that the counts changed."""
        return (self._trace.live_version(), int(self._clock.now()))

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on every counted event (quick, on the writer's thread)."""

        def tap(record: TraceRecord) -> None:
            if self._is_counted(record):
                listener()

        return self._trace.tap(tap)

    def __repr__(self) -> str:
        return f"Rates({self._resource or 'all resources'})"

    # --- intake -----------------------------------------------------------------------

    def _is_counted(self, record: TraceRecord) -> bool:
        if record.stage != "reflector" or record.kind != "watch_event":
            return False
        if self._source and record.get("source", self._source) != self._source:
            return False
        return self._resource in ("", record.resource)

    def _tap(self, record: TraceRecord) -> None:
        if self._is_counted(record):
            self._incoming.append(record)

    def add(self, at: float, kind: str, resource: str, key: str, writer: str = "") -> None:
        """Count one event that is not in the trace (a source of one's own)."""
        with self._lock:
            self._count(at, kind, resource, key, writer)

    def _digest(self) -> None:
        while self._incoming:
            record = self._incoming.popleft()
            if record.seq >= self._first_live:
                self._take(record)

    def _take(self, record: TraceRecord) -> None:
        obj = record.get("object")
        kind = str(record.get("type", ""))
        place = (record.resource, record.key)
        old = self._last.pop(place, None)
        is_write = isinstance(obj, KubeObject) and kind != "DELETED"  # a deletion names nobody
        writer = writer_of(obj, old) if is_write else ""
        if isinstance(obj, KubeObject) and kind != "DELETED":
            self._last[place] = obj
        self._count(record.at, kind, record.resource, record.key, writer)

    def _count(self, at: float, kind: str, resource: str, key: str, writer: str) -> None:
        namespace = split_key(key)[0] if key else ""
        if self._namespace is not None and namespace != self._namespace:
            return
        self._total += 1
        self._times.append(at)
        values = (kind, resource, namespace, key, writer)
        for name, value in zip(DIMENSIONS, values, strict=True):
            known = self._known[name]
            code = known.get(value)
            if code is None:
                code = known[value] = len(known)
            self._codes[name].append(code)
        if len(self._times) > self._max_events:
            half = len(self._times) // 2
            del self._times[:half]
            for codes in self._codes.values():
                del codes[:half]

    # --- reading ------------------------------------------------------------------------

    def counts(
        self,
        *,
        by: str = "type",
        window_seconds: float = 60.0,
        bin_seconds: float = 1.0,
        end: float | None = None,
        limit: int = 12,
    ) -> tuple[list[str], np.ndarray[Any, Any], float]:
        """Return group names, counts (bins × groups, oldest first) and the right edge.

        Args:
            by: "type", "kind" (the resource), "namespace", "key" or "writer".
            end: wall time of the right edge; None is now, at the end of its bin.
            limit: this many groups, the busiest first; the rest is one group, "other".

        Raises:
            UnknownColumn: `by` is none of these.
            ConfigError: a window or bin that is not positive, or too many bins.
        """
        note_read(self)
        bins = _bins(by, window_seconds, bin_seconds)
        now = self._clock.now() if end is None else end
        edge = (math.floor(now / bin_seconds) + 1) * bin_seconds if end is None else end
        start = edge - bins * bin_seconds
        with self._lock:
            self._digest()
            stamps = np.array(self._times, dtype=np.float64)
            codes = np.array(self._codes[by], dtype=np.int64)
            names = list(self._known[by])
        inside = (stamps >= start) & (stamps < edge)
        places = np.minimum(((stamps[inside] - start) / bin_seconds).astype(np.int64), bins - 1)
        inner = codes[inside]
        width = max(len(names), 1)
        per_group = np.bincount(inner, minlength=width)
        order = [int(g) for g in np.argsort(-per_group, kind="stable") if per_group[g] > 0]
        chosen = sorted(order[:limit], key=lambda g: names[g])
        column = np.full(width, len(chosen), dtype=np.int64)
        column[chosen] = np.arange(len(chosen))
        flat = places * (len(chosen) + 1) + column[inner]
        table = np.bincount(flat, minlength=bins * (len(chosen) + 1))
        table = table.reshape(bins, len(chosen) + 1)
        labels = [names[g] or "(none)" for g in chosen]
        if len(order) > limit:
            return [*labels, "other"], table, edge
        return labels, table[:, : len(chosen)], edge

    def frame(
        self, *, by: str = "type", window_seconds: float = 60.0, bin_seconds: float = 1.0
    ) -> pd.DataFrame:
        """Return events per second.

        Shape: index "time" (datetime64[us, UTC], start of the bin); one float64 column per
            group; attrs: by, bin_seconds.
        """
        names, table, edge = self.counts(
            by=by, window_seconds=window_seconds, bin_seconds=bin_seconds
        )
        starts = [edge - (len(table) - place) * bin_seconds for place in range(len(table))]
        frame = pd.DataFrame(
            table / bin_seconds,
            index=pd.Index(times(starts), name="time"),
            columns=pd.Index(names, dtype="object", name=by),
        )
        frame.attrs.update(by=by, bin_seconds=bin_seconds)
        return frame

    @property
    def df(self) -> pd.DataFrame:
        """Events per second by type over the last minute; `frame` has the options."""
        return self.frame()

    def top(
        self, by: str = "key", *, window_seconds: float = 60.0, limit: int = 10
    ) -> pd.DataFrame:
        """Return who causes most events.

        Shape: index `by`; events (int64), per_second (float64), share (float64, 0 to 1).
        """
        names, table, _ = self.counts(
            by=by,
            window_seconds=window_seconds,
            bin_seconds=window_seconds,
            end=self._clock.now() + _NOW_SECONDS,  # up to now, not to the end of a bin
            limit=1_000_000,
        )
        totals = table.sum(axis=0) if names else np.zeros(0, dtype=np.int64)
        order = sorted(range(len(names)), key=lambda g: (-totals[g], names[g]))[:limit]
        events = np.array([totals[g] for g in order], dtype=np.int64)
        whole = max(int(totals.sum()), 1)
        return pd.DataFrame(
            {"events": events, "per_second": events / window_seconds, "share": events / whole},
            index=pd.Index([names[g] for g in order], dtype="str", name=by),
        )

    def plot(
        self,
        *,
        by: str = "type",
        window_seconds: float = 60.0,
        bin_seconds: float = 1.0,
        title: str = "",
    ) -> Any:
        """Return a matplotlib Figure of stacked bars; it shows itself in a notebook."""
        from crlab.frame.rate_plot import rate_figure  # matplotlib only when asked for

        names, table, edge = self.counts(
            by=by, window_seconds=window_seconds, bin_seconds=bin_seconds
        )
        name = self._resource or "all resources"
        return rate_figure(names, table, edge, bin_seconds, title or f"{name}: events per second")

    # --- anomalies ------------------------------------------------------------------------

    def anomalies(
        self, *, window_seconds: float = 60.0, hot_events: int = 20, fight_turns: int = 4
    ) -> pd.DataFrame:
        """Return what is worth a look.

        "hot loop": one key got at least `hot_events` updates in the window, most of them by
        one writer. "fight": two or more writers took turns over one field of one key at
        least `fight_turns` times.

        Shape: RangeIndex; what, key, path ("" for loops), writers (list), events (int64),
            per_second (float64), hint; the worst first.
        """
        since = self._clock.now() - window_seconds
        recent = [e for e in self._events.events() if e.at >= since and e.type == "MODIFIED"]
        updates: dict[str, list[str]] = {}
        writes: dict[tuple[str, str], list[str]] = {}
        for event in recent:
            updates.setdefault(event.key, []).append(event.writer)
            for path in event.paths:
                if path == ".metadata.generation":
                    continue  # the server's own count of what the others wrote
                writes.setdefault((event.key, path), []).append(event.writer)
        rows = [
            _hot_row(key, writers) for key, writers in updates.items() if len(writers) >= hot_events
        ]
        for (key, path), writers in writes.items():
            turns = sum(1 for a, b in itertools.pairwise(writers) if a != b)
            if turns >= fight_turns and len(set(writers) - {""}) > 1:
                who = sorted(set(writers))
                hint = f"{' and '.join(who)} write {path} in turns ({turns} times)"
                rows.append(("fight", key, path, who, len(writers), hint))
        rows.sort(key=lambda row: (-row[4], row[1], row[2]))
        return pd.DataFrame(
            {
                "what": texts(row[0] for row in rows),
                "key": texts(row[1] for row in rows),
                "path": texts(row[2] for row in rows),
                "writers": cells([row[3] for row in rows]),
                "events": np.array([row[4] for row in rows], dtype=np.int64),
                "per_second": floats([row[4] / window_seconds for row in rows]),
                "hint": texts(row[5] for row in rows),
            }
        )


Row = tuple[str, str, str, list[str], int, str]


def _hot_row(key: str, writers: Sequence[str]) -> Row:
    counts = {writer: writers.count(writer) for writer in sorted(set(writers))}
    busiest = max(counts, key=lambda writer: counts[writer])
    hint = (
        f"{busiest or 'somebody'} made {counts[busiest]} of {len(writers)} updates; "
        "does its reconcile write on every run?"
    )
    return ("hot loop", key, "", list(counts), len(writers), hint)


def _bins(by: str, window_seconds: float, bin_seconds: float) -> int:
    if by not in DIMENSIONS:
        near = nearest(by, DIMENSIONS) or list(DIMENSIONS)
        raise UnknownColumn(
            f"cannot count by {by!r}; nearest: {', '.join(near)}", name=by, nearest=near
        )
    if not (window_seconds > 0 and bin_seconds > 0 and math.isfinite(window_seconds)):
        raise ConfigError("window_seconds and bin_seconds must be positive numbers")
    bins = max(1, math.ceil(window_seconds / bin_seconds - 1e-9))
    if bins > _MAX_BINS:
        raise ConfigError(f"{bins} bins; at most {_MAX_BINS}: make bin_seconds larger")
    return bins
