"""The time slider: any moment of the trace, with table and pipeline as they were.

The slider is a band of the trace's activity with a cursor; pressing a place of the band
goes there. The number box and the arrows do the same for the keyboard (the sliders of
ipywidgets have a handle without a name, which screen readers cannot say).

Thread: as `view.py` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crlab.model.escape import H, Markup, joined, trusted
from crlab.views.pipeline import pipeline_html, pipeline_text
from crlab.views.state import PipelineQuery, PipelineState, StatusState, TableQuery, TableState
from crlab.views.state import TimeState as Moment
from crlab.views.table import table_html, table_text
from crlab.views.time_slider import time_band_svg, time_html, time_text
from crlab.widgets.view import Control, View
from crlab.widgets.view_source import PipelineSource, TableSource, TimeSource

PLACES = 48  # places of the band that can be pressed

_OVERLAY = trusted(
    "<style>"
    ".crlab-time{position:relative;max-width:1080px;overflow:hidden;height:58px}"
    ".crlab-time>.widget-html,.crlab-time>.widget-html>.widget-html-content{margin:0;width:100%}"
    ".crlab-time>.crlab-places{position:absolute;inset:0;display:grid;margin:0;height:58px;"
    f"grid-template-columns:repeat({PLACES},minmax(0,1fr));gap:0;overflow:hidden}}"
    ".crlab-places>.jupyter-button{background:transparent;color:transparent;border:0;margin:0;"
    "padding:0;width:auto;height:58px;box-shadow:none}"
    ".crlab-places>.jupyter-button:hover{background:rgba(107,63,196,.15);color:transparent;"
    "box-shadow:none}"
    "</style>"
)


@dataclass(frozen=True, slots=True)
class TimelineState:
    """One moment: where the slider is, and table and pipeline as of then."""

    time: Moment
    pipeline: PipelineState | None = None
    table: TableState | None = None

    @property
    def status(self) -> StatusState:
        """The header's status."""
        return self.time.status


class TimeSliderView(View):
    """Travel in the trace; made by ``lab.time_slider()``."""

    kind = "Time"
    _source: TimeSource

    def __init__(
        self,
        source: TimeSource,
        *,
        title: str,
        owner: object = None,
        pipeline: PipelineSource | None = None,
        table: TableSource | None = None,
    ) -> None:
        super().__init__(source, title=title, owner=owner)
        self._pipeline = pipeline
        self._table = table
        self._seq: int | None = None
        self._places: list[Any] = []
        self._is_syncing = False

    def _read(self) -> TimelineState:
        time = self._source.time_state(self._seq)
        pipeline, table = self._pipeline, self._table
        return TimelineState(
            time,
            pipeline.pipeline_state(PipelineQuery(moment=time.seq)) if pipeline else None,
            table.table_state(TableQuery(limit=10, moment=time.seq)) if table else None,
        )

    def _text(self, state: TimelineState) -> str:
        parts = [time_text(state.time)]
        if state.pipeline:
            parts.append(pipeline_text(state.pipeline))
        if state.table:
            parts.append(table_text(state.table))
        return "\n".join(parts)

    def _html(self, state: TimelineState) -> Markup:
        return joined([time_band_svg(state.time), self._below(state)])

    def _below(self, state: TimelineState) -> Markup:
        return joined(
            [
                time_html(state.time),
                pipeline_html(state.pipeline) if state.pipeline else None,
                table_html(state.table) if state.table else None,
            ]
        )

    # --- what users call ------------------------------------------------------------------

    def go(self, seq: int | None) -> None:
        """Look at the moment after record `seq`; None: live."""
        self._seq = seq
        self._asked()

    seq = Control("The number box of the record looked at.")
    first_button = Control("The button to the oldest record held.")
    back_button = Control("The button one record back.")
    forward_button = Control("The button one record on.")
    live_button = Control("The button back to now.")

    # --- widgets --------------------------------------------------------------------------

    def _controls(self) -> list[Any]:
        from crlab.widgets.control import button, number_box

        boxes = self._boxes
        boxes["first_button"] = button("First", self._first, says="The oldest record held")
        boxes["back_button"] = button("◀ Back", lambda: self._move(-1), says="One record back")
        boxes["seq"] = number_box("Record", self._typed)
        boxes["forward_button"] = button("Forward ▶", lambda: self._move(1), says="One record on")
        boxes["live_button"] = button("Live", lambda: self.go(None), says="Now", style="primary")
        return list(boxes.values())

    def _arrange(self, controls: list[Any], body: Any) -> list[Any]:
        from crlab.widgets.control import button, layer, pane, row

        self._panes["band"] = pane()
        for place in range(PLACES):
            made = button(
                f"Go to {round(100 * place / (PLACES - 1))} %", self._goer(place / (PLACES - 1))
            )
            made.tabbable = False  # the number box and the arrows serve the keyboard
            self._places.append(made)
        band = layer([self._panes["band"], *self._places], "crlab-time", "crlab-places")
        style = pane(str(_OVERLAY))
        self._disposables += [style, self._panes["band"]]
        return [row([*controls, self._panes["note"]]), style, band, body]

    def _goer(self, share: float) -> Any:
        def pressed() -> None:
            time = self._source.time_state(None)
            if time.last_seq >= time.first_seq:
                self.go(time.first_seq + round(share * (time.last_seq - time.first_seq)))

        return pressed

    def _typed(self, seq: int) -> None:
        if not self._is_syncing:
            self.go(seq)

    def _first(self) -> None:
        self.go(self._source.time_state(None).first_seq)

    def _move(self, by: int) -> None:
        time = self._source.time_state(self._seq)
        at = time.last_seq if time.seq is None else time.seq
        self.go(max(time.first_seq, min(time.last_seq, at + by)))

    def _draw(self, state: TimelineState) -> None:
        super()._draw(state)
        self._put("band", H.div(time_band_svg(state.time), cls="crlab"))

    def _fitted(self, state: TimelineState) -> Markup:
        return self._wrapped(self._below(state))

    def _sync(self, state: TimelineState) -> None:
        time, box = state.time, self._boxes["seq"]
        self._is_syncing = True
        try:
            with box.hold_sync():  # one message
                box.max = max(time.last_seq, time.first_seq)
                box.min = time.first_seq
                box.value = time.last_seq if time.seq is None else time.seq
        finally:
            self._is_syncing = False
        self._boxes["live_button"].disabled = time.seq is None
