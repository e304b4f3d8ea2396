"""Recording a lab: its trace, and what a replay needs to know without a server.

Thread: any.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import crlab
from crlab.lab.framing import note_definition
from crlab.trace.recording import Recorder

if TYPE_CHECKING:
    from crlab.lab.lab import Lab


class LabRecorder(Recorder):
    """A recorder that its lab closes."""

    _lab: Lab

    def close(self) -> None:
        """Write what is left and the end; idempotent."""
        super().close()
        self._lab.release(self)


def start_recording(
    lab: Lab, path: str | os.PathLike[str], *, include_secrets: bool
) -> LabRecorder:
    """Begin to write a lab's trace."""
    for informer in lab.informers:
        note_definition(lab, informer.resource)
    recorder = LabRecorder(
        lab.trace,
        path,
        clock=lab.clock,
        resources=[informer.resource for informer in lab.informers],
        name=lab.title,
        include_secrets=include_secrets,
        is_threaded=not lab.driver.is_manual,
        version=crlab.__version__,
    )
    recorder._lab = lab
    lab.adopt(recorder)
    return recorder
