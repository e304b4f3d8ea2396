"""The calls of one run: sent, recorded, laid over the cache.

From: `Context`. To: the client; the run's list of `Call`; the overlay.

Guarantees:
  1. A call that is sent is recorded whether it succeeds or not, with secrets masked; what it
     changed is found on the truth.
  2. What a write answers is laid over the cache, except in a dry run; and what a read of
     the server answers, where the cache is behind it.

Thread: the thread of its run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crlab.client.requester import Demand
from crlab.client.write_ledger import written_by
from crlab.controller.call import Call
from crlab.controller.reader import key_of
from crlab.errors import ApiError, BodyRefused, CrlabError, NotFound
from crlab.model.diff import Change, diff
from crlab.model.encoder import plain
from crlab.model.object import KubeObject
from crlab.model.redaction import redact_body, redact_object
from crlab.model.resource import ApiResource

if TYPE_CHECKING:
    from crlab.controller.context import Context
    from crlab.controller.environment import Environment

WRITES = frozenset({"create", "update", "patch", "apply", "delete", "deletecollection"})


class CallRecorder:
    """Records what one run reads and asks, and lays it over the cache."""

    def __init__(self, context: Context, environment: Environment) -> None:
        self._context = context
        self._env = environment
        self._reader = environment.reader
        self._seen: dict[tuple[str, str], Mapping[str, Any]] = {}

    # -- reads of a cache ------------------------------------------------------------------

    def read(
        self,
        verb: str,
        resource: ApiResource,
        namespace: str,
        name: str,
        *,
        response: Any,
        subresource: str = "",
    ) -> None:
        """Record a read that the cache answered."""
        if isinstance(response, KubeObject):
            self._seen[resource.gvr.group_resource, response.key] = response
            if self._env.keeps_bodies:
                response = redact_object(response, kind=resource.kind)
            else:
                response = None
        self._context.calls.append(
            Call(
                verb,
                resource.gvr.group_resource,
                namespace,
                name,
                subresource,
                is_cached=True,
                response=response,
            )
        )

    # -- requests ----------------------------------------------------------------------------

    def through(self, demand: Demand, send: Callable[[Demand], dict[str, Any]]) -> dict[str, Any]:
        """Send what the run asks of the API server, as a call of this run."""
        self._context.check()
        if self._context.is_dry_run:
            demand = demand.as_dry_run()
        new_name = "" if demand.new_name.endswith("*") else demand.new_name
        names = demand.namespace, demand.name or new_name, demand.subresource
        verb = "apply" if demand.is_apply else demand.verb
        call = Call(verb, demand.resource.gvr.group_resource, *names)
        if demand.is_write:
            body = None if demand.method == "DELETE" else demand.body
            call = self._draft_call(verb, demand.resource, *names, body)
            call = _with(call, is_dry_run=demand.is_dry_run)
        answer: dict[str, Any] = self._send(call, demand.resource, lambda: send(demand))
        return answer

    # -- one call ------------------------------------------------------------------------

    def _draft_call(
        self,
        verb: str,
        resource: ApiResource,
        namespace: str,
        name: str,
        subresource: str,
        body: Any,
    ) -> Call:
        return Call(
            verb,
            resource.gvr.group_resource,
            namespace,
            name,
            subresource,
            is_write=True,
            is_dry_run=self._context.is_dry_run,
            request=self._kept(body, resource) if self._env.keeps_bodies else None,
        )

    def _kept(self, body: Any, resource: ApiResource) -> Any:
        try:
            return redact_body(plain(body, "keep"), kind=resource.kind)
        except BodyRefused:
            return None  # whoever sends it says why

    def before(self, verb: str, resource: ApiResource, key: str) -> None:
        """Let breakpoints, faults and the like have a look; what they raise ends the call."""
        for hook in self._env.hooks:
            hook.before(verb, resource.gvr.group_resource, key, verb in WRITES)

    def _send(self, call: Call, resource: ApiResource, send: Callable[[], Any]) -> Any:
        key = key_of(resource, call.namespace, call.name) if call.name else call.namespace
        known = None
        if call.is_write and call.name and self._env.keeps_bodies:
            known = self._known(resource, key)
        held = raw = None  # what reads see, and what the cache itself holds
        if call.name and not call.subresource and self._reader.informer(resource) is not None:
            held = self._reader.cached(resource, key)
            raw = self._reader.held(resource, key)
        clock = self._env.clock
        started = clock.monotonic()
        before = self._env.trace.last_seq
        answer: Any = None
        code, text = None, ""
        try:
            self.before(call.verb, resource, key)
            answer = send()
        except CrlabError as error:
            code = error.code if isinstance(error, ApiError) else None
            text = _refusal(error)
            if held is not None and _is_absence(error, call, resource):
                self._reader.learn_absence(resource, held)
            raise
        finally:
            seq, status = self._env.request_since(before, resource.gvr.group_resource)
            call = _with(
                call,
                seq=seq,
                code=code or status,
                error=text,
                is_new=status == 201 or (call.verb == "create" and not text),
                duration_seconds=clock.monotonic() - started,
            )
            done = self._finished(call, resource, answer, known)
            self._context.calls.append(done)
        for hook in self._env.hooks:
            hook.after(done)
        if call.is_write:
            self._remember(resource, key, call, answer, raw)
        elif call.verb == "get" and not call.subresource and isinstance(answer, Mapping):
            self._seen[resource.gvr.group_resource, key] = answer
            self._reader.learn_read(resource, answer)
        return answer

    def _finished(
        self,
        call: Call,
        resource: ApiResource,
        answer: Any,
        known: Mapping[str, Any] | None,
    ) -> Call:
        version = ""
        changes: tuple[Change, ...] = ()
        shown: Any = None
        if isinstance(answer, Mapping):
            version = _version(answer)
            if call.verb in ("list", "deletecollection"):
                shown = _names(answer.get("items") or ())
            elif self._env.keeps_bodies:
                shown = redact_body(answer, kind=resource.kind)
            is_one = call.verb != "deletecollection" and call.subresource != "scale"
            if shown is not None and call.is_write and is_one:
                changes = self._changes(call, resource, answer, known)
        elif isinstance(answer, Sequence):
            shown = _names(answer)
        return _with(
            call,
            name=call.name or _name(answer),
            response=shown,
            changes=changes,
            resource_version=version if call.is_write else "",
        )

    def _changes(
        self,
        call: Call,
        resource: ApiResource,
        answer: Mapping[str, Any],
        known: Mapping[str, Any] | None,
    ) -> tuple[Change, ...]:
        if call.verb == "delete" and answer.get("kind") == "Status":
            return (Change("remove", ".", None, None),)
        if known is None:
            return tuple(diff(None, answer, kind=resource.kind)) if call.is_new else ()
        found = diff(known, answer, kind=resource.kind)
        return tuple(change for change in found if _is_by(call, resource, change))

    def _known(self, resource: ApiResource, key: str) -> Mapping[str, Any] | None:
        seen = self._seen.get((resource.gvr.group_resource, key))
        if self._reader.informer(resource) is not None:
            cached = self._reader.cached(resource, key)
            if cached is not None and cached.resource_version != _version(seen):
                return cached  # else what was seen says more of it where the cache is masked
        return seen

    def _remember(
        self,
        resource: ApiResource,
        key: str,
        call: Call,
        answer: Any,
        held: KubeObject | None,
    ) -> None:
        if call.is_dry_run or not isinstance(answer, Mapping):
            return
        plural = resource.gvr.group_resource
        where = call.namespace, call.name, call.subresource
        for written in written_by(call.verb, resource, *where, answer):
            known = self._seen.get((plural, written.key))
            if written.object is not None:
                self._seen[plural, written.key] = written.object
            elif written.is_gone:
                self._seen.pop((plural, written.key), None)
            self._reader.learn(resource, written, known, held)


def _is_absence(error: CrlabError, call: Call, resource: ApiResource) -> bool:
    """Whether the server says that there is no such object, not that something else is missing."""
    named = {"name": call.name, "kind": resource.gvr.resource}
    return isinstance(error, NotFound) and named.items() <= error.details.items()


def _is_by(call: Call, resource: ApiResource, change: Change) -> bool:
    """Whether this write can have made a change; others write between a read and a write."""
    if "status" not in resource.subresources:
        return True
    is_status = change.path == ".status" or change.path.startswith((".status.", ".status["))
    return is_status == (call.subresource == "status")


def _with(call: Call, **fields: Any) -> Call:
    values = {name: getattr(call, name) for name in call.__struct_fields__}
    return Call(**(values | fields))


def _refusal(error: CrlabError) -> str:
    if isinstance(error, ApiError):
        return f"{error.code} {error.reason}".strip()
    return type(error).__name__


def _version(obj: Mapping[str, Any] | None) -> str:
    return str(((obj or {}).get("metadata") or {}).get("resourceVersion") or "")


def _name(answer: Any) -> str:
    metadata = answer.get("metadata") if isinstance(answer, Mapping) else None
    return str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""


def _names(items: Any) -> list[str]:
    found = []
    for item in items:
        metadata = item.get("metadata") or {}
        namespace = metadata.get("namespace")
        name = str(metadata.get("name"))
        found.append(f"{namespace}/{name}" if namespace else name)
    return found
