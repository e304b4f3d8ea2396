"""Server-side apply: ownership, conflicts, removal, merging of lists."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlab.apiserver.patch.apply import LAST_APPLIED, server_side_apply
from crlab.apiserver.patch.field_set import FieldSet
from crlab.apiserver.patch.managed_fields import update_on_write
from crlab.apiserver.status import StatusError

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "name": {"type": "string"},
                "atomic": {"type": "array", "items": {"type": "string"}},
                "tags": {
                    "type": "array",
                    "items": {"type": "string"},
                    "x-kubernetes-list-type": "set",
                },
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {
                        "type": "object",
                        "properties": {"port": {"type": "integer"}, "proto": {"type": "string"}},
                    },
                },
                "ref": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                },
                "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


def thing(spec, **metadata):
    return {
        "apiVersion": "g/v1",
        "kind": "Thing",
        "metadata": {"name": "a", **metadata},
        "spec": spec,
    }


def apply(live, spec, manager="m1", *, time="t1", **options):
    applied = spec if "kind" in spec else thing(spec)
    return server_side_apply(
        live, applied, manager=manager, api_version="g/v1", time=time, schema=SCHEMA, **options
    )


def refusal(*args, **options):
    with pytest.raises(StatusError) as caught:
        apply(*args, **options)
    return caught.value


def owned(obj):
    return {e["manager"]: e["fieldsV1"] for e in obj["metadata"].get("managedFields", [])}


def test_dropping_a_field_removes_it_unless_somebody_else_owns_it():
    """The manager's own set is what it stated last."""
    live = apply(None, {"size": 1, "name": "x"})
    live = apply(live, {"name": "x"}, "m2")
    assert apply(live, {"size": 1})["spec"] == {"size": 1, "name": "x"}
    live = apply(apply(live, {"size": 1}), {}, "m2")
    assert live["spec"] == {"size": 1}
    assert owned(live) == {"m1": {"f:spec": {"f:size": {}}}, "m2": {"f:spec": {}}}


def test_what_nobody_owns_stays():
    """Defaults are unowned: dropping another field does not take them along."""
    live = apply(None, {"size": 1, "map": {"a": 1}})
    live["spec"]["name"] = "filled"
    assert apply(live, {"map": {"a": 1}})["spec"] == {"map": {"a": 1}, "name": "filled"}


def test_a_conflict_names_the_owner_and_the_field():
    """One conflict reads differently from several."""
    live = apply(None, {"size": 1, "ports": [{"port": 80, "proto": "TCP"}]})
    error = refusal(live, {"ports": [{"port": 80, "proto": "UDP"}]}, "m2")
    assert error.code == 409
    assert (
        error.message
        == 'Apply failed with 1 conflict: conflict with "m1": .spec.ports[port=80].proto'
    )
    error = refusal(live, {"size": 2, "ports": [{"port": 80, "proto": "UDP"}]}, "m2")
    assert error.message == (
        'Apply failed with 2 conflicts: conflicts with "m1":\n'
        "- .spec.size\n- .spec.ports[port=80].proto"
    )
    assert [cause["field"] for cause in error.details["causes"]] == [
        ".spec.size",
        ".spec.ports[port=80].proto",
    ]


def test_force_takes_the_field_over():
    """It leaves the other manager's set."""
    live = apply(None, {"size": 1})
    live = apply(live, {"size": 2}, "m2", force=True)
    assert live["spec"]["size"] == 2
    assert list(owned(live)) == ["m2"]
    assert refusal(live, {"size": 1}).code == 409


def test_an_updater_is_named_with_its_version():
    """Ordinary writers show `using <version>`."""
    live = apply(None, {"size": 1})
    changed = copy.deepcopy(live)
    changed["spec"]["size"] = 5
    changed["metadata"]["managedFields"] = update_on_write(
        live, changed, manager="hand", api_version="g/v1", time="t", schema=SCHEMA
    )
    assert refusal(changed, {"size": 1}).message.endswith(
        'conflict with "hand" using g/v1: .spec.size'
    )


def test_atomic_lists_and_maps_are_one_field():
    """They are replaced whole, and owned whole."""
    live = apply(None, {"atomic": ["a"], "ref": {"a": "1"}})
    assert owned(live)["m1"] == {"f:spec": {"f:atomic": {}, "f:ref": {}}}
    assert refusal(live, {"ref": {"b": "2"}}, "m2").message.endswith(": .spec.ref")
    assert apply(live, {"atomic": ["b"], "ref": {"b": "2"}})["spec"] == {
        "atomic": ["b"],
        "ref": {"b": "2"},
    }


def test_a_manager_that_changes_nothing_has_no_time():
    """A shared value needs no write; the first to apply keeps its moment."""
    live = apply(None, {"size": 1})
    entries = apply(live, {"size": 1}, "m2", time="t2")["metadata"]["managedFields"]
    assert [(e["manager"], e.get("time")) for e in entries] == [("m2", None), ("m1", "t1")]


def test_status_is_a_world_of_its_own():
    """The status endpoint takes status alone, the main one everything else."""
    live = apply(None, {**thing({"size": 1}), "status": {"phase": "x"}}, ignores_status=True)
    assert "status" not in live
    body = {**thing({"size": 9}, labels={"a": "b"}), "status": {"phase": "ok"}}
    live = apply(live, body, "ctrl", subresource="status")
    assert (live["spec"], live["status"]) == ({"size": 1}, {"phase": "ok"})
    assert "labels" not in live["metadata"]
    error = refusal(live, {**thing({}), "status": {"phase": "bad"}}, "other", subresource="status")
    assert error.message.endswith('conflict with "ctrl" with subresource "status": .status.phase')


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"zz": 1}, ".spec.zz: field not declared in schema"),
        ({"size": "x"}, ".spec.size: expected numeric (int or float), got string"),
        ({"name": 1}, ".spec.name: expected string, got &value.valueUnstructured{Value:1}"),
        ({"ports": [{"port": 1}, {"port": 1}]}, ".spec.ports: duplicate entries for key [port=1]"),
        ({"ports": {"a": 1}}, ".spec.ports: expected list, got &{map[a:1]}"),
        ({"map": [1]}, ".spec.map: expected map, got &{[1]}"),
        (
            {"tags": [{}]},
            ".spec.tags: element 0: associative list without keys has an element that's a map type",
        ),
    ],
)
def test_a_body_that_does_not_fit_the_schema_is_500(spec, text):
    """As the real server: no reason, the path and what was wrong."""
    error = refusal(None, spec)
    assert (error.code, error.reason) == (500, "")
    assert error.message == f"failed to create typed patch object (/a; g/v1, Kind=Thing): {text}"


def test_managed_fields_in_the_body_are_refused():
    """They are the server's to write."""
    assert (
        refusal(None, thing({}, managedFields=[])).message == "metadata.managedFields must be nil"
    )


def test_kubectl_takes_over_what_client_side_apply_wrote():
    """Its own last-applied annotation allows the conflict, and is kept in step."""
    text = '{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a"},"spec":{"size":1}}'
    created = thing({"size": 1, "name": "x"}, annotations={LAST_APPLIED: text})
    created["metadata"]["managedFields"] = update_on_write(
        None,
        created,
        manager="kubectl-client-side-apply",
        api_version="g/v1",
        time="t",
        schema=SCHEMA,
    )
    assert refusal(created, {"size": 2}, "other").code == 409
    assert refusal(created, {"name": "y"}, "kubectl").code == 409
    live = apply(created, {"size": 2}, "kubectl")
    assert live["spec"] == {"size": 2, "name": "x"}
    assert '"size":2' in live["metadata"]["annotations"][LAST_APPLIED]


def test_items_of_lists_keep_the_live_order():
    """New items follow; what both have takes the applied order."""
    live = apply(None, {"tags": ["a", "b", "c"]})
    live = apply(live, {"tags": ["c", "d", "a"]}, "m2")
    assert live["spec"]["tags"] == ["b", "c", "d", "a"]


specs = st.fixed_dictionaries(
    {"size": st.integers(0, 2)},  # empty granular lists are owned by nobody, as upstream
    optional={
        "name": st.sampled_from(["x", "y"]),
        "tags": st.lists(st.sampled_from("abc"), unique=True, min_size=1, max_size=3),
        "atomic": st.lists(st.sampled_from("ab"), max_size=2),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"port": st.integers(1, 3)}, optional={"proto": st.sampled_from(["T", "U"])}
            ),
            unique_by=lambda item: item["port"],
            min_size=1,
            max_size=3,
        ),
        "map": st.dictionaries(st.sampled_from("ab"), st.integers(0, 1), max_size=2),
    },
)
writes = st.lists(st.tuples(st.sampled_from(["m1", "m2", "m3"]), specs), min_size=1, max_size=6)


@settings(max_examples=40)
@given(writes)
def test_apply_is_idempotent(history):
    """The same body again changes neither object nor ownership."""
    live = None
    for manager, spec in history:
        live = apply(live, spec, manager, force=True)
        before = copy.deepcopy(live)
        again = apply(live, spec, manager)
        assert again == before
        assert live == before


@settings(max_examples=40)
@given(writes)
def test_the_last_to_force_has_what_it_states_and_shares_only_equal_values(history):
    """What the winner states is in the object; whoever else owns it agreed."""
    live, said = None, {}
    for manager, spec in history:
        live = apply(live, spec, manager, force=True)
        said[manager] = spec
        for other, stated in said.items():
            if other != manager:
                for field in ("size", "name", "atomic"):
                    path = ("f:spec", f"f:{field}")
                    if path in FieldSet(owned(live).get(other, {})):
                        assert stated[field] == live["spec"][field]
    assert all(live["spec"][f] == spec[f] for f in ("size", "name", "atomic") if f in spec)


@given(specs)
def test_a_field_comes_back_after_it_was_dropped(spec):
    """Applying less and then the same again gives the same object."""
    first = apply(None, spec)
    assert apply(apply(first, {"size": spec["size"]}), spec) == first


def test_duplicates_that_an_ordinary_write_left_are_merged_into_one():
    """They may be stored; an apply that names the item makes it one."""
    live = apply(None, {"size": 1})
    live["spec"]["tags"] = ["a", "b", "a"]
    assert apply(live, {"size": 1, "tags": ["a"]})["spec"]["tags"] == ["a", "b"]


def test_long_sets_are_merged_in_linear_time():
    """Four thousand items; the square of that would be noticed."""
    tags = [f"t{index}" for index in range(4_000)]
    live = apply(None, {"tags": tags[:2_000]})
    assert apply(live, {"tags": tags[1_000:]}, "m2")["spec"]["tags"] == tags
