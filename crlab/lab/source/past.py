"""An informer as it was after any record of the trace, folded out of the trace alone.

From: the trace. To: the time slider's pipeline and table, which share one fold: at any
moment they show the same queue, cache and keys.

Thread: one at a time (the view's lock); the fold goes on from where it stands, so moving
forward costs the records between, moving back starts over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.views.fold import PipelineFold

if TYPE_CHECKING:
    import pandas as pd

    from crlab.cache import SharedInformer
    from crlab.frame.column import Column
    from crlab.lab.parts import Parts


class Past:
    """One informer's past (and its first controller's)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._fold = PipelineFold()
        self._of: tuple[str, str, str] = ("", "", "")

    def fold(self, informer: SharedInformer, moment: int) -> PipelineFold:
        """Return the fold after record `moment`; it is good until the next call."""
        names = [each.name for each in self._parts.controllers_of(informer)]
        wanted = (
            informer.resource.gvr.group_resource,
            names[0] if names else "",
            informer.source,
        )
        if self._fold.seq > moment or self._of != wanted:
            self._fold, self._of = PipelineFold(*wanted), wanted
        self._fold.apply_all(self._parts.trace.records(after=self._fold.seq, until=moment))
        return self._fold

    def frame(
        self, informer: SharedInformer, moment: int, columns: tuple[Column, ...]
    ) -> pd.DataFrame:
        """Return the frame of what the indexer held, in the columns of its frame."""
        from crlab.frame.time_travel import Moment

        fold = self.fold(informer, moment)
        objects = dict(sorted(fold.stored.items()))
        return Moment(informer.resource, columns, moment, fold.at, fold.stored_version, objects).df
