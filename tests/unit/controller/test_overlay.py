"""Read your own writes without ever rolling the cache back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.controller.overlay import MutationOverlay
from crlab.model.object import KubeObject
from crlab.runtime.clock import FakeClock


def obj(version: int, name: str = "a") -> KubeObject:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(version)}
    return KubeObject.of({"metadata": metadata})


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def overlay(clock):
    return MutationOverlay(clock, max_entries=3)


def test_a_write_is_seen_before_the_cache_has_it(overlay):
    """The newer of the two wins."""
    overlay.written("pods", obj(5))
    assert overlay.newest("pods", "default/a", obj(4), "4").resource_version == "5"
    assert overlay.newest("pods", "default/a", None, "4").resource_version == "5"


def test_the_cache_wins_once_it_is_newer(overlay):
    """And the entry is dropped."""
    overlay.written("pods", obj(5))
    assert overlay.newest("pods", "default/a", obj(6), "6").resource_version == "6"
    assert overlay.newest("pods", "default/a", None, "6") is None


def test_what_others_deleted_does_not_come_back(overlay):
    """The cache is past the write and has no such object."""
    overlay.written("pods", obj(5))
    assert overlay.newest("pods", "default/a", None, "9") is None


def test_a_deletion_hides_what_the_cache_still_has(overlay):
    """Until a newer object of that name comes."""
    overlay.deleted("pods", "default/a", "7")
    assert overlay.newest("pods", "default/a", obj(5), "5") is None
    assert overlay.newest("pods", "default/a", obj(8), "8").resource_version == "8"


def test_an_older_answer_does_not_replace_a_newer_one(overlay):
    """Answers can arrive out of order."""
    overlay.written("pods", obj(7))
    overlay.written("pods", obj(5))
    assert overlay.newest("pods", "default/a", None, "1").resource_version == "7"


def test_entries_age_and_are_bounded(overlay, clock):
    """300 s, and the oldest first."""
    for number in range(5):
        overlay.written("pods", obj(number + 5, f"p{number}"))
    assert sorted(overlay.ahead("pods", "1")) == ["default/p2", "default/p3", "default/p4"]
    clock.advance(301)
    assert overlay.ahead("pods", "1") == {}


@given(st.lists(st.tuples(st.sampled_from(["write", "watch", "delete"]), st.integers(1, 30))))
def test_reads_never_go_back(history):
    """Whatever comes in whatever order, a key's version only grows."""
    overlay, cached, seen, version = MutationOverlay(FakeClock()), None, 0, 0
    for what, number in history:
        if what == "write":
            overlay.written("pods", obj(number))
        elif what == "delete":
            overlay.deleted("pods", "default/a", str(number))
        elif number > version:
            version, cached = number, obj(number)
        found = overlay.newest("pods", "default/a", cached, str(version) if version else "")
        if found is not None:
            assert int(found.resource_version) >= min(seen, version)
            assert int(found.resource_version) >= version
            seen = int(found.resource_version)
