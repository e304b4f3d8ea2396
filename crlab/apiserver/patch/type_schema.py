"""How values merge: each node says whether maps and lists are granular or atomic.

From: a CRD version's openAPIV3Schema, or `builtin_schema`. To: compare, apply, strategic.
A `TypeNode` allows any of a map, a list and a scalar; `DEDUCED` allows all three and takes
what the value is: maps granular, lists atomic.

Guarantees:
  1. A schema is compiled once; the same mapping gives the same node.
  2. Nodes may be cyclic; they are filled lazily and then never change.

Thread: any; two threads that compile the same schema at once get equal nodes.
Source: kube-openapi pkg/schemaconv, structured-merge-diff schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
_NUMBERS = ("integer", "number")
_KEEP = 512


@dataclass(slots=True, eq=False)
class ListType:
    """A list's element type and relationship: "atomic", "set" or "map" (by `keys`).

    `is_patch_merge` and `merge_key` are what a strategic merge patch goes by.
    """

    element: TypeNode
    relationship: str = "atomic"
    keys: tuple[str, ...] = ()
    merge_key: str = ""
    is_patch_merge: bool = False


@dataclass(slots=True, eq=False)
class MapType:
    """A map's declared fields; `element` types all others, None forbids them."""

    fields: Mapping[str, TypeNode] = field(default_factory=dict)
    element: TypeNode | None = None
    is_atomic: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def child(self, name: str) -> TypeNode:
        """Return a key's type; an undeclared key is deduced."""
        return self.fields.get(name) or self.element or DEDUCED


class TypeNode:
    """What a value may be.

    Attributes:
        map: set if it may be a map.
        list: set if it may be a list.
        scalar: "string", "numeric", "boolean", "untyped" or None.
        go_type: the field's Go type for texts ("int32"), "" if unknown.
    """

    __slots__ = ("_fill", "_list", "_map", "go_type", "scalar")

    def __init__(
        self,
        *,
        map: MapType | None = None,
        list: ListType | None = None,
        scalar: str | None = None,
        go_type: str = "",
        fill: Callable[[], tuple[MapType | None, ListType | None]] | None = None,
    ) -> None:
        self._map = map
        self._list = list
        self.scalar = scalar
        self.go_type = go_type
        self._fill = fill

    @property
    def map(self) -> MapType | None:
        """The map it may be."""
        if self._fill is not None:
            self._resolve()
        return self._map

    @property
    def list(self) -> ListType | None:
        """The list it may be."""
        if self._fill is not None:
            self._resolve()
        return self._list

    def _resolve(self) -> None:
        fill = self._fill
        if fill is not None:
            self._map, self._list = fill()
            self._fill = None


DEDUCED: TypeNode = TypeNode(
    scalar="untyped", fill=lambda: (MapType(element=DEDUCED), ListType(DEDUCED))
)

_compiled: dict[int, tuple[Schema, TypeNode]] = {}


def compile_schema(schema: Schema | TypeNode | None) -> TypeNode:
    """Return the node of a custom resource's root schema (None: everything is deduced).

    The root gets apiVersion, kind and ObjectMeta, which a CRD's schema leaves out.
    """
    if schema is None:
        return DEDUCED
    if isinstance(schema, TypeNode):
        return schema
    known = _compiled.get(id(schema))
    if known is not None and known[0] is schema:
        return known[1]
    node = _object_root(schema, keeps_unknown=False)
    if len(_compiled) >= _KEEP:
        _compiled.clear()
    _compiled[id(schema)] = (schema, node)
    return node


def _object_root(schema: Schema, *, keeps_unknown: bool) -> TypeNode:
    node = _node(schema, keeps_unknown)
    found = node.map or MapType(element=DEDUCED)
    fields = {**found.fields, **_identity_fields()}
    return TypeNode(map=MapType(fields, found.element, found.is_atomic, found.defaults))


def _identity_fields() -> dict[str, TypeNode]:
    from crlab.apiserver.patch.builtin_schema import object_meta  # it imports this module

    text = TypeNode(scalar="string")
    return {"apiVersion": text, "kind": text, "metadata": object_meta()}


def _node(schema: Schema, keeps_unknown: bool) -> TypeNode:
    keeps = keeps_unknown or schema.get("x-kubernetes-preserve-unknown-fields") is True
    if schema.get("x-kubernetes-embedded-resource"):
        plain = {k: v for k, v in schema.items() if k != "x-kubernetes-embedded-resource"}
        return TypeNode(fill=lambda: (_object_root(plain, keeps_unknown=keeps).map, None))
    if schema.get("x-kubernetes-int-or-string"):
        return TypeNode(scalar="untyped", map=DEDUCED.map, list=DEDUCED.list)
    kind = schema.get("type")
    if kind == "object":
        return TypeNode(fill=lambda: (_map(schema, keeps), None))
    if kind == "array":
        return TypeNode(fill=lambda: (None, _list(schema, keeps)))
    if kind in _NUMBERS:
        return TypeNode(scalar="numeric")
    if kind == "boolean":
        return TypeNode(scalar="boolean")
    if kind == "string":
        is_loose = schema.get("format") in ("byte", "int-or-string")
        return TypeNode(scalar="untyped" if is_loose else "string")
    return TypeNode(scalar="untyped", fill=lambda: (_map(schema, keeps), _list(schema, keeps)))


def _map(schema: Schema, keeps_unknown: bool) -> MapType:
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    element: TypeNode | None
    if isinstance(extra, Mapping):
        element = _node(extra, keeps_unknown)
    elif extra or (extra is None and (keeps_unknown or not properties)):
        element = DEDUCED
    else:
        element = None
    fields = {name: _node(child, keeps_unknown) for name, child in properties.items()}
    defaults = {name: child["default"] for name, child in properties.items() if "default" in child}
    return MapType(fields, element, schema.get("x-kubernetes-map-type") == "atomic", defaults)


def _list(schema: Schema, keeps_unknown: bool) -> ListType:
    items = schema.get("items")
    element = _node(items, keeps_unknown) if isinstance(items, Mapping) else DEDUCED
    relationship = schema.get("x-kubernetes-list-type", "atomic")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    return ListType(element, relationship, tuple(sorted(keys)))
