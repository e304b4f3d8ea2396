"""A cause that becomes known late still links."""

from __future__ import annotations

from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace


def test_an_event_that_overtakes_its_writes_answer_is_linked() -> None:
    """With threads the watch is often faster than the response."""
    clock = FakeClock()
    trace = Trace(clock)
    clock.advance(0.01)
    event = trace.append("reflector", "watch_event", resource="pods", resource_version="7")
    clock.advance(0.01)
    request = trace.append("client", "request", resource="pods", data={"duration_seconds": 0.02})
    trace.note_write("pods", "7", request)

    linked = {record.seq: record.causes for record in trace.linked()}

    assert linked[event] == (request,)
    assert trace.records()[0].causes == ()


def test_a_write_that_changed_nothing_caused_no_event() -> None:
    """It is answered with the version that somebody else, or an older write, made."""
    trace = Trace(FakeClock())
    theirs = trace.append("reflector", "watch_event", resource="pods", resource_version="7")
    trace.note_write("pods", "8", first := trace.append("client", "request", resource="pods"))
    trace.note_write("pods", "7", trace.append("client", "request", resource="pods"))
    trace.note_write("pods", "8", trace.append("client", "request", resource="pods"))

    assert trace.write_seq("pods", "8") == first
    assert {r.seq: r.causes for r in trace.linked()}[theirs] == ()
