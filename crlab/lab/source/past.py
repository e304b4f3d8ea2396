"""An informer as it is, and as it was after any record, folded out of the trace alone.

From: the trace. To: the pipeline view, and the time slider's table, which share their folds:
at any moment they show the same queue, cache and keys.

Of a trace that has lost its oldest records, the present begins with what the parts hold, and
the past with nothing at the first record that is left.

Thread: one at a time (the view's lock). A fold goes on from where it stands, so moving
forward costs the records between, moving back starts over; the present has a fold of its own,
so that looking back does not make it start over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlab.trace.record import Trace
from crlab.views.fold import Known, PipelineFold

if TYPE_CHECKING:
    import pandas as pd

    from crlab.cache import SharedInformer
    from crlab.frame.column import Column


@dataclass(frozen=True, slots=True)
class Lane:
    """One informer, as views take it.

    Attributes:
        title: what it is called in a view.
        known: gives what it, its handlers and controllers hold now.
        columns: gives the columns of its frame.
    """

    title: str
    informer: SharedInformer
    known: Callable[[], Known]
    columns: Callable[[], tuple[Column, ...]] = tuple


class Past:
    """The folds of the lanes of one trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._now = PipelineFold()
        self._then = PipelineFold()

    def fold(self, lane: Lane | None, moment: int | None) -> PipelineFold:
        """Return the fold after record `moment` (None: the last); good until the next call."""
        if moment is None:
            # Records can be dropped faster than a view that is not looked at asks for them.
            has_gap = self._now.seq < self._trace.dropped
            if has_gap or not _is_of(self._now, lane):
                self._now = self._begun(lane)
            return self._continued(self._now, None)
        if self._then.seq > moment or not _is_of(self._then, lane):
            self._then = _empty(lane)
        return self._continued(self._then, moment)

    def _begun(self, lane: Lane | None) -> PipelineFold:
        fold = _empty(lane)
        if lane is not None and self._trace.dropped:
            seq = self._trace.last_seq  # before the parts are read: a record may count twice
            fold.begin(lane.known(), seq)
            fold.apply_all(self._trace.records(after=seq))
        return fold

    def _continued(self, fold: PipelineFold, until: int | None) -> PipelineFold:
        fold.apply_all(self._trace.records(after=fold.seq, until=until))
        return fold

    def frame(self, lane: Lane, moment: int) -> pd.DataFrame:
        """Return the frame of what the indexer held, in the shape of the informer's own."""
        from crlab.frame.time_travel import Moment

        fold = self.fold(lane, moment)
        columns = lane.columns()
        cache = fold.indexer
        objects = dict(sorted(cache.stored.items()))
        return Moment(lane.informer.resource, columns, moment, fold.at, cache.version, objects).df


def _is_of(fold: PipelineFold, lane: Lane | None) -> bool:
    return (fold.resource, fold.source) == _ids(lane)


def _empty(lane: Lane | None) -> PipelineFold:
    return PipelineFold(*_ids(lane))


def _ids(lane: Lane | None) -> tuple[str, str]:
    if lane is None:
        return "", ""
    return lane.informer.resource.gvr.group_resource, lane.informer.source
