"""What the reflector writes into the trace.

Thread: the reflector's (`state` also from whoever stops it).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, repeat

from crlab.cache.fifo import Delta
from crlab.cache.reflector_message import State
from crlab.cache.watch_verdict import QUEUED_AS
from crlab.client.list_watch import WatchEvent
from crlab.errors import error_text
from crlab.model.object import KubeObject
from crlab.trace.record import PREVIOUS, Draft, Trace, TraceStage

_REFLECTOR, _QUEUE = TraceStage.REFLECTOR, TraceStage.QUEUE
_QUEUED = {kind: {"type": delta.value} for kind, delta in QUEUED_AS.items()}


class ReflectorLog:
    """Appends records of one resource, each linked to what led to it."""

    def __init__(
        self, trace: Trace, resource: str, *, source: str = "", namespace: str = ""
    ) -> None:
        """Prepare.

        Args:
            source: the informer, so that two over one resource can be told apart.
            namespace: what a list of it covers, "" for all that the informer holds.
        """
        self._trace = trace
        self._resource = resource
        self._origin = {"source": source, "namespace": namespace}
        self.state_seq = 0

    @property
    def causes(self) -> tuple[int, ...]:
        """The record of the present state, as the cause of what it makes happen."""
        return (self.state_seq,) if self.state_seq else ()

    def state(
        self, before: State, after: State, reason: str, delay_seconds: float | None = None
    ) -> None:
        """Note a transition."""
        self.state_seq = self._trace.append(
            TraceStage.REFLECTOR,
            "state",
            resource=self._resource,
            resource_version=after.last_version,
            data={
                "state": after.phase.value,
                "previous": before.phase.value,
                "reason": reason,
                "delay_seconds": delay_seconds,
                "health": after.health.value,
                **self._origin,
            },
        )

    def error(self, error: BaseException | str) -> None:
        """Note what went wrong."""
        kind = "violation" if isinstance(error, str) else type(error).__name__
        self._trace.append(
            TraceStage.REFLECTOR,
            "error",
            resource=self._resource,
            causes=self.causes,
            data={"error": error_text(error), "type": kind, **self._origin},
        )

    def listed(self, items: Sequence[KubeObject], version: str, pages: int) -> int:
        """Note a whole list, as one record."""
        return self._trace.append(
            TraceStage.REFLECTOR,
            "listed",
            resource=self._resource,
            resource_version=version,
            causes=self.causes,
            data={
                "count": len(items),
                "pages": pages,
                "objects": tuple(items),
                **self._origin,
            },
            payload_bytes=sum([obj.size_bytes for obj in items]),
        )

    def bookmark(self, version: str) -> int:
        """Note a bookmark."""
        return self._trace.append(
            TraceStage.REFLECTOR,
            "bookmark",
            resource=self._resource,
            resource_version=version,
            data=self._origin,
        )

    def resync(self) -> int:
        """Note that everything is to be shown again."""
        return self._trace.append(TraceStage.QUEUE, "resync", resource=self._resource)

    def deltas(self, events: Sequence[tuple[WatchEvent, KubeObject]]) -> list[Delta]:
        """Note watch events and their deltas; return the deltas, each linked to its two."""
        scope = self._origin["namespace"]
        resource, origin, write_seq = self._resource, self._origin, self._trace.write_seq
        drafts: list[Draft] = []
        for event, obj in events:
            key, version = obj.key, event.resource_version
            write = write_seq(resource, version)
            causes = (write,) if write else ()
            data = {"type": event.type, "object": obj, **origin}
            drafts += (
                (_REFLECTOR, "watch_event", resource, key, version, causes, data, obj.size_bytes),
                (_QUEUE, "queued", resource, key, version, PREVIOUS, _QUEUED[event.type], 0),
            )
        first = self._trace.append_many(drafts)
        seqs = count(first + 1, 2) if first else repeat(0)
        return [
            Delta(
                QUEUED_AS[event.type], obj.key, obj, (), event.resource_version, seq, False, scope
            )
            for (event, obj), seq in zip(events, seqs, strict=False)
        ]
