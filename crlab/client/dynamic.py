"""The dynamic client: every verb on every resource, with plain dicts.

From: users, controllers, widgets. To: `requester`.

Guarantees:
  1. What is returned is a fresh, plain dict, the caller's own.
  2. Nothing is written that `allow_writes` does not cover (`write_gate`).
  3. Every request is in `requests` and in the trace, with its cause and its actor.

Thread: any.
Source: kubernetes/client-go:dynamic/interface.go.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from crlab.client.applier import Applied, apply_manifests
from crlab.client.discovery import Discovery
from crlab.client.dry_run_check import require_dry
from crlab.client.lister_watcher import ResourceListerWatcher
from crlab.client.request_log import RequestLog, RequestRecord
from crlab.client.requester import Demand, Requester
from crlab.client.retry import Pause, pause_on, retry_on_conflict
from crlab.client.transport import Transport
from crlab.client.write_gate import AllowWrites, WriteGate
from crlab.client.write_ledger import WriteLedger
from crlab.errors import AlreadyStopped, ConfigError, NotFound
from crlab.model.argument import checked_name, checked_text
from crlab.model.encoder import check_whole
from crlab.model.manifest import Manifest
from crlab.model.object import FrozenList
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
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
AppliedList = list[Applied]
T = TypeVar("T")


class DynamicClient:
    """Talks about any resource of one API server.

    `resource` is a name (plural, kind, short name, "plural.group", "plural.version.group"),
    a `GroupVersionResource` or an `ApiResource`. `namespace` of None is the object's own,
    else `default_namespace`; for `list` it is everywhere.

    Attributes:
        discovery: what the server serves.
        log: where requests are kept.
        default_namespace: for namespaced objects that name none.
    """

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
        made._around = around  # noqa: SLF001 - a copy of this one
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

    # -- what there is -------------------------------------------------------------------

    @property
    def allow_writes(self) -> tuple[str, ...]:
        """Where writes are allowed: () nowhere, ("*",) everywhere, else namespaces."""
        return self._gate.allowed

    @property
    def requests(self) -> list[RequestRecord]:
        """The newest requests, oldest first."""
        return self.log.records

    def describe(self) -> dict[str, Any]:
        """Return what a user may want to check, without secrets: server, TLS, rights."""
        describe = getattr(self.transport, "describe", None)
        facts: dict[str, Any] = dict(describe()) if describe is not None else {}
        facts["allow_writes"] = self.allow_writes
        return facts

    def lister_watcher(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> ResourceListerWatcher:
        """Return what an informer lists and watches with; its requests are logged here."""
        return ResourceListerWatcher(
            self.transport,
            self.resolve(resource),
            namespace,
            label_selector,
            field_selector,
            metadata_only=metadata_only,
            clock=self.clock,
            log=self.log,
        )

    # -- reads ---------------------------------------------------------------------------

    def get(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        subresource: str = "",
        resource_version: str | None = None,
    ) -> dict[str, Any]:
        """Return one object.

        Raises:
            NotFound: it is not there.
        """
        found = self.resolve(resource)
        query = [("resourceVersion", resource_version)] if resource_version is not None else []
        return self._send(
            "get",
            "GET",
            found,
            self._place(found, namespace),
            checked_name(name),
            subresource,
            query,
        )

    def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int | None = None,
        continue_token: str = "",
        resource_version: str | None = None,
        resource_version_match: str | None = None,
    ) -> dict[str, Any]:
        """Return a list object: ``items`` and ``metadata``; items carry apiVersion and kind.

        Args:
            namespace: None is everywhere.
            limit: page size; the next page's token is in ``metadata.continue``.
        """
        found = self.resolve(resource)
        query = [
            (key, str(value))
            for key, value in (
                ("limit", limit),
                ("continue", continue_token),
                ("labelSelector", label_selector),
                ("fieldSelector", field_selector),
                ("resourceVersion", resource_version),
                ("resourceVersionMatch", resource_version_match),
            )
            if value not in (None, "")
        ]
        checked_text(label_selector, "label_selector", '"app=web"')
        checked_text(field_selector, "field_selector", '"metadata.name=web"')
        place = ""
        if found.is_namespaced and namespace:
            place = checked_name(namespace, "a namespace")
        answer = self._send("list", "GET", found, place, "", "", query)
        for item in answer.get("items") or ():
            if isinstance(item, dict) and not item.get("kind"):
                item["kind"], item["apiVersion"] = found.kind, found.gvr.api_version
        return answer

    def get_scale(
        self, resource: Resource, name: str, *, namespace: str | None = None
    ) -> dict[str, Any]:
        """Return an object's autoscaling/v1 Scale."""
        return self.get(resource, name, namespace=namespace, subresource="scale")

    # -- writes ---------------------------------------------------------------------------

    def create(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> dict[str, Any]:
        """Create an object and return it as stored.

        Raises:
            AlreadyExists, Invalid, ReadOnlyError: and the rest of the `ApiError` tree.
        """
        found, body, place, name = self._target(resource, obj, namespace)
        prefix = body["metadata"].get("generateName")
        return self._send(
            "create",
            "POST",
            found,
            place,
            query=self._options(dry_run, field_manager),
            body=body,
            dry_run=dry_run,
            new_name=name or (f"{prefix}*" if prefix else ""),
        )

    def update(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> dict[str, Any]:
        """Replace an object and return it as stored.

        Raises:
            Conflict: it changed since the resourceVersion in `obj`.
        """
        found, body, place, name = self._target(resource, obj, namespace)
        check_whole(obj, f"update {found.gvr.group_resource} {name}")
        query = self._options(dry_run, field_manager)
        return self._send(
            "update",
            "PUT",
            found,
            place,
            checked_name(name),
            subresource,
            query,
            body,
            dry_run=dry_run,
        )

    def update_status(
        self, resource: Resource, obj: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Replace an object's status; options as for `update`."""
        return self.update(resource, obj, subresource="status", **options)

    def patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Any],
        *,
        namespace: str | None = None,
        patch_type: str | None = None,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Patch an object and return it as stored.

        Args:
            patch_type: "merge", "json" (a list of operations), "strategic" (built-in kinds
                only) or "apply"; None is "json" for a list and "merge" for a mapping.
            force: of an apply patch: take over fields that others manage.
        """
        content_type = PATCH_TYPES[checked_patch_type(patch, patch_type)]
        found = self.resolve(resource)
        query = self._options(dry_run, field_manager)
        if force:
            query.append(("force", "true"))
        return self._send(
            "patch",
            "PATCH",
            found,
            self._place(found, namespace),
            checked_name(name),
            subresource,
            query,
            patch,
            content_type,
            dry_run=dry_run,
        )

    def patch_status(
        self, resource: Resource, name: str, patch: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Patch an object's status; options as for `patch`."""
        return self.patch(resource, name, patch, subresource="status", **options)

    def apply(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> dict[str, Any]:
        """Apply an object server-side and return it as stored; it is created if absent.

        Raises:
            Conflict: others manage some of its fields, and `force` is not set.
        """
        found, body, place, name = self._target(resource, obj, namespace)
        check_whole(obj, f"apply {found.gvr.group_resource} {name}")
        body["metadata"].pop("managedFields", None)
        return self.patch(
            found,
            checked_name(name),
            body,
            namespace=place or None,
            patch_type="apply",
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager,
            force=force,
        )

    def scale(
        self,
        resource: Resource,
        name: str,
        replicas: int,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Set an object's replicas through its scale subresource; return the Scale."""
        patch = {"spec": {"replicas": replicas}}
        return self.patch(
            resource, name, patch, namespace=namespace, subresource="scale", dry_run=dry_run
        )

    def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation_policy: str | None = None,
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Delete an object; return it, or a Status.

        Args:
            uid, resource_version: delete only that incarnation, that version.
            propagation_policy: "Background", "Foreground" or "Orphan".
        """
        found = self.resolve(resource)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if given := {key: value for key, value in preconditions.items() if value is not None}:
            options["preconditions"] = given
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if dry_run:
            options["dryRun"] = ["All"]  # a server that gets a body ignores the query
        return self._send(
            "delete",
            "DELETE",
            found,
            self._place(found, namespace),
            checked_name(name),
            body=options,
            dry_run=dry_run,
        )

    def delete_collection(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        propagation_policy: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Delete every selected object of a namespace; return the list of them."""
        found = self.resolve(resource)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        selectors = (("labelSelector", label_selector), ("fieldSelector", field_selector))
        query = [(key, value) for key, value in selectors if value]
        if dry_run:
            options["dryRun"] = ["All"]
        place = self._place(found, namespace)
        return self._send(
            "deletecollection",
            "DELETE",
            found,
            place,
            query=query,
            body=options,
            dry_run=dry_run,
        )

    # -- manifests, conflicts -------------------------------------------------------------

    def apply_manifests(
        self,
        source: Manifest,
        *,
        namespace: str | None = None,
        force: bool = True,
        dry_run: bool = False,
    ) -> AppliedList:
        """Make what manifests describe so; see `apply.apply_manifests`."""
        return apply_manifests(self, source, namespace=namespace, force=force, dry_run=dry_run)

    def retry_on_conflict(self, function: Callable[[], T], *, tries: int = 5) -> T:
        """Call `function` again while it ends in a `Conflict`; see `retry`."""
        return retry_on_conflict(function, pause=self.pause, ids=self._ids, tries=tries)

    # -- sending --------------------------------------------------------------------------

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
        if demand.is_dry_run:  # writes nothing, so it needs no permission
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

    def __repr__(self) -> str:
        rights = ", ".join(self.allow_writes) or "read-only"
        return f"DynamicClient({self.transport!r}, {rights})"


def _text(metadata: Mapping[str, Any], field: str) -> str:
    value = metadata.get(field)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"metadata.{field} is a text, not a {type(value).__name__}")
    return str.__str__(value or "")


def checked_patch_type(patch: Any, patch_type: str | None) -> str:
    """Return what kind of patch it is: as asked for, else as what is given says.

    Raises:
        ConfigError: there is no such kind, or this one is written in another form.
    """
    if not isinstance(patch, Mapping | list | tuple | FrozenList):
        name = type(patch).__name__
        raise ConfigError(f"a patch is a mapping, or a list of JSON patch operations; not a {name}")
    is_list = not isinstance(patch, Mapping)
    if patch_type is None:
        return "json" if is_list else "merge"
    if not isinstance(patch_type, str) or patch_type not in PATCH_TYPES:
        raise ConfigError(f"patch_type is one of {', '.join(PATCH_TYPES)}; not {patch_type!r}")
    if is_list != (patch_type == "json"):
        form = "a list of operations" if patch_type == "json" else "a mapping"
        raise ConfigError(f"a {patch_type} patch is {form}, not a {type(patch).__name__}")
    return patch_type
