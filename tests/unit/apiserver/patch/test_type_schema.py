"""Types of core kinds and of custom resources."""

import pytest

from crlab.apiserver.kind.catalog import builtin_types
from crlab.apiserver.patch.builtin_schema import for_kind, kinds
from crlab.apiserver.patch.type_schema import DEDUCED, compile_schema


def reach(node, seen):
    """Visit every node below one, once."""
    if id(node) in seen:
        return
    seen[id(node)] = node
    if node.map is not None:
        for child in (*node.map.fields.values(), node.map.element):
            if child is not None:
                reach(child, seen)
    if node.list is not None:
        reach(node.list.element, seen)


def test_every_type_can_be_unfolded_and_every_map_list_has_its_keys():
    """Also where types contain themselves."""
    seen = {}
    for name in kinds():
        api_version, _, kind = name.rpartition("/")
        reach(for_kind(api_version, kind), seen)
    assert len(seen) > 500
    for node in seen.values():
        if node.list is not None and node.list.relationship == "map":
            assert set(node.list.keys) <= set(node.list.element.map.fields)


@pytest.mark.parametrize("resource", list(builtin_types()), ids=lambda r: r.plural)
def test_every_served_core_kind_has_a_type(resource):
    """Else its lists would not merge."""
    for version in resource.versions.values():
        assert for_kind(resource.api_version(version), resource.kind) is not None


def test_facts_of_the_api_hold():
    """A few that everybody knows."""
    pod = for_kind("v1", "Pod").map.fields["spec"].map.fields
    assert pod["containers"].list.merge_key == "name"
    assert pod["containers"].list.element.map.fields["ports"].list.keys == (
        "containerPort",
        "protocol",
    )
    assert pod["tolerations"].list.relationship == "atomic"
    assert pod["nodeSelector"].map.is_atomic
    assert for_kind("apps/v1", "Deployment").map.fields["spec"].map.fields["selector"].map.is_atomic
    assert for_kind("g/v1", "Nothing") is None


def test_a_schema_is_compiled_once():
    """By identity of the mapping."""
    schema = {"type": "object", "properties": {"spec": {"type": "object"}}}
    assert compile_schema(schema) is compile_schema(schema)
    assert compile_schema(None) is DEDUCED


def test_a_custom_resource_has_object_meta_and_forbids_what_it_does_not_declare():
    """Unless it preserves unknown fields."""
    node = compile_schema({"type": "object", "properties": {"spec": {"type": "object"}}})
    assert node.map.fields["metadata"].map.fields["finalizers"].list.relationship == "set"
    assert node.map.element is None
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert compile_schema(free).map.element is DEDUCED


def test_an_embedded_resource_is_an_object_of_its_own():
    """With metadata, lazily."""
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True}
    node = compile_schema({"type": "object", "properties": {"tpl": embedded}})
    assert "metadata" in node.map.fields["tpl"].map.fields
