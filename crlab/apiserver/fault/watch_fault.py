"""What faults do to the lines of one watch.

From: `WatchResponse.poll`, with the lines it is about to hand out. To: the lines the reader
gets instead, and whether the stream is cut after them.

Guarantees:
  1. Without an active fault the very same list comes back.
  2. A cut in mid-line sends a piece of a line and never its newline.
  3. A stalled stream gives nothing, not even its end, until it is released.

Thread: under the store's lock, as `poll`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from crlab.apiserver.representation import error_line
from crlab.apiserver.status import StatusError

if TYPE_CHECKING:
    from crlab.apiserver.audit_log import AuditRecord
    from crlab.apiserver.fault.fault_rule import InjectedFault
    from crlab.apiserver.fault.gate import FaultGate
    from crlab.apiserver.request import HttpRequest, RequestInfo

CUT, CLEAN = "cut", "clean"
_decode = msgspec.json.decode
_encode = msgspec.json.encode


@dataclass(slots=True)
class WatchLine:
    """One line and what it says."""

    line: bytes
    type: str
    namespace: str
    name: str

    @classmethod
    def read(cls, line: bytes) -> WatchLine:
        """Take a line apart; only done while a fault looks at events."""
        event: dict[str, Any] = _decode(line)
        metadata = (event.get("object") or {}).get("metadata") or {}
        return cls(
            line, event.get("type", ""), metadata.get("namespace", ""), metadata.get("name", "")
        )


class WatchFaults:
    """The faults of one open watch.

    Attributes:
        ending: "" while the stream goes on, "clean" or "cut" once it must end.
        is_stalled: whether lines are held back.
        is_over: whether the stream was closed, by whom ever.
    """

    __slots__ = (
        "_counts",
        "_error",
        "_faults",
        "_held",
        "_late",
        "_record",
        "ending",
        "info",
        "is_over",
        "is_stalled",
        "request",
    )

    def __init__(
        self, faults: FaultGate, info: RequestInfo, request: HttpRequest, record: AuditRecord
    ) -> None:
        self._faults = faults
        self._record = record  # of the request that opened it; it says what became of its lines
        self.info = info
        self.request = request
        self.ending = ""
        self.is_stalled = False
        self.is_over = False
        self._counts: dict[InjectedFault, int] = {}
        self._held: list[bytes] = []
        self._late: bytes | None = None
        self._error: StatusError | None = None

    def fail_with(self, error: StatusError) -> None:
        """Make the stream one ERROR line and its end."""
        self._error = error

    def shape(self, lines: list[bytes]) -> list[bytes]:
        """Return what the reader gets instead of these lines."""
        if self._error is not None:
            return self._end([error_line(self._error.to_dict())], CLEAN)
        rules = self._faults.watch_rules(self)
        if not rules and not self._held and self._late is None:
            return lines
        lines = self._held + lines
        self._held = []
        self.is_stalled = False
        out: list[bytes] = []
        for index, line in enumerate(lines):
            if self._stops(rules, out, line):
                break
            if self.is_stalled:
                self._held = lines[index:]
                return out
            out += self._altered(rules, line)
            for fault in rules:
                self._counts[fault] = self._counts.get(fault, 0) + 1
        else:
            # Once more after the last line: a quiet watch can be cut, too.
            self._stops(rules, out, None)
        # The fault went before the event that the late one was waiting for.
        if self._late is not None and not any(f.kind == "reorder" for f in rules):
            out.append(self._late)
            self._late = None
        return out

    def _stops(self, rules: list[InjectedFault], out: list[bytes], line: bytes | None) -> bool:
        """Cut, fail or stall before a line (None: after the last that is ready)."""
        for fault in rules:
            if fault.kind not in ("cut", "mid_line", "expire", "stall"):
                continue
            if self._counts.get(fault, 0) < fault.data.get("after_events", 0):
                continue
            if fault.kind == "stall":
                self._stall(fault)
            elif (fault.kind != "mid_line" or line is not None) and fault.take(
                self.info, record=self._record
            ):
                self._break(fault, out, line)
                return True
        return False

    def _stall(self, fault: InjectedFault) -> None:
        if not fault.is_holding(self):
            if not fault.take(self.info, record=self._record):
                return
            fault.hold(self)
        self.is_stalled = True

    def _break(self, fault: InjectedFault, out: list[bytes], line: bytes | None) -> None:
        if fault.kind == "expire":
            out.append(error_line(fault.data["error"].to_dict()))
            self._end(out, CLEAN)
            return
        if fault.kind == "mid_line" and line is not None:
            out.append(line[: max(1, len(line) // 2)])
        self._end(out, CLEAN if fault.data.get("is_clean") else CUT)

    def _end(self, out: list[bytes], how: str) -> list[bytes]:
        self.ending = how
        self._held = []
        return out

    def _altered(self, rules: list[InjectedFault], line: bytes) -> list[bytes]:
        """Return what one line becomes."""
        late, self._late = self._late, None
        out = [line]
        event = None
        for fault in rules:
            if fault.kind not in _ALTER:
                continue
            event = event or WatchLine.read(line)
            if not fault.fits_event(event) or not fault.take(
                self.info, event.name, record=self._record
            ):
                continue
            if fault.kind == "reorder":
                self._late = line
                out = []
            else:
                out = _ALTER[fault.kind](out, fault)
        return out + ([late] if late is not None else [])


def _drop(lines: list[bytes], fault: InjectedFault) -> list[bytes]:
    del lines, fault
    return []


def _duplicate(lines: list[bytes], fault: InjectedFault) -> list[bytes]:
    del fault
    return lines + lines


def _garble(lines: list[bytes], fault: InjectedFault) -> list[bytes]:
    del fault
    return [line[: len(line) // 2] + b"\n" for line in lines]


def _rewind(lines: list[bytes], fault: InjectedFault) -> list[bytes]:
    out = []
    for line in lines:
        event = _decode(line)
        metadata = event["object"]["metadata"]
        metadata["resourceVersion"] = str(
            max(1, int(metadata["resourceVersion"]) - fault.data["by"])
        )
        out.append(_encode(event) + b"\n")
    return out


_ALTER: dict[str, Any] = {
    "drop": _drop,
    "duplicate": _duplicate,
    "reorder": None,
    "garble": _garble,
    "rewind": _rewind,
    "no_bookmarks": _drop,
}
