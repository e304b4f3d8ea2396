"""No schema and no object makes the room fail: it accepts or it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crlab.apiserver.crd.schema import crd_warnings
from crlab.apiserver.crd.validate import default_crd, prepare_crd, validate_crd
from crlab.apiserver.schema.structural import compile_schema
from crlab.apiserver.status import StatusError

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(1.5), st.text("a.[", max_size=3)
)
JSON = st.recursive(
    JUNK,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abk", max_size=2), inner),
    max_leaves=6,
)
RULES = st.sampled_from(
    ["self", "self == oldSelf", "has(self.a)", "self.a > 1", "self.all(x, x == 1)", "1 +", ""]
)


def nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    below = st.one_of(inner, JUNK)
    many = st.one_of(st.lists(below, max_size=2), JUNK)
    named = st.one_of(st.dictionaries(st.sampled_from(["a", "b", "metadata"]), below), JUNK)
    rule = st.fixed_dictionaries({"rule": RULES}, optional={"fieldPath": st.text(".ab[']")})
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer", "number", "", "no"]),
            "properties": named,
            "additionalProperties": below,
            "items": below,
            "allOf": many,
            "anyOf": many,
            "oneOf": many,
            "not": below,
            "enum": st.one_of(st.lists(JSON, max_size=2), JUNK),
            "default": JSON,
            "required": st.one_of(st.lists(st.text("ab", max_size=1), max_size=2), JUNK),
            "pattern": st.sampled_from(["^a", "(", "[[:x:]]", "\\"]),
            "format": st.text("int32-", max_size=5),
            "minimum": st.integers(-3, 3),
            "maxLength": st.integers(-3, 3),
            "maxItems": st.integers(-3, 3),
            "nullable": st.booleans(),
            "x-kubernetes-int-or-string": st.booleans(),
            "x-kubernetes-preserve-unknown-fields": st.booleans(),
            "x-kubernetes-embedded-resource": st.booleans(),
            "x-kubernetes-list-type": st.sampled_from(["set", "map", "atomic", "no"]),
            "x-kubernetes-list-map-keys": st.one_of(st.lists(st.sampled_from("ab")), JUNK),
            "x-kubernetes-map-type": st.sampled_from(["granular", "no"]),
            "x-kubernetes-validations": st.one_of(st.lists(rule, max_size=2), JUNK),
        },
    )


SCHEMAS = st.recursive(nodes(JUNK), nodes, max_leaves=5)
BOUNDS = st.fixed_dictionaries(
    {}, optional={"minimum": st.integers(-3, 3), "maxLength": st.integers(0, 3)}
)
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "nullable": st.booleans(),
        "anyOf": st.lists(BOUNDS, min_size=1, max_size=2),
        "not": BOUNDS,
        "x-kubernetes-validations": st.lists(
            st.fixed_dictionaries({"rule": st.sampled_from(["self == oldSelf", "self != self"])}),
            max_size=1,
        ),
    },
)
SCALARS = st.sampled_from(["string", "integer", "number", "boolean"]).map(lambda t: {"type": t})
FREE = st.sampled_from(
    [
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-preserve-unknown-fields": True},
        {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "byte"},
        {"type": "string", "format": "duration"},
    ]
)
LEAVES = st.tuples(st.one_of(SCALARS, FREE), FLAGS).map(lambda pair: {**pair[0], **pair[1]})


def plausible(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(st.sampled_from(["a", "b", "a-b", "namespace"]), inner, max_size=3)
    keyed = {
        "type": "array",
        "maxItems": 3,
        "items": {
            "type": "object",
            "required": ["k"],
            "properties": {"k": {"type": "string"}, "v": {"type": "integer", "default": 1}},
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
    }
    return st.one_of(
        fields.map(lambda found: {"type": "object", "properties": found}),
        inner.map(lambda sub: {"type": "object", "additionalProperties": sub, "maxProperties": 3}),
        inner.map(lambda sub: {"type": "array", "items": sub, "maxItems": 3}),
        st.just(keyed),
        st.just({"type": "object", "additionalProperties": True}),
    )


PLAUSIBLE = st.recursive(LEAVES, plausible, max_leaves=5)


def wrapped(schema: Any) -> dict[str, Any]:
    root = {"type": "object", "properties": {"spec": schema}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    found = {
        "metadata": {"name": "tools.x.dev"},
        "spec": {
            "group": "x.dev",
            "scope": "Namespaced",
            "names": {"plural": "tools", "kind": "Tool"},
            "versions": [version],
        },
    }
    default_crd(found)
    prepare_crd(found)
    return found


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=st.one_of(SCHEMAS, PLAUSIBLE, PLAUSIBLE), value=JSON, old=JSON)
def test_a_schema_is_refused_or_it_works(schema: Any, value: Any, old: Any) -> None:
    """What is accepted compiles and copes with any object."""
    try:
        found = wrapped(schema)
    except StatusError:
        return  # refused by the decoder
    crd_warnings(found)
    if validate_crd(found, None):
        return
    compiled = compile_schema(found["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    obj = {"metadata": {"name": "a"}, "spec": value}
    compiled.prune(obj, [])
    compiled.default(obj)
    compiled.validate(obj)
    compiled.validate(obj, {"metadata": {"name": "a"}, "spec": old})
    compiled.validate({**obj, "status": value}, {"spec": old}, of_status=True)


@pytest.mark.parametrize("depth", [50, 400])
def test_deep_objects_are_walked(depth: int) -> None:
    """As deep as a decoder lets them be."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    compiled = compile_schema({"type": "object", "properties": {"spec": open_schema}})
    obj = {"spec": value}
    compiled.prune(obj, [])
    compiled.default(obj)

    assert compiled.validate(obj) == []
