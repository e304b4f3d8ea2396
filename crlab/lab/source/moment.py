"""The trace as something to travel in.

From: the trace. To: the time slider.

Thread: any.
"""

from __future__ import annotations

from crlab.lab.source.status_source import Changing, status_state
from crlab.trace.record import TraceRecord
from crlab.trace.sentence import sentence_of
from crlab.views.state import TimeState

MARKED = frozenset({"listed", "injected", "error"})
MAX_MARKS = 40
COUNTED = frozenset({"watch_event", "started"})
PIECES = 96


class Moments(Changing):
    """Where the time slider of a lab may go."""

    def time_state(self, seq: int | None) -> TimeState:
        """Return the range and what happened at `seq`; see `TimeSource`."""
        trace = self.parts.trace
        first, last = trace.first_seq, trace.last_seq
        at = None if seq is None else trace.get(max(first, min(seq, last)))
        records = trace.records()
        marks = [(r.seq, sentence_of(r)) for r in records if r.kind in MARKED][-MAX_MARKS:]
        return TimeState(
            first_seq=first,
            last_seq=last,
            seq=None if at is None else at.seq,
            at=None if at is None else at.at,
            sentence="" if at is None else sentence_of(at),
            status=status_state(self.parts, None, None if at is None else at.seq),
            marks=tuple(marks),
            activity=activity_of(records),
        )


def activity_of(records: list[TraceRecord]) -> tuple[int, ...]:
    """Return how many watch events and reconciles fall into each piece of the range."""
    if not records:
        return ()
    first, span = records[0].seq, len(records)
    counts = [0] * min(PIECES, span)
    for record in records:
        if record.kind in COUNTED:
            counts[min(len(counts) - 1, (record.seq - first) * len(counts) // span)] += 1
    return tuple(counts)
