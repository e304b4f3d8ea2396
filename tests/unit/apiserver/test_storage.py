"""The revision log: revisions, exact reads, compaction, snapshots."""

from __future__ import annotations

import msgspec
import pytest

from crlab.apiserver.storage import KEEP_PER_RESOURCE, Compacted, Storage


def put(store: Storage, name: str, value: int = 0, resource: str = "things") -> int:
    tree = {"metadata": {"name": name}, "value": value}
    return store.commit(resource, f"ns/{name}", tree).revision


def values(items: list) -> dict[str, int]:
    return {key: stored.tree()["value"] for key, stored in items}


def test_every_commit_takes_the_next_revision() -> None:
    """One counter serves all resources; a deletion takes a revision, too."""
    store = Storage()
    assert [put(store, "a"), put(store, "b", resource="others"), put(store, "a")] == [2, 3, 4]
    assert store.commit("things", "ns/a", None).revision == 5


def test_an_object_carries_its_revision() -> None:
    """The bytes that are served hold the resourceVersion of their commit."""
    store = Storage()
    put(store, "a")
    stored = store.get("things", "ns/a")
    assert stored is not None
    assert msgspec.json.decode(stored.data)["metadata"]["resourceVersion"] == "2"


def test_a_tree_is_the_readers_own() -> None:
    """Changing what was read changes nothing in the store."""
    store = Storage()
    put(store, "a", 1)
    store.items("things")[0][1].tree()["value"] = 9
    assert values(store.items("things")) == {"ns/a": 1}


def test_order_is_bytewise_by_key() -> None:
    """Namespace `a-0` comes before `a`, since "-" sorts before "/"."""
    store = Storage()
    for key in ("a/x", "a-0/x", "b/x"):
        store.commit("things", key, {"metadata": {"name": "x"}})
    assert [key for key, _ in store.items("things")] == ["a-0/x", "a/x", "b/x"]
    assert [key for key, _ in store.items("things", "a")] == ["a/x"]


def test_the_past_can_be_read() -> None:
    """`at` undoes creations, changes and deletions."""
    store = Storage()
    first = put(store, "a", 1)
    put(store, "b", 2)
    put(store, "a", 3)
    store.commit("things", "ns/b", None)
    assert values(store.at("things", first)) == {"ns/a": 1}
    assert values(store.at("things", first + 1)) == {"ns/a": 1, "ns/b": 2}
    assert values(store.at("things", store.revision)) == {"ns/a": 3}


def test_compaction_forgets_the_past() -> None:
    """Older revisions raise, the present stays readable."""
    store = Storage()
    first = put(store, "a", 1)
    put(store, "a", 2)
    store.compact()
    with pytest.raises(Compacted):
        store.at("things", first)
    assert values(store.at("things", store.revision)) == {"ns/a": 2}


def test_the_log_is_bounded_but_no_resource_loses_all() -> None:
    """A busy resource pushes out its own past, not all of a quiet one's."""
    store = Storage(keep_entries=200)
    quiet = put(store, "q", resource="quiet")
    for number in range(1000):
        put(store, "a", number)
    with pytest.raises(Compacted):
        store.entries_after("things", quiet)
    assert len(store.entries_after("things", store.revision - KEEP_PER_RESOURCE)) == 100
    assert len(store.entries_after("quiet", quiet - 1)) == 1


def test_a_fork_goes_its_own_way() -> None:
    """Both stores have the history up to the fork and nothing of each other after."""
    store = Storage()
    first = put(store, "a", 1)
    other = Storage.fork(store.snapshot())
    put(store, "a", 2)
    put(other, "a", 3)
    assert values(store.items("things")) == {"ns/a": 2}
    assert values(other.items("things")) == {"ns/a": 3}
    assert values(other.at("things", first)) == {"ns/a": 1}
    assert store.revision == other.revision


def test_restore_jumps_ahead_and_forgets() -> None:
    """Old objects come back under a revision no client has seen; older reads raise."""
    store = Storage()
    put(store, "a", 1)
    snapshot = store.snapshot()
    newest = put(store, "b", 2)
    assert store.restore(snapshot) > newest
    assert values(store.items("things")) == {"ns/a": 1}
    with pytest.raises(Compacted):
        store.at("things", newest)


def test_rewind_below_the_horizon_writes_nothing() -> None:
    """A rewind that cannot be exact is refused whole."""
    store = Storage()
    first = put(store, "a", 1)
    put(store, "a", 2)
    store.compact()
    before = store.revision
    with pytest.raises(Compacted):
        store.rewind(first)
    assert store.revision == before


def test_subscribers_hear_every_commit() -> None:
    """Until they leave."""
    store = Storage()
    heard: list[int] = []
    leave = store.subscribe(lambda entry: heard.append(entry.revision))
    put(store, "a")
    leave()
    put(store, "a")
    assert heard == [2]


def test_whole_floats_are_written_as_integers() -> None:
    """As Go prints them; what is inside strings stays."""
    store = Storage()
    tree = {"metadata": {"name": "a"}, "n": 1.0, "f": 1.5, "s": "1.0,", "l": [2.0]}
    data = store.commit("things", "ns/a", tree).stored.data
    assert b'"n":1,' in data or data.endswith(b'"n":1}')
    assert b'"s":"1.0,"' in data
    assert b"1.5" in data
    assert b'"l":[2]' in data
