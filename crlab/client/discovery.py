"""What the server serves, and which resource a name means.

From: a `Transport`. To: `dynamic`, the lab, controllers.

Guarantees:
  1. Read once, aggregated where the server can (two requests), document by document
     where it cannot; read again when a name is not found, and after `invalidate`.
  2. A group that does not answer does not hide the others (`failed_groups`).
  3. An unknown name is an `UnknownResource` with the nearest known ones.

A name is a plural, singular, kind or short name, alone or with ``.group`` or
``.version.group``; on a tie the server's order of groups and its preferred version win,
as in kubectl.

Thread: any; `_lock` guards the rows, requests are sent outside of it.
Source: kubernetes/client-go:discovery/discovery_client.go, restmapper/shortcut.go,
restmapper/discovery.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crlab.client.answer import decoded, error_of
from crlab.client.discovery_document import aggregated_rows, plain_rows
from crlab.client.transport import Response, Transport
from crlab.errors import (
    ApiError,
    ConfigError,
    DecodeError,
    TransportError,
    UnknownResource,
    nearest,
)
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource
from crlab.runtime import fork
from crlab.runtime.clock import Clock

ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


class Discovery:
    """The resources of one server."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Prepare; nothing is sent."""
        self._transport = transport
        self._clock = clock
        self._lock = fork.lock()
        self._rows: tuple[ApiResource, ...] | None = None
        self._names: dict[str | GroupVersionResource, ApiResource] = {}  # found in _rows
        self.failed_groups: tuple[str, ...] = ()

    def resources(self) -> tuple[ApiResource, ...]:
        """Return every resource, in the server's order of preference."""
        rows = self._rows
        return self.refresh() if rows is None else rows

    def refresh(self) -> tuple[ApiResource, ...]:
        """Read everything again.

        Raises:
            ApiError, TransportError, DecodeError: the roots could not be read.
        """
        failed: list[str] = []
        rows: list[ApiResource] = []
        for root in ("/api", "/apis"):
            rows += self._root(root, failed)
        with self._lock:
            self._rows = tuple(rows)
            self._names = {}
            self.failed_groups = tuple(failed)
        return tuple(rows)

    def invalidate(self) -> None:
        """Read again when next asked."""
        with self._lock:
            self._rows = None
            self._names = {}

    def resolve(self, name: str | GroupVersionResource | ApiResource) -> ApiResource:
        """Return the resource that a name means.

        Raises:
            UnknownResource: nothing is served under it, even after reading again.
        """
        if isinstance(name, ApiResource):
            return name
        if not isinstance(name, str | GroupVersionResource):
            raise ConfigError(
                'a resource is named like "pods" or "deployments.apps", '
                f"not with a {type(name).__name__}"
            )
        names = self._names
        if (found := names.get(name)) is not None:
            return found
        rows = self._rows
        if rows is not None and (found := _find(rows, name)) is not None:
            names[name] = found
            return found
        rows = self.refresh()
        if (found := _find(rows, name)) is not None:
            return found
        text = str(name)
        where = ""
        if self.failed_groups:
            where = f"this server (no answer for {', '.join(self.failed_groups)})"
        raise UnknownResource(text, nearest=_nearest(text, rows), where=where)

    def resolve_kind(self, gvk: GroupVersionKind) -> ApiResource:
        """Return the resource whose objects are of a kind.

        Raises:
            UnknownResource: nothing serves it, even after reading again.
        """
        for rows in (self._rows, None):
            for row in self.refresh() if rows is None else rows:
                if row.gvk == gvk:
                    return row
        rows = self._rows or ()
        versions = [str(row.gvk) for row in rows if row.kind == gvk.kind]
        raise UnknownResource(
            str(gvk), nearest=versions or nearest(gvk.kind, {row.kind for row in rows})
        )

    def _root(self, root: str, failed: list[str]) -> list[ApiResource]:
        response = self._get(root, ACCEPT)
        if response.status == 404 and root == "/api":
            return []  # an extension server has no core group
        tree = self._tree(response, root)
        if tree.get("kind") == "APIGroupDiscoveryList":
            return aggregated_rows(tree, failed)
        rows: list[ApiResource] = []
        for group, version, is_preferred in _group_versions(tree, root):
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            try:
                listed = self._tree(self._get(path, "application/json"), path)
            except (ApiError, TransportError, DecodeError):
                failed.append(f"{group}/{version}" if group else version)
                continue
            rows += plain_rows(listed, group, version, is_preferred)
        return rows

    def _get(self, path: str, accept: str) -> Response:
        return self._transport.request("GET", path, headers={"Accept": accept})

    def _tree(self, response: Response, path: str) -> dict[str, Any]:
        tried = f"discovery at {path}"
        if response.status != 200:
            raise error_of(response, tried=tried, now=self._clock.now())
        tree = decoded(response.body)
        if tree is None:
            raise DecodeError(f"{tried}: the answer is not a JSON object; is that an API server?")
        return tree


def _group_versions(tree: Mapping[str, Any], root: str) -> Iterator[tuple[str, str, bool]]:
    if root == "/api":
        versions = tree.get("versions")
        for version in versions if isinstance(versions, list) else ():
            yield "", str(version), True
        return
    groups = tree.get("groups")
    for group in groups if isinstance(groups, list) else ():
        preferred = (group.get("preferredVersion") or {}).get("version")
        for version in group.get("versions") or ():
            name = str(version.get("version"))
            yield str(group.get("name")), name, name == preferred


def _find(rows: Sequence[ApiResource], name: str | GroupVersionResource) -> ApiResource | None:
    if isinstance(name, GroupVersionResource):
        return next((row for row in rows if row.gvr == name), None)
    head, dot, rest = name.partition(".")
    if not dot:
        return _best(rows, name)
    version, _, group = rest.partition(".")
    exact = [row for row in rows if row.gvr.version == version and row.gvr.group == group]
    return _best(exact, head) or _best([row for row in rows if row.gvr.group == rest], head)


def _best(rows: Sequence[ApiResource], name: str) -> ApiResource | None:
    lower = name.lower()
    for matches in (
        lambda row: row.gvr.resource == lower,
        lambda row: row.singular == lower,
        lambda row: lower in row.short_names,
        lambda row: row.kind == name,
        lambda row: row.kind.lower() == lower,
    ):
        found = [row for row in rows if matches(row)]
        if found:
            return next((row for row in found if row.preferred), found[0])
    return None


def _nearest(name: str, rows: Sequence[ApiResource]) -> list[str]:
    """Suggest plurals, whatever form of a name was meant."""
    plural_of: dict[str, str] = {}
    for row in rows:
        for alias in (row.gvr.group_resource, row.kind.lower(), row.singular, row.gvr.resource):
            if alias:
                plural_of.setdefault(alias, row.gvr.group_resource)
    suggestions = []
    for alias in nearest(name.lower(), plural_of, limit=6):
        if plural_of[alias] not in suggestions:
            suggestions.append(plural_of[alias])
    return suggestions[:3]
