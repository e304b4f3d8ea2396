"""The time slider's band and caption: where in the trace the reader stands.

Thread: pure functions.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, joined, plain
from crlab.views.format import count, date_time
from crlab.views.state import TimeState

_WIDTH, _HEIGHT = 960, 54


def time_text(state: TimeState) -> str:
    """Return where the slider stands, as one line, and marks worth going to."""
    marks = [f"  {seq}: {plain(text, limit=120)}" for seq, text in state.marks[-8:]]
    return "\n".join([_caption(state), *marks]) + "\n"


def _caption(state: TimeState) -> str:
    if state.last_seq < state.first_seq:
        return "nothing has happened yet"
    span = f"of {count(state.first_seq)}-{count(state.last_seq)}"
    if state.seq is None:
        return f"live, at record {count(state.last_seq)} {span}"
    text = f"record {count(state.seq)} {span}"
    if state.at is not None:
        text += f", {date_time(state.at)}"
    return f"{text}: {plain(state.sentence, limit=300)}" if state.sentence else text


def time_html(state: TimeState) -> Markup:
    """Return where the slider stands, and marks worth going to."""
    marks = [H.li(H.code(f"{seq}"), " ", plain(text, limit=120)) for seq, text in state.marks[-8:]]
    return joined(
        [
            H.div(_caption(state), cls="said"),
            H.h4("Worth a look") if marks else None,
            H.ul(marks, cls="plain") if marks else None,
        ]
    )


def time_band_svg(state: TimeState) -> Markup:
    """Return the trace's activity as a band of bars, with marks and a cursor."""
    bars = state.activity or (0,)
    top = max(1, *bars)
    step = _WIDTH / len(bars)
    path = []
    for i, number in enumerate(bars):
        tall = 2 + number / top * (_HEIGHT - 16)
        path.append(f"M{i * step:.1f} {_HEIGHT - 4}v-{tall:.1f}h{step * 0.8:.1f}v{tall:.1f}z")
    x = _WIDTH - 7.0 if state.seq is None else _place(state, state.seq)
    marks = [
        H.path(d=f"M{_place(state, seq):.1f} 1l4 6h-8z", cls="s4") for seq, _ in state.marks[-40:]
    ]
    return H.svg(
        H.title(_caption(state)),
        H.path(d="".join(path), cls="s5"),
        marks,
        H.line(x1=f"{x:.1f}", x2=f"{x:.1f}", y1=0, y2=_HEIGHT, cls="cursor"),
        H.circle(cx=f"{x:.1f}", cy=7, r=6, cls="s0"),
        role="img",
        aria_label=f"Trace activity; {_caption(state)}",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width="100%",
        preserveAspectRatio="none",
        style=f"height:{_HEIGHT}px;display:block",
    )


def _place(state: TimeState, seq: int) -> float:
    span = max(1, state.last_seq - state.first_seq)
    share = min(1.0, max(0.0, (seq - state.first_seq) / span))
    return 7 + share * (_WIDTH - 14)
