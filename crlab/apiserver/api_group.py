"""Discovery: which groups, versions and resources there are, plain and aggregated.

Documents are made from the registry and kept until it changes; aggregated ones carry an
ETag, so a client that has them asks for nothing.

Thread: any; the cache is replaced whole.
Source: k8s.io/apiserver/pkg/endpoints/discovery{,/aggregated}.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from crlab.apiserver.negotiation import clauses, encode_body, negotiate
from crlab.apiserver.registry import Registry
from crlab.apiserver.request import HttpRequest, HttpResponse
from crlab.apiserver.resource_type import ResourceType, Subresource, Version
from crlab.apiserver.status import no_resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
NOT_FOUND = "404 page not found\n"
GROUP_ORDER = (
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)


class ApiGroups:
    """Answers /api, /apis and below."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._documents: dict[str, tuple[bytes, str]] = {}

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """Answer a discovery path; None if it is none."""
        parts = [part for part in request.path.split("/") if part]
        if parts == ["api"] or parts == ["apis"]:
            return self._root(request, parts[0])
        if parts[:1] == ["apis"] and len(parts) == 2:
            return self._plain(request, self.group(parts[1]))
        if parts[:1] == ["apis"] and len(parts) == 3:
            return self._plain(request, self.resources(parts[1], parts[2]))
        if parts[:1] == ["api"] and len(parts) == 2:
            if parts[1] != "v1":
                raise no_resource()
            return self._plain(request, self.resources("", parts[1]))
        return None

    def _plain(self, request: HttpRequest, document: dict[str, Any] | None) -> HttpResponse:
        if document is None:
            return HttpResponse.text(NOT_FOUND, 404)
        accept = negotiate(request.header("accept"), can_transform=False)
        return encode_body(accept, msgspec.json.encode(document))

    def _root(self, request: HttpRequest, root: str) -> HttpResponse:
        if _wants_aggregated(request.header("accept")):
            return self._aggregated(request, root)
        document = self.versions() if root == "api" else self.group_list()
        return self._plain(request, document)

    # --- plain -------------------------------------------------------------------------------

    def versions(self) -> dict[str, Any]:
        """Return APIVersions, the document of /api."""
        return {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [
                {"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}
            ],
        }

    def _ordered(self) -> list[tuple[str, list[str]]]:
        found = self._registry.groups()
        known = {group: index for index, group in enumerate(GROUP_ORDER)}
        return sorted(found.items(), key=lambda item: (known.get(item[0], 999), item[0]))

    def group_list(self) -> dict[str, Any]:
        """Return APIGroupList, the document of /apis."""
        groups = [_group(group, versions) for group, versions in self._ordered() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, group: str) -> dict[str, Any] | None:
        """Return an APIGroup, None if it is unknown."""
        versions = self._registry.groups().get(group)
        if not group or versions is None:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}

    def resources(self, group: str, version: str) -> dict[str, Any] | None:
        """Return an APIResourceList, None if the version is not served."""
        if version not in self._registry.groups().get(group, ()):
            return None
        rows = []
        for resource, found in self._registry.resources(group, version):
            rows.append(_row(resource, found))
            rows.extend(_sub_row(resource, sub) for sub in resource.subresources)
        rows.sort(key=lambda row: str(row["name"]))
        head: dict[str, Any] = {"kind": "APIResourceList"}
        if (
            group and any(r.is_custom for r, _ in self._registry.resources(group, version))
        ) or group:
            head["apiVersion"] = "v1"
        name = f"{group}/{version}" if group else version
        return {**head, "groupVersion": name, "resources": rows}

    # --- aggregated --------------------------------------------------------------------------

    def _aggregated(self, request: HttpRequest, root: str) -> HttpResponse:
        if self._generation != self._registry.generation:
            self._documents = {}
            self._generation = self._registry.generation
        cached = self._documents.get(root)
        if cached is None:
            body = msgspec.json.encode(self.aggregated(root))
            cached = (body, f'"{hashlib.sha256(body).hexdigest().upper()}"')
            self._documents[root] = cached
        body, etag = cached
        headers = [("ETag", etag), ("Vary", "Accept")]
        if request.header("if-none-match") == etag:
            return HttpResponse(304, headers, b"")
        response = HttpResponse.json(body, content_type=AGGREGATED)
        response.headers.extend(headers)
        return response

    def aggregated(self, root: str) -> dict[str, Any]:
        """Return the APIGroupDiscoveryList of "api" or "apis"."""
        items = []
        for group, versions in self._ordered():
            if (group == "") == (root == "api"):
                listed = [self._aggregated_version(group, version) for version in versions]
                items.append({"metadata": {"name": group} if group else {}, "versions": listed})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }

    def _aggregated_version(self, group: str, version: str) -> dict[str, Any]:
        rows = []
        for resource, _ in self._registry.resources(group, version):
            row: dict[str, Any] = {
                "resource": resource.plural,
                "responseKind": _response_kind(resource, version, resource.kind),
                "scope": "Namespaced" if resource.is_namespaced else "Cluster",
                "singularResource": resource.singular,
                "verbs": list(resource.verbs),
            }
            if resource.short_names:
                row["shortNames"] = list(resource.short_names)
            if resource.categories:
                row["categories"] = list(resource.categories)
            if resource.subresources:
                row["subresources"] = [
                    {
                        "subresource": sub.name,
                        "responseKind": {
                            "group": sub.group,
                            "version": sub.version,
                            "kind": sub.kind,
                        }
                        if sub.group is not None
                        else _response_kind(resource, version, sub.kind),
                        "verbs": list(sub.verbs),
                    }
                    for sub in sorted(resource.subresources, key=lambda sub: sub.name)
                ]
            rows.append(row)
        rows.sort(key=lambda row: str(row["resource"]))
        return {"version": version, "resources": rows, "freshness": "Current"}


def _response_kind(resource: ResourceType, version: str, kind: str) -> dict[str, str]:
    if resource.is_custom:
        return {"group": resource.group, "version": version, "kind": kind}
    return {"group": "", "version": "", "kind": kind}


def _group(group: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{group}/{name}", "version": name} for name in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _row(resource: ResourceType, version: Version) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if "list" in resource.verbs:
        text = f"{resource.group_resource}/{resource.storage_version.name}"
        row["storageVersionHash"] = hashlib.sha256(text.encode()).hexdigest()[:11] + "="
    del version
    return row


def _sub_row(resource: ResourceType, sub: Subresource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.is_namespaced,
        "kind": sub.kind,
        "verbs": list(sub.verbs),
    }
    if sub.group is not None:
        row["group"], row["version"] = sub.group, sub.version
    return row


def _wants_aggregated(header: str) -> bool:
    for media, parameters in clauses(header):
        if media == "application/json":
            return (
                parameters.get("as") == "APIGroupDiscoveryList"
                and parameters.get("g") == "apidiscovery.k8s.io"
                and parameters.get("v") == "v2"
            ) or (parameters.get("v") == "v2beta1" and _has_v2(header))
        if media in ("*/*", "application/*"):
            return False
    return False


def _has_v2(header: str) -> bool:
    return any(parameters.get("v") == "v2" for _, parameters in clauses(header))
