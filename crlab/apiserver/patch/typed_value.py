"""Merging, cutting and checking values along their types, for server-side apply.

From: apply. To: values. Inputs are never changed; results may share parts with them.

Guarantees:
  1. `merge` keeps the live order of list items, new ones follow; what both have takes the
     applied order where that differs.
  2. `check` words its errors as the real server.

Thread: pure functions.
Source: structured-merge-diff/typed (merge.go, remove.go, validate.go).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from crlab.apiserver.patch.compare import (
    PathError,
    granular_list,
    granular_map,
    list_elements,
)
from crlab.apiserver.patch.field_set import Node, has_children, is_member, path_text
from crlab.apiserver.patch.type_schema import ListType, MapType, TypeNode
from crlab.model.go_text import go_type, go_value

_MISSING: Any = object()


def merge(node: TypeNode, live: Any, applied: Any) -> Any:
    """Return the live value with the applied one laid over it."""
    if granular_map(node, live) is not None or granular_map(node, applied) is not None:
        if _is_map_or_null(live) and _is_map_or_null(applied) and (live or applied):
            kind = node.map
            assert kind is not None
            return _merge_maps(kind, live or {}, applied or {})
        return applied
    listed = granular_list(node, live) or granular_list(node, applied)
    if listed is not None and _is_list_or_null(live) and _is_list_or_null(applied):
        return _merge_lists(listed, live or [], applied or []) if live or applied else applied
    return applied


def _is_map_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _is_list_or_null(value: Any) -> bool:
    return value is None or isinstance(value, list)


def _merge_maps(kind: MapType, live: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    merged = dict(live)
    for key, value in applied.items():
        merged[key] = merge(kind.child(key), live[key], value) if key in live else value
    return merged


def _merge_lists(kind: ListType, live: list[Any], applied: list[Any]) -> list[Any]:
    """Interleave: shared items come in the applied order, the others where they were."""
    left = list_elements(kind, live)
    right = list_elements(kind, applied)
    by_left = _unique(left, live)
    by_right = dict(zip(right, applied, strict=True))
    shared = deque(element for element in right if element in by_left)
    done: set[str] = set()
    out: list[Any] = []

    def take(element: str) -> None:
        value = by_right[element]
        before = by_left.get(element, _MISSING)
        out.append(value if before is _MISSING else merge(kind.element, before, value))
        done.add(element)
        if shared and shared[0] == element:
            shared.popleft()

    at_left = at_right = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left):
            element = left[at_left]
            if at_right < len(right) and element == right[at_right]:
                take(element)
                at_left += 1
                at_right += 1
                continue
            if element not in by_right:
                out.append(live[at_left])
                at_left += 1
                continue
            if at_right < len(right) and shared and shared[0] != element:
                at_left += 1
                continue
            if element in done:
                at_left += 1
        if at_right < len(right):
            take(right[at_right])
            at_right += 1
    return out


def _unique(elements: list[str], items: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for element, item in zip(elements, items, strict=True):
        found[element] = _MISSING if element in found else item
    return found


def remove(node: TypeNode, value: Any, paths: Node) -> Any:
    """Return the value without what the trie names; an emptied list becomes null."""
    mapped = granular_map(node, value)
    if mapped is not None:
        return _remove_fields(mapped, value, paths)
    listed = granular_list(node, value)
    if listed is not None and value:
        return _remove_items(listed, value, paths) or None
    return value


def _remove_fields(kind: MapType, value: dict[str, Any], paths: Node) -> dict[str, Any]:
    kept = {}
    for key, child in value.items():
        below = paths.get(f"f:{key}", _MISSING)
        if below is _MISSING:
            kept[key] = child
        elif not is_member(below):
            kept[key] = remove(kind.child(key), child, below)
    return kept


def _remove_items(kind: ListType, value: list[Any], paths: Node) -> list[Any]:
    kept = []
    for element, item in zip(list_elements(kind, value), value, strict=True):
        below = paths.get(element, _MISSING)
        if below is _MISSING:
            kept.append(item)
        elif not is_member(below):
            kept.append(remove(kind.element, item, below))
    return kept


def with_named_parents(node: TypeNode, paths: Node) -> Node:
    """Return the trie with every declared field on the way made a member."""
    found: Node = {}
    mapped = node.map
    for element, below in paths.items():
        if element == ".":
            found[element] = {}
            continue
        child = _child(node, element)
        deeper = with_named_parents(child, below)
        is_named = (
            mapped is not None
            and element.startswith("f:")
            and element[2:] in mapped.fields
            and has_children(deeper)
        )
        found[element] = {".": {}, **deeper} if is_named else deeper
    return found


def _child(node: TypeNode, element: str) -> TypeNode:
    mapped, listed = node.map, node.list
    if element.startswith("f:"):
        return mapped.child(element[2:]) if mapped is not None else node
    return listed.element if listed is not None else node


def check(node: TypeNode, value: Any) -> list[str]:
    """Return what an applied value breaks, as ``path: message``."""
    errors: list[str] = []
    _check(node, value, (), errors)
    return errors


def _check(node: TypeNode, value: Any, path: tuple[str, ...], errors: list[str]) -> None:
    mapped, listed, scalar = node.map, node.list, node.scalar
    if value is None:
        return
    if isinstance(value, dict) and mapped is not None:
        _check_map(mapped, value, path, errors)
    elif isinstance(value, list) and listed is not None:
        _check_list(listed, value, path, errors)
    elif scalar is not None and (mapped is None or not isinstance(value, dict | list)):
        problem = _scalar_problem(scalar, value)
        if problem:
            errors.append(_error(path, problem))
    elif mapped is not None:
        errors.append(_error(path, f"expected map, got &{{{go_value(value)}}}"))
    else:
        errors.append(_error(path, f"expected list, got &{{{go_value(value)}}}"))


def _scalar_problem(scalar: str, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if scalar == "numeric" and not is_number:
        return f"expected numeric (int or float), got {go_type(value)}"
    if scalar == "string" and not isinstance(value, str):
        shown = go_value(value, syntax=True)
        return f"expected string, got &value.valueUnstructured{{Value:{shown}}}"
    if scalar == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got &{{{go_value(value)}}}"
    if scalar == "untyped" and isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_value(value)}}}"
    return ""


def _check_map(
    kind: MapType, value: dict[str, Any], path: tuple[str, ...], errors: list[str]
) -> None:
    for key, child in value.items():
        below = (*path, f"f:{key}")
        node = kind.fields.get(key) or kind.element
        if node is None:
            errors.append(_error(below, "field not declared in schema"))
            return
        _check(node, child, below, errors)


def _check_list(kind: ListType, value: list[Any], path: tuple[str, ...], errors: list[str]) -> None:
    if kind.relationship == "atomic":
        for index, item in enumerate(value):
            _check(kind.element, item, (*path, f"i:{index}"), errors)
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        try:
            element = list_elements(kind, [item])[0]
        except PathError as error:
            errors.append(_error(path, f"element {index}: {error}"))
            return
        if element in seen:
            errors.append(_error(path, f"duplicate entries for key {path_text((element,))}"))
        seen.add(element)
        _check(kind.element, item, (*path, element), errors)


def _error(path: tuple[str, ...], message: str) -> str:
    text = path_text(path)
    return f"{text}: {message}" if text else message
