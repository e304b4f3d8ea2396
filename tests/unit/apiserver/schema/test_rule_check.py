"""Rules on objects: messages, reasons, transitions, ratcheting."""

from __future__ import annotations

from typing import Any

from crlab.apiserver.crd.rule_review import RuleReview
from crlab.apiserver.crd.schema import SchemaReview
from crlab.apiserver.schema.rule_check import compile_rules


def run(schema: dict[str, Any], value: Any, old: Any = None) -> list[str]:
    root = {"type": "object", "properties": {"f": schema}}
    rules = compile_rules(root, root=True)
    assert rules is not None
    found = rules.validate({"f": value}, None if old is None else {"f": old})
    return [str(cause) for cause in found]


def number(**rule: Any) -> dict[str, Any]:
    return {"type": "integer", "x-kubernetes-validations": [rule]}


def test_a_message_expression_wins_over_the_message() -> None:
    """Unless it fails, is empty or breaks the line."""
    rule = {"rule": "self > 3", "message": "plain"}

    assert run(number(**rule, messageExpression="'got ' + string(self)"), 1) == [
        "f: Invalid value: 1: got 1"
    ]
    for bad in ("string(1 / (self - 1))", "''", "'a\\nb'"):
        assert run(number(**rule, messageExpression=bad), 1) == ["f: Invalid value: 1: plain"]


def test_reasons_shape_the_cause() -> None:
    """Each with its own sentence."""
    shown = {
        reason: run(number(rule="self > 3", message="m", reason=reason), 1)[0]
        for reason in (
            "FieldValueForbidden",
            "FieldValueRequired",
            "FieldValueDuplicate",
            "FieldValueInvalid",
        )
    }
    assert shown == {
        "FieldValueForbidden": "f: Forbidden: m",
        "FieldValueRequired": "f: Required value: m",
        "FieldValueDuplicate": "f: Duplicate value: 1",
        "FieldValueInvalid": "f: Invalid value: 1: m",
    }


def test_transition_rules_wait_for_an_old_value() -> None:
    """optionalOldSelf does not."""
    assert run(number(rule="self >= oldSelf"), 1) == []
    assert len(run(number(rule="self >= oldSelf"), 1, old=2)) == 1
    optional = number(rule="oldSelf.hasValue() || self > 3", optionalOldSelf=True)
    assert len(run(optional, 1)) == 1
    assert run(optional, 1, old=1) == []


def test_unchanged_values_are_forgiven_but_not_by_transition_rules() -> None:
    """Ratcheting."""
    assert run(number(rule="self > 3"), 1, old=1) == []
    assert len(run(number(rule="self > 3"), 1, old=2)) == 1
    assert len(run(number(rule="self > oldSelf"), 1, old=1)) == 1


def test_keyed_items_find_their_old_selves() -> None:
    """By key, wherever they stand."""
    item = {
        "type": "object",
        "properties": {"k": {"type": "string"}, "v": number(rule="self >= oldSelf")},
    }
    keyed = {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
    }
    old = [{"k": "a", "v": 5}, {"k": "b", "v": 1}]

    assert run(keyed, [{"k": "b", "v": 1}, {"k": "a", "v": 4}], old) == [
        "f[1].v: Invalid value: 4: failed rule: self >= oldSelf"
    ]


def test_formats_become_times_and_numbers_doubles() -> None:
    """As the declared types say."""
    when = {"type": "string", "format": "date-time"}
    when["x-kubernetes-validations"] = [{"rule": "self.getFullYear() > 2020"}]  # type: ignore[assignment]
    assert run(when, "2021-01-01T00:00:00Z") == []
    half = {"type": "number", "x-kubernetes-validations": [{"rule": "self / 2.0 == 1.5"}]}
    assert run(half, 3) == []


def test_sets_compare_without_order() -> None:
    """Lists of type set."""
    rules = [{"rule": "self == oldSelf"}]
    tags = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}

    assert run({**tags, "x-kubernetes-validations": rules}, ["a", "b"], ["b", "a"]) == []
    assert len(run({**tags, "x-kubernetes-validations": rules}, ["a"], ["b"])) == 1


def test_int_or_string_is_checked_at_run_time() -> None:
    """A rule for one type fails on the other, saying so."""
    either = {
        "x-kubernetes-int-or-string": True,
        "x-kubernetes-validations": [{"rule": "self > 5", "message": "m"}],
    }
    assert run(either, 6) == []
    assert run(either, "x") == [
        "f: Invalid value: \"\": 'no such overload': call arguments did not match a supported "
        "operator, function or macro signature for rule: m"
    ]


def test_rules_reach_into_maps() -> None:
    """Keys in brackets."""
    each = {"type": "object", "additionalProperties": number(rule="self > 3")}
    assert run(each, {"k": 1}) == ["f[k]: Invalid value: 1: failed rule: self > 3"]


def test_the_root_sees_its_metadata_name() -> None:
    """And nothing else of the metadata."""
    rule = {"rule": "self.metadata.name.startsWith('r-')", "message": "r-"}
    rules = compile_rules({"type": "object", "x-kubernetes-validations": [rule]}, root=True)
    assert rules is not None

    assert rules.validate({"metadata": {"name": "r-1"}}, None) == []
    assert [str(cause) for cause in rules.validate({"metadata": {"name": "x"}}, None)] == [
        "<nil>: Invalid value: r-"
    ]


def review(schema: dict[str, Any]) -> list[str]:
    found = SchemaReview({}).review(
        {"type": "object", "properties": {"f": schema}}, "S", False, "v1"
    )
    return [str(cause) for cause in found]


def test_old_selves_need_a_place_to_be_found() -> None:
    """Items of a plain list have none."""
    schema = {"type": "array", "maxItems": 2, "items": number(rule="self >= oldSelf")}

    assert review(schema) == [
        'S.properties[f].items.x-kubernetes-validations[0].rule: Invalid value: "self >= oldSelf": '
        "oldSelf cannot be used on the uncorrelatable portion of the schema within S.properties[f]"
    ]


def test_optional_old_self_needs_old_self() -> None:
    """Else it means nothing."""
    assert review(number(rule="self > 1", optionalOldSelf=True)) == [
        "S.properties[f].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: "
        "may not be set if oldSelf is not used in rule"
    ]


def test_a_cheap_rule_in_an_unbounded_list_is_counted_per_item() -> None:
    """The nesting multiplies."""
    text = {"type": "string", "x-kubernetes-validations": [{"rule": "self.contains(self)"}]}
    found = review({"type": "array", "items": text})

    assert any("estimated rule cost exceeds budget by factor of more than 100x" in t for t in found)
    assert review({"type": "array", "maxItems": 5, "items": {**text, "maxLength": 10}}) == []


def test_unchanged_schemas_are_not_held_to_the_cost_of_single_rules() -> None:
    """They were accepted once."""
    text = {"type": "string", "x-kubernetes-validations": [{"rule": "self.contains(self)"}]}
    schema = {"type": "object", "properties": {"f": text}}
    root = RuleReview(schema, unchanged=True)
    context = root.root.field("f", text)

    assert root.causes(context, text, "S", "") == []
