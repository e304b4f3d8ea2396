"""Recording a lab: its trace, and what a replay needs to know without a server.

Thread: any.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from crlab.client.endpoint import host_of
from crlab.lab.parts import Parts, namespaces_of
from crlab.model.object import thawed
from crlab.model.resource import ApiResource
from crlab.trace.record import TraceRecord, TraceStage
from crlab.trace.recording import Recorder, resource_of

if TYPE_CHECKING:
    from crlab.cache import SharedInformer

HELD = "held"  # as in `crlab.frame.replay`, which comes with pandas


class LabRecorder(Recorder):
    """A recorder that its lab closes."""

    def __init__(self, parts: Parts, path: str | os.PathLike[str], **options: Any) -> None:
        self._parts = parts
        parts.life.adopt(self)  # before its thread starts: an interrupt leaves it to the lab
        try:
            super().__init__(parts.trace, path, clock=parts.clock, **options)
        except BaseException:
            parts.life.release(self)
            raise

    def close(self) -> None:
        """Write what is left and the end; idempotent."""
        super().close()
        self._parts.trace.failures.forget(f"recorder/{self.path.name}")
        self._parts.life.release(self)


def start_recording(
    parts: Parts, path: str | os.PathLike[str], *, include_secrets: bool
) -> LabRecorder:
    """Begin to write a lab's trace."""
    from crlab.lab.informer_frame import (
        note_definition,  # frames come with pandas: only when needed
    )

    for informer in parts.informers:
        note_definition(parts, informer.resource)
        if parts.trace.dropped:  # what it was asked for, and its list, may be lost
            note_informer(parts, informer, again=True)
            _note_held(parts, informer)
    return LabRecorder(
        parts,
        path,
        resources=[informer.resource for informer in parts.informers],
        name=parts.title,
        include_secrets=include_secrets,
        threaded=not parts.driver.is_manual,
        version=version("crlab"),
    )


def note_informer(
    parts: Parts, informer: SharedInformer, *, recording: bool = False, again: bool = False
) -> None:
    """Leave in the trace what is watched; while `recording`, its definition too.

    Args:
        again: it was noted before, and the trace has lost that; else a new informer begins.
    """
    resource = informer.resource
    data = {**what_is_told(parts, informer), "again": again}
    name = resource.gvr.group_resource
    parts.trace.append(TraceStage.LAB, "informer", resource=name, data=data)
    if recording:
        from crlab.lab.informer_frame import note_definition

        note_definition(parts, resource)


def what_is_told(parts: Parts, informer: SharedInformer) -> dict[str, Any]:
    """Return what the trace is told of an informer: for replays, and for the pipeline's boxes."""
    source = informer.lister_watchers[0]
    return {
        "resource": asdict(informer.resource),
        "source": informer.source,
        "namespaces": namespaces_of(informer),
        "label_selector": str(getattr(source, "label_selector", "")),
        "field_selector": str(getattr(source, "field_selector", "")),
        "is_metadata_only": informer.is_metadata_only,
        "name": informer.name,
        "queue": type(informer.queue).__name__,
        "indices": tuple(sorted(informer.indexer.indexers())),
        "server": "embedded" if parts.server is not None else parts.kind,
        "host": "" if parts.server is not None else host_of(parts.url),
    }


def _note_held(parts: Parts, informer: SharedInformer) -> None:
    """Leave in the trace what an informer holds, for a replay to begin with."""
    if not informer.has_synced:
        return
    places = [each.namespace or "" for each in informer.lister_watchers]
    several = places if len(places) > 1 else [""]
    snapshot = informer.indexer.read()
    for namespace in several:
        objects = tuple(
            obj
            for _, obj in sorted(snapshot.rows.items())
            if obj is not None and (not namespace or obj.namespace == namespace)
        )
        parts.trace.append(
            TraceStage.REFLECTOR,
            HELD,
            resource=informer.resource.gvr.group_resource,
            resource_version=snapshot.resource_version,
            data={"objects": objects, "source": informer.source, "namespace": namespace},
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
