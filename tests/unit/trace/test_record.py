"""The log that every stage appends to."""

from __future__ import annotations

from crlab.runtime.clock import FakeClock
from crlab.trace.record import PREVIOUS, Trace


def draft(kind, causes=(), payload_bytes=0):
    return ("stage", kind, "pods", "ns/a", "1", causes, None, payload_bytes)


def test_many_records_follow_each_other():
    """They get the next seqs, and one may name the one before it as its cause."""
    trace = Trace(FakeClock())
    trace.append("stage", "first")
    assert trace.append_many([draft("a"), draft("b", PREVIOUS), draft("c", (1,))]) == 2
    assert [(r.seq, r.kind, r.causes) for r in trace] == [
        (1, "first", ()),
        (2, "a", ()),
        (3, "b", (2,)),
        (4, "c", (1,)),
    ]


def test_the_bounds_hold_for_many_as_for_one():
    """By count and by bytes; what fell off is counted."""
    by_count = Trace(FakeClock(), max_records=3)
    by_count.append_many([draft(str(n)) for n in range(5)])
    assert [r.kind for r in by_count] == ["2", "3", "4"]
    assert by_count.first_seq == 3
    by_bytes = Trace(FakeClock(), max_payload_bytes=100)
    by_bytes.append_many([draft(str(n), payload_bytes=40) for n in range(5)])
    by_bytes.append("stage", "last", payload_bytes=90)
    assert [r.kind for r in by_bytes] == ["last"]


def test_a_tap_sees_each_and_a_log_that_is_off_takes_none():
    """Nothing is noted, and 0 is no cause."""
    trace, seen = Trace(FakeClock()), []
    trace.tap(lambda record: seen.append(record.kind))
    trace.append_many([draft("a"), draft("b")])
    trace.is_enabled = False
    assert trace.append_many([draft("c")]) == trace.append("stage", "d") == 0
    assert trace.append_many([]) == 0
    assert seen == ["a", "b"]
