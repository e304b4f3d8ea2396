"""The status header that every view carries, and the frame around a static view.

Guarantees:
  1. Says where this is, whether it may write, its state with cause, and "as of … rv …".
  2. A live header turns to "stale" by itself: its last element becomes visible by a style
     rule after `STALE_SECONDS`, unless the kernel replaces the header before. So a page
     whose kernel died or restarted says so, without script and without the kernel.

Thread: pure functions.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, joined, plain
from crlab.views.format import TONES, age, clock_time
from crlab.views.state import StatusState
from crlab.views.style import STALE_SECONDS, style_sheet

_TONE = {
    "live": "good",
    "starting": "busy",
    "stopping": "busy",
    "stale": "warn",
    "degraded": "warn",
    "failed": "bad",
    "gone": "bad",
    "closed": "",
    "stopped": "",
    "past": "",
}


def state_tone(state: str) -> str:
    """Return the tone ("good", "busy", "warn", "bad" or "") of a state's word."""
    return _TONE.get(state, "")


def writable_text(status: StatusState) -> str:
    """Return "writable", "read-only" or "writable: ns, ns"."""
    if status.writable == "all":
        return "writable"
    return f"writable: {plain(status.writable, limit=60)}" if status.writable else "read-only"


def as_of(status: StatusState) -> str:
    """Return "as of HH:MM:SSZ rv N", or the moment in the past that is looked at."""
    text = f"as of {clock_time(status.at)}"
    if status.resource_version:
        text += f" rv {plain(status.resource_version, limit=24)}"
    return text if status.moment is None else f"looking back at seq {status.moment}, {text}"


def heading(title: str, status: StatusState) -> str:
    """Return a view's title without the place, which the header says beside it."""
    place = f"{status.place} {status.name}".rstrip()
    return title.removesuffix(f" · {place}")


def _where(status: StatusState) -> str:
    host = status.server.partition("://")[2] or status.server
    parts = (status.place, status.name, f"at {host}" if host else "")
    return " ".join(plain(part, limit=60) for part in parts if part)


def _state(status: StatusState) -> str:
    if status.is_closed:
        return "closed"
    if status.age_seconds is None or status.state == "live":
        return plain(status.state, limit=20)
    return f"{plain(status.state, limit=20)} {age(status.age_seconds)}"


def status_text(status: StatusState) -> str:
    """Return the header as one line."""
    parts = [_where(status), writable_text(status), _state(status)]
    if status.cause:
        parts.append(plain(status.cause, limit=160))
    return " · ".join([*parts, as_of(status)])


def status_html(status: StatusState, *, title: str = "", live: bool = False) -> Markup:
    """Return the header. `live`: it is replaced at least every few seconds."""
    title = heading(title, status)
    tone = state_tone(status.state)
    sign = TONES[tone]
    writable = writable_text(status)
    write_tone = "good" if status.place == "sandbox" else "warn"
    stale = H.span(
        f"⚠ stale: no update for {STALE_SECONDS} s (kernel busy, stopped or restarted)",
        cls="badge warn stale",
    )
    notes = []
    if status.is_closed:
        notes.append(H.div("This lab is closed: the view shows its last state.", cls="note warn"))
    elif status.cause and tone in ("warn", "bad"):
        notes.append(
            H.div(H.b(sign, " ", status.state), " ", status.cause[:400], cls=f"note {tone}")
        )
    return joined(
        [
            H.div(
                H.span(title, cls="where") if title else None,
                H.span(H.bdi(_where(status)), cls="dim" if title else "where"),
                H.span(
                    writable,
                    cls=f"badge {write_tone}" if status.writable else "badge dim",
                ),
                H.span(sign, " ", _state(status), cls=f"badge {tone}".strip()),
                stale if live else None,
                H.span(as_of(status), cls="asof"),
                cls="head",
            ),
            *notes,
        ]
    )


def static_page(status: StatusState, body: Markup, *, title: str) -> Markup:
    """Return a whole view that needs no kernel: style, header, body."""
    return joined(
        [
            style_sheet(),
            H.section(status_html(status, title=title), body, cls="crlab", aria_label=title),
        ]
    )


def static_text(status: StatusState, body: str, *, title: str) -> str:
    """Return a whole view as text: title, header, body."""
    return (
        f"{plain(heading(title, status), limit=80)}\n{status_text(status)}\n\n{body}".rstrip()
        + "\n"
    )
