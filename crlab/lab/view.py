"""Views over a lab: each with its source.

Widgets are imported here and only when a view is made; making one starts nothing.

Thread: any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.lab.recording import what_is_told
from crlab.lab.source.event_source import EventRows
from crlab.lab.source.fault_source import FaultPanel
from crlab.lab.source.moment import Moments
from crlab.lab.source.past import Lane, Past
from crlab.lab.source.pipeline_source import Pipeline
from crlab.lab.source.rate_source import RateCounts
from crlab.lab.source.status_source import Place, status_state
from crlab.lab.source.step_source import Steps
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
    from crlab.frame.live import LiveExpression
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab
    from crlab.lab.lab_controller import LabController
    from crlab.report.problem import Problems


def place_of(lab: Lab) -> Place:
    """Return where the views of a lab look."""
    return Place(lab.parts, lambda: lab.url, lambda: lab.state, lab.on_close)


def lane_of(lab: Lab, informer: Informer) -> Lane:
    """Return an informer as views take it."""

    def known() -> Known:
        shared = informer.shared
        snapshot = shared.indexer.read()
        several = informer.namespaces if len(informer.namespaces) > 1 else ("",)
        return Known(
            about=what_is_told(lab, informer),
            phase=str(shared.status.phase),
            stored={key: obj for key, obj in snapshot.rows.items() if obj is not None},
            version=snapshot.resource_version,
            synced=several if shared.has_synced else (),
            handlers=tuple(each.name for each in shared.registrations),
            controllers={
                each.name: each.controller.is_running for each in lab.controllers_of(informer)
            },
        )

    return Lane(informer.lane, informer.shared, known, lambda: informer.frame)


def table_view(lab: Lab, informer: Informer, *, filter: str = "", rows: int = 20) -> TableView:
    """Return the live table of an informer."""
    _check_table(filter, rows)
    source = TableRows(place_of(lab), informer.lane, lambda: informer.df, lane_of(lab, informer))
    return TableView(source, title=informer.lane, owner=lab, limit=rows, filter=filter)


def live_view(lab: Lab, title: str, live: LiveExpression, *, rows: int = 20) -> TableView:
    """Return the live table of an expression."""
    _check_table("", rows)
    source = LiveRows(
        place_of(lab), title, live, lambda: [informer.shared for informer in lab.informers]
    )
    return TableView(source, title=title, owner=lab, limit=rows)


def problems_view(lab: Lab, problems: Problems, *, rows: int = 20) -> TableView:
    """Return the live table of what fails now."""
    _check_table("", rows)
    source = TableRows(place_of(lab), "problems", lambda: problems.df)
    return TableView(source, title="problems", owner=lab, limit=rows)


def events_view(lab: Lab, informer: Informer, *, filter: str = "", rows: int = 20) -> EventsView:
    """Return the events inspector of an informer."""
    _check_table(filter, rows)
    source = EventRows(place_of(lab), informer.lane, informer.events, informer.shared)
    return EventsView(source, title=informer.lane, owner=lab, limit=rows, filter=filter)


def rate_view(lab: Lab, informer: Informer, *, by: str = "type") -> RateView:
    """Return the live chart of an informer's event rate."""
    source = RateCounts(place_of(lab), informer.lane, informer.rates, informer.shared)
    return RateView(source, title=informer.lane, owner=lab, by=by)


def _check_table(filter: str, rows: int) -> None:
    checked_text(filter, "filter", '"phase=Running name~web"')
    checked_count(rows, "rows", least=1)


def pipeline_view(lab: Lab, lane: str = "") -> PipelineView:
    """Return the pipeline view of a lab."""
    return PipelineView(_pipeline(lab, lane), title=lab.title, owner=lab, lane=lane)


def _pipeline(lab: Lab, lane: str, past: Past | None = None) -> Pipeline:
    return Pipeline(
        place_of(lab),
        lambda: [lane_of(lab, informer) for informer in lab.informers],
        lane=lane,
        past=past,
        step=lab.step,
        settle=lab.settle,
    )


def stepper_view(lab: Lab, controller: LabController) -> StepperView:
    """Return the stepper of a controller."""
    return StepperView(Steps(place_of(lab), lab, controller), title=controller.name, owner=lab)


def fault_view(lab: Lab) -> FaultView:
    """Return the fault panel of a sandbox."""
    return FaultView(FaultPanel(place_of(lab), lab), title=lab.title, owner=lab)


def time_slider_view(lab: Lab, informer: Informer | None = None) -> TimeSliderView:
    """Return the time slider of a lab, with a frame and the pipeline as of that moment."""
    past = Past(lab.trace)
    table, lane = None, ""
    if informer is not None:
        lane = informer.lane
        table = TableRows(place_of(lab), lane, lambda: informer.df, lane_of(lab, informer), past)
    pipeline = _pipeline(lab, lane, past)
    source = Moments(place_of(lab))
    return TimeSliderView(source, title=lab.title, owner=lab, pipeline=pipeline, table=table)


def informer_html(lab: Lab, informer: Informer) -> str:
    """Return an informer as static HTML: its first rows under its status."""
    source = TableRows(place_of(lab), informer.lane, lambda: informer.df, lane_of(lab, informer))
    state = source.table_state(TableQuery())
    body = table_html(state)
    return str(static_page(status_state(place_of(lab), informer.shared), body, title=informer.lane))
