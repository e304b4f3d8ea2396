"""One read or write of a reconcile, as the stepper shows it.

Thread: immutable values.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from crlab.model.diff import Change
from crlab.model.key import join_key


class Call(msgspec.Struct, frozen=True):
    """What a reconcile asked for and what came back.

    Attributes:
        verb: "get", "list", "create", "update", "patch", "apply", "delete".
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


class CallHook(Protocol):
    """Stands between a reconcile and its calls: faults and lessons."""

    def before(self, verb: str, resource: str, key: str, is_write: bool) -> None:
        """May raise what the call shall fail with; nothing has been sent yet."""

    def after(self, call: Call) -> None:
        """May raise: the call was made, and the reconcile does not live to see the answer."""
