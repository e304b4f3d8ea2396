"""What a lab shows: views, explanations, time, recordings, faults.

Thread: any; making a view starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.errors import ConfigError
from crlab.lab.making import MakingLab

if TYPE_CHECKING:
    from crlab.lab.explaining import Explanation
    from crlab.lab.fault import LabFaults
    from crlab.lab.informer import Informer
    from crlab.widgets.pipeline import PipelineView
    from crlab.widgets.timeline import TimelineView


class LookingLab(MakingLab):
    """A lab that shows what happens in it."""

    def pipeline(self, informer: Informer | None = None) -> PipelineView:
        """Return the pipeline view: API server → Reflector → … → reconcile, live.

        Args:
            informer: the lane to show first; None is the first informer.
        """
        from crlab.lab.view import pipeline_view

        self._check_open("show the pipeline")
        return pipeline_view(self._whole, informer.lane if informer is not None else "")

    def time_slider(self, informer: Informer | None = None) -> TimelineView:
        """Return the time slider: pipeline, and a frame if named, as of any moment."""
        from crlab.lab.view import timeline_view

        self._check_open("show the past")
        return timeline_view(self._whole, informer)

    def explain(self, key: str, *, resource: str = "") -> Explanation:
        """Tell one key's way through the pipeline, from watch event to write.

        Returns:
            Sentences (``print(lab.explain(key))``) and a frame (`.df`).
        """
        from crlab.lab.explaining import explained

        return explained(self.trace, key, resource=resource)

    @property
    def faults(self) -> LabFaults:
        """What can be broken on the embedded server, on purpose.

        Raises:
            ConfigError: a real cluster is not ours to break.
        """
        from crlab.lab.fault import LabFaults

        self._check_open("inject faults")
        if self.server is None:
            raise ConfigError(f"{self!r} is not a sandbox; faults are injected into our own server")
        if self._faults is None:
            self._faults = LabFaults(self._whole, self.server)
        return self._faults
