"""CEL types, and the types that a structural schema gives to `self`.

Types are tuples: ``("int",)``, ``("list", T)``, ``("map", K, V)``, ``("optional_type", T)``,
``("object", ObjectType)``, ``("param", name)``.

Thread: immutable values and pure functions.
Source: google/cel-go:common/types/types.go, k8s.io/apiserver/pkg/cel/{common/schemas,escaping,
limits}.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crlab.cel.token import RESERVED

Type = tuple[Any, ...]

BOOL: Type = ("bool",)
INT: Type = ("int",)
UINT: Type = ("uint",)
DOUBLE: Type = ("double",)
STRING: Type = ("string",)
BYTES: Type = ("bytes",)
NULL: Type = ("null",)
DYN: Type = ("dyn",)
ERROR: Type = ("!error!",)
TIMESTAMP: Type = ("timestamp",)
DURATION: Type = ("duration",)

MAX_REQUEST_BYTES = 3 * 1024 * 1024
_ESCAPED = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_KEYWORDS = RESERVED | {"true", "false", "null", "in"}


@dataclass(eq=False)
class ObjectType:
    """An object with declared fields, by their escaped names."""

    name: str
    fields: dict[str, Decl] = field(default_factory=dict)


@dataclass(eq=False)
class Decl:
    """A schema as CEL sees it, with the sizes that cost estimation needs.

    Attributes:
        type: the CEL type.
        max_elements: how long a value can get (characters, items, entries).
        min_size: the shortest JSON a value can have.
        element: declaration of items or map values.
        fields: declarations of an object's fields, by escaped name.
    """

    type: Type
    max_elements: int = 0
    min_size: int = 0
    element: Decl | None = None
    key: Decl | None = None
    fields: dict[str, Decl] = field(default_factory=dict)


def escape(name: str) -> str | None:
    """Return a property's name as an identifier, None if it cannot be one."""
    if not re.fullmatch(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*", name):
        return None
    if name in _KEYWORDS:
        return f"__{name}__"
    return re.sub(r"__|[-./]", lambda found: _ESCAPED[found[0]], name)


def unescape(name: str) -> str:
    """Return the property that an escaped identifier stands for."""
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _KEYWORDS:
        return name[2:-2]
    back = {escaped: plain for plain, escaped in _ESCAPED.items()}
    return re.sub("__(?:underscores|dot|dash|slash)__", lambda found: back[found[0]], name)


def show_type(found: Type) -> str:
    """Return a type as error messages print it."""
    kind = found[0]
    if kind == "object":
        return str(found[1].name)
    if kind == "param":
        return str(found[1])
    if len(found) > 1:
        return f"{kind}({', '.join(show_type(part) for part in found[1:])})"
    return str(kind)


def schema_decl(schema: Mapping[str, Any], name: str, *, of_resource: bool) -> Decl | None:
    """Return what CEL may see of a schema, None if nothing.

    Args:
        name: type name of an object, extended by the field's name for nested ones.
        of_resource: the root of a custom or embedded resource.
    """
    if schema.get("x-kubernetes-int-or-string"):
        longest = schema.get("maxLength")
        size = MAX_REQUEST_BYTES - 2 if longest is None else max(0, longest) * 4
        return Decl(DYN, size, 1)
    if of_resource:
        schema = with_object_meta(schema)
    kind = schema.get("type")
    if kind == "array":
        return _list_decl(schema, name)
    if kind == "object":
        if isinstance(schema.get("additionalProperties"), Mapping):
            return _map_decl(schema, name)
        return _object_decl(schema, name)
    if kind == "string":
        return _string_decl(schema)
    simple = {"boolean": (BOOL, 4), "number": (DOUBLE, 1), "integer": (INT, 1)}.get(str(kind))
    return Decl(simple[0], 0, simple[1]) if simple else None


def with_object_meta(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a resource's schema with apiVersion, kind and the two visible metadata fields."""
    text = {"type": "string"}
    metadata = {"type": "object", "properties": {"name": text, "generateName": text}}
    implied = {"apiVersion": text, "kind": text, "metadata": metadata}
    return {
        **schema,
        "type": "object",
        "properties": {**(schema.get("properties") or {}), **implied},
    }


def _is_embedded(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _list_decl(schema: Mapping[str, Any], name: str) -> Decl | None:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return None
    element = schema_decl(items, f"{name}.@idx", of_resource=_is_embedded(items))
    if element is None:
        return None
    limit = schema.get("maxItems")
    size = (MAX_REQUEST_BYTES - 2) // (element.min_size + 1) if limit is None else max(0, limit)
    return Decl(("list", element.type), size, 2, element)


def _map_decl(schema: Mapping[str, Any], name: str) -> Decl | None:
    values = schema["additionalProperties"]
    element = schema_decl(values, f"{name}.@elem", of_resource=_is_embedded(values))
    if element is None:
        return None
    limit = schema.get("maxProperties")
    size = (MAX_REQUEST_BYTES - 2) // (element.min_size + 6) if limit is None else max(0, limit)
    key = Decl(STRING, 0, 2)  # kube-apiserver leaves the keys out of the account
    return Decl(("map", STRING, element.type), size, 2, element, key)


def _object_decl(schema: Mapping[str, Any], name: str) -> Decl:
    found = ObjectType(name)
    decl = Decl(("object", found), 0, 2)
    required = set(schema.get("required") or ())
    for key, sub in (schema.get("properties") or {}).items():
        below = schema_decl(sub, f"{name}.{key}", of_resource=_is_embedded(sub))
        if below is None:
            continue
        escaped = escape(key)
        if escaped is not None:
            found.fields[escaped] = below
        if key in required and sub.get("default") is None:
            decl.min_size += len(key) + below.min_size + 4
    decl.fields = found.fields
    return decl


def _string_decl(schema: Mapping[str, Any]) -> Decl:
    longest, form = schema.get("maxLength"), schema.get("format") or ""
    if form == "duration":
        return Decl(DURATION, 32, 3)
    if form == "date":
        return Decl(TIMESTAMP, 12, 12)
    if form == "date-time":
        return Decl(TIMESTAMP, 32, 21)
    if form == "byte":
        return Decl(BYTES, MAX_REQUEST_BYTES - 2 if longest is None else max(0, longest), 2)
    if longest is not None:
        return Decl(STRING, max(0, longest) * 4, 2)
    enum = [len(item.encode()) for item in schema.get("enum") or () if isinstance(item, str)]
    return Decl(STRING, max(enum) if enum else MAX_REQUEST_BYTES - 2, 2)
