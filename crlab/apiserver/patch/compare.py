"""What a write changed, and what an object says: values walked along their types.

From: managed_fields and apply. To: field-set tries. A container that appears or goes is
itself in the set with all that is below; one that stays is not.

Guarantees:
  1. Atomic maps and lists, scalars and empty containers are leaves.
  2. true and 1 differ, 1 and 1.0 do not.
  3. Server-owned metadata, apiVersion and kind never appear in `compare_objects`.

Thread: pure functions.
Source: structured-merge-diff/typed (compare.go, tofieldset.go, helpers.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crlab.apiserver.patch.field_set import Node, key_element, value_element
from crlab.apiserver.patch.type_schema import DEDUCED, ListType, MapType, TypeNode

SERVER_OWNED = frozenset(
    {
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    }
)
_encode = msgspec.json.encode
_MISSING: Any = object()


class PathError(ValueError):
    """A list item cannot be named by its list's type; `index` is its place."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


def list_elements(kind: ListType, items: Iterable[Any]) -> list[str]:
    """Return the path element of each item of a set or map list.

    Raises:
        PathError: an item has no name under the list's type.
    """
    if kind.relationship == "map":
        defaults = kind.element.map.defaults if kind.element.map is not None else {}
        return [_keyed(kind, defaults, item, index) for index, item in enumerate(items)]
    return [_valued(item, index) for index, item in enumerate(items)]


def _keyed(kind: ListType, defaults: Mapping[str, Any], item: Any, index: int) -> str:
    if item is None:
        raise PathError("associative list with keys may not have a null element", index)
    if not isinstance(item, dict):
        raise PathError("associative list with keys may not have non-map elements", index)
    keys = {}
    for key in kind.keys:
        if key in item:
            keys[key] = item[key]
        elif key in defaults:
            keys[key] = defaults[key]
    if not keys:
        names = " ".join(f'"{key}"' for key in kind.keys)
        raise PathError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)",
            index,
        )
    return key_element(keys)


def _valued(item: Any, index: int) -> str:
    if isinstance(item, dict):
        raise PathError("associative list without keys has an element that's a map type", index)
    if isinstance(item, list):
        raise PathError("not supported: associative list with lists as elements", index)
    return value_element(item)


def is_same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal."""
    if left is right:
        return True
    if left != right:
        return False
    if left.__class__ is right.__class__ and left.__class__ not in (dict, list):
        return True
    return _encode(left) == _encode(right) or _is_same_deep(left, right)


def _is_same_deep(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return all(is_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list):
        return all(is_same(a, b) for a, b in zip(left, right, strict=True))
    return isinstance(left, bool) == isinstance(right, bool)


def granular_map(node: TypeNode, value: Any) -> MapType | None:
    """Return the map type to descend by, None if the value is a leaf as a map."""
    if not isinstance(value, dict):
        return None
    kind = node.map
    if kind is None:
        return None
    return None if kind.is_atomic else kind


def granular_list(node: TypeNode, value: Any) -> ListType | None:
    """Return the list type to descend by, None if the value is a leaf as a list."""
    if not isinstance(value, list):
        return None
    kind = node.list
    return None if kind is None or kind.relationship == "atomic" else kind


def compare_objects(
    root: TypeNode, old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[Node, Node]:
    """Return (what was added or modified, what was removed) between two whole objects.

    Raises:
        PathError: a list item cannot be named; ownership cannot be told.
    """
    changed: Node = {}
    removed: Node = {}
    kind = root.map or DEDUCED.map
    assert kind is not None
    old_rest = {k: v for k, v in old.items() if k not in ("apiVersion", "kind", "metadata")}
    new_rest = {k: v for k, v in new.items() if k not in ("apiVersion", "kind", "metadata")}
    _compare_maps(kind, old_rest, new_rest, changed, removed)
    old_meta = {k: v for k, v in (old.get("metadata") or {}).items() if k not in SERVER_OWNED}
    new_meta = {k: v for k, v in (new.get("metadata") or {}).items() if k not in SERVER_OWNED}
    if old_meta or new_meta:
        meta = kind.child("metadata").map or kind
        _compare_below("f:metadata", meta, old_meta, new_meta, changed, removed)
    return changed, removed


def _compare_below(
    element: str,
    kind: MapType,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    changed: Node,
    removed: Node,
) -> None:
    gained: Node = {}
    lost: Node = {}
    _compare_maps(kind, old, new, gained, lost)
    if gained:
        changed[element] = gained
    if lost:
        removed[element] = lost


def _compare_maps(
    kind: MapType, old: Mapping[str, Any], new: Mapping[str, Any], changed: Node, removed: Node
) -> None:
    fields = kind.fields
    for key, value in new.items():
        before = old.get(key, _MISSING)
        if before is _MISSING:
            changed[f"f:{key}"] = all_paths(fields.get(key) or kind.child(key), value)
        elif not is_same(before, value):
            _compare(
                f"f:{key}", fields.get(key) or kind.child(key), before, value, changed, removed
            )
    for key, value in old.items():
        if key not in new:
            removed[f"f:{key}"] = all_paths(fields.get(key) or kind.child(key), value)


def _compare(
    element: str, node: TypeNode, old: Any, new: Any, changed: Node, removed: Node
) -> None:
    """Compare two different values at one element."""
    if not old and not new and _is_container_or_null(old) and _is_container_or_null(new):
        changed[element] = {}  # null against empty: a leaf that changed
        return
    old_map, new_map = granular_map(node, old), granular_map(node, new)
    if old_map or new_map:
        kind = new_map or old_map
        assert kind is not None
        before = old if old_map else {}
        after = new if new_map else {}
        _compare_below(element, kind, before, after, changed, removed)
        if not _is_gap(old, old_map) or not _is_gap(new, new_map):
            changed[element] = {".": {}, **changed.get(element, {})}
        return
    old_list, new_list = granular_list(node, old), granular_list(node, new)
    if old_list or new_list:
        listed = new_list or old_list
        assert listed is not None
        gained: Node = {}
        lost: Node = {}
        _compare_lists(listed, old if old_list else [], new if new_list else [], gained, lost)
        if gained:
            changed[element] = gained
        if lost:
            removed[element] = lost
        return
    changed[element] = {}


def _is_container_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict | list)


def _is_gap(value: Any, granular: object) -> bool:
    """Whether a side is granular or null: then the pair is compared below, not as a leaf."""
    return value is None or granular is not None


def _compare_lists(
    kind: ListType, old: list[Any], new: list[Any], changed: Node, removed: Node
) -> None:
    before = _grouped(kind, old)
    after = _grouped(kind, new)
    for element, items in after.items():
        others = before.get(element, [])
        if len(items) > 1 or len(others) > 1:
            _compare_repeated(kind, element, others, items, changed, removed)
        elif not others:
            changed[element] = _item_paths(kind, items[0])
        elif not is_same(others[0], items[0]):
            _compare(element, kind.element, others[0], items[0], changed, removed)
    for element, items in before.items():
        if element not in after:
            removed[element] = {} if len(items) > 1 else _item_paths(kind, items[0])


def _compare_repeated(
    kind: ListType,
    element: str,
    others: list[Any],
    items: list[Any],
    changed: Node,
    removed: Node,
) -> None:
    """Compare an element that stands more than once, before or after: a leaf of its own."""
    if len(items) > 1 and len(others) > 1:
        if not is_same(others, items):
            changed[element] = {}
    elif len(others) > 1:
        changed[element] = _item_paths(kind, items[0])
        removed[element] = {}
    else:
        if others:
            removed[element] = _item_paths(kind, others[0])
        changed[element] = {}


def _grouped(kind: ListType, items: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for element, item in zip(list_elements(kind, items), items, strict=True):
        found.setdefault(element, []).append(item)
    return found


def _item_paths(kind: ListType, item: Any) -> Node:
    return all_paths(kind.element, item)


def all_paths(node: TypeNode, value: Any) -> Node:
    """Return the trie node of a value that is there as a whole, containers included."""
    if value.__class__ is not dict and value.__class__ is not list:
        return {}
    if not value:
        return {}
    mapped = granular_map(node, value)
    if mapped is not None and isinstance(value, dict):
        found: Node = {".": {}}
        for key, child in value.items():
            found[f"f:{key}"] = all_paths(mapped.child(key), child)
        return found
    listed = granular_list(node, value)
    if listed is not None and isinstance(value, list):
        found = {".": {}}
        for element, items in _grouped(listed, value).items():
            found[element] = {} if len(items) > 1 else _item_paths(listed, items[0])
        return found
    return {}


def stated_paths(node: TypeNode, value: Any) -> Node | None:
    """Return the trie node of what a value states: declared containers are not in the set.

    None means that nothing is stated, not even the value itself.

    Raises:
        PathError: a list item cannot be named.
    """
    mapped = granular_map(node, value)
    if mapped is not None:
        return _stated_map(mapped, value)
    listed = granular_list(node, value)
    if listed is None:
        return {}
    found: Node = {}
    for element, items in _grouped(listed, value).items():
        below = None if len(items) > 1 else stated_paths(listed.element, items[0])
        found[element] = {".": {}, **below} if below else {}
    return found or None


def _stated_map(kind: MapType, value: Mapping[str, Any]) -> Node | None:
    found: Node = {}
    for key, child in value.items():
        node = kind.child(key)
        below = stated_paths(node, child)
        is_member = child is None or child == {} or key not in kind.fields
        if is_member:
            found[f"f:{key}"] = {".": {}, **below} if below else {}
        elif below is not None:
            found[f"f:{key}"] = below
    return found or None
