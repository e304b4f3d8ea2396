"""Errors of single values, worded as kube-apiserver words them."""

# ruff: noqa: E501 - the sentences are the server's

from __future__ import annotations

from typing import Any

import pytest

from crlab.apiserver.schema.check import check
from crlab.apiserver.schema.node import MISSING, Node

CASES: list[tuple[dict[str, Any], Any, list[str]]] = [
    ({"type": "string"}, 1, ['x: Invalid value: "integer": x in body must be of type string: "integer"']),
    ({"type": "integer"}, True, ['x: Invalid value: "boolean": x in body must be of type integer: "boolean"']),
    ({"type": "integer"}, 2.0, []),
    ({"type": "number"}, 2, []),
    ({"type": "string"}, None, ['x: Invalid value: "null": x in body must be of type string: "null"']),
    ({"type": "string", "nullable": True}, None, []),
    ({"type": "string", "minLength": 2}, "a", ['x: Invalid value: "a": x in body should be at least 2 chars long']),
    ({"type": "string", "maxLength": 1}, "ab", ["x: Too long: may not be more than 1 bytes"]),
    ({"type": "string", "maxLength": 1}, "ä", []),
    ({"type": "string", "pattern": "^a$"}, "a\n", ["x: Invalid value: \"a\\n\": x in body should match '^a$'"]),
    ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 3, ["x: Invalid value: 3: x in body should be greater than 3"]),
    ({"type": "integer", "maximum": 2000000}, 3000000, ["x: Invalid value: 3000000: x in body should be less than or equal to 2e+06"]),
    ({"type": "integer", "multipleOf": 3}, 4, ["x: Invalid value: 4: x in body should be a multiple of 3"]),
    ({"type": "number", "multipleOf": 0.5}, 1.5, []),
    ({"type": "integer", "format": "int32"}, 2**31, ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in x']),
    ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], ["x: Too many: 2: must have at most 1 item"]),
    ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], ["x: Invalid value: 0: x in body should have at least 1 items"]),
    ({"type": "object", "maxProperties": 2}, {"a": 1, "b": 2, "c": 3}, ["x: Too many: 3: must have at most 2 items"]),
    ({"type": "object", "minProperties": 1}, {}, ["x: Invalid value: 0: x in body should have at least 1 properties"]),
    ({"type": "object", "required": ["a"]}, {}, ["x.a: Required value"]),
    ({"type": "integer", "enum": [1, 2]}, 3, ['x: Unsupported value: 3: supported values: "1", "2"']),
    ({"type": "boolean", "enum": [True]}, True, []),
    ({"type": "integer", "enum": [1]}, True, ['x: Invalid value: "boolean": x in body must be of type integer: "boolean"', 'x: Unsupported value: true: supported values: "1"']),
    ({"x-kubernetes-int-or-string": True}, "50%", []),
    ({"x-kubernetes-int-or-string": True}, [], ['x: Invalid value: "array": x in body must be of type integer,string: "array"']),
    ({"x-kubernetes-preserve-unknown-fields": True}, [1, None], []),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"k": "v"}, ['x.k: Invalid value: "string": x.k in body must be of type integer: "string"']),
    ({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, ['<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)', "x: Invalid value: 3: x in body should be greater than or equal to 5"]),
    ({"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, ['<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
    ({"type": "integer", "oneOf": [{"minimum": 5}]}, 3, ['<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid', "x: Invalid value: 3: x in body should be greater than or equal to 5"]),
    ({"type": "integer", "allOf": [{"minimum": 5}]}, 3, ["x: Invalid value: 3: x in body should be greater than or equal to 5", '<nil>: Invalid value: "": "x" must validate all the schemas (allOf). None validated']),
    ({"type": "integer", "not": {"minimum": 5}}, 6, ['<nil>: Invalid value: "": "x" must not validate the schema (not)']),
]  # fmt: skip


def errors(schema: dict[str, Any], value: Any, old: Any = MISSING) -> list[str]:
    out: list[Any] = []
    check(Node(schema), value, old, "", "x", out)
    return [str(cause) for cause in out]


@pytest.mark.parametrize(("schema", "value", "expected"), CASES)
def test_a_value_earns_exactly_the_recorded_words(
    schema: dict[str, Any], value: Any, expected: list[str]
) -> None:
    """One keyword at a time."""
    assert errors(schema, value) == expected


def test_an_unchanged_subtree_is_forgiven() -> None:
    """Only what the update touched is held to the new rules."""
    item = {"type": "integer", "maximum": 5}
    schema = {"type": "object", "properties": {"a": item, "b": item}}

    assert errors(schema, {"a": 9, "b": 1}, {"a": 9, "b": 2}) == []
    assert len(errors(schema, {"a": 9, "b": 8}, {"a": 9, "b": 2})) == 1


def test_items_of_a_keyed_list_are_matched_by_key_not_by_place() -> None:
    """A list of type map correlates; a plain list does not."""
    item = {
        "type": "object",
        "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 5}},
    }
    keyed = {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
    }
    old, new = [{"k": "a", "v": 9}], [{"k": "b", "v": 1}, {"k": "a", "v": 9}]

    assert errors(keyed, new, old) == []
    assert len(errors({"type": "array", "items": item}, new, old)) == 1


def test_an_integer_beyond_64_bits_is_a_number() -> None:
    """Go decodes it as a float that is no integer any more."""
    assert errors({"type": "integer"}, 2**63) == [
        'x: Invalid value: "number": x in body must be of type integer: "number"',
        '<nil>: Invalid value: "": Checked value must be of type integer (default format) in x',
    ]
