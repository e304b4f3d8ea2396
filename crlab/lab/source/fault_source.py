"""The sandbox's faults for the fault panel.

Thread: `fault_state` any; `inject` and `clear` on the command thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crlab.errors import ConfigError
from crlab.lab.source.status_source import Changing, status_state
from crlab.views.state import FaultRow, FaultState

if TYPE_CHECKING:
    from crlab.lab.fault import LabFaults
    from crlab.lab.parts import Parts

RECENT = 20

_Inject = Callable[["LabFaults", str], Any]

#: name → title, description, whether it is legal, whether it takes a resource, how.
KINDS: dict[str, tuple[str, str, bool, bool, _Inject]] = {
    "cut": (
        "Cut the watch",
        "The connection breaks between two events; the reflector resumes where it was.",
        True,
        True,
        lambda faults, target: faults.cut_watch(target),
    ),
    "mid_line": (
        "Cut within a line",
        "The connection breaks inside an event; the half line is thrown away.",
        True,
        True,
        lambda faults, target: faults.cut_watch(target, mid_line=True),
    ),
    "expire": (
        "410 Gone",
        "The watch is told that its revision is no longer held; the reflector lists again.",
        True,
        True,
        lambda faults, target: faults.expire_watch(target),
    ),
    "stall": (
        "Stall the watch",
        "The connection stays open and silent; only the idle limit can tell.",
        True,
        True,
        lambda faults, target: faults.stall_watch(target),
    ),
    "conflict": (
        "409 Conflict",
        "The next update meets a conflict; read again and retry.",
        True,
        True,
        lambda faults, target: faults.conflict(target, times=1),
    ),
    "busy": (
        "429 Too Many Requests",
        "The next request is asked to come back in a second.",
        True,
        True,
        lambda faults, target: faults.status(429, resource=target, times=1, retry_after_seconds=1),
    ),
    "down": (
        "503 Unavailable",
        "The next three requests fail; back-off spaces the tries.",
        True,
        True,
        lambda faults, target: faults.status(503, resource=target, times=3),
    ),
    "compact": (
        "Compact history",
        "Everything before now is forgotten: older reads and watches get 410.",
        True,
        False,
        lambda faults, target: faults.compact(),
    ),
    "drop": (
        "Drop an event",
        "The next event is never sent. No real server does this; only an audit can tell.",
        False,
        True,
        lambda faults, target: faults.drop_event(target),
    ),
    "duplicate": (
        "Duplicate an event",
        "The next event is sent twice. No real server does this.",
        False,
        True,
        lambda faults, target: faults.duplicate_event(target),
    ),
}


class FaultPanel(Changing):
    """What the panel of one lab shows and does."""

    def __init__(self, parts: Parts, faults: LabFaults) -> None:
        super().__init__(parts)
        self._faults = faults

    def fault_state(self) -> FaultState:
        """Return what can be injected and what was; see `FaultSource`."""
        faults = self._faults
        active = {fault.kind for fault in faults.active()}
        journal = list(faults.journal)
        counts: dict[str, int] = {}
        for injection in journal:
            counts[injection.fault] = counts.get(injection.fault, 0) + 1
        return FaultState(
            faults=tuple(
                FaultRow(
                    name,
                    title,
                    description,
                    is_legal=is_legal,
                    is_active=name in active,
                    takes_target=takes_target,
                    count=counts.get(name, 0),
                )
                for name, (title, description, is_legal, takes_target, _) in KINDS.items()
            ),
            targets=tuple(
                informer.resource.gvr.resource for informer in list(self.parts.informers)
            ),
            recent=tuple((entry.at, entry.description) for entry in journal[-RECENT:][::-1]),
            status=status_state(self.parts),
        )

    def inject(self, name: str, target: str) -> None:
        """Inject a fault."""
        if name not in KINDS:
            raise ConfigError(f"no fault {name!r}; there are {', '.join(KINDS)}")
        KINDS[name][4](self._faults, target)

    def clear(self, name: str) -> None:
        """End an active fault ("": all)."""
        for fault in self._faults.active():
            if not name or fault.kind == name:
                fault.remove()
