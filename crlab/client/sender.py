"""What every verb of the dynamic client shares: names, places, leave, sending.

From: `dynamic`, `write_verbs`. To: `requester`.

Thread: any.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from crlab.client.discovery import Discovery
from crlab.client.dry_run_check import require_dry
from crlab.client.request_log import RequestLog
from crlab.client.requester import Demand, Requester
from crlab.client.retry import Pause, pause_on
from crlab.client.transport import Transport
from crlab.client.write_gate import AllowWrites, WriteGate
from crlab.client.write_ledger import WriteLedger
from crlab.errors import AlreadyStopped, ConfigError, NotFound
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.dependency import refuse_read
from crlab.runtime.dry_run import in_dry_run
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace

FIELD_MANAGER = "crlab"
_SERVING = ("customresourcedefinitions", "apiservices")  # what decides what is served

QueryList = list[tuple[str, str]]
Resource = str | ApiResource | GroupVersionResource
Send = Callable[[Demand], dict[str, Any]]
Around = Callable[[Demand, Send], dict[str, Any]]


class Sender:
    """Sends demands about resources, named in any form."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock | None = None,
        trace: Trace | None = None,
        allow_writes: AllowWrites = (),
        field_manager: str = FIELD_MANAGER,
        default_namespace: str = "default",
        ids: Ids | None = None,
        pause: Pause | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            clock: default the machine's.
            allow_writes: (), a list of namespaces, or True for everything.
            ids: chance for back-off between tries.
            pause: how to wait before a request is tried again; None waits on the clock,
                and does not try again on a clock that only the caller moves.
        """
        self.clock = clock or RealClock()
        self.transport = transport
        self.field_manager = field_manager
        self.default_namespace = default_namespace
        self._gate = WriteGate(allow_writes)
        self._ids = ids or Ids()
        self.pause = pause or pause_on(self.clock)
        self.discovery = Discovery(transport, self.clock)
        self.log = RequestLog(trace, self.clock)
        self._requester = Requester(transport, self.log, self.clock, self.pause)
        self._around: Around | None = None
        self._closed = ""

    def observed(self, around: Around, *, field_manager: str = "") -> Self:
        """Return a client like this one whose every request passes through `around`.

        Args:
            around: takes the demand and what sends it; its answer is the caller's.
            field_manager: of its writes that name none; "" as this one's.
        """
        made = copy.copy(self)
        made._around = around
        made.field_manager = field_manager or self.field_manager
        return made

    def close(self, why: str) -> None:
        """Refuse whatever comes from now on with `AlreadyStopped`: "what was tried: why"."""
        self._closed = why

    def check_open(self, tried: str) -> None:
        """Raise `AlreadyStopped` if this client was closed."""
        if self._closed:
            raise AlreadyStopped(f"{tried}: {self._closed}")

    def check_may_write(self, resource: ApiResource, namespace: str, tried: str) -> None:
        """Raise `ReadOnlyError` if this client may not write there."""
        self._gate.require(resource, namespace if resource.is_namespaced else None, tried)

    @property
    def written(self) -> WriteLedger:
        """What this client has written, the newest last; dry runs are no writes."""
        return self._requester.written

    def resolve(self, name: Resource) -> ApiResource:
        """Return the resource that a name means; see `Discovery.resolve`."""
        self.check_open(f"look up {name}")
        return self.discovery.resolve(name)

    def resolve_kind(self, gvk: GroupVersionKind) -> ApiResource:
        """Return the resource of a kind; see `Discovery.resolve_kind`."""
        self.check_open(f"look up {gvk.kind}")
        return self.discovery.resolve_kind(gvk)

    def _target(
        self, resource: Resource, obj: Mapping[str, Any], namespace: str | None
    ) -> tuple[ApiResource, dict[str, Any], str, str]:
        """Return the resource, a body of the caller's object, its namespace and name."""
        found = self.resolve(resource)
        if not isinstance(obj, Mapping):
            raise ConfigError(f"an object is a mapping, not a {type(obj).__name__}")
        body = {"apiVersion": found.gvr.api_version, "kind": found.kind, **obj}
        metadata = body.get("metadata", {})
        if not isinstance(metadata, Mapping):
            raise ConfigError("metadata of an object is a mapping")
        metadata = body["metadata"] = dict(metadata)
        name, own = _text(metadata, "name"), _text(metadata, "namespace")
        place = self._place(found, namespace)
        if own and namespace and namespace != own:
            raise ConfigError(
                f"the object is in namespace {own!r}, but namespace={namespace!r} was asked for"
            )
        return found, body, place if namespace or not own else self._place(found, own), name

    def _place(self, resource: ApiResource, namespace: str | None) -> str:
        if not resource.is_namespaced:
            return ""
        is_given = not isinstance(namespace, str | None) or bool(namespace)
        return checked_name(namespace if is_given else self.default_namespace, "a namespace")

    def _options(self, dry_run: bool, field_manager: str | None) -> QueryList:
        query = [("fieldManager", field_manager or self.field_manager)]
        if dry_run:
            query.append(("dryRun", "All"))
        return query

    def _send(
        self,
        verb: str,
        method: str,
        resource: ApiResource,
        namespace: str,
        name: str = "",
        subresource: str = "",
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        content_type: str = "application/json",
        *,
        dry_run: bool = False,
        new_name: str = "",
    ) -> dict[str, Any]:
        demand = Demand(
            verb,
            method,
            resource,
            namespace,
            name,
            subresource,
            query,
            body,
            content_type,
            dry_run,
            new_name,
        )
        refuse_read(demand.tried)
        return self._sent(demand) if self._around is None else self._around(demand, self._sent)

    def _sent(self, demand: Demand) -> dict[str, Any]:
        self.check_open(demand.tried)
        if demand.is_write and in_dry_run():
            demand = demand.as_dry_run()
        if demand.is_dry_run:  # writes nothing, so it needs no leave
            sent = demand.method, demand.path, demand.query, demand.body
            require_dry(*sent, tried=demand.tried)
        elif demand.is_write:
            self._gate.require(demand.resource, demand.namespace or None, demand.tried)
        try:
            answer = self._requester.send(demand)
        except NotFound as error:
            if not error.details.get("name"):
                self.discovery.invalidate()  # the resource itself may be gone
            raise
        is_done = demand.is_write and not demand.is_dry_run
        if is_done and demand.resource.gvr.resource in _SERVING:
            self.discovery.invalidate()
        return answer


def _text(metadata: Mapping[str, Any], field: str) -> str:
    value = metadata.get(field)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"metadata.{field} is a text, not a {type(value).__name__}")
    return str.__str__(value or "")


def checked_name(name: str | None, what: str = "a name") -> str:
    """Refuse a name that would be another path."""
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{what} is a text that is not empty, not {name!r}")
    if name in (".", "..") or "/" in name or "%" in name:
        raise ConfigError(f'{what} may not be "." or "..", or hold "/" or "%": {name!r}')
    return str.__str__(name)  # of an Enum's or numpy's text, what it stands for
