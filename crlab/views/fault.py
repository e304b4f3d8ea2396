"""The fault panel: what can be broken, what was.

Thread: pure functions.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, joined, plain
from crlab.views.format import clock_time, text_table
from crlab.views.grid import grid
from crlab.views.state import FaultRow, FaultState

MAX_FAULTS = 50


def _kind(fault: FaultRow) -> str:
    return "legal" if fault.is_legal else "never from a real API server"


def _state(fault: FaultRow) -> str:
    if fault.is_active:
        return "▲ active"
    return f"{fault.count}×" if fault.count else "-"


def fault_text(state: FaultState) -> str:
    """Return the faults as aligned text, and what was injected."""
    rows = [
        [plain(f.name, limit=30), _state(f), _kind(f), plain(f.description or f.title, limit=100)]
        for f in state.faults[:MAX_FAULTS]
    ]
    lines = text_table(["FAULT", "STATE", "KIND", "WHAT"], rows)
    lines += [f"{clock_time(at)} {plain(what, limit=200)}" for at, what in state.recent[-10:]]
    return "\n".join(lines) + "\n"


def fault_html(state: FaultState) -> Markup:
    """Return the faults as a table, and what was injected, newest first."""
    rows = [
        H.tr(
            H.td(plain(fault.title or fault.name, limit=60)),
            H.td(_state(fault), cls="warn" if fault.is_active else "dim"),
            H.td(_kind(fault)),
            H.td(plain(fault.description, limit=240), cls="wrap"),
        )
        for fault in state.faults[:MAX_FAULTS]
    ] or [H.tr(H.td("no faults to inject here", colspan=4, cls="dim"))]
    recent = [
        H.li(clock_time(at), " ", plain(what, limit=240)) for at, what in state.recent[:-11:-1]
    ]
    return joined(
        [
            grid("Faults", ("fault", "state", "kind", "what it does"), rows),
            H.h4("Injected, newest first") if recent else None,
            H.ul(recent, cls="plain") if recent else None,
        ]
    )
