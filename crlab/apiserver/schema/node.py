"""One node of a structural schema, ready to prune, to default and to be checked.

A `Node` is made once from JSON Schema and never changes. `reshape.py` walks it to prune and
default; `check.py` walks it to validate.

Guarantees:
  1. Building never fails on a schema that `crd.validate_crd` accepts.
  2. `fast` answers True only for values that surely pass; False means "look closely".

Thread: immutable after construction.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/structural.go and convert.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from crlab.cel.pattern import compile_pattern
from crlab.model.string_format import string_format

MISSING: Any = object()
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Node:
    """A schema node; attributes are JSON Schema's keywords in Python spelling."""

    __slots__ = (
        "additional",
        "all_of",
        "any_of",
        "default",
        "defaulted",
        "enum",
        "fast",
        "format",
        "format_check",
        "has_default",
        "has_embedded",
        "has_junctors",
        "has_list_type",
        "is_embedded",
        "is_exclusive_maximum",
        "is_exclusive_minimum",
        "is_int_or_string",
        "is_nullable",
        "is_preserving",
        "items",
        "list_keys",
        "list_type",
        "max_items",
        "max_length",
        "max_properties",
        "maximum",
        "min_items",
        "min_length",
        "min_properties",
        "minimum",
        "multiple_of",
        "not_",
        "one_of",
        "pattern",
        "pattern_text",
        "properties",
        "required",
        "schema",
        "types",
    )

    has_list_type: bool
    has_embedded: bool

    def __init__(self, schema: Mapping[str, Any]) -> None:
        get = schema.get
        self.schema = schema
        self.is_int_or_string = bool(get("x-kubernetes-int-or-string"))
        kind = get("type") or ""
        self.types: tuple[str, ...] = (kind,) if kind else ()
        if self.is_int_or_string:
            self.types = ("integer", "string")
        self.is_nullable = bool(get("nullable"))
        self.is_preserving = bool(get("x-kubernetes-preserve-unknown-fields"))
        self.is_embedded = bool(get("x-kubernetes-embedded-resource"))
        self.has_default = get("default") is not None
        self.default = get("default")
        self._read_scalar_rules(schema)
        self._read_container_rules(schema)
        self.fast = self._fast()

    def _read_scalar_rules(self, schema: Mapping[str, Any]) -> None:
        get = schema.get
        name = get("format") or ""
        kind = self.types[0] if len(self.types) == 1 else ""
        self.format_check: Callable[[str], bool] | None = None
        if kind in ("", "string") and not self.is_int_or_string:
            self.format_check = string_format(name) if name else None
        is_number = (kind, name) in (
            ("integer", "int32"),
            ("integer", "int64"),
            ("number", "float"),
            ("number", "double"),
        )
        self.format = name if self.format_check is not None or is_number else ""
        self.enum: list[Any] | None = get("enum")
        self.maximum, self.minimum = get("maximum"), get("minimum")
        self.is_exclusive_maximum = bool(get("exclusiveMaximum"))
        self.is_exclusive_minimum = bool(get("exclusiveMinimum"))
        self.multiple_of = get("multipleOf")
        self.max_length, self.min_length = get("maxLength"), get("minLength")
        self.pattern_text: str = get("pattern") or ""
        self.pattern: re.Pattern[str] | None = None
        if self.pattern_text:
            self.pattern = compile_pattern(self.pattern_text)

    def _read_container_rules(self, schema: Mapping[str, Any]) -> None:
        get = schema.get
        self.max_items, self.min_items = get("maxItems"), get("minItems")
        self.max_properties, self.min_properties = get("maxProperties"), get("minProperties")
        self.required: tuple[str, ...] = tuple(get("required") or ())
        properties = get("properties") or {}
        self.properties: dict[str, Node] = {key: Node(sub) for key, sub in properties.items()}
        self.defaulted = tuple(
            (key, node) for key, node in self.properties.items() if node.has_default
        )
        additional = get("additionalProperties")
        self.additional: Node | bool | None = additional
        if isinstance(additional, Mapping):
            self.additional = Node(additional)
        items = get("items")
        self.items: Node | None = Node(items) if isinstance(items, Mapping) else None
        self.list_type: str = get("x-kubernetes-list-type") or ""
        self.list_keys: tuple[str, ...] = tuple(get("x-kubernetes-list-map-keys") or ())
        self.all_of = tuple(Node(sub) for sub in get("allOf") or ())
        self.any_of = tuple(Node(sub) for sub in get("anyOf") or ())
        self.one_of = tuple(Node(sub) for sub in get("oneOf") or ())
        self.not_: Node | None = Node(get("not") or {}) if "not" in schema else None
        self.has_junctors = bool(self.all_of or self.any_of or self.one_of or self.not_)
        below = self.children()
        self.has_list_type = self.list_type in ("set", "map") or any(
            node.has_list_type for node in below
        )
        self.has_embedded = self.is_embedded or any(node.has_embedded for node in below)

    def children(self) -> list[Node]:
        """Return the nodes of properties, additional properties and items."""
        found = list(self.properties.values())
        if isinstance(self.additional, Node):
            found.append(self.additional)
        if self.items is not None:
            found.append(self.items)
        return found

    def child(self, key: str) -> Node | None:
        """Return the node a field of an object is described by, None if there is none."""
        found = self.properties.get(key)
        if found is None and isinstance(self.additional, Node):
            return self.additional
        return found

    def _fast(self) -> Callable[[Any], bool] | None:
        if self.has_junctors or self.is_nullable:
            return None
        if self.types == ("string",):
            return self._fast_string()
        if self.types == ("integer",):
            return self._fast_integer()
        if self.types == ("boolean",) and self.enum is None:
            return lambda value: value is True or value is False
        if self.is_int_or_string and not self._has_rules():
            return lambda value: type(value) is str or type(value) is int
        return None

    def _has_rules(self) -> bool:
        rules = (self.enum, self.maximum, self.minimum, self.multiple_of, self.max_length)
        return any(rule is not None for rule in (*rules, self.min_length, self.pattern))

    def _fast_string(self) -> Callable[[Any], bool]:
        longest = self.max_length if self.max_length is not None else INT64_MAX
        shortest = self.min_length or 0
        if self.enum is not None:
            allowed = frozenset(item for item in self.enum if isinstance(item, str))
            if self.pattern or self.format_check or self.max_length is not None or shortest:
                return lambda value: False
            return lambda value: type(value) is str and value in allowed
        if self.format_check is not None or self.pattern is not None:
            check = self.format_check or (lambda text: True)
            search = self.pattern.search if self.pattern is not None else (lambda text: True)
            return lambda value: (
                type(value) is str
                and shortest <= len(value) <= longest
                and bool(search(value))
                and check(value)
            )
        if self.max_length is None and not shortest:
            return lambda value: type(value) is str
        return lambda value: type(value) is str and shortest <= len(value) <= longest

    def _fast_integer(self) -> Callable[[Any], bool]:
        if self.enum is not None or self.multiple_of is not None:
            return lambda value: False
        if self.is_exclusive_maximum or self.is_exclusive_minimum:
            return lambda value: False
        is_small = self.format == "int32"
        low = -(2**31) if is_small else INT64_MIN
        high = 2**31 - 1 if is_small else INT64_MAX
        if self.minimum is not None:
            low = max(low, self.minimum)
        if self.maximum is not None:
            high = min(high, self.maximum)
        return lambda value: type(value) is int and low <= value <= high
