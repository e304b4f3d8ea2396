"""One request about one resource: sent, judged, traced, perhaps sent again.

From: `dynamic`. To: a `Transport` and the `RequestLog`.

Guarantees:
  1. The answer is the caller's own plain dict, or an error of the `ApiError` tree.
  2. Every attempt is logged, also one that got no answer.
  3. What has no JSON form is refused before anything is sent, by whatever verb.
  4. A 429 or 5xx that says when to come back is tried again then, up to ten times, if
     there is a way to wait.

Thread: any.
Source: kubernetes/client-go:rest/request.go, rest/with_retry.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from crlab.client.answer import decoded, error_of
from crlab.client.request_log import RequestLog
from crlab.client.retry import Pause
from crlab.client.transport import Response, Transport
from crlab.client.write_ledger import WriteLedger, written_by
from crlab.errors import (
    ApiError,
    CrlabError,
    DecodeError,
    ServerFailure,
    TooManyRequests,
    api_error,
)
from crlab.model.encoder import encoded
from crlab.model.redaction import mask_status
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock

MAX_THROTTLED_TRIES = 10


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of the server.

    Attributes:
        verb: as RBAC names it.
        namespace: "" for cluster-scoped resources and for all namespaces.
        body: what `model.encoder` takes, None for none.
        new_name: of an object to create, whose name is in no path; "web-*" of a prefix.
    """

    verb: str
    method: str
    resource: ApiResource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Sequence[tuple[str, str]] = field(default_factory=tuple)
    body: Any = field(default=None, repr=False)
    content_type: str = "application/json"
    is_dry_run: bool = False
    new_name: str = ""

    def as_dry_run(self) -> Demand:
        """Return the same, to be checked by the server and to change nothing."""
        if self.is_dry_run or not self.is_write:
            return self
        if self.method == "DELETE":  # a server that gets a body ignores the query
            return replace(self, body={**(self.body or {}), "dryRun": ["All"]}, is_dry_run=True)
        return replace(self, query=[*self.query, ("dryRun", "All")], is_dry_run=True)

    @property
    def tried(self) -> str:
        """What an error says was tried: "update myservices.example.com/status default/web"."""
        resource = self.resource.gvr.group_resource
        if self.subresource:
            resource = f"{resource}/{self.subresource}"
        where = "/".join(filter(None, (self.namespace, self.name or self.new_name)))
        dry = " (dry run)" if self.is_dry_run else ""
        return f"{'apply' if self.is_apply else self.verb} {resource} {where}".rstrip() + dry

    @property
    def path(self) -> str:
        """Path below the server's root."""
        return self.resource.gvr.path(self.namespace or None, self.name or None, self.subresource)

    @property
    def is_apply(self) -> bool:
        """Whether it is a server-side apply, which RBAC knows as a patch."""
        return self.content_type.startswith("application/apply-patch")

    @property
    def is_write(self) -> bool:
        """Whether it changes something, unless it is a dry run."""
        return self.method != "GET"


class Requester:
    """Sends demands."""

    def __init__(
        self, transport: Transport, log: RequestLog, clock: Clock, pause: Pause | None
    ) -> None:
        self._transport = transport
        self._log = log
        self._clock = clock
        self._pause = pause
        self.written = WriteLedger()

    def send(self, demand: Demand) -> dict[str, Any]:
        """Send it and return the answer's object.

        Raises:
            ApiError: the server refused.
            TransportError: no answer came (a write may or may not have happened).
            DecodeError: the answer is not a JSON object.
            BodyRefused: the body has no JSON form, or holds a masked value; nothing is sent.
        """
        body = None
        if demand.body is not None:
            tree, body = encoded(demand.body, demand.tried)
            demand = replace(demand, body=tree)
        for tries_left in range(MAX_THROTTLED_TRIES, -1, -1):
            try:
                return self._attempt(demand, body)
            except (TooManyRequests, ServerFailure) as error:
                delay = error.retry_after_seconds
                if delay is None or self._pause is None or not tries_left:
                    raise
                self._pause(delay)
        raise AssertionError("unreachable: the last try returns or raises")

    def _attempt(self, demand: Demand, body: bytes | None) -> dict[str, Any]:
        started = self._clock.monotonic()
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = demand.content_type
        response = None
        answer: dict[str, Any] | None = None
        failure = ""
        try:
            response = self._transport.request(
                demand.method, demand.path, query=demand.query, headers=headers, body=body
            )
            answer = self._judged(demand, response)
            if demand.is_write and not demand.is_dry_run:
                self._keep(demand, answer, response.body)
            return answer
        except CrlabError as error:
            failure = str(error)
            raise
        finally:
            self._note(demand, body, response, answer, failure, started)

    def _keep(self, demand: Demand, answer: Mapping[str, Any], body: bytes) -> None:
        """Remember what a write did, for those who wait for it."""
        resource = demand.resource
        where = demand.namespace, demand.name, demand.subresource
        self.written.add(resource, written_by(demand.verb, resource, *where, answer, body))

    def _judged(self, demand: Demand, response: Response) -> dict[str, Any]:
        if not 200 <= response.status < 300:
            raise error_of(
                response, tried=demand.tried, now=self._clock.now(), kind=demand.resource.kind
            )
        tree = decoded(response.body)
        if tree is None:
            raise DecodeError(
                f"{demand.tried}: the answer is not a JSON object "
                f"({response.headers.get('content-type', 'no content type')[:60]})"
            )
        if tree.get("kind") == "Status" and tree.get("status") == "Failure":
            raise _failure(tree, demand)
        return tree

    def _note(
        self,
        demand: Demand,
        body: bytes | None,
        response: Response | None,
        answer: dict[str, Any] | None,
        failure: str,
        started: float,
    ) -> None:
        metadata = answer.get("metadata") if answer is not None else None
        version = ""
        if demand.is_write and isinstance(metadata, Mapping) and demand.subresource != "scale":
            version = str(metadata.get("resourceVersion") or "")
        name = demand.name
        if not name and demand.is_write and isinstance(metadata, Mapping):
            name = str(metadata.get("name") or "")
        if not name and not demand.new_name.endswith("*"):
            name = demand.new_name  # refused: what was to be made still has its place
        is_list = answer is not None and "items" in answer
        self._log.add(
            verb=demand.verb,
            method=demand.method,
            path=demand.path,
            query=urlencode([(k, v) for k, v in demand.query if k != "continue"]),
            resource=demand.resource,
            namespace=demand.namespace,
            name=name,
            subresource=demand.subresource,
            status=response.status if response is not None else 0,
            started=started,
            dry_run=demand.is_dry_run,
            bytes_sent=len(body or b""),
            bytes_received=len(response.body) if response is not None else 0,
            error=failure,
            warnings=response.warnings if response is not None else (),
            request_body=demand.body,
            response_body=None if is_list else answer,
            resource_version=version,
        )


def _failure(status: dict[str, Any], demand: Demand) -> ApiError:
    code = status.get("code")
    status = mask_status(status, demand.resource.kind)
    return api_error(code if isinstance(code, int) else 500, status, tried=demand.tried)
