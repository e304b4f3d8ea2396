"""Ownership on ordinary writes."""

import copy
import timeit

from crlab.apiserver.patch import managed_fields
from crlab.apiserver.patch.builtin_schema import for_kind
from crlab.apiserver.patch.managed_fields import update_on_write
from crlab.apiserver.verb.strategy import is_unchanged

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "name": {"type": "string"},
                "tags": {
                    "type": "array",
                    "items": {"type": "string"},
                    "x-kubernetes-list-type": "set",
                },
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


def write(live, new, manager="m", subresource="", time="2026-01-01T00:00:00Z"):
    """Return `new` as it would be stored."""
    entries = update_on_write(
        live,
        new,
        manager=manager,
        api_version="g/v1",
        subresource=subresource,
        time=time,
        schema=SCHEMA,
    )
    stored = copy.deepcopy(new)
    stored.setdefault("metadata", {})["managedFields"] = entries
    return stored


def thing(**spec):
    return {"apiVersion": "g/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


def changed(live, **spec):
    new = copy.deepcopy(live)
    new["spec"].update(spec)
    return new


def owned(stored):
    return {entry["manager"]: entry["fieldsV1"] for entry in stored["metadata"]["managedFields"]}


def test_a_create_owns_all_it_brings():
    """Containers included, name and server-owned metadata not."""
    stored = write(None, thing(size=1, tags=["x"]))
    assert owned(stored) == {
        "m": {"f:spec": {".": {}, "f:size": {}, "f:tags": {".": {}, 'v:"x"': {}}}}
    }


def test_an_update_takes_exactly_what_it_changed():
    """The field leaves its old owner."""
    first = write(None, thing(size=1, name="n"))
    second = write(first, changed(first, size=2), "other")
    assert owned(second) == {
        "m": {"f:spec": {".": {}, "f:name": {}}},
        "other": {"f:spec": {"f:size": {}}},
    }


def test_a_removed_field_is_nobodys():
    """Also the remover does not own it."""
    first = write(None, thing(size=1, name="n"))
    without = copy.deepcopy(first)
    del without["spec"]["name"]
    assert owned(write(first, without, "other")) == {"m": {"f:spec": {".": {}, "f:size": {}}}}


def test_the_same_manager_at_status_is_another_entry():
    """Entries are per manager, operation, version and subresource."""
    first = write(None, thing(size=1))
    new = {**first, "status": {"phase": "ok"}}
    entries = write(first, new, subresource="status")["metadata"]["managedFields"]
    assert [entry.get("subresource") for entry in entries] == [None, "status"]


def test_true_is_not_one():
    """Untyped fields tell booleans from numbers."""
    first = write(None, thing(any={"x": 1}))
    assert "other" in owned(write(first, changed(first, any={"x": True}), "other"))
    assert "other" not in owned(write(first, changed(first, any={"x": 1.0}), "other"))


def test_a_write_that_changes_nothing_keeps_the_time():
    """Nothing is owned anew, so nothing is stored."""
    first = write(None, thing(size=1))
    second = write(first, changed(first, size=1), time="2026-01-01T00:09:00Z")
    assert second["metadata"]["managedFields"] == first["metadata"]["managedFields"]
    assert is_unchanged(second, first)


def test_clearing_is_possible_and_lasts():
    """[{}] clears; without an apply nothing is tracked again."""
    first = write(None, thing(size=1))
    new = changed(first, size=2)
    new["metadata"]["managedFields"] = [{}]
    cleared = write(first, new)
    assert cleared["metadata"]["managedFields"] == []
    del cleared["metadata"]["managedFields"]
    assert write(cleared, changed(cleared, size=3))["metadata"]["managedFields"] == []


def test_a_client_may_rewrite_the_list_but_not_break_it():
    """What can be read is taken, what cannot is ignored."""
    first = write(None, thing(size=1))
    renamed = copy.deepcopy(first)
    renamed["metadata"]["managedFields"][0]["manager"] = "renamed"
    assert list(owned(write(first, renamed))) == ["renamed"]
    broken = copy.deepcopy(first)
    broken["metadata"]["managedFields"] = [{"manager": "x", "fieldsV1": {"what": {}}}]
    assert list(owned(write(first, broken))) == ["m"]


def test_many_updaters_become_ancient_changes():
    """At most ten entries of operation Update."""
    live = write(None, thing(size=0))
    for index in range(1, 15):
        moment = f"2026-01-01T00:00:{index:02d}Z"
        live = write(
            live,
            changed(live, any={**live["spec"].get("any", {}), f"k{index}": 1}),
            f"m{index}",
            time=moment,
        )
    entries = live["metadata"]["managedFields"]
    assert len(entries) == managed_fields.MAX_UPDATERS
    assert "ancient-changes" in owned(live)


def test_list_items_without_names_leave_ownership_alone():
    """A set of maps cannot be tracked; the write goes through."""
    first = write(None, thing(size=1))
    assert (
        write(first, changed(first, tags=[{}]))["metadata"]["managedFields"]
        == first["metadata"]["managedFields"]
    )


def test_a_core_kind_is_tracked_by_its_merge_keys():
    """Containers by name, ports by containerPort and protocol with its default."""
    pod = {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}}
    entries = update_on_write(
        None, pod, manager="m", api_version="v1", schema=for_kind("v1", "Pod")
    )
    ports = entries[0]["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:ports"]
    assert list(ports) == [".", 'k:{"containerPort":80,"protocol":"TCP"}']


def test_a_small_object_is_tracked_fast():
    """It is on the path of every write: tens of microseconds, with room for a busy machine."""
    live = write(None, thing(size=1, name="n", tags=["x", "y"]))
    new = changed(live, size=2)

    def track():
        update_on_write(live, new, manager="m", api_version="g/v1", time="t", schema=SCHEMA)

    assert min(timeit.repeat(track, number=200, repeat=5)) / 200 < 250e-6
