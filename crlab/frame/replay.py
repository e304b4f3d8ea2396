"""A recording as something to list and watch: informers run on it as on a server.

From: the reflector records of a recording, each reflector's by itself: one for each namespace
of each informer. To: any `SharedInformer`, through the
`ListerWatcher` protocol. What was listed is listed, what was watched comes on the watch,
in its order; where the recorded informer had to list again, so has the replaying one.

Guarantees:
  1. The objects, their order and their resourceVersions are the recorded ones.
  2. Nothing is sent anywhere; a write is not possible.
  3. `ReplayControl` releases events by time (at any speed), by steps, or all at once; then
     each has its recorded time, if the clock can show one (`runtime.recorded_clock`).

Thread: `ReplayControl` and streams from any thread; `_condition` guards the position.
Source: decision 6 of docs/architecture.md.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from crlab.client.list_watch import EndOfStream, ListOptions, ListPage, WatchEvent
from crlab.errors import ConfigError, ResourceExpired, TransportError, UnknownResource, nearest
from crlab.model.key import split_key
from crlab.model.object import KubeObject
from crlab.model.plural import counted
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.trace.record import TraceRecord
from crlab.trace.recording import Recording

HELD = "held"  # what an informer held when the recording began, and the trace had lost
_KINDS = ("listed", "watch_event", "bookmark", HELD)
_BOOKMARK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Scope:
    """What one recorded reflector listed and watched.

    Attributes:
        source: what the trace calls its informer.
        namespace: None for all.
    """

    source: str
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""
    is_metadata_only: bool = False

    def __str__(self) -> str:
        place = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        chosen = [each for each in (self.label_selector, self.field_selector) if each]
        kind = " as metadata only" if self.is_metadata_only else ""
        return f"{place}{''.join(f' where {each}' for each in chosen)}{kind}"


class ReplayControl:
    """How far a replay has come.

    Attributes:
        speed: recorded seconds per second; None: only by `step`.
    """

    def __init__(
        self, recording: Recording, clock: Clock, *, speed: float | None = float("inf")
    ) -> None:
        """Begin at the start.

        Args:
            speed: 1.0 as it was, 10.0 ten times as fast, inf at once, None by steps.

        Raises:
            ConfigError: a speed that is not positive.
        """
        self.recording = recording
        self.clock = clock
        self.condition = threading.Condition()
        self.speed: float | None = None
        self._records = [
            record
            for record in recording.records
            if record.stage == "reflector" and record.kind in _KINDS
        ]
        self._seqs = [record.seq for record in self._records]
        self._given: Counter[Scope] = Counter()  # how often each stream was given out
        self._informers = {
            (record.resource, scope.source): scope
            for record in recording.records
            if record.stage == "lab" and record.kind == "informer" and record.get("source")
            for scope in [_recorded_scope(record)]
        }
        self._released = 0  # how many of `_records`
        self._anchor = (0.0, 0.0)  # monotonic time, recorded time
        self.play(speed)

    @property
    def seq(self) -> int:
        """The recorded seq up to which everything has been released."""
        return self._seqs[self.released - 1] if self.released else 0

    @property
    def released(self) -> int:
        """How many listed, watched and bookmark records have been released."""
        self._advance()
        return self._released

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._records)

    @property
    def is_at_end(self) -> bool:
        """Whether everything has been released."""
        return self.released >= self.total

    def play(self, speed: float | None = 1.0) -> None:
        """Go on by time (inf: all at once; None: pause)."""
        if speed is not None and not speed > 0:
            raise ConfigError(f"speed is {speed}; expected a positive number, or None to pause")
        self._advance()
        with self.condition:
            self.speed = speed
            at = self._records[min(self._released, len(self._records) - 1)].at if self.total else 0
            self._anchor = (self.clock.monotonic(), at)
            self.condition.notify_all()

    def pause(self) -> None:
        """Release no more until `play` or `step`."""
        self.play(None)

    def step(self, count: int = 1) -> TraceRecord | None:
        """Release the next `count` records; return the last of them, None at the end."""
        self._advance()
        with self.condition:
            before = self._released
            self._released = min(self._released + max(0, count), self.total)
            self.condition.notify_all()
            return self._records[self._released - 1] if self._released > before else None

    def seek(self, seq: int) -> None:
        """Release everything up to a recorded seq (there is no way back)."""
        with self.condition:
            self._released = max(self._released, bisect_right(self._seqs, seq))
            self.condition.notify_all()

    def __repr__(self) -> str:
        pace = "by steps" if self.speed is None else f"speed {self.speed:g}"
        return f"ReplayControl({self.released} of {counted(self.total, 'records')}, {pace})"

    def due_seconds(self) -> float | None:
        """Return how long until the next record is released by time; None: it is not."""
        self._advance()
        with self.condition:
            if self.speed is None or self._released >= self.total:
                return None
            began, recorded = self._anchor
            ahead = (self._records[self._released].at - recorded) / self.speed
            return max(0.0, began + ahead - self.clock.monotonic())

    def is_released(self, record: TraceRecord) -> bool:
        """Whether a record has been released."""
        return record.seq <= self.seq

    def handed_on(self, record: TraceRecord) -> bool:
        """Show the clock the time of a record that is handed on; whether it took it.

        It does if the recording is played at once and the clock can show recorded time.
        """
        show = getattr(self.clock, "show", None)
        is_shown = show is not None and self.speed == float("inf")
        if show is not None:
            show(record.at if is_shown else None)
        return is_shown

    def _advance(self) -> None:
        with self.condition:
            if self.speed is None or self._released >= self.total:
                return
            if self.speed == float("inf"):
                self._released = self.total
            else:
                began, recorded = self._anchor
                upto = recorded + (self.clock.monotonic() - began) * self.speed
                while self._released < self.total and self._records[self._released].at <= upto:
                    self._released += 1

    def scopes(self, resource: ApiResource) -> list[Scope]:
        """Return what was recorded of a resource, in the order of the first lists."""
        return list(self._streams(resource))

    def _streams(self, resource: ApiResource) -> dict[Scope, list[TraceRecord]]:
        """Return the records of each recorded reflector, from a list on."""
        name = resource.gvr.group_resource
        streams: dict[Scope, list[TraceRecord]] = {}
        mine = [record for record in self._records if record.resource == name]
        first = next((source for r in mine if (source := r.get("source"))), "")
        for record in mine:
            source = str(record.get("source", first))  # one that names none is the first's
            known = self._informers.get((name, source)) or _scope_of(source)
            scope = replace(known, namespace=record.get("namespace") or known.namespace)
            streams.setdefault(scope, []).append(record)
        begun = {scope: _from_list(records) for scope, records in streams.items()}
        listed = [(records[0].seq, scope) for scope, records in begun.items() if records]
        return {scope: begun[scope] for _, scope in sorted(listed, key=lambda pair: pair[0])}

    def lister_watcher(
        self,
        resource: ApiResource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> Replay:
        """Return a lister-watcher over what was recorded so of one resource.

        A namespace is taken out of all of them, if it was not recorded by itself.

        Raises:
            UnknownResource: it was not recorded.
            ConfigError: not in this namespace, or so selected; says what was.
        """
        streams = self._streams(resource)
        if not streams:
            known = sorted({record.resource for record in self._records})
            name = resource.gvr.group_resource
            raise UnknownResource(
                name, nearest=nearest(name, known) or known, where="the recording"
            )
        for place in dict.fromkeys((namespace, None)):
            wanted = Scope("", place, label_selector, field_selector, metadata_only)
            fitting = [scope for scope in streams if replace(scope, source="") == wanted]
            if fitting:
                # Several recorded informers may have watched the same: each has lists and breaks
                # of its own, so each that asks is given another, in the order of the recording.
                scope = min(fitting, key=self._given.__getitem__)
                self._given[scope] += 1
                return Replay(
                    self, streams[scope], resource, namespace, label_selector, field_selector
                )
        asked = Scope("", namespace, label_selector, field_selector, metadata_only)
        held = "; ".join(dict.fromkeys(map(str, streams)))
        raise ConfigError(
            f"{resource.gvr.group_resource} were not recorded {asked}; they were: {held}"
        )


def _from_list(records: list[TraceRecord]) -> list[TraceRecord]:
    """Return a reflector's records from its first list on, else from what it held.

    What the informer held when the recording began comes after events that may be older or
    newer than it: the newer ones follow it.
    """
    place = next((n for n, record in enumerate(records) if record.kind == "listed"), None)
    held = next((record for record in records if record.kind == HELD), None)
    if place is None or (held is not None and held.seq < records[place].seq):
        if held is None:
            return []
        base = structs.replace(held, kind="listed")
        reached = _number(held.resource_version)
        later = [r for r in records if r.kind != HELD]
        return [base, *(r for r in later if _number(r.resource_version) > reached)]
    return [record for record in records[place:] if record.kind != HELD]


def _number(version: str) -> int:
    return int(version) if version.isascii() and version.isdigit() else 0


def _recorded_scope(record: TraceRecord) -> Scope:
    """Return what an informer was asked for, as its lab noted it."""
    namespaces = tuple(record.get("namespaces") or [])
    return Scope(
        str(record.get("source")),
        str(namespaces[0]) if len(namespaces) == 1 else None,
        str(record.get("label_selector", "")),
        str(record.get("field_selector", "")),
        record.get("is_metadata_only") is True,
    )


def _scope_of(source: str) -> Scope:
    """Return what an informer's name in the trace says, where nothing else does."""
    name, *selectors = source.split("?")
    chosen = dict(each.partition("=")[::2] for each in selectors)
    return Scope(
        source,
        name.partition("#")[0].partition("/")[2] or None,
        chosen.get("label_selector", ""),
        chosen.get("field_selector", ""),
    )


class Replay:
    """A `ListerWatcher` over the records of one resource.

    Attributes:
        label_selector, field_selector: what the recorded informer asked for.
    """

    def __init__(
        self,
        control: ReplayControl,
        records: Sequence[TraceRecord],
        resource: ApiResource,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self._control = control
        self._records = records
        self.label_selector = label_selector
        self.field_selector = field_selector
        self._resource = resource
        self._namespace = namespace
        self._position = -1  # of the list that was given last
        self._is_aborted = False
        self._stream: ReplayStream | None = None

    @property
    def resource(self) -> ApiResource:
        """What it lists."""
        return self._resource

    @property
    def namespace(self) -> str | None:
        """Where; None is everywhere."""
        return self._namespace

    def list(self, options: ListOptions) -> ListPage:
        """Return the next recorded list that has been released (again the last one, else).

        Raises:
            TransportError: aborted, or nothing was recorded before this point.
        """
        if self._is_aborted:
            raise TransportError("the replay was closed", phase="list")
        place = self._position
        for number, record in enumerate(self._records):
            if record.kind != "listed" or number <= place:
                continue
            if place < 0 or self._control.is_released(record):
                self._control.seek(record.seq)  # the first list is always there
                place = number
                break
        self._position = place
        record = self._records[place]
        self._control.handed_on(record)
        items = [obj for obj in record.get("objects") or () if self._is_mine(obj)]
        return ListPage(items, record.resource_version)

    def watch(self, options: ListOptions) -> ReplayStream:
        """Open a watch after `options.resource_version`.

        Raises:
            ResourceExpired: the recording does not hold that revision.
            TransportError: aborted.
        """
        if self._is_aborted:
            raise TransportError("the replay was closed", phase="watch")
        initial: list[WatchEvent] = []
        version = options.resource_version or ""
        if options.send_initial_events:
            page = self.list(options)
            initial = [WatchEvent("ADDED", obj, obj.resource_version) for obj in page.items]
            initial.append(
                WatchEvent("BOOKMARK", None, page.resource_version, is_initial_events_end=True)
            )
            start, version = self._position + 1, page.resource_version
        else:
            start = self._after(version)
        self._stream = ReplayStream(self._control, self, start, initial, version)
        return self._stream

    def abort(self) -> None:
        """End the watch; later calls fail. Idempotent, any thread."""
        self._is_aborted = True
        if self._stream is not None:
            self._stream.close()

    @property
    def records(self) -> Sequence[TraceRecord]:
        """The recorded stream of this resource."""
        return self._records

    def event(self, record: TraceRecord) -> WatchEvent | None:
        """Return a record as the watch event it was; None for one of another namespace."""
        if record.kind == "bookmark":
            return WatchEvent("BOOKMARK", None, record.resource_version)
        obj = record.get("object")
        if not isinstance(obj, KubeObject) or not self._is_mine(obj):
            return None
        return WatchEvent(str(record.get("type")), obj, record.resource_version)

    def _is_mine(self, obj: KubeObject) -> bool:
        return self._namespace is None or split_key(obj.key)[0] == self._namespace

    def _after(self, version: str) -> int:
        """Where a watch from `version` begins: after the newest record that reached it."""
        for number in range(len(self._records) - 1, -1, -1):
            record = self._records[number]
            if record.resource_version == version and (
                number <= max(self._position, 0) or self._control.is_released(record)
            ):
                return number + 1
        raise ResourceExpired(
            f"the recording has no revision {version!r} of this resource",
            code=410,
            reason="Expired",
            tried=f"watch {self._resource.gvr.group_resource}",
        )


class ReplayStream:
    """A watch over recorded events."""

    def __init__(
        self,
        control: ReplayControl,
        owner: Replay,
        start: int,
        initial: list[WatchEvent],
        version: str = "",
    ) -> None:
        self._control = control
        self._owner = owner
        self._next = start
        self._initial = initial
        self._is_closed = False
        self._version = version
        self._said_at = control.clock.monotonic()

    def read(self, timeout_seconds: float | None) -> list[WatchEvent]:
        """Return the released events, waiting for the first; [] if none came in time.

        Raises:
            TransportError: the stream was closed here.
            EndOfStream: never; a recorded stream stays open at its end.
        """
        deadline = Deadline(self._control.clock, timeout_seconds)
        while True:
            if self._is_closed:
                raise TransportError("the replayed watch was closed", phase="watch")
            events = self._ready()
            if events or deadline.is_over():
                return events
            self._wait(deadline.remaining_seconds())

    def close(self) -> None:
        """End the watch and wake a blocked reader. Idempotent; any thread."""
        with self._control.condition:
            self._is_closed = True
            self._control.condition.notify_all()

    def _ready(self) -> list[WatchEvent]:
        if self._initial:
            events, self._initial = self._initial, []
            return events
        events = []
        records = self._owner.records
        while self._next < len(records) and self._control.is_released(records[self._next]):
            record = records[self._next]
            if record.kind == "listed":
                if not events:
                    self._is_closed = True
                    return [WatchEvent("ERROR", status=_expired())]
                break  # first what came before it
            self._next += 1
            event = self._owner.event(record)
            self._version = record.resource_version or self._version
            if event is None:
                continue
            events.append(event)
            if self._control.handed_on(record):
                break  # one by one: each has its own time
        now = self._control.clock.monotonic()
        if not events and self._version and now - self._said_at >= _BOOKMARK_SECONDS:
            events = [WatchEvent("BOOKMARK", None, self._version)]
        if events:
            self._said_at = now
        return events

    def _wait(self, timeout_seconds: float | None) -> None:
        due = self._control.due_seconds()
        times = [t for t in (timeout_seconds, due, _BOOKMARK_SECONDS) if t is not None]
        with self._control.condition:
            if not self._is_closed:
                self._control.clock.wait(self._control.condition, max(0.001, min(times)))


def _expired() -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "the recorded informer listed again here",
        "reason": "Expired",
        "code": 410,
    }


__all__ = ["EndOfStream", "Replay", "ReplayControl", "ReplayStream"]
