"""Rules beyond JSON Schema: sets and maps without repeats, embedded resources, replica counts.

Thread: pure functions that append what they find.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{listtype,objectmeta}/validation.go,
pkg/registry/customresource/validator.go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crlab.apiserver.schema.node import INT64_MAX, INT64_MIN, Node
from crlab.apiserver.schema.object_meta import validate_embedded
from crlab.apiserver.status import Cause, duplicate, invalid_value
from crlab.model.go_text import go_type, go_value

_MAX_INT32 = 2**31 - 1


def check_list_types(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    """Append the repeated items of every list of type set or map."""
    if not node.has_list_type:
        return
    if type(value) is dict:
        for key, item in value.items():
            child = node.properties.get(key)
            if child is not None:
                if child.has_list_type:
                    check_list_types(child, item, f"{path}.{key}" if path else key, out)
            elif isinstance(node.additional, Node):
                check_list_types(node.additional, item, f"{path}[{key}]", out)
    elif type(value) is list:
        _check_list_type(node, value, path, out)


def _check_list_type(node: Node, value: list[Any], path: str, out: list[Cause]) -> None:
    if node.list_type == "set":
        for at in _repeats([_canonical(item) for item in value]):
            out.append(duplicate(f"{path}[{at}]", value[at]))
    elif node.list_type == "map":
        _check_list_map(node, value, path, out)
    if node.items is not None and node.items.has_list_type:
        for at, item in enumerate(value):
            check_list_types(node.items, item, f"{path}[{at}]", out)


def _canonical(value: Any) -> tuple[type, Any]:
    kind = type(value)
    if kind is dict or kind is list:
        return kind, json.dumps(value, sort_keys=True)
    return kind, value


def _repeats(keys: list[Any]) -> list[int]:
    """Return the index of each key's second appearance."""
    if len(set(keys)) == len(keys):
        return []
    seen: dict[Any, int] = {}
    repeated = []
    for at, key in enumerate(keys):
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 2:
            repeated.append(at)
    return repeated


def _check_list_map(node: Node, value: list[Any], path: str, out: list[Cause]) -> None:
    for at, item in enumerate(value):
        if item is not None and type(item) is not dict:
            detail = "must be an object for an array of list-type map"
            out.append(invalid_value(f"{path}[{at}]", item, detail))
            return
    names = node.list_keys
    if len(value) < 2:
        return
    keys = [tuple(_canonical(item.get(name)) for name in names) if item else () for item in value]
    for at in _repeats(keys):
        shown = {name: value[at][name] for name in names if value[at] and name in value[at]}
        out.append(duplicate(f"{path}[{at}]", shown))


def check_embedded(node: Node | None, value: Any, path: str, out: list[Cause]) -> None:
    """Append what is wrong with every embedded resource."""
    if node is None or not node.has_embedded:
        return
    if type(value) is dict:
        if node.is_embedded and path:
            validate_embedded(value, path, out)
        for key, item in value.items():
            child = node.properties.get(key)
            if child is not None:
                if child.has_embedded:
                    check_embedded(child, item, f"{path}.{key}" if path else key, out)
            elif isinstance(node.additional, Node):
                check_embedded(node.additional, item, f"{path}[{key}]", out)
    elif type(value) is list:
        for at, item in enumerate(value):
            check_embedded(node.items, item, f"{path}[{at}]", out)


def check_scale(
    scale: Mapping[str, Any], obj: Mapping[str, Any], out: list[Cause], *, of_status: bool
) -> None:
    """Append what makes the scale subresource unreadable: replica counts and the selector."""
    if not of_status:
        _check_replicas(scale.get("specReplicasPath") or "", obj, out)
    _check_replicas(scale.get("statusReplicasPath") or "", obj, out)
    path = scale.get("labelSelectorPath")
    if path:
        value, problem = nested(obj, path, str)
        if problem:
            out.append(invalid_value(path, value if isinstance(value, str) else "", problem))


def _check_replicas(path: str, obj: Mapping[str, Any], out: list[Cause]) -> None:
    value, problem = nested(obj, path, int)
    if problem:
        out.append(invalid_value(path, 0, problem))
    elif value is not None and value < 0:
        out.append(invalid_value(path, value, "should be a non-negative integer"))
    elif value is not None and value > _MAX_INT32:
        out.append(invalid_value(path, value, f"should be less than or equal to {_MAX_INT32}"))


def nested(obj: Mapping[str, Any], path: str, wanted: type) -> tuple[Any, str]:
    """Return the value at a dotted path (None if absent) and Go's complaint about its type."""
    found: Any = obj
    walked = ""
    for part in path.removeprefix(".").split("."):
        if found is None:
            return None, ""
        if type(found) is not dict:
            shown = f"{go_value(found)} is of the type {go_type(found)}"
            return None, f"{path} accessor error: {shown}, expected map[string]interface{{}}"
        walked = f"{walked}.{part}"
        if part not in found:
            return None, ""
        found = found[part]
    is_good = type(found) is wanted
    if wanted is int and type(found) is int:
        is_good = INT64_MIN <= found <= INT64_MAX
    if is_good:
        return found, ""
    expected = {int: "int64", str: "string"}[wanted]
    shown = f"{go_value(found)} is of the type {go_type(found)}"
    return found, f"{path} accessor error: {shown}, expected {expected}"
