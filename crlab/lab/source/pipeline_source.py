"""One informer's way from the API server to a reconcile and back, as boxes.

From: the trace, through its fold. To: the pipeline view. Live or looking back, the boxes are
those of the fold; added to it is only what is no history: the lanes to choose from, the time
now, whether a lab is moved by hand.

Thread: `pipeline_state` on one thread at a time (the view's lock); `step` and `settle` on the
command thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crlab.lab.parts import Parts
from crlab.lab.source.past import Lane, Past
from crlab.lab.source.status_source import Changing, status_state
from crlab.trace.sentence import rule_of, sentence_of
from crlab.views.state import PipelineQuery, PipelineState


class Pipeline(Changing):
    """The pipelines of a lab; a lane is an informer."""

    def __init__(
        self,
        parts: Parts,
        lanes: Callable[[], Sequence[Lane]],
        *,
        lane: str = "",
        past: Past | None = None,
        step: Callable[[], object | None],
        settle: Callable[[], int],
    ) -> None:
        """Prepare.

        Args:
            lanes: gives the informers there are now.
            lane: the title of the one to show where none is asked for; "" for the first.
            past: the folds to share with another source of the same view.
            step, settle: move a lab that is moved by hand.
        """
        super().__init__(parts)
        self._lanes = lanes
        self._lane = lane
        self._steps = 0
        self._past = past or Past(self.parts.trace)
        self._step, self._settle = step, settle

    def pipeline_state(self, query: PipelineQuery) -> PipelineState:
        """Return the boxes of one lane; see `PipelineSource`."""
        lanes = {lane.title: lane for lane in self._lanes()}
        title = query.lane if query.lane in lanes else self._lane
        if title not in lanes:
            title = next(iter(lanes), "")
        lane = lanes.get(title)
        fold = self._past.fold(lane, query.moment)
        now = self.parts.clock.now() if query.moment is None else fold.at
        is_manual = self.parts.driver.is_manual
        informer = lane.informer if lane is not None else None
        return PipelineState(
            stages=fold.stages(now, selected=query.selected),
            status=status_state(self.parts, informer, query.moment, fold.indexer.version),
            active=fold.active(now, only_last=is_manual),
            selected=query.selected,
            lane=title,
            lanes=tuple(lanes),
            sentence=sentence_of(fold.last) if fold.last else "Nothing has happened yet.",
            rule=rule_of(fold.last) if fold.last else "",
            steps=self._steps,
            can=frozenset({"step", "settle"}) if is_manual else frozenset(),
        )

    def step(self) -> None:
        """Make one transition."""
        if self._step() is not None:
            self._steps += 1

    def settle(self) -> None:
        """Step until nothing moves."""
        self._steps += self._settle()
