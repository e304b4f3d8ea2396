"""Views over a lab: each with its source.

Widgets are imported here and only when a view is made; making one starts nothing.

Thread: any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.lab.source.event_source import EventRows
from crlab.lab.source.fault_source import FaultPanel
from crlab.lab.source.moment import Moments
from crlab.lab.source.past import Past
from crlab.lab.source.pipeline_source import Pipeline
from crlab.lab.source.rate_source import RateCounts
from crlab.lab.source.status_source import status_state
from crlab.lab.source.step_source import Steps
from crlab.lab.source.table_source import LiveRows, TableRows
from crlab.model.argument import checked_count, checked_text
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


def table_view(lab: Lab, informer: Informer, *, filter: str = "", rows: int = 20) -> TableView:
    """Return the live table of an informer."""
    _check_table(filter, rows)
    source = TableRows(lab, informer.lane, lambda: informer.df, informer)
    return TableView(source, title=informer.lane, owner=lab, limit=rows, filter=filter)


def live_view(lab: Lab, title: str, live: LiveExpression, *, rows: int = 20) -> TableView:
    """Return the live table of an expression."""
    _check_table("", rows)
    return TableView(LiveRows(lab, title, live), title=title, owner=lab, limit=rows)


def problems_view(lab: Lab, problems: Problems, *, rows: int = 20) -> TableView:
    """Return the live table of what fails now."""
    _check_table("", rows)
    source = TableRows(lab, "problems", lambda: problems.df)
    return TableView(source, title="problems", owner=lab, limit=rows)


def events_view(lab: Lab, informer: Informer, *, filter: str = "", rows: int = 20) -> EventsView:
    """Return the events inspector of an informer."""
    _check_table(filter, rows)
    source = EventRows(lab, informer.lane, informer.events, informer)
    return EventsView(source, title=informer.lane, owner=lab, limit=rows, filter=filter)


def rate_view(lab: Lab, informer: Informer, *, by: str = "type") -> RateView:
    """Return the live chart of an informer's event rate."""
    source = RateCounts(lab, informer.lane, informer.rates, informer)
    return RateView(source, title=informer.lane, owner=lab, by=by)


def _check_table(filter: str, rows: int) -> None:
    checked_text(filter, "filter", '"phase=Running name~web"')
    checked_count(rows, "rows", least=1)


def pipeline_view(lab: Lab, lane: str = "") -> PipelineView:
    """Return the pipeline view of a lab."""
    return PipelineView(Pipeline(lab, lane), title=lab.title, owner=lab, lane=lane)


def stepper_view(lab: Lab, controller: LabController) -> StepperView:
    """Return the stepper of a controller."""
    return StepperView(Steps(lab, controller), title=controller.name, owner=lab)


def fault_view(lab: Lab) -> FaultView:
    """Return the fault panel of a sandbox."""
    return FaultView(FaultPanel(lab), title=lab.title, owner=lab)


def timeline_view(lab: Lab, informer: Informer | None = None) -> TimeSliderView:
    """Return the time slider of a lab, with a frame and the pipeline as of that moment."""
    past = Past(lab)
    table, lane = None, ""
    if informer is not None:
        lane = informer.lane
        table = TableRows(lab, lane, lambda: informer.df, informer, past)
    pipeline = Pipeline(lab, lane, past)
    return TimeSliderView(Moments(lab), title=lab.title, owner=lab, pipeline=pipeline, table=table)


def informer_html(lab: Lab, informer: Informer) -> str:
    """Return an informer as static HTML: its first rows under its status."""
    source = TableRows(lab, informer.lane, lambda: informer.df, informer)
    state = source.table_state(TableQuery())
    body = table_html(state)
    return str(static_page(status_state(lab, informer), body, title=informer.lane))
