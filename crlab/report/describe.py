"""One object, readable, in a notebook and in a terminal.

Thread: any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.model.escape import H, joined
from crlab.model.object import KubeObject
from crlab.model.redaction import redact_object
from crlab.views.describe import describe, describe_html, describe_text
from crlab.views.format import clock_time
from crlab.views.state import DescribeState
from crlab.views.style import style_sheet

if TYPE_CHECKING:
    from crlab.frame.events_frame import EventsFrame
    from crlab.model.resource import ApiResource

SHOWN_EVENTS = 10


class Description:
    """A description that prints as text and shows as HTML."""

    def __init__(self, state: DescribeState) -> None:
        self.state = state

    def __str__(self) -> str:
        return describe_text(self.state)

    def __repr__(self) -> str:
        return f"Description({self.state.kind} {self.state.key})"

    def _repr_html_(self) -> str:
        return str(joined([style_sheet(), H.section(describe_html(self.state), cls="crlab")]))


def described(resource: ApiResource, events: EventsFrame, obj: KubeObject) -> Description:
    """Describe a cached object with the newest watch events of its key."""
    newest = [event for event in events.events() if event.key == obj.key][-SHOWN_EVENTS:]
    deltas = [
        (clock_time(event.at), event.type, event.resource_version, ", ".join(event.paths[:3]))
        for event in newest
    ]
    return Description(describe(redact_object(obj, kind=resource.kind), deltas=deltas))
