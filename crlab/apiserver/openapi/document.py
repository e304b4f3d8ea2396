"""OpenAPI v3 documents of what the server serves, for kubectl explain and client-side checks.

From: the registry and, for Kubernetes' own kinds, the types of `patch.builtin_schema`. To:
GET /openapi/v3 and /openapi/v3/<group version>. Documents are built when first asked for and
kept until the registry changes.

Guarantees:
  1. A document holds the same bytes as long as its group version does; its hash is in the URL.
  2. A custom resource's schema is the CRD's, plus apiVersion, kind and metadata.
  3. Every object's PATCH names its kind and the parameter ``fieldValidation``: kubectl
     refuses to apply without.

Thread: any; two threads may build the same document, with equal results.
Source: k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder,
k8s.io/kubectl/pkg/explain/v2.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crlab.apiserver.openapi.builtin import builtin_components, component_name, meta_components
from crlab.apiserver.registry import Registry
from crlab.apiserver.resource_type import ResourceType, Version

_TITLE = {"title": "Kubernetes", "version": "v1.36.2"}
_VERBS = {
    "create": ("post", "post"),
    "get": ("get", "get"),
    "list": ("get", "list"),
    "update": ("put", "put"),
    "patch": ("patch", "patch"),
    "delete": ("delete", "delete"),
    "deletecollection": ("delete", "deletecollection"),
}
_COLLECTION = ("list", "create", "deletecollection")
_OBJECT = ("get", "update", "patch", "delete")
_WRITES = frozenset({"create", "update", "patch"})
_STRATEGIC = "application/strategic-merge-patch+json"
_PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    _STRATEGIC,
)


class _Documents:
    """The documents of one registry at one generation."""

    def __init__(self, registry: Registry) -> None:
        self.generation = registry.generation
        self._encoded: dict[str, bytes] = {}

    def encoded(self, registry: Registry, name: str) -> bytes | None:
        """Return a group version's document as bytes, None if it is not served."""
        found = self._encoded.get(name)
        if found is None:
            document = _document(registry, name)
            if document is None:
                return None
            found = msgspec.json.encode(document, order="deterministic")
            self._encoded[name] = found
        return found


_kept: weakref.WeakKeyDictionary[Any, _Documents] = weakref.WeakKeyDictionary()
_kept_lock = threading.Lock()


def _documents(registry: Registry) -> _Documents:
    with _kept_lock:
        found = _kept.get(registry)
        if found is None or found.generation != registry.generation:
            found = _kept[registry] = _Documents(registry)
        return found


def _place(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def openapi_v3_index(registry: Registry) -> dict[str, Any]:
    """Return the list of documents: path → URL with the document's hash."""
    documents = _documents(registry)
    paths: dict[str, Any] = {}
    for group, versions in sorted(registry.groups().items()):
        for version in versions:
            name = _place(group, version)
            body = documents.encoded(registry, name) or b""
            digest = hashlib.sha256(body).hexdigest().upper()
            url = f"/openapi/v3/{name}?hash={digest}"
            paths[name] = {"serverRelativeURL": url}
    return {"paths": paths}


def openapi_v3_bytes(registry: Registry, name: str) -> bytes | None:
    """Return the document as it is sent."""
    return _documents(registry).encoded(registry, name)


def openapi_v2_protobuf() -> bytes:
    """Return the smallest v2 document that clients accept: swagger "2.0" and an empty info."""
    swagger = b"\x0a\x032.0"
    info = b"\x12\x0a" + b"\x0a\x01k" + b"\x12\x05v1.36"
    return swagger + info


def _document(registry: Registry, name: str) -> dict[str, Any] | None:
    parts = name.split("/")
    if parts[0] == "api" and len(parts) == 2:
        group, version = "", parts[1]
    elif parts[0] == "apis" and len(parts) == 3:
        group, version = parts[1], parts[2]
    else:
        return None
    if version not in registry.groups().get(group, ()):
        return None
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = dict(meta_components())
    for resource, found in registry.resources(group, version):
        _add_paths(paths, resource, found)
        _add_schemas(schemas, resource, found)
    document = {"openapi": "3.0.0", "info": _TITLE, "paths": paths}
    return {**document, "components": {"schemas": schemas}}


def _gvk(resource: ResourceType, version: Version) -> dict[str, str]:
    return {"group": resource.group, "kind": resource.kind, "version": version.name}


def _schema_name(resource: ResourceType, version: Version) -> str:
    if not resource.is_custom:
        return component_name(resource.group, version.name, resource.kind)
    reversed_group = ".".join(reversed(resource.group.split(".")))
    return f"{reversed_group}.{version.name}.{resource.kind}"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


# -- paths


def _add_paths(paths: dict[str, Any], resource: ResourceType, version: Version) -> None:
    root = f"/{_place(resource.group, version.name)}"
    base = f"{root}/namespaces/{{namespace}}" if resource.is_namespaced else root
    collection, item = f"{base}/{resource.plural}", f"{base}/{resource.plural}/{{name}}"
    shared = [_in_path("namespace")] if resource.is_namespaced else []
    name = _schema_name(resource, version)
    kind = _gvk(resource, version)
    _add_operations(paths, collection, resource.verbs, _COLLECTION, kind, name, shared)
    _add_operations(paths, item, resource.verbs, _OBJECT, kind, name, [_in_path("name"), *shared])
    if resource.is_namespaced and "list" in resource.verbs:
        _add_operations(paths, f"{root}/{resource.plural}", ("list",), _COLLECTION, kind, name, [])
    for sub in resource.subresources:
        sub_kind = dict(kind)
        if sub.group is not None and sub.version is not None:
            sub_kind = {"group": sub.group, "kind": sub.kind, "version": sub.version}
        verbs = tuple(verb for verb in sub.verbs if verb in _VERBS)
        place = f"{item}/{sub.name}"
        wanted = (*_OBJECT, "create")
        _add_operations(paths, place, verbs, wanted, sub_kind, name, [_in_path("name"), *shared])
    if resource.is_custom:
        for place in (p for p in paths if p.startswith(item)):
            patch = paths[place].get("patch")
            if patch is not None:  # kubectl sends the strategic one wherever it is listed
                patch["requestBody"]["content"].pop(_STRATEGIC, None)


def _add_operations(
    paths: dict[str, Any],
    place: str,
    verbs: Iterable[str],
    wanted: Iterable[str],
    kind: dict[str, str],
    name: str,
    shared: list[dict[str, Any]],
) -> None:
    operations: dict[str, Any] = {}
    allowed = set(verbs)
    for verb in wanted:
        if verb in allowed:
            method, action = _VERBS[verb]
            operations[method] = _operation(verb, action, kind, name)
    if operations:
        paths[place] = {**operations, "parameters": shared} if shared else operations


def _operation(verb: str, action: str, kind: dict[str, str], name: str) -> dict[str, Any]:
    listed = f"{name}List" if verb == "list" else name
    reply = {"description": "OK", "content": {"application/json": {"schema": _ref(listed)}}}
    operation: dict[str, Any] = {
        "description": f"{action} {kind['kind']}",
        "parameters": _parameters(verb),
        "responses": {"200": reply},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    }
    if verb in _WRITES:
        types = _PATCH_TYPES if verb == "patch" else ("application/json", "application/yaml")
        schema = {"type": "object"} if verb == "patch" else _ref(name)
        operation["requestBody"] = {"content": {kind_: {"schema": schema} for kind_ in types}}
    return operation


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "string", "uniqueItems": True}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}


def _parameters(verb: str) -> list[dict[str, Any]]:
    texts: list[tuple[str, str]] = [("pretty", "string")]
    if verb in _WRITES:
        texts += [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")]
    if verb == "patch":
        texts.append(("force", "boolean"))
    if verb in ("delete", "deletecollection"):
        texts += [("dryRun", "string"), ("gracePeriodSeconds", "integer")]
        texts += [("orphanDependents", "boolean"), ("propagationPolicy", "string")]
    if verb in ("list", "deletecollection"):
        texts += [("allowWatchBookmarks", "boolean"), ("continue", "string")]
        texts += [("fieldSelector", "string"), ("labelSelector", "string"), ("limit", "integer")]
        texts += [("resourceVersion", "string"), ("resourceVersionMatch", "string")]
        texts += [("sendInitialEvents", "boolean"), ("timeoutSeconds", "integer")]
        texts.append(("watch", "boolean"))
    return [_in_query(name, kind) for name, kind in texts]


# -- schemas


def _add_schemas(schemas: dict[str, Any], resource: ResourceType, version: Version) -> None:
    name, kind = _schema_name(resource, version), _gvk(resource, version)
    if resource.is_custom:
        found = _custom_schema(version.open_api)
    else:
        components = builtin_components(resource.group, version.name, resource.kind)
        schemas.update({key: sub for key, sub in components.items() if key not in schemas})
        found = dict(schemas.get(name) or {"type": "object", "properties": dict(_type_meta())})
    schemas[name] = {**found, "x-kubernetes-group-version-kind": [kind]}
    list_kind = {**kind, "kind": resource.list_kind}
    items = {"type": "array", "items": _ref(name), "description": f"List of {resource.plural}."}
    properties = {**_type_meta(), "metadata": _meta_ref("ListMeta"), "items": items}
    schemas[f"{name}List"] = {
        "type": "object",
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": [list_kind],
    }


def _type_meta() -> dict[str, Any]:
    return {
        "apiVersion": {
            "type": "string",
            "description": "Group and version of the schema this object follows.",
        },
        "kind": {"type": "string", "description": "Name of the resource this object is of."},
    }


def _meta_ref(name: str) -> dict[str, Any]:
    return {"allOf": [_ref(f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}")], "default": {}}


def _custom_schema(open_api: Mapping[str, Any] | None) -> dict[str, Any]:
    schema = dict(_plain(open_api or {"type": "object"}))
    schema.pop("x-kubernetes-preserve-unknown-fields", None)
    metadata = {"description": "Standard object's metadata.", **_meta_ref("ObjectMeta")}
    implied = {**_type_meta(), "metadata": metadata}
    schema["properties"] = {**(schema.get("properties") or {}), **implied}
    schema["type"] = "object"
    return schema


def _plain(schema: Any) -> Any:
    """Drop what only the API server evaluates; int-or-string becomes OpenAPI's either-or."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: _plain(sub) for name, sub in value.items()}
        elif key in ("default", "enum", "example"):
            found[key] = value
        elif key != "x-kubernetes-validations":
            found[key] = _plain(value)
    return found
