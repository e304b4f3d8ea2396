"""Pruning unknown fields and filling in defaults, in place.

From: a decoded object. To: the same object as the schema wants it stored. Both run on every
write; defaulting also runs when an object is read, so a default that was added to a schema
later shows on old objects.

Guarantees:
  1. Scalars are never touched by pruning, whatever the schema says about their type.
  2. A null is dropped unless the node is nullable; a default takes its place if there is one.
  3. Defaults are copied: no two objects share one.

Thread: pure functions of the schema; they change the object they are given.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting}/algorithm.go.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.schema.node import Node
from crlab.apiserver.schema.object_meta import prune_metadata

META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def prune(value: Any, node: Node | None, path: str, unknown: list[str] | None) -> None:
    """Remove every field that the schema does not know, noting "path.field" in `unknown`."""
    if type(value) is dict:
        _prune_object(value, node, path, unknown)
    elif type(value) is list:
        items = node.items if node is not None else None
        if items is None and node is not None and node.is_preserving:
            return
        for at, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                prune(item, items, f"{path}[{at}]", unknown)


def _prune_object(
    value: dict[str, Any], node: Node | None, path: str, unknown: list[str] | None
) -> None:
    prefix = f"{path}." if path else ""
    doomed = list(value) if node is None else _prune_fields(value, node, prefix, unknown)
    for key in doomed:
        del value[key]
        if unknown is not None and (path or key not in META_FIELDS):
            unknown.append(f"{prefix}{key}")


def _prune_fields(
    value: dict[str, Any], node: Node, prefix: str, unknown: list[str] | None
) -> list[str]:
    """Prune what is below each field; return the fields that have no place themselves."""
    doomed = []
    properties, additional = node.properties, node.additional
    default = additional if isinstance(additional, Node) else None
    has_additional = additional is not None and additional is not False
    for key, item in value.items():
        if node.is_embedded and key in META_FIELDS:
            if key == "metadata":
                prune_metadata(item, f"{prefix}{key}", unknown)
        elif key in properties or has_additional:
            if type(item) is dict or type(item) is list:
                prune(item, properties.get(key, default), f"{prefix}{key}", unknown)
        elif not node.is_preserving:
            doomed.append(key)
    return doomed


def clone(value: Any) -> Any:
    """Return a copy of a JSON value that shares nothing mutable with it."""
    if type(value) is dict:
        return {key: clone(item) for key, item in value.items()}
    if type(value) is list:
        return [clone(item) for item in value]
    return value


def fill(value: Any, node: Node | None) -> None:
    """Drop nulls that may not be there and fill in defaults, top down."""
    if node is None:
        return
    if type(value) is dict:
        _fill_object(value, node)
    elif type(value) is list and node.items is not None:
        items = node.items
        for at, item in enumerate(value):
            if item is None and items.has_default and not items.is_nullable:
                item = value[at] = clone(items.default)
            if type(item) is dict or type(item) is list:
                fill(item, items)


def _fill_object(value: dict[str, Any], node: Node) -> None:
    properties, additional = node.properties, node.additional
    default = additional if isinstance(additional, Node) else None
    doomed: list[str] = []
    for key, item in value.items():
        child = properties.get(key, default)
        if type(item) is dict or type(item) is list:
            fill(item, child)
        elif item is None and child is not None and not child.is_nullable:
            if child.has_default:
                value[key] = clone(child.default)
                fill(value[key], child)
            else:
                doomed.append(key)
    for key in doomed:
        del value[key]
    for key, child in node.defaulted:
        if key not in value:
            value[key] = clone(child.default)
            fill(value[key], child)
