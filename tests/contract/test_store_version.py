"""What a cache has reached: its own version, in order through every queue, so that waits end."""

from unittest import mock

import pytest
from msgspec import structs
from support.informer_rig import Rig
from support.scripted import bookmark, event, pod

from crlab.cache.delta_fifo import DeltaFIFO
from crlab.cache.fifo import Delta, DeltaType
from crlab.cache.indexer import Indexer
from crlab.cache.queue_kind import make_queue
from crlab.cache.revision import has_reached, oldest_of
from crlab.client.list_watch import ListPage
from crlab.runtime.clock import FakeClock

QUEUES = ["real", "real-per-item", "delta"]


def page(*pods, rv):
    return ListPage(list(pods), rv)


def only(name):
    return lambda stage: stage.name.startswith(name)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_version_is_reached_when_it_is_in_the_cache(queue):
    """Not when the reflector has it; a bookmark takes its turn."""
    rig = Rig(queue=queue).lists(page(rv="10")).start()
    rig.server.stream.feed(event("ADDED", pod("a", 11)), event("ADDED", pod("b", 12)), bookmark(15))
    rig.driver.settle(only=only("reflector"))
    assert (rig.informer.received_resource_version, rig.version) == ("15", "10")
    rig.driver.step(only("processor"))
    assert ("default/b" in rig.informer.indexer) == (int(rig.version) >= 12)
    rig.driver.settle()
    assert rig.version == rig.informer.status.resource_version == "15"


@pytest.mark.parametrize("queue", QUEUES)
def test_an_event_that_the_transform_refuses_does_not_hold_the_version_up(queue):
    """Or a wait for it would never end; the refusal is reported."""

    def transform(obj):
        if obj.name == "bad":
            raise ValueError("no")
        return obj

    rig = Rig(queue=queue, transform=transform).lists(page(rv="10")).start()
    rig.feed(event("ADDED", pod("bad", 11)))
    assert rig.version == "11"
    rig.feed(event("ADDED", pod("a", 12)), event("ADDED", pod("bad", 13)))
    assert (rig.version, rig.keys()) == ("13", ["default/a"])


def test_a_deletion_the_classic_queue_drops_still_moves_the_version():
    """Of an object that nobody knows (rule 27)."""
    rig = Rig(queue="delta").lists(page(rv="10")).start()
    rig.feed(event("DELETED", pod("ghost", 12)))
    assert rig.version == "12"


def test_an_old_event_does_not_take_the_version_back():
    """It is ignored, and so is its version."""
    rig = Rig().lists(page(pod("a", 9), rv="10")).start()
    rig.feed(event("MODIFIED", pod("a", 8)))
    assert rig.version == "10"
    rig.feed(event("MODIFIED", pod("a", 12)), event("MODIFIED", pod("a", 11)))
    assert rig.version == "12"


@pytest.mark.parametrize("queue", QUEUES)
def test_a_relist_is_reached_with_its_last_object(queue):
    """Also where readers see it half applied; an empty one, too."""
    indexer = Indexer()
    made = make_queue(queue, FakeClock(), indexer)
    items = [pod(name, 20) for name in "abc"]
    made.replace(Delta(DeltaType.REPLACED_ALL, items=items, resource_version="20"))
    seen = []
    while popped := made.pop(1):
        seen.append(popped.versions.get("", ""))
        made.done(popped)
    assert [each for each in seen if each] == ["20"]
    assert seen[-1] == "20"
    made.replace(Delta(DeltaType.REPLACED_ALL, resource_version="21"))
    popped = made.pop(1)
    assert popped.versions == {"": "21"}
    made.done(popped)
    assert made.pop(1) is None


def test_the_classic_queue_reaches_a_version_though_it_is_never_empty():
    """Keys overtake each other; after two rounds of the queue all of before is applied."""
    queue = make_queue("delta", FakeClock(), Indexer())
    version, reached = 0, 0
    for _ in range(200):
        for name in "ab":
            version += 1
            queue.add([Delta(DeltaType.ADDED, name, pod(name, version), (), str(version))])
        popped = queue.pop(1)
        queue.done(popped)
        reached = int(popped.versions.get("", reached))
    assert len(queue) > 0
    assert version - 8 <= reached < version


@pytest.mark.parametrize("queue", QUEUES)
def test_a_revision_that_went_back_is_what_the_cache_has_reached(queue):
    """A new epoch: lower, and true."""
    rig = Rig(queue=queue, list_mode="list").lists(page(pod("a", 900), rv="900")).start()
    assert rig.version == "900"
    made = Delta(
        DeltaType.REPLACED_ALL, items=[pod("a", 5)], resource_version="7", is_new_epoch=True
    )
    rig.informer.queue.replace(made)
    rig.driver.settle()
    assert rig.version == "7"


def test_versions_that_cannot_be_compared_are_reached_only_as_they_are():
    """Several namespaces together: the oldest, or none that can be named."""
    assert has_reached("12", "9")
    assert has_reached("x", "x")
    assert not has_reached("x", "9")
    assert not has_reached("", "9")
    assert (oldest_of(["12", "9"]), oldest_of(["x", "9"]), oldest_of([])) == ("9", "", "")


def _all_that_came(self):
    self._is_ahead = False
    return dict(self._reached)


_of_item = Delta.of_item


def _whole_from_the_first(self, obj):
    return structs.replace(_of_item(self, obj), is_partial=False)


@pytest.mark.parametrize(
    ("owner", "field", "bug", "promise"),
    [
        (
            DeltaFIFO,
            "_versions_locked",
            _all_that_came,
            test_the_classic_queue_reaches_a_version_though_it_is_never_empty,
        ),
        (
            Delta,
            "of_item",
            _whole_from_the_first,
            lambda: test_a_relist_is_reached_with_its_last_object("real-per-item"),
        ),
    ],
    ids=["the classic queue is where its newest delta is", "a relist is through with its first"],
)
def test_a_seeded_bug_is_caught(owner, field, bug, promise):
    """These tests are no decoration."""
    with mock.patch.object(owner, field, bug), pytest.raises(AssertionError):
        promise()
