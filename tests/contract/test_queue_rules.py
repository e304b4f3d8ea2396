"""Rules 25-40: what the queues keep, merge, infer and hand out."""

from __future__ import annotations

import pytest
from support.informer_rig import Rig, quick
from support.scripted import bookmark, error_event, event, pod

from crlab.cache.delta_fifo import DeltaFIFO
from crlab.cache.fifo import Delta, DeltaType
from crlab.cache.per_item_fifo import PerItemFIFO
from crlab.cache.queue_kind import make_queue
from crlab.cache.real_fifo import RealFIFO
from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.client.list_watch import ListPage
from crlab.errors import CrlabError
from crlab.runtime.clock import FakeClock


class Known:
    """A store as the classic queue sees it."""

    def __init__(self, *pods):
        self.objects = {obj.key: obj for obj in pods}

    def list_keys(self):
        return sorted(self.objects)

    def get_by_key(self, key):
        return self.objects.get(key)


def types_of(deltas):
    """Return the deltas' types as plain strings."""
    return [str(delta.type) for delta in deltas]


def classic(*known):
    return DeltaFIFO(FakeClock(), Known(*known))


def real():
    return RealFIFO(FakeClock())


def per_item(*known):
    return PerItemFIFO(FakeClock(), Known(*known))


def delta(kind, obj):
    return Delta(kind, obj.key, obj, resource_version=obj.resource_version)


def added(name, rv=1):
    return delta(DeltaType.ADDED, pod(name, rv))


def updated(name, rv=1):
    return delta(DeltaType.UPDATED, pod(name, rv))


def deleted(name, rv=1):
    return delta(DeltaType.DELETED, pod(name, rv))


def everything(*pods, rv="10"):
    return Delta(DeltaType.REPLACED_ALL, items=pods, resource_version=rv)


def drain(queue):
    """Pop everything, each pop processed at once."""
    popped = []
    while (batch := queue.pop(1000)) is not None:
        queue.done(batch)
        popped.append(batch)
    return popped


def test_rule_25_a_key_waits_once_with_all_its_deltas():
    """Rule 25: the key queue has no duplicates."""
    queue = classic()

    queue.add([added("a"), added("b"), updated("a", 2)])

    assert len(queue) == 2
    assert types_of(queue.pop(9).deltas) == ["Added", "Updated"]
    assert types_of(queue.pop(9).deltas) == ["Added"]


def test_rule_26_updates_are_not_compressed():
    """Rule 26: every one is kept."""
    queue = classic()

    queue.add([updated("a", rv) for rv in range(5)])

    assert len(queue.pop(1).deltas) == 5


def test_rule_26_of_two_deletions_the_real_object_is_kept():
    """Rule 26: keep the newer if the older is a tombstone, else the older."""
    queue = classic(pod("a", 3))
    queue.add([deleted("a", 4)])

    queue.replace(everything())

    [only] = queue.pop(1).deltas
    assert only.object.resource_version == "4"


def test_rule_26_a_tombstone_gives_way_to_the_deletion_that_was_seen():
    """Rule 26: the newer one, if the older is a tombstone."""
    queue = classic(pod("a", 3))
    queue.replace(everything())

    queue.add([deleted("a", 5)])

    [only] = queue.pop(1).deltas
    assert only.object.resource_version == "5"


def test_rule_27_deleting_what_is_neither_known_nor_queued_is_ignored():
    """Rule 27: known or queued ones are deleted."""
    queue = classic(pod("known"))
    queue.add([added("queued")])

    queue.add([deleted("nobody"), deleted("known"), deleted("queued", 2)])

    assert [p.deltas[0].key for p in drain(queue)] == ["default/queued", "default/known"]


def test_rule_27_without_known_objects_only_queued_ones_are_deleted():
    """Rule 27: the queue decides alone."""
    queue = DeltaFIFO(FakeClock(), None)

    queue.add([deleted("a"), added("b"), deleted("b")])

    assert types_of(queue.snapshot()) == ["Added", "Deleted"]


def test_rule_28_replace_queues_items_then_queued_then_known_absentees():
    """Rule 28: in that order, the absentees as tombstones of their newest state."""
    queue = classic(pod("known", 3))
    queue.add([added("ghost", 4), updated("ghost", 5)])

    queue.replace(everything(pod("a", 9)))

    popped = {p.deltas[0].key: p.deltas for p in drain(queue)}
    assert list(popped) == ["default/ghost", "default/a", "default/known"]
    assert popped["default/ghost"][-1].object.obj.resource_version == "5"
    assert popped["default/known"][0].object.obj.resource_version == "3"


def test_rule_28_nested_tombstones_are_unwrapped():
    """Rule 28: a tombstone holds an object, never a tombstone."""
    queue = classic(pod("a", 3))
    queue.replace(everything())

    queue.replace(everything())

    [only] = queue.pop(1).deltas
    assert only.object == DeletedFinalStateUnknown("default/a", only.object.obj)
    assert only.object.obj.resource_version == "3"


def test_rule_28_a_created_and_vanished_object_does_not_leak():
    """Rule 28 (k/k#115658): queued as created, gone before the relist."""
    rig = Rig(queue="delta", timing=quick()).lists(ListPage([], "10"), ListPage([], "20"))
    rig.start()
    rig.server.stream.feed(event("ADDED", pod("ghost", 11)), error_event(410))
    rig.driver.settle(only=lambda stage: stage.name.startswith("reflector"))

    rig.advance(2)

    assert rig.keys() == []


def test_rule_28_an_object_that_came_back_after_a_queued_deletion_is_added():
    """Rule 28 (k/k#83810): a Replaced after a queued Deleted is not refused."""
    queue = classic(pod("a", 3))
    queue.add([deleted("a", 4)])

    queue.replace(everything(pod("a", 9)))

    assert types_of(queue.pop(1).deltas) == ["Deleted", "Replaced"]


def test_rule_28_a_deletion_in_the_processors_hands_is_not_inferred_again():
    """Rule 28 without the lock: what is in flight counts as applied."""
    queue = classic(pod("a", 3))
    queue.add([deleted("a", 4)])
    flying = queue.pop(1)

    queue.replace(everything())

    assert not any(delta.key for delta in queue.snapshot())
    queue.done(flying)


def test_rule_28_an_addition_in_the_processors_hands_is_deleted_by_the_list():
    """Rule 28 without the lock: the store does not know it yet, the list lacks it."""
    queue = classic()
    queue.add([added("a", 4)])
    flying = queue.pop(1)

    queue.replace(everything())

    queue.done(flying)
    [only] = queue.pop(1).deltas
    assert only.object.obj.resource_version == "4"


def test_rule_29_resync_shows_known_keys_that_are_not_queued():
    """Rule 29: a queued key will be shown anyway."""
    queue = classic(pod("a"), pod("b"))
    queue.add([updated("a", 2)])

    queue.resync()

    assert [(d.key, str(d.type)) for d in queue.snapshot()] == [
        ("default/a", "Updated"),
        ("default/b", "Sync"),
    ]


def test_rule_30_pop_takes_the_oldest_key_with_its_deltas_in_order():
    """Rule 30: oldest key first, oldest delta first; processing is outside the lock here."""
    queue = classic()
    queue.add([added("b"), added("a"), updated("b", 2)])

    first = queue.pop(1)

    assert [d.object.resource_version for d in first.deltas] == ["1", "2"]
    assert first.deltas[0].key == "default/b"


def test_rule_31_synced_at_once_if_an_event_came_first():
    """Rule 31: nothing of a first population is outstanding."""
    queue = classic()
    assert not queue.has_synced

    queue.add([deleted("nobody")])

    assert queue.has_synced


def test_rule_31_synced_when_the_first_replace_and_its_deletions_are_processed():
    """Rule 31: new items and inferred deletions count."""
    queue = classic(pod("old"))
    queue.replace(everything(pod("a"), pod("b")))

    flags = []
    for batch in iter(lambda: queue.pop(1), None):
        flags.append((queue.has_synced, batch.is_in_initial_list))
        queue.done(batch)

    assert flags == [(False, True)] * 3
    assert queue.has_synced


@pytest.mark.parametrize("kind", ["real", "delta"])
def test_rule_32_a_transform_runs_once_per_object_before_the_queue(kind):
    """Rule 32: not for tombstones and resyncs."""
    seen = []

    def note(obj):
        seen.append(obj.key)
        return obj

    rig = Rig(queue=kind, transform=note, timing=quick(), resync_seconds=30)
    rig.lists(ListPage([pod("a", 3)], "10"), ListPage([], "20")).start()

    rig.feed(event("MODIFIED", pod("a", 11)))
    rig.advance(31)
    rig.feed(error_event(410)).retry()

    assert seen == ["default/a", "default/a"]


def test_rule_32_a_transform_that_raises_on_an_event_drops_that_object_only():
    """Rule 32: reported; the next event goes on."""

    def picky(obj):
        if obj.name == "bad":
            raise ValueError("no")
        return obj

    rig = Rig(transform=picky).lists(ListPage([], "10")).start()

    rig.feed(event("ADDED", pod("bad", 11)), event("ADDED", pod("good", 12)))

    assert rig.keys() == ["default/good"]
    assert any("ValueError" in str(error) for error in rig.errors)


@pytest.mark.parametrize("mode", ["list", "auto"])
def test_rule_32_a_transform_that_raises_on_a_list_fails_the_whole_list(mode):
    """Rule 32: back off and list again; nothing half done."""

    def picky(obj):
        raise ValueError("no")

    rig = Rig(transform=picky, timing=quick(), list_mode=mode)
    rig.server.default_page = ListPage([pod("a")], "10")
    rig.start()
    if mode == "auto":
        rig.feed(event("ADDED", pod("a")), bookmark(10, is_end=True))

    rig.retry()

    assert rig.keys() == []
    assert not rig.informer.has_synced
    assert isinstance(rig.errors[-1], CrlabError)


def test_rule_33_the_depth_of_the_queue_can_be_read():
    """Rule 33: instead of a log line above a depth, the gauge itself."""
    rig = Rig().lists(ListPage([], "10")).start()
    rig.server.stream.feed(*[event("ADDED", pod(f"p{n}", 11 + n)) for n in range(20)])

    rig.driver.settle(only=lambda stage: stage.name.startswith("reflector"))

    assert rig.informer.status.queued == 20


def test_rule_34_entries_leave_in_the_order_they_came():
    """Rule 34: across objects, several per key."""
    queue = real()

    queue.add([added("a", 1), added("b", 2), updated("a", 3)])

    assert [d.object.resource_version for p in drain(queue) for d in p.deltas] == ["1", "2", "3"]


def test_rule_34_a_list_never_shows_a_later_object_without_an_earlier_one():
    """Rule 34: the reason for the in-order queue; the classic one can."""
    seen = {}
    for kind in ("real", "delta"):
        rig = Rig(queue=kind).lists(ListPage([], "10")).start()
        rig.server.stream.feed(
            event("ADDED", pod("x", 11)),
            event("ADDED", pod("parent", 12)),
            event("MODIFIED", pod("x", 13, child=True)),
        )
        rig.driver.settle(only=lambda stage: stage.name.startswith("reflector"))
        rig.driver.step(lambda stage: stage.name.startswith("processor"))
        seen[kind] = [obj.resource_version for obj in rig.informer.indexer.list()]

    assert seen == {"real": ["11"], "delta": ["13"]}


@pytest.mark.parametrize(
    ("kind", "told", "contents"),
    [
        ("real", ["delete old", "add new"], [["new"]]),
        ("real-per-item", ["delete old", "add new"], [[], ["new"]]),
        ("delta", ["add new", "delete old"], [["new", "old"], ["new"]]),
    ],
)
def test_rule_35_what_a_relist_looks_like_while_it_is_applied(kind, told, contents):
    """Rule 35: nothing, both, or only the truth: three queues, three sights of one relist."""
    rig = Rig(queue=kind, timing=quick())
    rig.lists(ListPage([pod("old", 3)], "10"), ListPage([pod("new", 12)], "20")).start()
    rig.calls.clear()
    seen = []
    rig.informer.indexer.add_change_listener(
        lambda keys: seen.append([obj.name for obj in rig.informer.indexer.list()])
    )

    rig.server.stream.feed(error_event(410))
    rig.driver.settle()
    rig.clock.advance(rig.informer.status.retry_in_seconds)
    while rig.driver.step():
        pass

    assert [f"{kind} {key.partition('/')[2]}" for kind, key in rig.calls.kinds()] == told
    assert seen == contents


def test_rule_35_deletions_are_synthesised_first_queued_ones_before_known_ones():
    """Rule 35: then one Replaced per item, in list order."""
    queue = per_item(pod("known"), pod("stays"))
    queue.add([added("queued"), added("deleted"), deleted("deleted", 2)])

    queue.replace(everything(pod("stays"), pod("new")))

    assert [(str(d.type), d.key[8:]) for d in queue.snapshot()[3:]] == [
        ("Deleted", "queued"),
        ("Deleted", "known"),
        ("Replaced", "stays"),
        ("Replaced", "new"),
    ]
    tombstone = queue.snapshot()[3].object
    assert isinstance(tombstone, DeletedFinalStateUnknown)
    assert tombstone.obj.name == "queued"


def test_rule_35_what_the_processor_holds_counts_as_applied():
    """Rule 35: the store does not know of it yet; no deletion is missed or doubled."""
    queue = per_item(pod("going"))
    queue.add([added("coming"), deleted("going", 2)])
    queue.pop(9)

    queue.replace(everything())

    assert [(str(d.type), d.key) for d in queue.snapshot()] == [("Deleted", "default/coming")]


def test_rule_35_a_resync_shows_known_keys_that_are_not_queued():
    """Rule 35: one Sync each; SyncAll is of the atomic mode."""
    queue = per_item(pod("a"), pod("b"))
    queue.add([updated("a", 2)])

    queue.resync()

    assert [(str(d.type), d.key) for d in queue.snapshot()] == [
        ("Updated", "default/a"),
        ("Sync", "default/b"),
    ]


def test_rule_39_without_atomic_lists_every_entry_of_the_first_counts():
    """Rule 39: also the deletions; synced when the last is processed."""
    queue = per_item(pod("gone"))
    queue.replace(everything(pod("a"), pod("b")))
    for left in (3, 2, 1):
        assert (len(queue), queue.has_synced) == (left, False)
        queue.done(queue.pop(1))

    assert queue.has_synced


@pytest.mark.parametrize("kind", ["real", "real-per-item", "delta"])
def test_rule_39_a_namespace_has_synced_when_its_own_first_list_is_processed(kind):
    """Rule 39, for several reflectors before one queue: the second list counts for itself."""
    queue = make_queue(kind, FakeClock(), Known())
    queue.replace(Delta(DeltaType.REPLACED_ALL, items=[pod("a", namespace="one")], scope="one"))
    drain(queue)
    queue.replace(Delta(DeltaType.REPLACED_ALL, items=[pod("b", namespace="two")], scope="two"))

    assert [queue.has_applied(name) for name in ("one", "two", "three")] == [True, False, False]
    popped = queue.pop(9)
    queue.done(popped)
    assert queue.has_applied("two")
    queue.replace(Delta(DeltaType.REPLACED_ALL, scope="three"))
    drain(queue)
    assert queue.has_applied("three")


@pytest.mark.parametrize("kind", ["real", "real-per-item", "delta"])
def test_what_is_closed_takes_nothing_more(kind):
    """And a processor that waits for it is woken."""
    queue = make_queue(kind, FakeClock(), Known(pod("known")))
    queue.close()

    queue.add([added("a")])
    queue.replace(everything(pod("b")))
    queue.resync()

    queue.wait()
    assert len(queue) == 0


def test_rule_36_an_atomic_relist_tells_deletions_first_and_never_shows_a_half():
    """Rule 36: diffed against the store, swapped in one step, then told."""
    rig = Rig(timing=quick())
    rig.lists(
        ListPage([pod("old", 3), pod("b", 4)], "10"), ListPage([pod("new", 12), pod("b", 4)], "20")
    ).start()
    contents = []
    rig.informer.indexer.add_change_listener(lambda keys: contents.append(rig.keys()))
    rig.calls.clear()

    rig.feed(error_event(410)).retry()

    assert rig.calls.seen == [
        ("delete", "default/old", "DeletedFinalStateUnknown"),
        ("add", "default/new", False),
        ("update", "default/b", "4", "4"),
    ]
    assert contents == [["default/b", "default/new"]]


def test_rule_36_one_entry_each_for_relist_resync_and_bookmark():
    """Rule 36: the queue does not read the store."""
    queue = real()

    queue.replace(everything(pod("a"), pod("b")))
    queue.resync()
    queue.bookmark("12")

    assert types_of(queue.snapshot()) == ["ReplacedAll", "SyncAll", "Bookmark"]


def test_rule_37_a_batch_has_distinct_keys_and_no_entry_for_the_whole_store():
    """Rule 37: stop at a repeated key; ReplacedAll, SyncAll, Bookmark come alone."""
    queue = real()
    queue.add([added("a"), added("b"), updated("a", 2)])
    queue.resync()
    queue.add([added("c")])

    assert [types_of(p.deltas) for p in drain(queue)] == [
        ["Added", "Added"],
        ["Updated"],
        ["SyncAll"],
        ["Added"],
    ]


def test_rule_37_a_batch_is_at_most_1000():
    """Rule 37: up to a thousand entries."""
    queue = real()
    queue.add([added(f"p{n}") for n in range(1500)])

    assert [p.size for p in drain(queue)] == [1000, 500]


def test_rule_38_the_producer_is_never_blocked_by_processing():
    """Rule 38, stricter: whatever the depth; the lock is not held while processing."""
    queue = real()
    queue.add([added("a")])
    batch = queue.pop(1)

    queue.add([added("b")])

    assert len(queue) == 1
    queue.done(batch)


def test_rule_39_synced_after_processing_not_at_the_pop():
    """Rule 39: one entry in atomic mode."""
    queue = real()
    queue.replace(everything(pod("a")))
    batch = queue.pop(1)
    assert not queue.has_synced

    queue.done(batch)

    assert queue.has_synced


def test_rule_40_a_deletion_of_an_unknown_object_is_told_in_real_mode_only():
    """Rule 40: the classic queue filters it (rule 27)."""
    told = {}
    for kind in ("real", "real-per-item", "delta"):
        rig = Rig(queue=kind).lists(ListPage([], "10")).start()
        rig.feed(event("DELETED", pod("never-seen", 11)))
        told[kind] = rig.calls.kinds()

    deletion = [("delete", "default/never-seen")]
    assert told == {"real": deletion, "real-per-item": deletion, "delta": []}
