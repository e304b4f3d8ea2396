"""Every request that was made: for `lab.requests`, the trace, and derived RBAC.

From: `requester`, `lister_watcher`. To: the trace (stage "client", kind "request") and a
bounded list.

Guarantees:
  1. Bodies are kept redacted, and only small ones; a list's are never kept.
  2. A write's trace record is found again by the watch event it causes (`note_write`).

Thread: any; appends to a deque.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from crlab.model.key import join_key
from crlab.model.redaction import mask_text, redact_body
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock
from crlab.runtime.dependency import note_read
from crlab.trace.cause import current_actor, current_causes
from crlab.trace.record import Trace, TraceStage

MAX_KEPT_BODY_BYTES = 256 * 1024


class RequestRecord(msgspec.Struct, frozen=True, gc=False):
    """One request.

    Attributes:
        seq: its record in the trace, 0 if the trace is off.
        at: wall time at which it was sent, seconds since the epoch.
        verb: as RBAC names it: "get", "list", "watch", "create", "update", "patch",
            "delete", "deletecollection".
        status: HTTP status, 0 if no answer came.
        resource: "plural.group".
        error: "" unless it failed.
    """

    seq: int
    at: float
    verb: str
    method: str
    path: str
    query: str
    status: int
    duration_seconds: float
    bytes_sent: int
    bytes_received: int
    actor: str
    resource: str
    namespace: str
    name: str
    subresource: str
    is_dry_run: bool
    error: str
    warnings: tuple[str, ...]


class RequestLog:
    """The newest requests of one client."""

    def __init__(self, trace: Trace | None, clock: Clock, *, max_records: int = 10_000) -> None:
        self._trace = trace
        self._clock = clock
        self._records: deque[RequestRecord] = deque(maxlen=max_records)

    @property
    def records(self) -> list[RequestRecord]:
        """The requests, oldest first."""
        if self._trace is not None:
            note_read(self._trace)
        return list(self._records)

    def add(
        self,
        *,
        verb: str,
        method: str,
        path: str,
        query: str,
        resource: ApiResource,
        namespace: str,
        name: str,
        subresource: str,
        status: int,
        started: float,
        dry_run: bool = False,
        bytes_sent: int = 0,
        bytes_received: int = 0,
        error: str = "",
        warnings: tuple[str, ...] = (),
        request_body: Any = None,
        response_body: Any = None,
        resource_version: str = "",
    ) -> int:
        """Keep a request and return its seq in the trace.

        Args:
            started: `clock.monotonic()` when it was sent.
            resource_version: what a write made, "" for other requests.
        """
        duration = self._clock.monotonic() - started
        actor = current_actor()
        warnings = tuple(map(mask_text, warnings))
        group_resource = resource.gvr.group_resource
        seq = 0
        if self._trace is not None and self._trace.is_enabled:
            data = {
                "verb": verb,
                "method": method,
                "path": path,
                "query": query,
                "status": status,
                "duration_seconds": duration,
                "bytes_sent": bytes_sent,
                "bytes_received": bytes_received,
                "actor": actor,
                "namespace": namespace,
                "name": name,
                "subresource": subresource,
                "dry_run": dry_run,
                "error": error,
                "warnings": warnings,
                "request_body": self._kept(request_body, bytes_sent, resource),
                "response_body": self._kept(response_body, bytes_received, resource),
            }
            seq = self._trace.append(
                TraceStage.CLIENT,
                "request",
                resource=group_resource,
                key=join_key(namespace, name) if name else namespace,
                resource_version=resource_version,
                causes=current_causes(),
                data=data,
                payload_bytes=sum(
                    size
                    for size, kept in (
                        (bytes_sent, data["request_body"]),
                        (bytes_received, data["response_body"]),
                    )
                    if kept is not None
                ),
            )
            if resource_version and not dry_run:
                self._trace.note_write(group_resource, resource_version, seq)
        self._records.append(
            RequestRecord(
                seq,
                self._clock.now() - duration,
                verb,
                method,
                path,
                query,
                status,
                duration,
                bytes_sent,
                bytes_received,
                actor,
                group_resource,
                namespace,
                name,
                subresource,
                dry_run,
                error,
                warnings,
            )
        )
        return seq

    @staticmethod
    def _kept(body: Any, size: int, resource: ApiResource) -> Any:
        if body is None or size > MAX_KEPT_BODY_BYTES:
            return None
        return redact_body(body, kind=resource.kind)
