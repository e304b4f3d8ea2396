"""Unknown and mistyped fields of core kinds, found with the types of the 1.36 API.

From: `strategy.decode`. Fields that a type does not have are dropped; a value of the wrong
JSON type is named as Go's decoder names it; times are brought into their one form.

Thread: pure functions.
Source: encoding/json (UnmarshalTypeError), sigs.k8s.io/json.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.kind.time import MICRO_TIMES, TIMES, TimeFault, normal_time
from crlab.apiserver.patch import builtin_schema
from crlab.apiserver.patch.type_schema import MapType, TypeNode
from crlab.apiserver.storage import Tree
from crlab.model.go_text import json_kind

_INTEGERS = {"int32": range(-(2**31), 2**31), "int64": range(-(2**63), 2**63)}


class _Fault(Exception):
    pass


def check_fields(api_version: str, kind: str, tree: Tree, unknown: list[str]) -> str:
    """Drop unknown fields in place, naming them; return Go's words for the first mistyped
    field, "" if there is none."""
    node = builtin_schema.for_kind(api_version, kind)
    if node is None:
        return ""
    try:
        _walk(tree, node, "", kind, unknown)
    except (_Fault, TimeFault) as fault:
        return str(fault)
    return ""


def _walk(value: Any, node: TypeNode, path: str, struct: str, unknown: list[str]) -> None:
    if value is None or node.scalar == "untyped":
        return
    if isinstance(value, dict):
        if node.map is None:
            raise _mistyped(value, node, path, struct)
        _walk_map(value, node.map, path, struct, unknown)
    elif isinstance(value, list):
        items = node.list
        if items is None:
            raise _mistyped(value, node, path, struct)
        for index, item in enumerate(value):
            _walk(item, items.element, f"{path}[{index}]", struct, unknown)
    elif not _fits(value, node):
        raise _mistyped(value, node, path, struct)


def _walk_map(value: Tree, shape: MapType, path: str, struct: str, unknown: list[str]) -> None:
    for key in list(value):
        child = shape.fields.get(key) if shape.fields else None
        here = f"{path}.{key}" if path else key
        if child is not None:
            _walk(value[key], child, here, struct, unknown)
            if isinstance(value[key], str):
                value[key] = _timely(key, value[key])
        elif shape.element is not None:
            _walk(value[key], shape.element, path, struct, unknown)
        else:
            unknown.append(here)
            del value[key]


def _timely(name: str, text: str) -> str:
    is_micro = name in MICRO_TIMES
    return normal_time(text, micro=is_micro) if is_micro or name in TIMES else text


def _fits(value: Any, node: TypeNode) -> bool:
    if node.scalar is None:
        return False
    if node.scalar == "string":
        return isinstance(value, str)
    if node.scalar == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if node.go_type not in _INTEGERS:
        return True
    return isinstance(value, int) and value in _INTEGERS[node.go_type]


def _mistyped(value: Any, node: TypeNode, path: str, struct: str) -> _Fault:
    found = json_kind(value)
    if found == "number" and node.scalar == "numeric":
        found = f"number {value}"
    wanted = node.go_type or _go_type(node)
    field = ".".join(part.partition("[")[0] for part in path.split("."))
    return _Fault(
        f"json: cannot unmarshal {found} into Go struct field {struct}.{field} of type {wanted}"
    )


def _go_type(node: TypeNode) -> str:
    if node.map is not None:
        return "map[string]string" if node.map.element is not None else "struct"
    if node.list is not None:
        return f"[]{_go_type(node.list.element)}"
    return {"boolean": "bool", "numeric": "int32"}.get(node.scalar or "", "string")
