"""Views over a lab: each with its source.

Widgets are imported here and only when a view is made; making one starts nothing.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from crlab.lab.lab_recorder import what_is_told
from crlab.lab.pace import Pace
from crlab.lab.parts import Parts, lane_of, namespaces_of
from crlab.lab.source.event_source import EventRows
from crlab.lab.source.fault_source import FaultPanel
from crlab.lab.source.moment import Moments
from crlab.lab.source.past import Lane, Past
from crlab.lab.source.pipeline_source import Pipeline
from crlab.lab.source.rate_source import RateCounts
from crlab.lab.source.status_source import status_state
from crlab.lab.source.step_source import Stepped, Steps
from crlab.lab.source.table_source import LiveRows, TableRows
from crlab.model.argument import checked_count, checked_text
from crlab.views.fold import Known
from crlab.views.header import static_page
from crlab.views.state import TableQuery
from crlab.views.table import table_html
from crlab.widgets.event import EventsView
from crlab.widgets.fault import FaultView
from crlab.widgets.pipeline import PipelineView
from crlab.widgets.rate import RateView
from crlab.widgets.stepper import StepperView
from crlab.widgets.table import TableView
from crlab.widgets.time_slider import TimeSliderView

if TYPE_CHECKING:
    from crlab.apiserver.fault.injector import Faults
    from crlab.cache import SharedInformer
    from crlab.frame.column import Column
    from crlab.frame.events_frame import EventsFrame
    from crlab.frame.live import LiveExpression
    from crlab.frame.live_frame import LiveFrame
    from crlab.frame.rate import Rates
    from crlab.report.problem import Problems


def lane_with(
    parts: Parts, informer: SharedInformer, columns: Callable[[], tuple[Column, ...]] = tuple
) -> Lane:
    """Return an informer as views take it."""

    def known() -> Known:
        snapshot = informer.indexer.read()
        namespaces = namespaces_of(informer)
        several = namespaces if len(namespaces) > 1 else ("",)
        return Known(
            about=what_is_told(parts, informer),
            phase=str(informer.status.phase),
            stored={key: obj for key, obj in snapshot.rows.items() if obj is not None},
            version=snapshot.resource_version,
            synced=several if informer.has_synced else (),
            handlers=tuple(each.name for each in informer.registrations),
            controllers={each.name: each.is_running for each in parts.controllers_of(informer)},
        )

    return Lane(lane_of(informer), informer, known, columns)


def table_view(
    parts: Parts,
    informer: SharedInformer,
    frame: LiveFrame,
    *,
    filter: str = "",
    rows: int = 20,
) -> TableView:
    """Return the live table of an informer."""
    _check_table(filter, rows)
    return TableView(
        _rows_of(parts, informer, frame),
        title=lane_of(informer),
        owner=parts.life,
        limit=rows,
        filter=filter,
    )


def _rows_of(
    parts: Parts, informer: SharedInformer, frame: LiveFrame, past: Past | None = None
) -> TableRows:
    lane = lane_with(parts, informer, lambda: frame.columns)
    return TableRows(parts, lane.title, lambda: frame.df, lane, past)


def live_view(parts: Parts, title: str, live: LiveExpression, *, rows: int = 20) -> TableView:
    """Return the live table of an expression."""
    _check_table("", rows)
    source = LiveRows(parts, title, live, lambda: list(parts.informers))
    return TableView(source, title=title, owner=parts.life, limit=rows)


def problems_view(parts: Parts, problems: Problems, *, rows: int = 20) -> TableView:
    """Return the live table of what fails now."""
    _check_table("", rows)
    source = TableRows(parts, "problems", lambda: problems.df)
    return TableView(source, title="problems", owner=parts.life, limit=rows)


def events_view(
    parts: Parts, informer: SharedInformer, events: EventsFrame, *, filter: str = "", rows: int = 20
) -> EventsView:
    """Return the events inspector of an informer."""
    _check_table(filter, rows)
    title = lane_of(informer)
    source = EventRows(parts, title, events, informer)
    return EventsView(source, title=title, owner=parts.life, limit=rows, filter=filter)


def rate_view(
    parts: Parts, informer: SharedInformer, rates: Rates, *, by: str = "type"
) -> RateView:
    """Return the live chart of an informer's event rate."""
    title = lane_of(informer)
    return RateView(RateCounts(parts, title, rates, informer), title=title, owner=parts.life, by=by)


def _check_table(filter: str, rows: int) -> None:
    checked_text(filter, "filter", '"phase=Running name~web"')
    checked_count(rows, "rows", least=1)


def pipeline_view(parts: Parts, lane: str = "") -> PipelineView:
    """Return the pipeline view of a lab."""
    source = _pipeline(parts, lane)
    return PipelineView(source, title=parts.title, owner=parts.life, lane=lane)


def _pipeline(parts: Parts, lane: str, past: Past | None = None) -> Pipeline:
    pace = Pace(parts)
    return Pipeline(
        parts,
        lambda: [lane_with(parts, informer) for informer in list(parts.informers)],
        lane=lane,
        past=past,
        step=pace.step,
        settle=pace.settle,
    )


def stepper_view(parts: Parts, controller: Stepped) -> StepperView:
    """Return the stepper of a controller."""
    return StepperView(Steps(parts, controller), title=controller.name, owner=parts.life)


def fault_view(parts: Parts, faults: Faults) -> FaultView:
    """Return the fault panel of a sandbox."""
    return FaultView(FaultPanel(parts, faults), title=parts.title, owner=parts.life)


def time_slider_view(
    parts: Parts, informer: SharedInformer | None = None, frame: LiveFrame | None = None
) -> TimeSliderView:
    """Return the time slider of a lab, with a frame and the pipeline as of that moment."""
    past = Past(parts.trace)
    table, lane = None, ""
    if informer is not None and frame is not None:
        lane = lane_of(informer)
        table = _rows_of(parts, informer, frame, past)
    return TimeSliderView(
        Moments(parts),
        title=parts.title,
        owner=parts.life,
        pipeline=_pipeline(parts, lane, past),
        table=table,
    )


def informer_html(parts: Parts, informer: SharedInformer, frame: LiveFrame) -> str:
    """Return an informer as static HTML: its first rows under its status."""
    state = _rows_of(parts, informer, frame).table_state(TableQuery())
    header = status_state(parts, informer)
    return str(static_page(header, table_html(state), title=lane_of(informer)))
