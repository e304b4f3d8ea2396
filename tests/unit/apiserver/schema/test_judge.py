"""jsonschema, an independent implementation, agrees about what is valid."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from crlab.apiserver.schema.structural import compile_schema

NAMES = st.sampled_from("abc")
WORDS = st.text("ab1", max_size=4)
NUMBERS = st.integers(-5, 5)


def optional(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


STRINGS = optional(
    minLength=st.integers(0, 3),
    maxLength=st.integers(0, 3),
    pattern=st.sampled_from(["^a", "b$", "^[ab]*$", "1"]),
    enum=st.lists(WORDS, min_size=1, max_size=3),
).map(lambda found: {"type": "string", **found})
INTEGERS = optional(
    minimum=NUMBERS,
    maximum=NUMBERS,
    multipleOf=st.integers(1, 3),
    enum=st.lists(NUMBERS, min_size=1, max_size=3),
).map(lambda found: {"type": "integer", **found})
LEAVES = st.one_of(STRINGS, INTEGERS, st.just({"type": "boolean"}), st.just({"type": "number"}))


def with_logic(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.lists(optional(minimum=NUMBERS, maximum=NUMBERS), min_size=1, max_size=2)
    logic = optional(allOf=bounds, anyOf=bounds, oneOf=bounds)
    return logic.map(lambda found: {**schema, **found} if schema["type"] == "integer" else schema)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.fixed_dictionaries(
        {"properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={"required": st.lists(NAMES, unique=True, max_size=2)},
    )
    maps = st.fixed_dictionaries(
        {"additionalProperties": inner},
        optional={"maxProperties": st.integers(0, 2), "minProperties": st.integers(0, 2)},
    )
    lists = st.fixed_dictionaries(
        {"items": inner}, optional={"maxItems": st.integers(0, 2), "minItems": st.integers(0, 2)}
    )
    return st.one_of(
        objects.map(lambda found: {"type": "object", **found}),
        maps.map(lambda found: {"type": "object", **found}),
        lists.map(lambda found: {"type": "array", **found}),
    )


SCHEMAS = st.recursive(LEAVES.flatmap(with_logic), containers, max_leaves=6)
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans(), st.just(1.5), st.just(2.0))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=250, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_both_accept_or_both_refuse(schema: dict[str, Any], value: Any) -> None:
    """The subset that JSON Schema and Kubernetes share."""
    judge = jsonschema.Draft202012Validator(schema)
    compiled = compile_schema({"type": "object", "properties": {"f": schema}})

    assert judge.is_valid(value) == (not compiled.validate({"f": value}))


@settings(max_examples=100, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_pruning_and_defaulting_settle_at_once(schema: dict[str, Any], value: Any) -> None:
    """A second pass changes nothing."""
    compiled = compile_schema({"type": "object", "properties": {"f": schema}})
    once = {"f": value}
    compiled.prune(once)
    compiled.default(once)
    unknown: list[str] = []
    twice = {"f": once["f"]}
    compiled.prune(twice, unknown)
    compiled.default(twice)

    assert (twice, unknown) == (once, [])


@settings(max_examples=100, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_an_update_that_changes_nothing_is_never_refused(
    schema: dict[str, Any], value: Any
) -> None:
    """Whatever the schema became."""
    compiled = compile_schema({"type": "object", "properties": {"f": schema}})

    assert compiled.validate({"f": value, "metadata": {"x": 1}}, {"f": value}) == []
