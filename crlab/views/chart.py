"""The event-rate chart: stacked bars as hand-written SVG, and as text.

An SVG of this kind costs a fraction of a millisecond; a matplotlib figure (frame's
`rates.plot()`) costs a thousand times more and is for papers, not for ticks.

Guarantees:
  1. One path per series, whatever the number of bins; at most `MAX_BINS` bins and
     `MAX_SERIES` series (the smallest are added up as "others").
  2. Series differ in filling and outline as well as in colour; the legend is in the order
     of the stack and carries the numbers.

Thread: pure functions.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, joined, plain
from crlab.views.format import TYPE_MARKS, clock_time, count, counted
from crlab.views.state import RateState, Series

MAX_BINS = 120
MAX_SERIES = 6
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 760, 170, 40, 22, 10
_BARS = " ▁▂▃▄▅▆▇█"


def folded(state: RateState) -> list[Series]:
    """Return at most `MAX_SERIES` series of at most `MAX_BINS` bins, the rest added up."""
    series = [Series(s.name, s.counts[-MAX_BINS:]) for s in state.series]
    if len(series) <= MAX_SERIES:
        return series
    order = sorted(series, key=lambda s: -sum(s.counts))
    kept = {id(s) for s in order[: MAX_SERIES - 1]}
    rest = [s.counts for s in series if id(s) not in kept]
    others = tuple(sum(bins) for bins in zip(*rest, strict=True))
    name = f"{len(rest)} others"
    return [*(s for s in series if id(s) in kept), Series(name, others)]


def _totals(series: list[Series]) -> list[int]:
    return [sum(bins) for bins in zip(*(s.counts for s in series), strict=True)]


def _summary(state: RateState, series: list[Series]) -> str:
    totals = _totals(series)
    seconds = len(totals) * state.bin_seconds
    peak = max(totals, default=0) / state.bin_seconds
    return f"{counted(sum(totals), 'events')} in {seconds:g} s, peak {peak:g} a second"


def _label(series: Series, by: str) -> str:
    name = plain(series.name, limit=40)
    mark = TYPE_MARKS.get(series.name, "") if by == "type" else ""
    return f"{mark} {name}".strip()


def rate_text(state: RateState) -> str:
    """Return one sparkline per series, with its total."""
    series = folded(state)
    lines = [_summary(state, series)]
    top = max((max(s.counts, default=0) for s in series), default=0)
    size = max((len(_label(s, state.by)) for s in series), default=0)
    for one in series:
        bars = "".join(_BARS[-(-8 * n // top) if top else 0] for n in one.counts[-60:])
        lines.append(f"{_label(one, state.by):<{size}}  {sum(one.counts):>6}  |{bars}|")
    if state.note:
        lines.append(plain(state.note, limit=200))
    return "\n".join(lines) + "\n"


def rate_html(state: RateState) -> Markup:
    """Return chart, legend and a sentence with the numbers."""
    series = folded(state)
    legend = H.ul(
        [
            H.li(
                H.svg(
                    H.rect(x=1, y=1, width=10, height=10, cls=f"s{i}"),
                    width=12,
                    height=12,
                    aria_hidden="true",
                ),
                _label(one, state.by),
                " ",
                H.b(count(sum(one.counts))),
            )
            for i, one in reversed(list(enumerate(series)))
        ],
        cls="legend",
        aria_label="Legend, top of the stack first",
    )
    note = f" · {plain(state.note, limit=200)}" if state.note else ""
    return joined(
        [
            rate_svg(state),
            legend,
            H.div(f"{_summary(state, series)}, by {plain(state.by, limit=20)}{note}", cls="foot"),
        ]
    )


def rate_svg(state: RateState) -> Markup:
    """Return the stacked bars alone."""
    series = folded(state)
    totals = _totals(series)
    top = _nice(max(totals, default=0))
    bins = max(1, len(totals))
    step = (_WIDTH - _LEFT - 4) / bins
    height = _HEIGHT - _BOTTOM - _TOP
    floor = [0] * len(totals)
    paths = []
    for i, one in enumerate(series):
        parts = []
        for at, number in enumerate(one.counts):
            if number:
                x, tall = _LEFT + at * step + step * 0.1, number / top * height
                y = _HEIGHT - _BOTTOM - (floor[at] + number) / top * height
                parts.append(f"M{x:.1f} {y:.1f}h{step * 0.8:.1f}v{tall:.1f}h-{step * 0.8:.1f}z")
                floor[at] += number
        if parts:
            paths.append(H.path(d="".join(parts), cls=f"s{i}"))
    label = f"Event rate: {_summary(state, series)}; " + ", ".join(
        f"{_label(one, state.by)} {sum(one.counts)}" for one in series
    )
    return H.svg(
        H.title(label),
        _axes(state, top, bins, height),
        paths,
        role="img",
        aria_label=label,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width="100%",
        style=f"max-width:{_WIDTH}px;display:block",
    )


def _axes(state: RateState, top: int, bins: int, height: int) -> Markup:
    base = _HEIGHT - _BOTTOM
    out = []
    for share in (0.0, 0.5, 1.0):
        y = base - share * height
        out.append(H.line(x1=_LEFT, x2=_WIDTH - 4, y1=f"{y:.1f}", y2=f"{y:.1f}", cls="axis"))
        value = top * share
        if share == 0.0 or value == int(value):
            text = f"{value:g}"
            out.append(H.text(text, x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
    seconds = bins * state.bin_seconds
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = _LEFT + share * (_WIDTH - _LEFT - 4)
        at = state.end - seconds * (1 - share)
        out.append(H.text(clock_time(at), x=f"{x:.0f}", y=_HEIGHT - 6, text_anchor=anchor))
    return joined(out)


def _nice(peak: int) -> int:
    if peak <= 2:
        return 2
    scale = int(10 ** (len(str(peak)) - 1))
    return next(n * scale for n in (1, 2, 4, 5, 6, 8, 10) if n * scale >= peak)
