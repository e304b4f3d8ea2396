"""Event rates as a matplotlib figure, by its object interface only.

Thread: a figure belongs to its caller; nothing global is touched.
Source: matplotlib, "Embedding in a web application server" (Figure without pyplot).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crlab.model.escape import plain

_COLOURS = ("#2f81f7", "#3fb950", "#d29922", "#f85149", "#a371f7", "#39c5cf", "#db61a2", "#8b949e")
_HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++", "oo")


class RateFigure(Figure):
    """A figure that shows itself in a notebook without pyplot, which would register that."""

    def _repr_png_(self) -> bytes:
        data = BytesIO()
        self.savefig(data, format="png", metadata={"Software": None})  # the same on every run
        return data.getvalue()


def rate_figure(
    names: Sequence[str], table: Any, end: float, bin_seconds: float, title: str
) -> RateFigure:
    """Return stacked bars of counts per bin, as events per second."""
    figure = RateFigure(figsize=(8, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    bins = len(table)
    offsets = [(place - bins) * bin_seconds for place in range(bins)]
    base = [0.0] * bins
    for number, name in enumerate(names):
        heights = [float(count) / bin_seconds for count in table[:, number]]
        axes.bar(
            offsets,
            heights,
            width=bin_seconds,
            align="edge",
            bottom=base,
            color=_COLOURS[number % len(_COLOURS)],
            hatch=_HATCHES[number // len(_COLOURS) % len(_HATCHES)],
            label=_label(name),
        )
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xlim(-bins * bin_seconds, 0)
    axes.set_ylim(bottom=0)
    moment = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    for setter, text in (
        (axes.set_title, title),
        (axes.set_xlabel, f"seconds before {moment}"),
        (axes.set_ylabel, "events/s"),
    ):
        setter(plain(text), parse_math=False)
    if names:
        legend = axes.legend(loc="upper left", fontsize="small")
        for entry in legend.get_texts():
            entry.set_parse_math(False)
    return figure


def _label(name: str) -> str:
    """A label that matplotlib neither hides (a leading "_") nor reads as a formula."""
    text = plain(name)
    return f" {text}" if text.startswith("_") else text
