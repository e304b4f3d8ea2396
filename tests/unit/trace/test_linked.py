"""A cause that becomes known late still links."""

from __future__ import annotations

from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace


def test_an_event_that_overtakes_its_writes_answer_is_linked() -> None:
    """With threads the watch is often faster than the response."""
    trace = Trace(FakeClock())
    event = trace.append("reflector", "watch_event", resource="pods", resource_version="7")
    request = trace.append("client", "request", resource="pods")
    trace.note_write("pods", "7", request)

    linked = {record.seq: record.causes for record in trace.linked()}

    assert linked[event] == (request,)
    assert trace.records()[0].causes == ()
