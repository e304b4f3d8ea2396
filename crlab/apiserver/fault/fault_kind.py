"""The table of faults: what each is called, what it does in a sentence, where it happens.

From: nothing. To: `InjectedFault`, which is of one kind; the gate, which asks where a kind
happens; the panel, which shows the kinds it can inject; the documentation and its tests.

Guarantees:
  1. One name a kind: of the panel's row, of `InjectedFault.kind`, of `Injection.fault`, of the
     column `fault` of `lab.faults.df` and of the record in the trace.

Thread: immutable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from crlab.apiserver.fault.fault_rule import InjectedFault
    from crlab.apiserver.fault.injector import Faults

FaultPlace = Literal["delay", "before", "after", "open", "watch", "now"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One thing that can go wrong.

    Attributes:
        name: what it is called everywhere.
        place: where it happens: "delay" and "before" and "after" a request is handled, when a
            watch is to "open", on the lines of a "watch", or "now".
        title, sentence: for people.
        is_legal: whether a real API server may behave so.
        inject: how the panel injects it into a resource ("" is everything); None: only by a call.
        takes_resource: whether `inject` looks at the resource.
    """

    name: str
    place: FaultPlace
    title: str
    sentence: str
    is_legal: bool = True
    inject: Callable[[Faults, str], InjectedFault] | None = None
    takes_resource: bool = True


_KINDS = (
    FaultKind(
        "cut",
        "watch",
        "Cut the watch",
        "The connection breaks between two events; the reflector resumes where it was.",
        inject=lambda faults, resource: faults.cut_watch(resource),
    ),
    FaultKind(
        "mid_line",
        "watch",
        "Cut within a line",
        "The connection breaks inside an event; the half line is thrown away.",
        inject=lambda faults, resource: faults.cut_watch(resource, mid_line=True),
    ),
    FaultKind(
        "expire",
        "watch",
        "410 Gone",
        "The watch is told that its revision is no longer held; the reflector lists again.",
        inject=lambda faults, resource: faults.expire_watch(resource),
    ),
    FaultKind(
        "stall",
        "watch",
        "Stall the watch",
        "The connection stays open and silent; only the idle limit can tell.",
        inject=lambda faults, resource: faults.stall_watch(resource),
    ),
    FaultKind(
        "conflict",
        "before",
        "409 Conflict",
        "The next update meets a conflict; read again and retry.",
        inject=lambda faults, resource: faults.conflict(resource),
    ),
    FaultKind(
        "busy",
        "before",
        "429 Too Many Requests",
        "The next request is asked to come back in a second.",
        inject=lambda faults, resource: faults.status(429, resource=resource),
    ),
    FaultKind(
        "down",
        "before",
        "503 Unavailable",
        "The next three requests fail; back-off spaces the tries.",
        inject=lambda faults, resource: faults.status(503, resource=resource, times=3),
    ),
    FaultKind(
        "compact",
        "now",
        "Compact history",
        "Everything before now is forgotten: older reads and watches get 410.",
        inject=lambda faults, resource: faults.compact(),
        takes_resource=False,
    ),
    FaultKind(
        "drop",
        "watch",
        "Drop an event",
        "The next event is never sent. No real server does this; only an audit can tell.",
        is_legal=False,
        inject=lambda faults, resource: faults.drop_event(resource),
    ),
    FaultKind(
        "duplicate",
        "watch",
        "Duplicate an event",
        "The next event is sent twice. No real server does this.",
        is_legal=False,
        inject=lambda faults, resource: faults.duplicate_event(resource),
    ),
    FaultKind("reorder", "watch", "Reorder events", "An event comes late.", is_legal=False),
    FaultKind("garble", "watch", "Garble an event", "An event is not JSON.", is_legal=False),
    FaultKind("rewind", "watch", "Rewind", "A resourceVersion goes back.", is_legal=False),
    FaultKind("no_bookmarks", "watch", "No bookmarks", "Not even after initial events."),
    FaultKind("window", "open", "Short history", "A watch that resumes too late gets 410."),
    FaultKind("no_watch_list", "before", "No WatchList", "sendInitialEvents is refused."),
    FaultKind("status", "before", "Error", "Requests are answered with an error."),
    FaultKind("latency", "delay", "Latency", "Requests wait before they are handled."),
    FaultKind("reset", "before", "Hang up", "The connection breaks, nothing was done."),
    FaultKind("reset_after", "after", "Hang up late", "The connection breaks, it was done."),
    FaultKind("refuse", "before", "Refuse", "Connections are refused."),
    FaultKind("stale", "before", "Stale reads", "Cached lists are from the past."),
    FaultKind("rebuild", "now", "Rebuild storage", "A resource's watches end and start anew."),
)
FAULT_KINDS: dict[str, FaultKind] = {kind.name: kind for kind in _KINDS}
