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
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab

HELD = "held"  # as in `crlab.frame.replay`, which comes with pandas


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
        self._lab.trace.failures.forget(f"recorder/{self.path.name}")
        self._lab.release(self)


def start_recording(
    lab: Lab, path: str | os.PathLike[str], *, include_secrets: bool
) -> LabRecorder:
    """Begin to write a lab's trace."""
    from crlab.lab.framing import note_definition  # frames come with pandas: only when needed

    for informer in lab.informers:
        note_definition(lab, informer.resource)
        if lab.trace.dropped:  # what it was asked for, and its list, may be lost
            note_informer(lab, informer, again=True)
            _note_held(lab, informer)
    return LabRecorder(
        lab,
        path,
        resources=[informer.resource for informer in lab.informers],
        name=lab.title,
        include_secrets=include_secrets,
        threaded=not lab.driver.is_manual,
        version=crlab.__version__,
    )


def note_informer(lab: Lab, informer: Informer, *, again: bool = False) -> None:
    """Leave in the trace what is watched; while recording, its definition too.

    Args:
        again: it was noted before, and the trace has lost that; else a new informer begins.
    """
    resource = informer.resource
    data = {**what_is_told(lab, informer), "again": again}
    name = resource.gvr.group_resource
    lab.trace.append(TraceStage.LAB, "informer", resource=name, data=data)
    if lab.is_recording:
        from crlab.lab.framing import note_definition

        note_definition(lab, resource)


def what_is_told(lab: Lab, informer: Informer) -> dict[str, Any]:
    """Return what the trace is told of an informer: for replays, and for the pipeline's boxes."""
    from crlab.lab.source.status_source import host_of

    shared = informer.shared
    return {
        "resource": asdict(informer.resource),
        "source": shared.source,
        "namespaces": informer.namespaces,
        "label_selector": informer.label_selector,
        "field_selector": informer.field_selector,
        "is_metadata_only": shared.is_metadata_only,
        "name": shared.name,
        "queue": type(shared.queue).__name__,
        "indices": tuple(sorted(shared.indexer.indexers())),
        "server": "embedded" if lab.server is not None else lab.kind,
        "host": "" if lab.server is not None else host_of(lab.url),
    }


def _note_held(lab: Lab, informer: Informer) -> None:
    """Leave in the trace what an informer holds, for a replay to begin with."""
    if not informer.has_synced:
        return
    several = informer.namespaces if len(informer.namespaces) > 1 else ("",)
    snapshot = informer.indexer.read()
    for namespace in several:
        objects = tuple(
            obj
            for _, obj in sorted(snapshot.rows.items())
            if obj is not None and (not namespace or obj.namespace == namespace)
        )
        lab.trace.append(
            TraceStage.REFLECTOR,
            HELD,
            resource=informer.resource.gvr.group_resource,
            resource_version=snapshot.resource_version,
            data={"objects": objects, "source": informer.shared.source, "namespace": namespace},
            payload_bytes=sum(obj.size_bytes for obj in objects),
        )


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
