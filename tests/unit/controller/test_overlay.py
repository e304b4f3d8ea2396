"""Read your own writes without ever rolling the cache back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.controller.overlay import MutationOverlay
from crlab.model.object import KubeObject
from crlab.runtime.clock import FakeClock


def obj(version: int, name: str = "a", uid: str = "u", **metadata) -> KubeObject:
    head = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return KubeObject.of({"metadata": head | metadata})


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def overlay(clock):
    return MutationOverlay(clock, max_entries=3)


def write(overlay, state):
    overlay.written("pods", state.key, state, state.resource_version)


def test_a_write_is_seen_before_the_cache_has_it(overlay):
    """The newer of the two wins."""
    write(overlay, obj(5))
    assert overlay.newest("pods", "default/a", obj(4), "4").resource_version == "5"
    assert overlay.newest("pods", "default/a", None, "4").resource_version == "5"


def test_the_cache_wins_once_it_is_newer(overlay):
    """And the entry is dropped."""
    write(overlay, obj(5))
    assert overlay.newest("pods", "default/a", obj(6), "6").resource_version == "6"
    assert overlay.newest("pods", "default/a", None, "6") is None


def test_what_others_deleted_does_not_come_back(overlay):
    """The cache is past the write and has no such object."""
    write(overlay, obj(5))
    assert overlay.newest("pods", "default/a", None, "9") is None


def test_a_deletion_hides_what_the_cache_still_has(overlay):
    """However new its state is: what had that uid never comes back."""
    overlay.deleted("pods", "default/a", "u", "5")
    assert overlay.newest("pods", "default/a", obj(5), "5") is None
    assert overlay.newest("pods", "default/a", obj(6), "6") is None
    assert overlay.is_ahead("pods", "default/a", obj(6), "6")
    assert overlay.newest("pods", "default/a", None, "7") is None
    assert overlay.keys("pods") == []


def test_a_deletion_hides_what_the_cache_has_not_even_seen_yet(overlay):
    """Made and deleted before the watch brings either."""
    write(overlay, obj(5))
    overlay.deleted("pods", "default/a", "u", "5")
    assert overlay.newest("pods", "default/a", None, "4") is None
    assert overlay.newest("pods", "default/a", obj(5), "5") is None
    assert overlay.keys("pods") == ["default/a"]


def test_what_came_back_under_the_name_of_a_deleted_object_is_seen(overlay):
    """It has another uid; an older namesake stays hidden."""
    overlay.deleted("pods", "default/a", "u", "5")
    assert overlay.newest("pods", "default/a", obj(3, uid="older"), "3") is None
    assert overlay.newest("pods", "default/a", obj(8, uid="new"), "8").uid == "new"
    assert overlay.keys("pods") == []


def test_a_deletion_of_a_collection_may_find_an_object_held(overlay):
    """Somebody put a finalizer on it meanwhile: it is there, terminating."""
    overlay.deleted("pods", "default/a", "u", "5", certain=False)
    assert overlay.newest("pods", "default/a", obj(5), "5") is None
    held = obj(7, deletionTimestamp="2026-01-01T00:00:00Z")
    assert overlay.newest("pods", "default/a", held, "7") is held


def test_a_late_answer_does_not_raise_what_was_deleted(overlay):
    """Workers' answers overtake each other."""
    overlay.deleted("pods", "default/a", "u", "5")
    write(overlay, obj(7))
    assert overlay.newest("pods", "default/a", obj(5), "5") is None
    write(overlay, obj(8, uid="new"))
    assert overlay.newest("pods", "default/a", obj(5), "5").uid == "new"


def test_an_object_that_leaves_a_selector_is_gone_at_that_version(overlay):
    """And is back as soon as the cache has it newer."""
    overlay.written("pods", "default/a", None, "7")
    assert overlay.newest("pods", "default/a", obj(5), "5") is None
    assert overlay.newest("pods", "default/a", obj(8), "6").resource_version == "8"


def test_an_older_answer_does_not_replace_a_newer_one(overlay):
    """Answers can arrive out of order."""
    write(overlay, obj(7))
    write(overlay, obj(5))
    assert overlay.newest("pods", "default/a", None, "1").resource_version == "7"


def test_entries_age_and_are_bounded(overlay, clock):
    """300 s, and the oldest first."""
    for number in range(5):
        write(overlay, obj(number + 5, f"p{number}"))
    assert sorted(overlay.keys("pods")) == ["default/p2", "default/p3", "default/p4"]
    clock.advance(301)
    assert overlay.newest("pods", "default/p4", None, "1") is None


@given(st.lists(st.tuples(st.sampled_from(["write", "watch"]), st.integers(1, 30))))
def test_reads_never_go_back(history):
    """Whatever comes in whatever order, a key's version only grows."""
    overlay, cached, seen, version = MutationOverlay(FakeClock()), None, 0, 0
    for what, number in history:
        if what == "write":
            write(overlay, obj(number))
        elif number > version:
            version, cached = number, obj(number)
        found = overlay.newest("pods", "default/a", cached, str(version) if version else "")
        if found is not None:
            assert int(found.resource_version) >= max(seen, version)
            seen = int(found.resource_version)
