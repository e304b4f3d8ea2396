"""Pruning and defaulting."""

from __future__ import annotations

from typing import Any

from crlab.apiserver.schema.structural import compile_schema

SPEC = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "default": "x"},
        "n": {"type": "string", "nullable": True, "default": "y"},
        "deep": {
            "type": "object",
            "default": {},
            "properties": {"b": {"type": "integer", "default": 1}},
        },
        "list": {
            "type": "array",
            "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}},
        },
        "map": {"type": "object", "additionalProperties": {"type": "integer", "default": 7}},
        "open": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": {"type": "object", "properties": {}}},
        },
        "loose": {"type": "object", "additionalProperties": True},
    },
}


def schema(spec: dict[str, Any] = SPEC) -> Any:
    return compile_schema({"type": "object", "properties": {"spec": spec}})


def filled(spec: Any) -> Any:
    obj = {"spec": spec}
    schema().default(obj)
    return obj["spec"]


def test_defaults_fill_top_down_where_the_parent_exists() -> None:
    """A default object is filled itself; an absent parent stays absent."""
    assert filled({}) == {"a": "x", "n": "y", "deep": {"b": 1}}
    obj: dict[str, Any] = {}
    schema().default(obj)

    assert obj == {}


def test_defaults_are_never_shared_between_objects() -> None:
    """Changing one object's default leaves the next alone."""
    first = filled({})
    first["deep"]["b"] = 99

    assert filled({})["deep"] == {"b": 1}


def test_null_gives_way_to_a_default_unless_nullable() -> None:
    """Nulls without a default go; nullable ones stay."""
    assert filled({"a": None, "n": None, "deep": None, "map": {"k": None}}) == {
        "a": "x",
        "n": None,
        "deep": {"b": 1},
        "map": {"k": 7},
    }
    assert "list" not in filled({"list": None})


def test_items_get_defaults_too() -> None:
    """Each item on its own."""
    assert filled({"list": [{}, {"p": "UDP"}]})["list"] == [{"p": "TCP"}, {"p": "UDP"}]


def test_unknown_fields_go_and_are_named() -> None:
    """Metadata's first, the rest sorted; paths as the server spells them."""
    obj = {
        "zz": 1,
        "metadata": {"name": "a", "bogus": 1, "ownerReferences": [{"uid": "u", "no": 1}]},
        "spec": {"a": "x", "list": [{"q": 1}], "bad": {"c": 1}, "deep": {"e": []}},
    }
    unknown: list[str] = []
    schema().prune(obj, unknown)

    assert obj == {
        "metadata": {"name": "a", "ownerReferences": [{"uid": "u"}]},
        "spec": {"a": "x", "list": [{}], "deep": {}},
    }
    assert unknown == [
        "metadata.bogus",
        "metadata.ownerReferences[0].no",
        "spec.bad",
        "spec.deep.e",
        "spec.list[0].q",
        "zz",
    ]


def test_preserved_objects_keep_what_they_do_not_name() -> None:
    """Properties that are specified are still pruned inside."""
    obj = {"spec": {"open": {"free": {"x": 1}, "known": {"y": 1}}}}
    schema().prune(obj)

    assert obj == {"spec": {"open": {"free": {"x": 1}, "known": {}}}}


def test_additional_properties_true_keeps_keys_but_no_structure() -> None:
    """As the real server: nothing is known about what lies below."""
    obj = {"spec": {"loose": {"a": 1, "b": {"c": 1}, "d": [{"e": 1}]}}}
    schema().prune(obj)

    assert obj == {"spec": {"loose": {"a": 1, "b": {}, "d": [{}]}}}


def test_an_embedded_resource_keeps_its_type_and_metadata() -> None:
    """Its metadata is pruned to ObjectMeta."""
    embedded = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {"spec": {"type": "object"}},
    }
    obj = {"spec": {"kind": "Pod", "apiVersion": "v1", "metadata": {"x": 1}, "status": 1}}
    schema(embedded).prune(obj)

    assert obj == {"spec": {"kind": "Pod", "apiVersion": "v1", "metadata": {}}}
