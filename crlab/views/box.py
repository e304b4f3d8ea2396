"""The boxes from the server to the handlers: what each keeps of the trace, and how it looks.

From: the records of one lane, one after the other (`fold.py`). To: one `StageState` a box.

Guarantees:
  1. A record costs O(1); what is kept is bounded by the number of objects and keys.
  2. A box's picture depends on its records and the time it is drawn for alone.

Thread: not locked; whoever owns the fold applies and reads from one thread at a time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import islice
from typing import Protocol

from crlab.cache import revision
from crlab.model.key import split_key
from crlab.model.object import KubeObject
from crlab.model.plural import counted
from crlab.trace.record import TraceRecord
from crlab.views.format import TYPE_MARKS, clock_time, lag
from crlab.views.state import MAX_ROWS, Item, StageState

_MARKS = {"add": "+", "update": "~"}
_TONES = {
    "listing": "busy",
    "streaming list": "busy",
    "opening": "busy",
    "watching": "good",
    "probing": "warn",
    "backing off": "warn",
    "polling": "good",
}


class Box(Protocol):
    """What a picture is drawn of."""

    def state(self, now: float) -> StageState:
        """Return the box at wall time `now`, without what is in it."""

    def items(self, now: float) -> list[Item]:
        """Return what is in it; made for the box that is opened only."""


class ServerBox:
    """The API server, as far as the trace heard of it."""

    def __init__(self) -> None:
        self.kind, self.host = "", ""
        self.revision = ""
        self.faults = 0
        self.asked: Counter[str] = Counter()

    def informer(self, record: TraceRecord) -> None:
        """Note which kind of server it is; an informer's record says so."""
        self.kind, self.host = str(record.get("server") or ""), str(record.get("host") or "")

    def heard(self, version: str) -> None:
        """Note a resourceVersion that the server gave."""
        if revision.is_number(version):
            self.revision = revision.newest(self.revision, version)

    def requested(self, record: TraceRecord) -> None:
        """Count a request."""
        self.asked[record.resource or "(the server)"] += 1

    def injected(self, record: TraceRecord) -> None:
        """Count a fault."""
        self.faults += 1

    def state(self, now: float) -> StageState:
        """Return the box."""
        is_embedded = self.kind == "embedded"
        facts = [("at", self.host)] if self.host else []
        facts += [("requests", str(self.asked.total()))]
        facts += [("faults", str(self.faults))] if self.faults else []
        return StageState(
            "server",
            state=self.kind,
            tone="good" if is_embedded else "",
            count=int(self.revision) if is_embedded and self.revision else None,
            unit="revisions",
            facts=tuple(facts),
            total=len(self.asked),
            thread="crlab-apiserver" if is_embedded else "",
        )

    def items(self, now: float) -> list[Item]:
        """Return what was asked about, the most often asked first."""
        return [Item(what, counted(n, "requests")) for what, n in self.asked.most_common(MAX_ROWS)]


class ReflectorBox:
    """The reflectors of one informer: where they are, what they brought."""

    def __init__(self) -> None:
        self.name = ""
        self.version = ""
        self.requests, self.errors, self.distrusted = 0, 0, 0
        self.phases: dict[str, tuple[str, float | None]] = {}  # namespace → phase, next try
        self._told: dict[str, int] = {}  # namespace → record of that phase
        self.recent: deque[Item] = deque(maxlen=MAX_ROWS)

    def informer(self, record: TraceRecord) -> None:
        """Note whose reflector it is."""
        self.name = str(record.get("name") or "")

    def moved(self, record: TraceRecord) -> None:
        """Note another phase of a reflector."""
        delay = record.get("delay_seconds")
        phase = str(record.get("state") or "").replace("_", " ")
        due = record.at + delay if delay else None
        namespace = str(record.get("namespace") or "")
        self.phases[namespace] = (phase, due)
        self._told[namespace] = record.seq

    def requested(self, record: TraceRecord) -> None:
        """Count a list or a watch: the phase of a reflector here led to it."""
        self.requests += not set(self._told.values()).isdisjoint(record.causes)

    def listed(self, record: TraceRecord) -> None:
        """Note a whole list."""
        self.version = record.resource_version
        pages = record.get("pages")
        detail = f"in {counted(pages, 'pages')} " if pages else ""
        text = f"list of {record.get('count')}"
        self.recent.append(Item(text, f"{detail}{clock_time(record.at)}", "="))

    def watched(self, record: TraceRecord) -> None:
        """Note a watch event."""
        self.version = record.resource_version or self.version
        kind = str(record.get("type") or "")
        detail = f"{kind} rv {record.resource_version} {clock_time(record.at)}"
        self.recent.append(Item(record.key, detail, TYPE_MARKS.get(kind, "")))

    def bookmarked(self, record: TraceRecord) -> None:
        """Note how far the watch is, said without an object."""
        self.version = record.resource_version or self.version

    def failed(self, record: TraceRecord) -> None:
        """Note an error, or an event that could not be trusted."""
        if record.get("type") == "violation":
            self.distrusted += 1
        else:
            self.errors += 1
        self.recent.append(Item("error", str(record.get("error") or ""), "!"))

    def state(self, now: float) -> StageState:
        """Return the box; of several namespaces, the first that does not watch."""
        phases = list(self.phases.values())
        phase, due = next(
            (p for p in phases if p[0] != "watching"), (phases or [("idle", None)])[0]
        )
        facts = [("rv", self.version or "-")]
        if due is not None and due > now:
            facts.append(("next list" if phase == "polling" else "retry in", lag(due - now)))
        facts += [("errors", str(self.errors))] if self.errors else []
        facts += [("distrusted", str(self.distrusted))] if self.distrusted else []
        return StageState(
            "reflector",
            state=phase,
            tone=_TONES.get(phase, ""),
            count=self.requests,
            unit="requests",
            facts=tuple(facts),
            total=len(self.recent),
            thread=f"crlab-reflector-{self.name}" if self.name else "",
        )

    def items(self, now: float) -> list[Item]:
        """Return what it brought, the newest first."""
        return list(reversed(self.recent))


@dataclass(slots=True)
class _Waiting:
    """What one record put into the queue: a delta, or a list of `left` objects."""

    key: str
    kind: str
    at: float
    scope: str = ""
    left: int = 1
    objects: Mapping[str, KubeObject] = field(default_factory=dict)


class QueueBox:
    """What the reflector handed on and the cache has not taken in yet."""

    def __init__(self) -> None:
        self.kind = ""
        self.waiting: dict[int, _Waiting] = {}  # by the record that queued it

    @property
    def is_atomic(self) -> bool:
        """Whether a list is one entry, as in `RealFIFO`."""
        return self.kind in ("", "RealFIFO")

    def informer(self, record: TraceRecord) -> None:
        """Note which queue it is."""
        self.kind = str(record.get("queue") or "")

    def listed(self, record: TraceRecord, gone: int) -> None:
        """Put in a list: one entry, or one for each object and each of the `gone`."""
        objects = {obj.key: obj for obj in record.get("objects") or ()}
        left = 1 if self.is_atomic else len(objects) + gone
        if left:
            scope = str(record.get("namespace") or "")
            entry = _Waiting("", "ReplacedAll", record.at, scope, left, objects)
            self.waiting[record.seq] = entry

    def queued(self, record: TraceRecord) -> None:
        """Put in a delta."""
        self.waiting[record.seq] = _Waiting(record.key, str(record.get("type") or ""), record.at)

    def taken(self, record: TraceRecord) -> _Waiting | None:
        """Take out what led to a record of the cache; return the list, if it was a whole one."""
        for cause in record.causes:
            entry = self.waiting.get(cause)
            if entry is None:
                continue
            entry.left -= 1
            if entry.left <= 0 or record.kind == "replaced":
                del self.waiting[cause]
            return None if entry.key else entry
        return None

    def state(self, now: float) -> StageState:
        """Return the box."""
        entries = list(self.waiting.values())
        total = sum(entry.left for entry in entries)
        facts = [("oldest", lag(max(0.0, now - entries[0].at)))] if entries else []
        return StageState(
            "queue",
            self.kind,
            state="waiting" if total else "empty",
            tone="busy" if total else "",
            count=total,
            unit="deltas",
            facts=tuple(facts),
            total=total,
        )

    def items(self, now: float) -> list[Item]:
        """Return what waits, the oldest first."""
        return [
            Item(entry.key, entry.kind)
            if entry.key
            else Item("(whole store)", f"{entry.kind} of {counted(len(entry.objects), 'objects')}")
            for entry in islice(self.waiting.values(), MAX_ROWS)
        ]


class IndexerBox:
    """The cache: its objects, and how far it is.

    Attributes:
        stored: key → object.
        version: the resourceVersion that the cache has reached.
    """

    def __init__(self) -> None:
        self.name = ""
        self.version = ""
        self.stored: dict[str, KubeObject] = {}
        self.indices: tuple[str, ...] = ()
        self.scopes: tuple[str, ...] = ("",)  # one per list that the first sync needs
        self.synced: set[str] = set()
        self._marks: dict[str, str] = {}  # what the last change of a key was

    def informer(self, record: TraceRecord) -> None:
        """Note its indices, and the namespaces that a first list is needed of."""
        self.name = str(record.get("name") or "")
        self.indices = tuple(record.get("indices") or ())
        namespaces = tuple(record.get("namespaces") or ())
        self.scopes = namespaces if len(namespaces) > 1 else ("",)

    def within(self, scope: str) -> list[str]:
        """Return the keys of a namespace, all of them for ""."""
        return [key for key in self.stored if not scope or split_key(key)[0] == scope]

    def changed(self, record: TraceRecord) -> None:
        """Store or remove one object."""
        operation = str(record.get("operation") or "")
        self.reached(record.resource_version)
        if operation == "delete":
            self.stored.pop(record.key, None)
            self._marks.pop(record.key, None)
        else:
            self.stored[record.key] = record.get("object")
            self._marks[record.key] = _MARKS.get(operation, "")

    def replaced(self, scope: str, objects: Mapping[str, KubeObject]) -> None:
        """Take a list in place of what was held of its namespace."""
        for key in self.within(scope):
            del self.stored[key]
            self._marks.pop(key, None)
        self.stored.update(objects)
        self.synced.add(scope)

    def reached(self, version: str) -> None:
        """Note how far the cache is."""
        self.version = version or self.version

    @property
    def has_synced(self) -> bool:
        """Whether the first list of every namespace is in it."""
        return self.synced.issuperset(self.scopes)

    def state(self, now: float) -> StageState:
        """Return the box."""
        facts = [("rv", self.version or "-")]
        facts += [("indices", ", ".join(self.indices))] if self.indices else []
        return StageState(
            "indexer",
            state="synced" if self.has_synced else "syncing",
            tone="good" if self.has_synced else "busy",
            count=len(self.stored),
            unit="objects",
            facts=tuple(facts),
            total=len(self.stored),
            thread=f"crlab-processor-{self.name}" if self.name else "",
        )

    def items(self, now: float) -> list[Item]:
        """Return the objects by key, each with what its last change was."""
        return [
            Item(key, f"rv {self.stored[key].resource_version}", self._marks.get(key, ""))
            for key in nsmallest(MAX_ROWS, self.stored)
        ]


@dataclass(slots=True)
class _Told:
    """What the handlers of one name were told; names need not be unique."""

    registered: int = 0
    number: int = 0
    errors: int = 0
    last: str = ""
    late: float | None = None


class HandlersBox:
    """Who is told of changes, and what each was told."""

    def __init__(self) -> None:
        self.handlers: dict[str, _Told] = {}

    def added(self, names: Iterable[str]) -> None:
        """Note handlers that were registered."""
        for name in names:
            self.handlers.setdefault(name, _Told()).registered += 1

    def removed(self, record: TraceRecord) -> None:
        """Forget a handler that was removed."""
        name = str(record.get("handler"))
        told = self.handlers.get(name)
        if told is not None:
            told.registered -= 1
            if not told.registered:
                del self.handlers[name]

    def notified(self, record: TraceRecord) -> None:
        """Note what a handler was told; one that was removed is still told what waited."""
        told = self.handlers.get(str(record.get("handler")))
        if told is not None:
            told.number += 1
            told.last = f"{record.get('type')} {record.key}"
            told.late = record.get("lag_seconds")

    def failed(self, record: TraceRecord) -> None:
        """Count an exception of a handler."""
        told = self.handlers.get(str(record.get("handler")))
        if told is not None:
            told.errors += 1

    def state(self, now: float) -> StageState:
        """Return the box."""
        errors = sum(told.errors for told in self.handlers.values())
        number = sum(told.number for told in self.handlers.values())
        facts = [("told", str(number))] if self.handlers else []
        facts += [("errors", str(errors))] if errors else []
        return StageState(
            "handlers",
            count=sum(told.registered for told in self.handlers.values()),
            unit="handlers",
            tone="bad" if errors else "",
            facts=tuple(facts),
            total=len(self.handlers),
            is_absent=not self.handlers,
        )

    def items(self, now: float) -> list[Item]:
        """Return the handlers, in the order they were registered."""
        return [_handler_item(name, told) for name, told in self.handlers.items()]


def _handler_item(name: str, told: _Told) -> Item:
    parts = [f"told {counted(told.number, 'times')}"]
    parts += [f"last: {told.last} {lag(told.late)} late".replace("  ", " ")] if told.last else []
    parts += [counted(told.errors, "errors")] if told.errors else []
    return Item(name, ", ".join(parts), "!" if told.errors else "")
