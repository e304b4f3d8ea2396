"""Rules 41-46: keys, indices, snapshots, the store's version, listers."""

from __future__ import annotations

import pytest
from support.informer_rig import Rig, quick
from support.scripted import PODS, bookmark, error_event, event, pod

from crlab.cache import DeletedFinalStateUnknown, Indexer, Lister
from crlab.cache.index import Index
from crlab.client.list_watch import ListPage
from crlab.errors import AlreadyStopped, IndexerConflict, NotFound, UnknownIndex
from crlab.model.key import meta_namespace_key


def by_node(obj):
    node = obj["spec"].get("node")
    return [node] if node else []


def by_tags(obj):
    return obj["spec"].get("tags", [])


def store(*pods, **indexers):
    indexer = Indexer(indexers)
    indexer.replace({obj.key: obj for obj in pods}, "10", [obj.key for obj in pods])
    return indexer


def names(objects):
    return [obj.name for obj in objects]


def test_rule_41_a_key_is_namespace_and_name_and_a_tombstone_carries_its_own():
    """Rule 41: or the name alone."""
    assert meta_namespace_key(pod("web")) == "default/web"
    assert meta_namespace_key(pod("node", namespace="")) == "node"
    assert DeletedFinalStateUnknown("default/web", None).key == "default/web"


def test_rule_41_a_recreation_across_a_relist_is_one_update_with_two_uids():
    """Rule 41: handlers must compare UIDs."""
    rig = Rig(timing=quick())
    rig.lists(
        ListPage([pod("a", 3, uid="one")], "10"), ListPage([pod("a", 15, uid="two")], "20")
    ).start()
    uids = []
    rig.informer.add_event_handler(on_update=lambda old, new: uids.append((old.uid, new.uid)))

    rig.feed(error_event(410)).retry()

    assert uids == [("one", "two")]


def test_rule_42_an_object_has_any_number_of_values_in_an_index():
    """Rule 42: 0 to n."""
    indexer = store(pod("a", tags=["x", "y"]), pod("b"), pod("c", tags=["y"]), tags=by_tags)

    assert names(indexer.by_index("tags", "y")) == ["a", "c"]
    assert indexer.index_values("tags") == ["x", "y"]


def test_rule_42_a_raising_index_function_is_counted_and_its_object_left_out():
    """Rule 42, gentler: client-go ends the process."""
    indexer = store(pod("a", node="n1"), pod("b"), node=lambda obj: [obj["spec"]["node"]])

    assert names(indexer.by_index("node", "n1")) == ["a"]
    assert indexer.index_errors == 1
    assert isinstance(indexer.last_error, KeyError)


def test_rule_42_a_lone_string_is_not_taken_for_a_list_of_letters():
    """Rule 42: the usual slip is an error that says so."""
    indexer = Indexer()

    indexer.apply([("default/a", pod("a"))])
    with pytest.raises(TypeError, match="list of strings"):
        indexer.add_indexers({"name": lambda obj: obj.name})

    assert set(indexer.indexers()) == {"namespace"}


def test_rule_42_an_index_name_is_used_once():
    """Rule 42: duplicates are refused."""
    indexer = store(node=by_node)

    with pytest.raises(IndexerConflict, match="node"):
        indexer.add_indexers({"node": by_node})


def test_rule_42_indices_may_be_added_after_the_start_but_not_after_the_stop():
    """Rule 42: existing items are indexed at once."""
    rig = Rig().lists(ListPage([pod("a", node="n1")], "10")).start()

    rig.informer.add_indexers({"node": by_node})
    assert names(rig.informer.indexer.by_index("node", "n1")) == ["a"]

    rig.informer.stop()
    with pytest.raises(AlreadyStopped):
        rig.informer.add_indexers({"tags": by_tags})


def test_rule_43_an_empty_value_is_forgotten():
    """Rule 43 (k/k#84959): no leak of value sets."""
    indexer = store(pod("a", node="n1"), node=by_node)

    indexer.apply([("default/a", pod("a", 2, node="n2"))])

    assert indexer.index_values("node") == ["n2"]
    indexer.apply([("default/a", None)])
    assert indexer.index_values("node") == []


def test_rule_43_an_unchanged_value_moves_nothing():
    """Rule 43: a no-op on update."""
    index = Index("node", by_node)
    index.put("a", ("n1",))
    before = index.keys["n1"]

    index.put("a", ("n1",))

    assert index.keys["n1"] is before


def test_rule_43_index_unions_and_index_keys_are_sorted():
    """Rule 43: objects that share any value; keys and, here, lists are sorted."""
    a, b, c = pod("a", tags=["x"]), pod("b", tags=["x", "y"]), pod("c", tags=["y"])
    indexer = store(c, b, a, tags=by_tags)

    assert names(indexer.index("tags", b)) == ["a", "b", "c"]
    assert indexer.index_keys("tags", "x") == ["default/a", "default/b"]
    assert names(indexer.list()) == ["a", "b", "c"]


def test_rule_43_an_unknown_index_says_which_there_are():
    """Rule 43: a typed error."""
    with pytest.raises(UnknownIndex, match="namespace"):
        store().by_index("namespce", "default")


def test_rule_44_replace_rebuilds_the_indices():
    """Rule 44: nothing of the old content is left in them."""
    indexer = store(pod("a", node="n1"), node=by_node)
    fresh = pod("b", node="n2")

    indexer.replace({fresh.key: fresh}, "20", ["default/a", "default/b"])

    assert indexer.index_values("node") == ["n2"]
    assert indexer.list_keys() == ["default/b"]


def test_rule_44_a_snapshot_does_not_move():
    """Rule 44: reads are consistent; what was read stays as it was."""
    indexer = store(pod("a"))
    before = indexer.read()

    indexer.apply([("default/a", None), ("default/b", pod("b"))], "11")

    assert list(before.rows) == ["default/a"]
    assert (before.resource_version, indexer.resource_version) == ("10", "11")
    assert indexer.read(["default/a"]).rows == {"default/a": None}


def test_rule_44_what_is_handed_out_cannot_change_the_store():
    """Rule 44, stricter: read-only objects instead of a mutation detector."""
    indexer = store(pod("a", node="n1"))

    with pytest.raises(TypeError, match="read-only"):
        indexer.get_by_key("default/a")["spec"]["node"] = "other"
    indexer.get_by_key("default/a").to_dict()["spec"]["node"] = "mine"

    assert indexer.get_by_key("default/a").spec.node == "n1"


def test_rule_45_the_store_remembers_the_version_of_the_last_applied_change():
    """Rule 45: not what was received, but what was applied."""
    rig = Rig().lists(ListPage([], "10")).start()
    rig.server.stream.feed(event("ADDED", pod("a", 11)), bookmark(15))
    rig.driver.settle(only=lambda stage: stage.name.startswith("reflector"))
    assert (rig.informer.received_resource_version, rig.version) == ("15", "10")

    rig.driver.settle()

    assert rig.informer.indexer.resource_version == "15"


def test_rule_46_a_lister_reads_by_namespace_and_name():
    """Rule 46: through the index "namespace", which every store has."""
    indexer = store(pod("a"), pod("b", namespace="other"))
    lister = Lister(indexer, PODS)

    assert names(lister.namespace("other").list()) == ["b"]
    assert lister.get("a", "default").name == "a"
    assert names(lister.list(lambda obj: obj.name == "a")) == ["a"]
    with pytest.raises(NotFound, match="other/a"):
        lister.namespace("other").get("a")


def test_the_generation_changes_exactly_when_the_content_does():
    """Frames rely on it: equal generations mean equal content."""
    indexer = store(pod("a"))
    before = indexer.generation

    indexer.advance("11")
    assert indexer.generation == before

    indexer.apply([("default/a", pod("a", 12))], "12")
    assert indexer.generation == before + 1


def test_change_listeners_hear_keys_after_the_change_and_none_for_a_replace():
    """Called by the only writer once the lock is free; a raising one harms nobody."""
    indexer, heard = store(pod("a")), []
    indexer.add_change_listener(lambda keys: 1 / 0)
    remove = indexer.add_change_listener(lambda keys: heard.append((keys, len(indexer.list()))))

    indexer.apply([("default/b", pod("b"))])
    indexer.replace({}, "12", ["default/a", "default/b"])
    remove()
    indexer.apply([("default/c", pod("c"))])

    assert heard == [(["default/b"], 2), (None, 0)]
