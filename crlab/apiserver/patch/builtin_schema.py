"""The types of Kubernetes' own kinds: fields, list types and merge keys, as data.

From: builtin_schema.json (facts of the 1.36 API: 60-odd kinds, 440 types). To: compare,
apply and strategic, and whoever wants to know a core kind's fields.

Data: ``kinds`` maps "apps/v1/Deployment" to a type; a type has ``fields``; a field is a
scalar's name, "@" and a type, or ``{"list": …, "type", "keys", "merge"}``, ``{"map": …}``.

Thread: any; read once, types are made when first asked for.
Source: the API server's OpenAPI document (x-kubernetes-list-type, -patch-merge-key).
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import msgspec

from crlab.apiserver.patch.type_schema import DEDUCED, ListType, MapType, TypeNode

_SCALARS = {
    "string": "string",
    "boolean": "boolean",
    "int32": "numeric",
    "int64": "numeric",
    "double": "numeric",
    "byte": "untyped",
    "quantity": "untyped",
    "any-scalar": "untyped",
}
_GO_TYPES = {"string": "string", "boolean": "bool", "int32": "int32", "int64": "int64"}


def for_kind(api_version: str, kind: str) -> TypeNode | None:
    """Return a core kind's type, None if it is not known here ("apps/v1", "Deployment")."""
    name = _data()["kinds"].get(f"{api_version}/{kind}")
    return None if name is None else _type(name)


def object_meta() -> TypeNode:
    """Return the type of metadata."""
    return _type("meta.ObjectMeta")


def kinds() -> tuple[str, ...]:
    """Return what `for_kind` knows, as "apps/v1/Deployment"."""
    return tuple(_data()["kinds"])


def raw() -> dict[str, Any]:
    """Return the table as it is (for OpenAPI); not to be changed."""
    return _data()


@functools.cache
def _data() -> dict[str, Any]:
    path = resources.files("crlab.apiserver.patch").joinpath("builtin_schema.json")
    data: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return data


@functools.cache
def _type(name: str) -> TypeNode:
    return TypeNode(fill=lambda: (_fill(name), None))


def _fill(name: str) -> MapType:
    data = _data()["types"][name]
    fields = {field: _node(spec) for field, spec in data["fields"].items()}
    return MapType(fields, None, data.get("atomic", False), data.get("defaults", {}))


def _node(spec: Any) -> TypeNode:
    if isinstance(spec, str):
        if spec.startswith("@"):
            return _type(spec[1:])
        if spec == "any":
            return DEDUCED
        return TypeNode(scalar=_SCALARS[spec], go_type=_GO_TYPES.get(spec, ""))
    if "ref" in spec:
        return TypeNode(fill=lambda: (_atomic(spec["ref"]), None))
    if "map" in spec:
        return TypeNode(map=MapType({}, _node(spec["map"]), spec.get("atomic", False)))
    return TypeNode(list=_list(spec))


def _atomic(name: str) -> MapType:
    found = _fill(name)
    return MapType(found.fields, found.element, True, found.defaults)


def _list(spec: dict[str, Any]) -> ListType:
    keys = tuple(sorted(spec.get("keys", ())))
    return ListType(
        _node(spec["list"]),
        spec.get("type", "atomic"),
        keys,
        spec.get("merge", ""),
        "merge" in spec,
    )
