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

from collections.abc import Callable
from typing import Any, TypeVar

from crlab.client.applier import Applied, apply_manifests
from crlab.client.lister_watcher import ResourceListerWatcher
from crlab.client.request_log import RequestRecord
from crlab.client.retry import retry_on_conflict
from crlab.client.sender import Resource, checked_name
from crlab.client.write_verbs import WriteVerbs
from crlab.model.argument import checked_text
from crlab.model.manifest import Manifest

AppliedList = list[Applied]
T = TypeVar("T")


class DynamicClient(WriteVerbs):
    """Talks about any resource of one API server.

    `resource` is a name (plural, kind, short name, "plural.group", "plural.version.group"),
    a `GroupVersionResource` or an `ApiResource`. `namespace` of None is the object's own,
    else `default_namespace`; for `list` it is everywhere.

    Attributes:
        discovery: what the server serves.
        log: where requests are kept.
        default_namespace: for namespaced objects that name none.
    """

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

    def __repr__(self) -> str:
        rights = ", ".join(self.allow_writes) or "read-only"
        return f"DynamicClient({self.transport!r}, {rights})"
