"""Recording a lab: its trace, and what a replay needs to know without a server.

Thread: any.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import crlab
from crlab.model.object import thawed
from crlab.model.resource import ApiResource
from crlab.trace.record import TraceRecord, TraceStage
from crlab.trace.recording import Recorder, resource_of

if TYPE_CHECKING:
    from crlab.lab.lab import Lab


class LabRecorder(Recorder):
    """A recorder that its lab closes."""

    def __init__(self, lab: Lab, path: str | os.PathLike[str], **options: Any) -> None:
        self._lab = lab
        lab.adopt(self)  # before its thread starts: an interrupt leaves it to the lab
        try:
            super().__init__(lab.trace, path, clock=lab.clock, **options)
        except BaseException:
            lab.release(self)
            raise

    def close(self) -> None:
        """Write what is left and the end; idempotent."""
        super().close()
        self._lab.release(self)


def start_recording(
    lab: Lab, path: str | os.PathLike[str], *, include_secrets: bool
) -> LabRecorder:
    """Begin to write a lab's trace."""
    from crlab.lab.framing import note_definition  # frames come with pandas: only when needed

    for informer in lab.informers:
        note_definition(lab, informer.resource)
    return LabRecorder(
        lab,
        path,
        resources=[informer.resource for informer in lab.informers],
        name=lab.title,
        include_secrets=include_secrets,
        is_threaded=not lab.driver.is_manual,
        version=crlab.__version__,
    )


def note_informer(lab: Lab, resource: ApiResource) -> None:
    """Leave in the trace that a resource is watched; while recording, its definition too."""
    lab.trace.append(
        TraceStage.LAB,
        "informer",
        resource=resource.gvr.group_resource,
        data={"resource": asdict(resource)},
    )
    if lab.is_recording:
        from crlab.lab.framing import note_definition

        note_definition(lab, resource)


def watched_resources(
    known: Iterable[ApiResource], records: Iterable[TraceRecord]
) -> list[ApiResource]:
    """Return what a recording's head names and what was watched only later."""
    found = {resource.gvr: resource for resource in known}
    for record in records:
        if record.stage == TraceStage.LAB and record.kind == "informer":
            resource = resource_of(thawed(record.get("resource")))
            found.setdefault(resource.gvr, resource)
    return list(found.values())
