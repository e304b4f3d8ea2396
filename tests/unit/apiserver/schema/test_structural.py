"""The compiled schema as the registry uses it."""

from __future__ import annotations

from typing import Any

from support.server import crd

from crlab.apiserver.schema.structural import CompiledSchema, compile_schema


def widgets() -> CompiledSchema:
    version = crd("widgets")["spec"]["versions"][0]
    scale = version["subresources"]["scale"]
    return compile_schema(version["schema"]["openAPIV3Schema"], scale=scale)


def texts(spec: Any, old: Any = None, **status: Any) -> list[str]:
    obj = {"metadata": {"name": "a"}, "spec": spec, **status}
    found = None if old is None else {"metadata": {"name": "a"}, "spec": old}
    return [str(cause) for cause in widgets().validate(obj, found)]


def test_a_valid_object_has_no_causes() -> None:
    """Every kind of field at once."""
    spec = {
        "size": 1,
        "minSize": 0,
        "color": "red",
        "tags": ["a", "b"],
        "ports": [{"port": 1}],
        "amount": "5%",
        "when": "2024-01-01T00:00:00Z",
        "tpl": {"apiVersion": "v1", "kind": "Pod"},
        "n": None,
    }
    assert texts(spec) == []


def test_causes_come_in_the_servers_order() -> None:
    """Schema, replicas, embedded, lists, then what was not checked."""
    spec = {"size": "x", "tags": ["a", "a"], "tpl": {}}

    assert [text.partition(":")[0] for text in texts(spec)] == [
        "spec.size",
        ".spec.size",
        "spec.tpl.apiVersion",
        "spec.tpl.kind",
        "spec.tags[1]",
        "<nil>",
    ]


def test_a_range_error_does_not_keep_rules_from_running() -> None:
    """Their input is still of the right type."""
    found = texts({"size": -1, "minSize": 0, "color": "red"})

    assert "spec: Invalid value: minSize must not exceed size" in found


def test_repeated_items_of_old_objects_are_not_held_against_updates() -> None:
    """A list that was wrong before may stay wrong."""
    bad = {"size": 1, "minSize": 0, "color": "red", "tags": ["a", "a"]}

    assert texts(bad, old={**bad, "size": 2}) == []
    assert texts(bad, old={**bad, "tags": []}) == ['spec.tags[1]: Duplicate value: "a"']


def test_a_third_repeat_is_named_once() -> None:
    """The second appearance is the duplicate."""
    spec = {"size": 1, "minSize": 0, "color": "red", "tags": ["a", "b", "a", "a"]}

    assert texts(spec) == ['spec.tags[2]: Duplicate value: "a"']


def test_status_errors_are_worded_from_the_status_on() -> None:
    """/status holds only the status to the schema."""
    obj = {"spec": {"size": "x"}, "status": {"phase": 1, "replicas": -1}}
    found = [str(cause) for cause in widgets().validate(obj, {}, of_status=True)]

    assert found[:2] == [
        'status.phase: Invalid value: "integer": phase in body must be of type string: "integer"',
        ".status.replicas: Invalid value: -1: should be a non-negative integer",
    ]


def test_an_unreadable_selector_is_named_by_its_path() -> None:
    """The scale subresource could not serve it."""
    good = {"size": 1, "minSize": 0, "color": "red"}
    found = texts(good, status={"selector": 5})

    assert found[1] == (
        '.status.selector: Invalid value: "": .status.selector accessor error: 5 is of the type '
        "int64, expected string"
    )


def test_without_a_schema_everything_is_kept_and_accepted() -> None:
    """Such versions exist on old CRDs."""
    schema = compile_schema(None)
    obj = {"spec": {"x": [1, {"y": None}]}}
    schema.prune(obj)

    assert obj == {"spec": {"x": [1, {"y": None}]}}
    assert schema.validate(obj) == []


def test_metadata_names_can_be_restricted() -> None:
    """name and generateName are the two fields a schema may speak about."""
    name = {"type": "string", "maxLength": 3}
    metadata = {"type": "object", "properties": {"name": name}}
    schema = compile_schema({"type": "object", "properties": {"metadata": metadata}})
    found = schema.validate({"metadata": {"name": "toolong", "uid": "u"}})

    assert [str(cause) for cause in found] == [
        "metadata.name: Too long: may not be more than 3 bytes"
    ]
