"""What was asked of the server: a bounded ring of records, shaped like audit.k8s.io Events.

Thread: any; one lock guards the ring.
Source: audit.k8s.io/v1 Event.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

KEEP_RECORDS = 5_000


@dataclass(slots=True)
class AuditRecord:
    """One request.

    Attributes:
        audit_id: also sent as the Audit-Id header.
        received_at: seconds since 1970 on the server's clock.
        response_bytes: of the answer's body; of a watch, what was sent so far.
        revision: the store's revision after the request.
        fault: name of the fault that was injected, "" for none.
    """

    audit_id: str
    received_at: float
    verb: str
    request_uri: str
    user: str
    user_agent: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    code: int = 0
    duration_seconds: float = 0.0
    request_bytes: int = 0
    response_bytes: int = 0
    revision: int = 0
    fault: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as an audit Event."""
        return {
            "auditID": self.audit_id,
            "stage": "ResponseComplete",
            "verb": self.verb,
            "requestURI": self.request_uri,
            "user": {"username": self.user},
            "userAgent": self.user_agent,
            "objectRef": {
                "apiGroup": self.group,
                "resource": self.resource,
                "subresource": self.subresource,
                "namespace": self.namespace,
                "name": self.name,
            },
            "responseStatus": {"code": self.code},
            "requestReceivedTimestamp": self.received_at,
        }


class AuditLog:
    """The ring of records."""

    def __init__(self, keep: int = KEEP_RECORDS) -> None:
        self._lock = threading.Lock()
        self._ring: deque[AuditRecord] = deque(maxlen=keep)
        self._numbers = itertools.count(1)
        self.total = 0

    def next_id(self) -> str:
        """Return the id of the next request; ids count up, so outputs compare."""
        return f"00000000-0000-4000-8000-{next(self._numbers):012x}"

    def add(self, record: AuditRecord) -> None:
        """Keep a record; the oldest goes when the ring is full."""
        with self._lock:
            self._ring.append(record)
            self.total += 1

    def records(self) -> list[AuditRecord]:
        """Return what the ring holds, oldest first."""
        with self._lock:
            return list(self._ring)
