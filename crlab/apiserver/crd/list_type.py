"""Rules for x-kubernetes-list-type and the items it speaks about.

Thread: pure functions that append what they find.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.apiserver.status import Cause, forbidden_field, invalid_value, required, unsupported


def typed(field: str, kind: str, detail: str) -> Cause:
    return invalid_value(field, kind, detail) if kind else required(field, detail)


def check_list(schema: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    list_type = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or []
    kind, items = schema.get("type") or "", schema.get("items")
    field = f"{path}.x-kubernetes-list-type"
    if list_type is not None and kind != "array":
        detail = "must be array if x-kubernetes-list-type is specified"
        out.append(typed(f"{path}.type", kind, detail))
    elif list_type == "set" and isinstance(items, Mapping):
        _check_set_items(items, path, out)
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        out.append(unsupported(field, list_type, ("atomic", "set", "map")))
    if keys and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        out.append(typed(field, list_type or "", detail))
    if list_type == "map":
        _check_map_list(keys, items, path, out)
    if list_type in ("set", "map") and isinstance(items, Mapping):
        if items.get("nullable"):
            detail = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
            out.append(forbidden_field(f"{path}.items.nullable", detail))
        if list_type == "map":
            _check_map_keys(keys, items, path, out)


def _check_set_items(items: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
    nested = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and nested not in (None, "atomic"):
        out.append(invalid_value(f"{path}.items.x-kubernetes-list-type", nested, detail))
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        out.append(invalid_value(f"{path}.items.x-kubernetes-map-type", nested, detail))


def _check_map_list(keys: list[str], items: Any, path: str, out: list[Cause]) -> None:
    field = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        out.append(required(field, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        detail = "must have a schema if x-kubernetes-list-type is map"
        out.append(required(f"{path}.items", detail))
    if not isinstance(items, Mapping):
        return
    if items.get("type") != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        out.append(invalid_value(f"{path}.items.type", items.get("type") or "", detail))
        return
    properties = items.get("properties") or {}
    for at, key in enumerate(keys):
        if key not in properties:
            out.append(invalid_value(field, keys, "entries must all be names of item properties"))
        elif properties[key].get("type") in ("array", "object"):
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            out.append(invalid_value(f"{path}.items.properties[{key}].type", "object", detail))
        if key in keys[:at]:
            out.append(invalid_value(field, keys, "must not contain duplicate entries"))


def _check_map_keys(keys: list[str], items: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    why = "this property is in x-kubernetes-list-map-keys, so it"
    for key in keys:
        found = (items.get("properties") or {}).get(key)
        if found is None:
            continue
        base = f"{path}.items.properties[{key}]"
        if key not in (items.get("required") or ()) and found.get("default") is None:
            out.append(
                required(f"{base}.default", f"{why} must have a default or be a required property")
            )
        if found.get("nullable"):
            out.append(forbidden_field(f"{base}.nullable", f"{why} cannot be nullable"))
