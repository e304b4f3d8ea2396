"""Strategic merge patch: merge patch that knows how lists of core kinds merge.

From: PATCH with application/strategic-merge-patch+json on a built-in kind. To: the patched
document; inputs are never changed.

Guarantees:
  1. Lists with a merge key merge per item, primitive lists with strategy merge as sets,
     all others are replaced.
  2. Order: what the patch names stands in the patch's (or $setElementOrder's) order, the
     rest keeps its place among it.
  3. ``$patch``, ``$deleteFromPrimitiveList``, ``$setElementOrder`` and ``$retainKeys`` never
     reach the result.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/util/strategicpatch/patch.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from crlab.apiserver.patch.type_schema import DEDUCED, ListType, TypeNode
from crlab.apiserver.status import Cause, StatusError, bad_request, internal, invalid
from crlab.model.go_text import go_type, go_value, json_kind

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"
_BAD_DELETE = "invalid patch format of primitive list"
_BAD_RETAIN = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"

Tree = dict[str, Any]


def apply(doc: Tree, patch: Any, type_schema: TypeNode | None = None) -> Tree:
    """Return `doc` with the patch merged in.

    Args:
        type_schema: the kind's type from builtin_schema; None replaces every list.

    Raises:
        StatusError: 400 for a malformed patch, 422 for a value of the wrong type, 500 for
            an item without its merge key (as the real server answers).
    """
    if patch is None:
        return dict(doc)
    if not isinstance(patch, dict):
        raise bad_request(
            f"json: cannot unmarshal {json_kind(patch)} into Go value of type "
            "map[string]interface {}"
        )
    node = type_schema or DEDUCED
    merged = _merge_map(doc, patch, node)
    _check_types(node, merged, patch)
    return merged


def _merge_map(original: Any, patch: Tree, node: TypeNode) -> Tree:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        raise _bad_directive(directive, patch)
    merged: Tree = dict(original) if isinstance(original, dict) else {}
    _retain_keys(merged, patch)
    orders = _orders(patch)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            _delete_items(merged, key.removeprefix(DELETE_FROM), value)
    for key, value in patch.items():
        if not key.startswith((DIRECTIVE, RETAIN, DELETE_FROM, ORDER)):
            _merge_key(merged, key, value, node, orders)
    for key, order in orders.items():
        if key not in patch and isinstance(merged.get(key), list):
            merged[key] = _ordered_list(merged[key], order, _list_type(node, key))
    return merged


def _merge_key(
    merged: Tree, key: str, value: Any, node: TypeNode, orders: dict[str, list[Any]]
) -> None:
    child = node.map.child(key) if node.map is not None else DEDUCED
    before = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        result = _merge_map(before, value, child)
        if result or _is_struct(child) or not (before or DIRECTIVE in value):
            merged[key] = result
        else:
            merged.pop(key, None)  # Go omits an emptied map, not an emptied struct
    elif isinstance(value, list):
        result_list = _merge_list(before, value, child, orders.get(key))
        if result_list or not value:
            merged[key] = result_list
        else:
            merged.pop(key, None)
    else:
        merged[key] = value


def _is_struct(node: TypeNode) -> bool:
    return node.map is not None and bool(node.map.fields)


def _list_type(node: TypeNode, key: str) -> ListType | None:
    child = node.map.child(key) if node.map is not None else DEDUCED
    return child.list


def _merge_list(before: Any, patch: list[Any], node: TypeNode, order: list[Any] | None) -> Any:
    kind = node.list
    if kind is None or not kind.is_patch_merge:
        return [_without_directives(item) for item in patch if not _is_directive_only(item)]
    live = list(before) if isinstance(before, list) else []
    if not any(isinstance(item, dict) for item in (*patch, *live)):
        merged = _unique([*live, *patch])
        return _interleave(merged, patch, order, live, "")
    return _merge_items(live, patch, kind, order)


def _merge_items(
    live: list[Any], patch: list[Any], kind: ListType, order: list[Any] | None
) -> list[Any]:
    key = kind.merge_key
    if not key:
        raise internal("cannot merge lists without merge key")
    merged, plain, is_replaced = _obey_directives(live, patch, key)
    if is_replaced:
        return [_without_directives(item) for item in plain]
    places = _names(merged, key)
    for item in plain:
        if not isinstance(item, dict) or key not in item:
            raise internal(f"map: {go_value(item)} does not contain declared merge key: {key}")
        place = places.get(_name(item, key))
        if place is None:
            places[_name(item, key)] = len(merged)
            merged.append(_merge_map({}, item, kind.element))
        else:
            merged[place] = _merge_map(merged[place], item, kind.element)
    return _interleave(merged, plain, order, live, key)


def _obey_directives(
    live: list[Any], patch: list[Any], key: str
) -> tuple[list[Any], list[Any], bool]:
    gone: set[bytes] = set()
    plain: list[Any] = []
    is_replaced = False
    for item in patch:
        directive = item.get(DIRECTIVE) if isinstance(item, dict) else None
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            if key not in item:
                raise internal(f"map: {go_value(item)} does not contain declared merge key: {key}")
            gone.add(_name(item, key))
        elif directive == "replace":
            is_replaced = True
        elif directive == "merge":
            raise internal("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_directive(directive, item)
    merged = [item for item in live if _name(item, key) not in gone]
    return merged, plain, is_replaced


def _names(items: Iterable[Any], key: str) -> dict[bytes, int]:
    """Return where each name (merge key, or the value itself) stands first."""
    found: dict[bytes, int] = {}
    for index, item in enumerate(items):
        found.setdefault(_name(item, key), index)
    return found


def _name(item: Any, key: str) -> bytes:
    named = item.get(key) if key and isinstance(item, dict) else item
    return msgspec.json.encode(named, order="sorted")


def _interleave(
    merged: list[Any], patch: list[Any], order: list[Any] | None, live: list[Any], key: str
) -> list[Any]:
    """Put the patch's items in order and the others where the live list had them."""
    wanted = _names(order if order is not None else patch, key)
    was = _names(live, key)
    items = [(_name(item, key), item) for item in merged]
    right = deque(sorted((i for i in items if i[0] in wanted), key=lambda i: wanted[i[0]]))
    left = deque(item for item in items if item[0] not in wanted)
    out: list[Any] = []
    while left and right:
        at_left, at_right = was.get(left[0][0]), was.get(right[0][0])
        is_first = at_left is not None and at_right is not None and at_left < at_right
        out.append((left if is_first else right).popleft()[1])
    return out + [item for _, item in (*left, *right)]


def _ordered_list(items: list[Any], order: list[Any], kind: ListType | None) -> list[Any]:
    key = kind.merge_key if kind is not None else ""
    return _interleave(items, [], order, items, key)


def _unique(items: list[Any]) -> list[Any]:
    return list({_name(item, ""): item for item in reversed(items)}.values())[::-1]


def _retain_keys(merged: Tree, patch: Tree) -> None:
    if RETAIN not in patch:
        return
    keep = patch[RETAIN]
    if not isinstance(keep, list):
        raise bad_request(_BAD_RETAIN)
    for key in patch:
        if key not in keep and not key.startswith("$"):
            raise bad_request(_BAD_RETAIN)
    for key in list(merged):
        if key not in keep:
            del merged[key]


def _orders(patch: Tree) -> dict[str, list[Any]]:
    found = {}
    for key, value in patch.items():
        if key.startswith(ORDER):
            if not isinstance(value, list):
                raise bad_request(_BAD_ORDER)
            found[key.removeprefix(ORDER)] = value
    return found


def _delete_items(merged: Tree, key: str, gone: Any) -> None:
    if not isinstance(gone, list):
        raise bad_request(_BAD_DELETE)
    items = merged.get(key)
    if isinstance(items, list):
        names = _names(gone, "")
        left = [item for item in items if _name(item, "") not in names]
        if left:
            merged[key] = left
        else:
            del merged[key]


def _is_directive_only(item: Any) -> bool:
    return isinstance(item, dict) and DIRECTIVE in item and len(item) == 1


def _without_directives(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_directives(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, child in value.items():
        if not key.startswith((DIRECTIVE, RETAIN, DELETE_FROM, ORDER)):
            kept[key] = _without_directives(child)
    return kept


def _bad_directive(directive: Any, patch: Tree) -> StatusError:
    return internal(f"unknown patch type {go_value(directive)} in map: {go_value(patch)}")


def _check_types(node: TypeNode, value: Any, patch: Tree) -> None:
    problem = _wrong_type(node, value)
    if problem:
        text = f'Invalid value: "{go_value(patch)}": {problem}'
        cause = Cause("FieldValueInvalid", text, "patch")
        raise invalid("", "", "", [cause])


def _wrong_type(node: TypeNode, value: Any) -> str:
    """Return what Go says of the first scalar that does not fit its field."""
    if isinstance(value, dict) and node.map is not None:
        for key in sorted(value):
            problem = _wrong_type(node.map.child(key), value[key])
            if problem:
                return problem
    elif isinstance(value, list) and node.list is not None:
        for item in value:
            problem = _wrong_type(node.list.element, item)
            if problem:
                return problem
    elif value is not None and node.go_type and not _fits(node, value):
        return f"cannot convert {go_type(value)} to {node.go_type}"
    return ""


def _fits(node: TypeNode, value: Any) -> bool:
    if node.scalar == "string":
        return isinstance(value, str)
    if node.scalar == "boolean":
        return isinstance(value, bool)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and (not isinstance(value, float) or value.is_integer())
