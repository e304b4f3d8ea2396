"""One read or write of a reconcile, as the stepper shows it.

Thread: immutable values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from crlab.model.diff import Change
from crlab.model.key import join_key
from crlab.trace.record import TraceRecord, TraceStage

_REFUSAL = re.compile(r": (\d{3}(?: \w+)?): ")  # "create pods a/b: 409 AlreadyExists: ..."
_EVENTS = ("events", "events.events.k8s.io")


class Call(msgspec.Struct, frozen=True):
    """What a reconcile asked for and what came back.

    Attributes:
        verb: "get", "list", "create", "update", "patch", "apply", "delete",
            "deletecollection".
        resource: "plural.group" (core: plural).
        is_cached: answered by an informer's cache, without a request.
        is_dry_run: the server checked it and changed nothing.
        request, response: bodies without secrets; None where there is none. A list answers
            with its keys.
        changes: for writes, the fields that differ from what was known before.
        code: HTTP status of the answer, None if there was none.
        is_new: a write that made the object.
        error: why it failed, "" if it did not.
        resource_version: what a write made.
        seq: trace record of the request, 0 if unknown.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    is_write: bool = False
    is_cached: bool = False
    is_dry_run: bool = False
    is_new: bool = False
    request: Any = None
    response: Any = None
    changes: tuple[Change, ...] = ()
    code: int | None = None
    error: str = ""
    duration_seconds: float = 0.0
    resource_version: str = ""
    seq: int = 0

    @property
    def target(self) -> str:
        """What it was about: "deployments.apps default/web", "deployments.apps in default"."""
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        if self.name:
            return f"{what} {join_key(self.namespace, self.name)}"
        return f"{what} in {self.namespace}" if self.namespace else what

    def __repr__(self) -> str:
        return f"<Call {self}>"

    def __str__(self) -> str:
        marks = [
            text
            for is_set, text in (
                (self.is_cached, "cached"),
                (self.is_dry_run, "dry run"),
                (self.is_new, "new"),
                (bool(self.error), self.error),
            )
            if is_set
        ]
        return f"{self.verb} {self.target}" + (f" ({'; '.join(marks)})" if marks else "")


def requests_beside(
    calls: Sequence[Call], records: Iterable[TraceRecord], started_seq: int, finished_seq: int
) -> list[Call]:
    """Return the requests of a run that did not go through its context: ``lab.client``.

    Kubernetes Events are left out: the recorder sends them in the run's name.
    """
    known = {call.seq for call in calls}
    return [
        _call_of(record)
        for record in records
        if (record.stage, record.kind) == (TraceStage.CLIENT, "request")
        and started_seq in record.causes
        and record.seq <= finished_seq
        and record.seq not in known
        and record.resource not in _EVENTS
    ]


def in_order(calls: Sequence[Call], others: Sequence[Call]) -> tuple[Call, ...]:
    """Return both in the order of their requests; what made none stays before what follows it."""
    merged: list[Call] = []
    left = list(others)
    for call in calls:
        while left and call.seq and left[0].seq < call.seq:
            merged.append(left.pop(0))
        merged.append(call)
    return (*merged, *left)


def _call_of(record: TraceRecord) -> Call:
    status, error = record.get("status"), str(record.get("error") or "")
    if refusal := _REFUSAL.search(error):
        error = refusal[1]
    is_new = status == 201 and not record.get("subresource")
    answer = record.get("response_body")
    return Call(
        str(record.get("verb")),
        record.resource,
        str(record.get("namespace") or ""),
        str(record.get("name") or ""),
        str(record.get("subresource") or ""),
        is_write=record.get("method") != "GET",
        is_dry_run=bool(record.get("dry_run")),
        is_new=is_new,
        request=record.get("request_body"),
        response=answer,
        changes=(Change("add", ".", None, answer),) if is_new else (),
        code=status or None,
        error=error,
        duration_seconds=float(record.get("duration_seconds") or 0.0),
        resource_version=record.resource_version,
        seq=record.seq,
    )


class CallHook(Protocol):
    """Stands between a reconcile and its calls: faults and lessons."""

    def before(self, verb: str, resource: str, key: str, write: bool) -> None:
        """May raise what the call shall fail with; nothing has been sent yet."""

    def after(self, call: Call) -> None:
        """May raise: the call was made, and the reconcile does not live to see the answer."""
