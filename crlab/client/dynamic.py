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

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from crlab.client.apply import Applied, apply_manifests
from crlab.client.discovery import Discovery
from crlab.client.lister_watcher import ResourceListerWatcher
from crlab.client.request_log import RequestLog, RequestRecord
from crlab.client.requester import Demand, Requester
from crlab.client.retry import Pause, pause_on, retry_on_conflict
from crlab.client.transport import Transport
from crlab.client.write_gate import AllowWrites, WriteGate
from crlab.errors import ConfigError, NotFound
from crlab.model.manifest import Manifest
from crlab.model.object import thawed
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace

FIELD_MANAGER = "crlab"
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}

_SERVING = ("customresourcedefinitions", "apiservices")  # what decides what is served

QueryList = list[tuple[str, str]]
AppliedList = list[Applied]
Resource = str | ApiResource | GroupVersionResource
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

    def resolve(self, name: Resource) -> ApiResource:
        """Return the resource that a name means; see `Discovery.resolve`."""
        return self.discovery.resolve(name)

    def resolve_kind(self, gvk: GroupVersionKind) -> ApiResource:
        """Return the resource of a kind; see `Discovery.resolve_kind`."""
        return self.discovery.resolve_kind(gvk)

    def lister_watcher(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        is_metadata_only: bool = False,
    ) -> ResourceListerWatcher:
        """Return what an informer lists and watches with; its requests are logged here."""
        return ResourceListerWatcher(
            self.transport,
            self.resolve(resource),
            namespace,
            label_selector,
            field_selector,
            is_metadata_only=is_metadata_only,
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
            "get", "GET", found, self._place(found, namespace), _name(name), subresource, query
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
        place = namespace or "" if found.is_namespaced else ""
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

    # -- writes --------------------------------------------------------------------------

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
        found, body, place, _ = self._target(resource, obj, namespace)
        query = self._options(dry_run, field_manager)
        return self._send("create", "POST", found, place, "", "", query, body, dry_run=dry_run)

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
        query = self._options(dry_run, field_manager)
        return self._send(
            "update", "PUT", found, place, _name(name), subresource, query, body, dry_run=dry_run
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
        patch_type: str = "merge",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Patch an object and return it as stored.

        Args:
            patch_type: "merge", "json" (a list of operations), "strategic" (built-in kinds
                only) or "apply".
            force: of an apply patch: take over fields that others manage.
        """
        if patch_type not in PATCH_TYPES:
            raise ConfigError(f"patch_type is one of {', '.join(PATCH_TYPES)}; not {patch_type!r}")
        found = self.resolve(resource)
        query = self._options(dry_run, field_manager)
        if force:
            query.append(("force", "true"))
        return self._send(
            "patch",
            "PATCH",
            found,
            self._place(found, namespace),
            _name(name),
            subresource,
            query,
            thawed(patch),
            PATCH_TYPES[patch_type],
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
        body["metadata"].pop("managedFields", None)
        return self.patch(
            found,
            _name(name),
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
            _name(name),
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

    def apply_manifests(
        self,
        source: Manifest,
        *,
        namespace: str | None = None,
        server_side: bool = False,
        dry_run: bool = False,
    ) -> AppliedList:
        """Create or bring up to date what manifests describe; see `apply.apply_manifests`."""
        return apply_manifests(
            self, source, namespace=namespace, server_side=server_side, dry_run=dry_run
        )

    def retry_on_conflict(self, function: Callable[[], T], *, tries: int = 5) -> T:
        """Call `function` again while it ends in a `Conflict`; see `retry`."""
        return retry_on_conflict(function, pause=self.pause, ids=self._ids, tries=tries)

    # -- one request ---------------------------------------------------------------------

    def _target(
        self, resource: Resource, obj: Mapping[str, Any], namespace: str | None
    ) -> tuple[ApiResource, dict[str, Any], str, str]:
        """Return the resource, a body of the caller's object, its namespace and name."""
        found = self.resolve(resource)
        if not isinstance(obj, Mapping):
            raise ConfigError(f"an object is a mapping, not a {type(obj).__name__}")
        body = thawed(obj)
        if not isinstance(body.get("metadata", {}), dict):
            raise ConfigError("metadata of an object is a mapping")
        body.setdefault("apiVersion", found.gvr.api_version)
        body.setdefault("kind", found.kind)
        metadata = body.setdefault("metadata", {})
        own = metadata.get("namespace") or None
        if namespace and own and namespace != own:
            raise ConfigError(
                f"the object is in namespace {own!r}, but namespace={namespace!r} was asked for"
            )
        return found, body, self._place(found, namespace or own), str(metadata.get("name") or "")

    def _place(self, resource: ApiResource, namespace: str | None) -> str:
        if not resource.is_namespaced:
            return ""
        return _name(namespace or self.default_namespace, "a namespace")

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
    ) -> dict[str, Any]:
        demand = Demand(
            verb, method, resource, namespace, name, subresource, query, body, content_type, dry_run
        )
        if demand.is_write:
            self._gate.require(resource, namespace or None, demand.tried)
        try:
            answer = self._requester.send(demand)
        except NotFound as error:
            if not error.details.get("name"):
                self.discovery.invalidate()  # the resource itself may be gone
            raise
        if demand.is_write and resource.gvr.resource in (
            "customresourcedefinitions",
            "apiservices",
        ):
            self.discovery.invalidate()
        return answer

    def __repr__(self) -> str:
        rights = ", ".join(self.allow_writes) or "read-only"
        return f"DynamicClient({self.transport!r}, {rights})"


def _name(name: str, what: str = "a name") -> str:
    """Refuse a name that would be another path."""
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{what} is a text that is not empty, not {name!r}")
    if name in (".", "..") or "/" in name or "%" in name:
        raise ConfigError(f'{what} may not be "." or "..", or hold "/" or "%": {name!r}')
    return name
