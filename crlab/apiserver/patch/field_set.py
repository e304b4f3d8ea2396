"""Sets of field paths as a trie, in the very shape of fieldsV1.

A node maps path elements to nodes: ``f:name``, ``k:{"port":80}``, ``v:"x"``, ``i:0``. An
element is in the set if its node is empty or holds ``"."``. So {"f:spec": {"f:size": {}}}
holds `.spec.size` alone, {"f:spec": {".": {}, "f:size": {}}} `.spec` too.

Guarantees:
  1. Operations never change their operands; results may share nodes with them.
  2. ``to_fields_v1`` is sorted, so equal sets have equal JSON.

Thread: values; none.
Source: structured-merge-diff/fieldpath (set.go, serialize.go, element.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Node = dict[str, Any]
ELEMENTS = ("f:", "k:", "v:", "i:")
_encode = msgspec.json.Encoder(order="sorted").encode


def key_element(keys: Mapping[str, Any]) -> str:
    """Return the element of a list item with these key fields."""
    return "k:" + _encode(keys).decode()


def value_element(value: Any) -> str:
    """Return the element of an item in a set."""
    return "v:" + _encode(value).decode()


class FieldSet:
    """An immutable set of field paths."""

    __slots__ = ("node",)

    def __init__(self, node: Node | None = None) -> None:
        """Wrap a trie; it must not be changed afterwards."""
        self.node: Node = node or {}

    @classmethod
    def from_fields_v1(cls, fields: Mapping[str, Any]) -> FieldSet:
        """Read what a client or the store holds; keys are brought to canonical form.

        Raises:
            ValueError: an element is not of a known form.
        """
        return cls(_canonical(fields, 0))

    def to_fields_v1(self) -> Node:
        """Return a fresh, sorted tree."""
        return _sorted(self.node)

    def __bool__(self) -> bool:
        return bool(self.node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSet) and _normal(self.node) == _normal(other.node)

    def __hash__(self) -> int:
        return hash(_encode(_normal(self.node)))

    def __or__(self, other: FieldSet) -> FieldSet:
        return FieldSet(union(self.node, other.node))

    def __sub__(self, other: FieldSet) -> FieldSet:
        return FieldSet(difference(self.node, other.node))

    def __and__(self, other: FieldSet) -> FieldSet:
        return FieldSet(intersection(self.node, other.node))

    def __contains__(self, path: tuple[str, ...]) -> bool:
        node = self.node
        for element in path:
            if element not in node:
                return False
            node = node[element]
        return bool(path) and is_member(node)

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Yield the paths: of each node first its own elements, then those below."""
        return _paths(self.node, ())


def is_member(node: Node) -> bool:
    """Whether the element a node stands for is itself in the set."""
    return not node or "." in node


def has_children(node: Node) -> bool:
    """Whether paths below the element are in the set."""
    return len(node) > 1 or (len(node) == 1 and "." not in node)


def union(left: Node, right: Node) -> Node:
    """Return what is in either (roots)."""
    if not left or not right:
        return left or right
    merged = dict(left)
    for element, node in right.items():
        merged[element] = _union(merged[element], node) if element in merged else node
    return merged


def _union(left: Node, right: Node) -> Node:
    if not left:
        return right if not right or "." in right else {".": {}, **right}
    if not right:
        return left if "." in left else {".": {}, **left}
    return union(left, right)


def difference(left: Node, right: Node) -> Node:
    """Return what is in the left root alone; `left` itself if nothing goes."""
    if not left or not right or left.keys().isdisjoint(right):
        return left
    kept: Node = {}
    is_same = True
    for element, node in left.items():
        if element not in right:
            kept[element] = node
            continue
        rest = _difference(node, right[element])
        is_same = is_same and rest is node
        if rest is not None:
            kept[element] = rest
    return left if is_same else kept


def _difference(left: Node, right: Node) -> Node | None:
    stays = is_member(left) and not is_member(right)
    if not has_children(left) or not has_children(right):
        children = {e: n for e, n in left.items() if e != "."}
    else:
        children = difference(
            {e: n for e, n in left.items() if e != "."},
            {e: n for e, n in right.items() if e != "."},
        )
    if stays == is_member(left) and len(children) == len(left) - ("." in left):
        same = all(children[e] is left[e] for e in children)
        if same:
            return left
    return _join(stays, children)


def _join(inside: bool, children: Node) -> Node | None:
    if not children:
        return {} if inside else None
    return {".": {}, **children} if inside else children


def intersection(left: Node, right: Node) -> Node:
    """Return what is in both roots."""
    found: Node = {}
    for element, node in left.items():
        if element in right:
            both = _intersection(node, right[element])
            if both is not None:
                found[element] = both
    return found


def _intersection(left: Node, right: Node) -> Node | None:
    children: Node = {}
    if left and right:
        for element, node in left.items():
            if element != "." and element in right:
                both = _intersection(node, right[element])
                if both is not None:
                    children[element] = both
    return _join(is_member(left) and is_member(right), children)


def _paths(node: Node, prefix: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    elements = sorted((e for e in node if e != "."), key=_order)
    for element in elements:
        if is_member(node[element]):
            yield (*prefix, element)
    for element in elements:
        if has_children(node[element]):
            yield from _paths(node[element], (*prefix, element))


def _order(element: str) -> tuple[int, str]:
    return ELEMENTS.index(element[:2]), element


def _sorted(node: Node) -> Node:
    if len(node) == 1 and "." in node:
        return {}
    return {element: _sorted(node[element]) if element != "." else {} for element in sorted(node)}


def _normal(node: Node) -> Node:
    if len(node) == 1 and "." in node:
        return {}
    return {element: _normal(child) for element, child in node.items()}


def _canonical(fields: Mapping[str, Any], depth: int) -> Node:
    if depth > 200:
        raise ValueError("field paths nest deeper than 200")
    found: Node = {}
    for element, child in fields.items():
        if not isinstance(child, Mapping):
            raise ValueError(f"the node of {element!r} is not an object")
        if element == ".":
            found[element] = {}
            continue
        found[_canonical_element(element)] = _canonical(child, depth + 1)
    return found


def _canonical_element(element: str) -> str:
    if element[:2] == "f:":
        return element
    try:
        if element[:2] == "k:":
            keys = msgspec.json.decode(element[2:])
            if isinstance(keys, dict):
                return key_element(keys)
        elif element[:2] == "v:":
            return value_element(msgspec.json.decode(element[2:]))
        elif element[:2] == "i:":
            if not re.fullmatch("[+-]?[0-9]{1,18}", element[2:]):
                raise ValueError("not an index")
            return f"i:{int(element[2:])}"
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"malformed path element {element!r}") from error
    raise ValueError(f"unknown path element {element!r}")


def path_text(path: tuple[str, ...]) -> str:
    """Return a path as messages print it: ``.spec.ports[port=80].proto``."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return f".{rest}"
    if kind == "k:":
        keys = msgspec.json.decode(rest)
        return "[" + ",".join(f"{k}={_encode(v).decode()}" for k, v in keys.items()) + "]"
    return f"[={rest}]" if kind == "v:" else f"[{rest}]"
