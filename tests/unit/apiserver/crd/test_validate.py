"""CRDs that are accepted, refused, warned about."""

# ruff: noqa: E501 - the sentences are the server's

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.server import crd

from crlab.apiserver.crd.schema import crd_warnings
from crlab.apiserver.crd.validate import default_crd, prepare_crd, validate_crd


def tool(schema: dict[str, Any], **version: Any) -> dict[str, Any]:
    """Return a prepared CRD whose spec field has a schema."""
    root = {"type": "object", "properties": {"spec": schema}}
    listed = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    found = {
        "metadata": {"name": "tools.x.dev"},
        "spec": {
            "group": "x.dev",
            "scope": "Namespaced",
            "names": {"plural": "tools", "kind": "Tool"},
            "versions": [{**listed, **version}],
        },
    }
    default_crd(found)
    prepare_crd(found)
    return found


def causes(found: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [str(cause) for cause in validate_crd(found, old)]


BASE = "spec.validation.openAPIV3Schema.properties[spec]"
SCHEMAS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"type": "object", "properties": {"l": {"type": "array", "items": {}}}},
        [f"{BASE}.properties[l].items.type: Required value: must not be empty for specified array items"],
    ),
    (
        {"type": "object", "allOf": [{"properties": {"a": {"minimum": 1}}}]},
        [f"{BASE}.properties[a]: Required value: because it is defined in {BASE}.allOf[0].properties[a]"],
    ),
    (
        {"type": "object", "additionalProperties": {"type": "string"}, "properties": {"a": {"type": "string"}}},
        [f"{BASE}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"],
    ),
    (
        {"type": "string", "pattern": "(?=a)"},
        [f"{BASE}.pattern: Invalid value: \"(?=a)\": must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"],
    ),
    (
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        [f"{BASE}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"],
    ),
    (
        {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
        [f"{BASE}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
    ),
    (
        {"type": "string", "x-kubernetes-map-type": "granular"},
        [f'{BASE}.type: Invalid value: "string": must be object if x-kubernetes-map-type is specified'],
    ),
    (
        {"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True},
        [f"{BASE}.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true"],
    ),
    (
        {
            "type": "string",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        [f'{BASE}.type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true'],
    ),
    ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, []),
    ({"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}, []),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_schemas_are_held_to_the_structural_rules(
    schema: dict[str, Any], expected: list[str]
) -> None:
    """One rule at a time."""
    assert causes(tool(schema)) == expected


@pytest.mark.parametrize("use", ["widgets", "rules", "gauges", "notes", "zones"])
def test_good_crds_are_accepted(use: str) -> None:
    """Those of the recorded scenarios."""
    found = crd(use)
    default_crd(found)
    prepare_crd(found)

    assert causes(found) == []


def test_versions_that_differ_are_named_by_their_index() -> None:
    """Only what all versions share is named at the top."""
    found = tool({"type": "object"})
    second = copy.deepcopy(found["spec"]["versions"][0])
    second.update(name="v2", storage=False)
    second["schema"]["openAPIV3Schema"]["properties"]["spec"] = {"type": "strin"}
    found["spec"]["versions"].append(second)

    assert causes(found) == [
        "spec.versions[1].schema.openAPIV3Schema.properties[spec].type: Unsupported value: "
        '"strin": supported values: "array", "boolean", "integer", "number", "object", "string"'
    ]


def test_a_stored_version_cannot_be_dropped() -> None:
    """Objects may still be stored in it."""
    old = tool({"type": "object"})
    new = copy.deepcopy(old)
    new["spec"]["versions"][0]["name"] = "v2"
    prepare_crd(new, old)

    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert causes(new, old)[0].startswith(
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was '
    )


def test_an_update_may_not_break_what_the_name_stands_on() -> None:
    """Plural and group at once, scope and kind after Established."""
    old = tool({"type": "object"})
    new = copy.deepcopy(old)
    new["spec"]["scope"] = "Cluster"
    assert causes(new, old) == []

    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]

    assert causes(new, old) == ['spec.scope: Invalid value: "Cluster": field is immutable']


def test_too_many_selectable_fields_are_counted() -> None:
    """Eight are allowed."""
    names = [f"f{at}" for at in range(9)]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    fields = [{"jsonPath": f".spec.{name}"} for name in names]

    assert causes(tool(schema, selectableFields=fields)) == [
        "spec.selectableFields: Too many: 9: must have at most 8 items"
    ]


def test_defaults_must_fit_their_own_schema_and_rules() -> None:
    """A rule counts as much as a type."""
    rule = {"rule": "self > 3", "message": "more than three"}
    schema = {"type": "integer", "default": 2, "x-kubernetes-validations": [rule]}
    found = tool({"type": "object", "properties": {"n": schema}})

    assert causes(found) == [f"{BASE}.properties[n].default: Invalid value: 2: more than three"]


def test_webhook_conversion_needs_a_webhook() -> None:
    """And versions of the review it understands."""
    found = tool({"type": "object"})
    found["spec"]["conversion"] = {"strategy": "Webhook"}

    assert causes(found) == [
        "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        "spec.conversion.conversionReviewVersions: Required value",
    ]


def test_deprecation_warnings_belong_to_deprecated_versions() -> None:
    """And are short printable text."""
    found = tool({"type": "object"}, deprecationWarning="old")
    assert causes(found) == [
        'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for '
        "deprecated versions"
    ]


def test_unknown_formats_are_warned_about_once() -> None:
    """Not again when an update does not add any."""
    found = tool({"type": "string", "format": "colour"})

    assert crd_warnings(found) == ['unrecognized format "colour"']
    assert crd_warnings(found, found) == []


def test_sets_of_objects_are_warned_about() -> None:
    """Neither apply nor rules support them."""
    items = {"type": "object", "x-kubernetes-map-type": "atomic"}
    schema = {"type": "array", "items": items, "x-kubernetes-list-type": "set"}

    assert crd_warnings(tool(schema)) == [
        'x-kubernetes-list-type: set for items of type "object" is not supported by server-side '
        "apply or CEL validation rules"
    ]


def test_the_status_of_a_crd_is_the_servers() -> None:
    """Whatever the client sends."""
    found = tool({"type": "object"})
    found["status"] = {"storedVersions": ["v9"]}
    prepare_crd(found)

    assert found["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
