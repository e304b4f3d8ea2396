"""Floor 5: what happened and what is, as pandas DataFrames.

Read first: `live_frame.py` (an indexer as a frame), `column_set.py` (which columns),
`column.py` (dtypes and cells), `events_frame.py` and `rate.py` (the trace as frames),
`time_travel.py` (the past), `replay.py` (a recording to run informers on).
"""

from crlab.frame.column import Column
from crlab.frame.events_frame import EventsFrame
from crlab.frame.kube_event import kube_events
from crlab.frame.live import LiveExpression, live
from crlab.frame.live_frame import LiveFrame, age_of
from crlab.frame.rate import Rates
from crlab.frame.replay import Replay, ReplayControl
from crlab.frame.time_travel import Moment, TimeTravel, timeline, trace_frame

__all__ = [
    "Column",
    "EventsFrame",
    "LiveExpression",
    "LiveFrame",
    "Moment",
    "Rates",
    "Replay",
    "ReplayControl",
    "TimeTravel",
    "age_of",
    "kube_events",
    "live",
    "timeline",
    "trace_frame",
]
