"""The live event-rate chart.

Thread: as `view.py` says.
"""

from __future__ import annotations

from typing import Any

from crlab.errors import ConfigError
from crlab.model.escape import Markup
from crlab.views.chart import rate_html, rate_text
from crlab.views.state import RateQuery, RateState
from crlab.widgets.view import Control, View
from crlab.widgets.view_source import HasPlot, RateSource

GROUPS = ("type", "kind", "namespace", "key", "writer")
WINDOWS = (("30 s", 30.0), ("1 min", 60.0), ("5 min", 300.0), ("15 min", 900.0), ("1 h", 3600.0))
BINS = (("auto", 0.0), ("1 s", 1.0), ("5 s", 5.0), ("10 s", 10.0), ("1 min", 60.0))
MAX_BINS = 120


class RateView(View):
    """Events per bin, stacked; made by ``informer.rates.watch()``.

    `by`, `window` and `bin` are its ipywidgets; `plot` draws the same with matplotlib.
    """

    kind = "Event rate"
    _source: RateSource

    def __init__(
        self,
        source: RateSource,
        *,
        title: str,
        owner: object = None,
        by: str = "type",
        window_seconds: float = 60.0,
        bin_seconds: float = 0.0,
    ) -> None:
        """Prepare a chart; `bin_seconds` 0 chooses bins so that about 60 are shown."""
        super().__init__(source, title=title, owner=owner)
        if by not in GROUPS:
            raise ConfigError(f"by={by!r}: events are grouped by one of {', '.join(GROUPS)}")
        if not (window_seconds > 0 and bin_seconds >= 0):
            raise ConfigError("window_seconds must be above 0 and bin_seconds not below")
        self._by = by
        self._window_seconds = window_seconds
        self._bin_seconds = bin_seconds

    def _read(self) -> RateState:
        wanted = self._bin_seconds or self._window_seconds / 60
        wanted = max(wanted, self._window_seconds / MAX_BINS)
        return self._source.rate_state(RateQuery(self._by, self._window_seconds, wanted))

    def _text(self, state: RateState) -> str:
        return rate_text(state)

    def _html(self, state: RateState) -> Markup:
        return rate_html(state)

    def plot(self) -> object:
        """Return the same as a matplotlib figure, where the source can draw one."""
        if not isinstance(self._source, HasPlot):
            raise ConfigError("this source has no matplotlib figure")
        return self._source.plot()

    by = Control("The drop-down of what to group by.")
    window = Control("The drop-down of the window's length.")
    bin = Control("The drop-down of the bins' length.")

    def _controls(self) -> list[Any]:
        from crlab.widgets.control import choice

        boxes = self._boxes
        boxes["by"] = choice("By", GROUPS, lambda v: self._set("_by", v), width="160px")
        windows = _with(WINDOWS, self._window_seconds)
        bins = _with(BINS, self._bin_seconds)
        boxes["window"] = choice(
            "Window", windows, lambda v: self._set("_window_seconds", v), width="170px"
        )
        boxes["bin"] = choice("Bin", bins, lambda v: self._set("_bin_seconds", v), width="130px")
        for name, value in (
            ("by", self._by),
            ("window", self._window_seconds),
            ("bin", self._bin_seconds),
        ):
            boxes[name].value = value
        return list(boxes.values())

    def _set(self, name: str, value: Any) -> None:
        setattr(self, name, value)
        self._asked()


def _with(options: tuple[tuple[str, float], ...], value: float) -> list[tuple[str, float]]:
    known = {seconds for _, seconds in options}
    more = [] if value in known else [(f"{value:g} s", value)]
    return [*options, *more]
