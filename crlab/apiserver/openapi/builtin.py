"""OpenAPI schemas of Kubernetes' own kinds, made from the field table of `patch`.

Thread: any; made once per kind.
Source: the API server's OpenAPI document of 1.36 (field names and types; the descriptions
are this project's own).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from crlab.apiserver.openapi.text import DESCRIPTIONS
from crlab.apiserver.patch import builtin_schema

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "byte": {"type": "string", "format": "byte"},
    "quantity": {"type": "string"},
    "any-scalar": {"type": "string", "format": "int-or-string"},
    "any": {"type": "object"},
}
_EXTENSIONS = {"apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions"}


def component_name(group: str, version: str, kind: str) -> str:
    """Return the name of a core kind's schema."""
    return _component(_type_name(group, version, kind) or f"{group}.{version}.{kind}")


def _type_name(group: str, version: str, kind: str) -> str | None:
    api_version = f"{group}/{version}" if group else version
    found: str | None = builtin_schema.raw()["kinds"].get(f"{api_version}/{kind}")
    return found


def _component(name: str) -> str:
    head, _, rest = name.partition(".")
    if head == "meta":
        return f"{_META}.{rest}"
    return f"{_EXTENSIONS.get(head, f'io.k8s.api.{head}')}.{rest}"


def meta_components() -> Mapping[str, Any]:
    """Return the schemas every document has: ObjectMeta and what it refers to, ListMeta."""
    return _meta()


@functools.cache
def _meta() -> dict[str, Any]:
    found: dict[str, Any] = {}
    _collect("meta.ObjectMeta", found)
    found[f"{_META}.ListMeta"] = {
        "type": "object",
        "description": "Metadata of a list: its revision and how to get the rest.",
        "properties": {
            "continue": {"type": "string", "description": "Token for the next page."},
            "remainingItemCount": {
                "type": "integer",
                "format": "int64",
                "description": "How many items come after this page.",
            },
            "resourceVersion": {"type": "string", "description": "Revision of the list."},
            "selfLink": {"type": "string"},
        },
    }
    return found


@functools.cache
def builtin_components(group: str, version: str, kind: str) -> Mapping[str, Any]:
    """Return the schemas a core kind needs, by name; {} if the kind is not known."""
    found: dict[str, Any] = {}
    name = _type_name(group, version, kind)
    if name is not None:
        _collect(name, found)
    return found


def _collect(name: str, found: dict[str, Any]) -> None:
    component = _component(name)
    if component in found:
        return
    data = builtin_schema.raw()["types"].get(name)
    if data is None:
        found[component] = {"type": "object"}
        return
    schema: dict[str, Any] = {"type": "object"}
    found[component] = schema
    if name in DESCRIPTIONS:
        schema["description"] = DESCRIPTIONS[name]
    properties = {}
    for field, spec in data["fields"].items():
        properties[field] = _field(name, field, spec, found)
    schema["properties"] = properties
    if data.get("required"):
        schema["required"] = list(data["required"])


def _field(name: str, field: str, spec: Any, found: dict[str, Any]) -> dict[str, Any]:
    schema = _schema(spec, found)
    text = DESCRIPTIONS.get(f"{name}.{field}") or DESCRIPTIONS.get(f"*.{field}")
    if text is None:
        return schema
    if "$ref" in schema:
        return {"allOf": [schema], "description": text}
    return {**schema, "description": text}


def _schema(spec: Any, found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(spec, str):
        if not spec.startswith("@"):
            return dict(_SCALARS[spec])
        return _reference(spec[1:], found)
    if "ref" in spec:
        return _reference(spec["ref"], found)
    if "map" in spec:
        return {"type": "object", "additionalProperties": _schema(spec["map"], found)}
    schema: dict[str, Any] = {"type": "array", "items": _schema(spec["list"], found)}
    if "type" in spec:
        schema["x-kubernetes-list-type"] = spec["type"]
    if spec.get("keys"):
        schema["x-kubernetes-list-map-keys"] = list(spec["keys"])
    if "merge" in spec:
        schema["x-kubernetes-patch-strategy"] = "merge"
        if spec["merge"]:
            schema["x-kubernetes-patch-merge-key"] = spec["merge"]
    return schema


def _reference(name: str, found: dict[str, Any]) -> dict[str, Any]:
    _collect(name, found)
    return {"$ref": f"#/components/schemas/{_component(name)}"}
