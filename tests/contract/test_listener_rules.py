"""Rules 47-56 and 66: who is told what, when, on which thread, and how it ends."""

from __future__ import annotations

import threading

import pytest
from support.informer_rig import Calls, Rig, quick
from support.scripted import ScriptedListerWatcher, bookmark, error_event, event, pod

import crlab
from crlab.cache import SharedInformer
from crlab.client.list_watch import ListPage
from crlab.errors import AlreadyStarted, AlreadyStopped, Forbidden, NotFound, SyncTimeout
from crlab.runtime.clock import FakeClock, RealClock
from crlab.runtime.driver import ManualDriver, ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace


def listed(*pods, rv="10", **options):
    return Rig(**options).lists(ListPage(list(pods), rv))


def test_rule_47_the_store_decides_between_add_and_update():
    """Rule 47: not the type of the watch event."""
    rig = listed(pod("a", 3)).start()
    rig.calls.clear()

    rig.feed(event("ADDED", pod("a", 11)), event("MODIFIED", pod("b", 12)))

    assert rig.calls.kinds() == [("update", "default/a"), ("add", "default/b")]


def test_rule_47_the_store_is_updated_before_anybody_is_told():
    """Rule 47: a handler finds what it was told of."""
    rig, found = listed().start(), []
    rig.informer.add_event_handler(
        on_add=lambda obj, initial: found.append(rig.informer.indexer.get_by_key(obj.key))
    )

    rig.feed(event("ADDED", pod("a", 11)))

    assert found[0].resource_version == "11"


def test_rule_48_a_sync_goes_to_syncing_listeners_only():
    """Rule 48: old and new of one version; other changes go to all."""
    rig = listed(pod("a", 3), timing=quick(), resync_seconds=10)
    rig.server.lists.append(ListPage([pod("a", 3)], "20"))
    slow = Calls()
    rig.informer.add_event_handler(**slow.handlers(), resync_seconds=1000)
    rig.start().advance(10)
    for calls in (rig.calls, slow):
        calls.clear()

    rig.advance(10)
    rig.feed(event("MODIFIED", pod("a", 11)))

    assert rig.calls.seen == [("update", "default/a", "3", "3"), ("update", "default/a", "3", "11")]
    assert slow.seen == [("update", "default/a", "3", "11")]


def test_rule_49_without_resync_a_relist_shows_everybody_the_same_version():
    """Rule 49: every listener starts as syncing and nothing ever asks again."""
    rig = listed(pod("a", 3), timing=quick())
    rig.server.lists.append(ListPage([pod("a", 3)], "20"))
    rig.start()
    rig.calls.clear()

    rig.feed(error_event(410)).retry()

    assert rig.calls.seen == [("update", "default/a", "3", "3")]


@pytest.mark.parametrize(
    ("default", "wish", "is_late", "got"),
    [
        (0, 30, False, 0),  # no check period: no resync at all
        (60, 0.2, False, 1),  # at least a second
        (60, 30, False, 30),  # before the start the check period shrinks
        (60, 30, True, 60),  # after it the wish is raised
        (60, 90, True, 90),
        (60, 0, True, 0),
    ],
)
def test_rule_50_what_becomes_of_a_requested_resync_period(default, wish, is_late, got):
    """Rule 50: determineResyncPeriod."""
    rig = listed(resync_seconds=default)
    if is_late:
        rig.start()

    rig.informer.add_event_handler(resync_seconds=wish)

    listener = rig.informer._processor.listeners()[-1]
    assert rig.informer._resync._plans[listener].seconds == got


def test_rule_51_order_is_total_per_listener():
    """Rule 51: as the store changed, across keys."""
    rig = listed().start()

    rig.feed(*[event("ADDED", pod(name, 11 + n)) for n, name in enumerate("cab")])

    assert [key for _, key in rig.calls.kinds()] == ["default/c", "default/a", "default/b"]


def test_rule_51_a_full_backlog_merges_per_key_and_counts_it():
    """Rule 51, bounded: newest wins, deletions are kept, nothing is dropped unseen."""
    rig = listed(pod("a", 3), pod("b", 4), max_backlog=2).start()
    rig.calls.clear()
    rig.server.stream.feed(
        *[event("MODIFIED", pod("a", 11)), event("MODIFIED", pod("b", 12))],
        *[event("MODIFIED", pod("a", rv)) for rv in range(13, 20)],
        event("DELETED", pod("b", 20)),
    )

    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    assert (rig.handler.backlog, rig.handler.coalesced) == (2, 8)
    rig.driver.settle()

    assert rig.calls.seen == [
        ("update", "default/a", "3", "19"),
        ("delete", "default/b", "KubeObject"),
    ]


def test_rule_51_a_recreation_in_a_full_backlog_keeps_its_deletion():
    """Rule 51, bounded: a delete is never swallowed by the add after it."""
    rig = listed(pod("a", 3), max_backlog=1).start()
    rig.calls.clear()
    rig.server.stream.feed(
        event("DELETED", pod("a", 11)),
        event("ADDED", pod("a", 12, uid="two")),
        event("MODIFIED", pod("a", 13, uid="two")),
    )

    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    rig.driver.settle()

    assert rig.calls.kinds() == [("delete", "default/a"), ("add", "default/a")]


def test_rule_51_what_was_taken_out_of_the_backlog_still_counts_and_can_be_dropped():
    """Rule 51: a handler is offered one at a time, though many are taken together."""
    seen = []

    def on_add(obj, initial):
        seen.append((obj.name, handler.backlog, handler.is_idle))
        if obj.name == "c":
            rig.informer.stop()

    rig = listed(*(pod(name, 3) for name in "abcde"))
    rig.informer.start()
    rig.driver.settle()
    handler = rig.informer.add_event_handler(on_add=on_add)
    rig.driver.step()
    listener = rig.informer._processor.listeners()[-1]

    assert listener.step(1000) == 3

    assert seen == [("a", 4, False), ("b", 3, False), ("c", 2, False)]
    assert handler.delivered == 3
    assert handler.is_idle


def test_rule_51_a_full_backlog_keeps_two_places_of_a_key_however_often_it_is_recreated():
    """Rule 51, bounded: a handler that never returns costs no memory per change."""
    rig = listed(pod("a", 3), max_backlog=1).start()
    rig.calls.clear()
    for rv in range(11, 211, 2):
        rig.server.stream.feed(event("DELETED", pod("a", rv)), event("ADDED", pod("a", rv + 1)))

    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    assert rig.handler.backlog == 2
    rig.driver.settle()

    assert rig.calls.kinds() == [("delete", "default/a"), ("add", "default/a")]
    assert rig.informer.indexer.get_by_key("default/a").resource_version == "210"


def test_rule_51_a_life_in_a_full_backlog_is_told_whole():
    """Rule 51, bounded: its owner hears that it went, and nothing goes that never came."""
    rig = listed(pod("b", 3), max_backlog=1).start()
    rig.calls.clear()
    rig.server.stream.feed(
        event("MODIFIED", pod("b", 11)),
        event("ADDED", pod("a", 12)),
        event("DELETED", pod("a", 13)),
        event("ADDED", pod("a", 14, uid="two")),
        event("DELETED", pod("a", 15, uid="two")),
    )

    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    rig.driver.settle()

    assert rig.calls.seen[1:] == [
        ("add", "default/a", False),
        ("delete", "default/a", "KubeObject"),
    ]
    assert rig.calls.seen[0] == ("update", "default/b", "3", "11")


def test_rule_51_a_life_of_the_initial_list_is_counted_once():
    """Rule 51, bounded: `has_synced` comes with the last add of the list, not before or never."""
    rig = listed(pod("a", 3), pod("b", 4), max_backlog=1)
    rig.informer.start()
    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    rig.server.stream.feed(event("DELETED", pod("b", 11)))
    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    assert not rig.handler.has_synced

    rig.driver.settle()

    assert rig.calls.seen == [
        ("add", "default/a", True),
        ("add", "default/b", True),
        ("delete", "default/b", "KubeObject"),
    ]
    assert rig.handler.has_synced


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_rule_52_a_raising_handler_loses_that_call_only(kind):
    """Rule 52, without the pause: recorded, and the next notification follows."""
    rig = listed(pod("a"), pod("b"))
    seen = []

    def bad(obj, initial):
        seen.append(obj.key)
        raise kind("boom")

    registration = rig.informer.add_event_handler(on_add=bad, name="bad")
    rig.start()

    assert seen == ["default/a", "default/b"]
    assert registration.error_count == 2
    assert isinstance(registration.errors[0], kind)
    assert [r.get("handler") for r in rig.trace if r.kind == "error"] == ["bad", "bad"]


def test_rule_53_a_late_handler_is_replayed_the_store_as_initial():
    """Rule 53: then it hears every change, none missed, none twice."""
    rig = listed(pod("a"), pod("b")).start()
    late = Calls()

    registration = rig.informer.add_event_handler(**late.handlers())
    assert not registration.has_synced
    rig.server.stream.feed(event("MODIFIED", pod("a", 11)))
    rig.driver.settle()

    assert late.seen == [
        ("add", "default/a", True),
        ("add", "default/b", True),
        ("update", "default/a", "1", "11"),
    ]
    assert registration.has_synced


def test_rule_53_a_handler_has_synced_when_every_initial_add_was_offered():
    """Rule 53: counted per handler; a raising one syncs too."""
    rig = listed(pod("a"), pod("b"))
    rig.informer.start()
    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))
    assert rig.informer.has_synced
    assert (rig.handler.has_synced, rig.handler.initial_left) == (False, 2)

    rig.driver.settle()

    assert rig.handler.has_synced


def test_rule_54_a_removed_handler_is_told_nothing_new_but_what_waits():
    """Rule 54: remove returns before queued items finish."""
    rig = listed(pod("a"))
    rig.informer.start()
    rig.driver.settle(only=lambda stage: not stage.name.startswith("listener"))

    rig.handler.remove()
    rig.driver.settle()
    rig.feed(event("ADDED", pod("b", 11)))

    assert rig.calls.kinds() == [("add", "default/a")]
    assert not any(stage.name.startswith("listener") for stage in rig.driver.stages())


def test_rule_54_a_handler_may_shut_itself_down():
    """Rule 54, gentler: client-go would deadlock; here it returns False."""
    rig, answers = listed(pod("a")), []
    registration = rig.informer.add_event_handler(
        on_add=lambda obj, initial: answers.append(registration.shut_down())
    )

    rig.start()

    assert answers == [False]
    assert registration.shut_down() is True


def test_rule_54_what_is_settable_only_before_the_start():
    """Rule 54: transform and error handler; no second run; no handler after the stop."""
    rig = listed().start()

    with pytest.raises(AlreadyStarted):
        rig.informer.set_transform(lambda obj: obj)
    with pytest.raises(AlreadyStarted):
        rig.informer.set_watch_error_handler(print)
    with pytest.raises(AlreadyStarted):
        rig.informer.start()
    rig.informer.stop()
    with pytest.raises(AlreadyStopped):
        rig.informer.add_event_handler()
    with pytest.raises(AlreadyStopped):
        rig.informer.start()


def test_rule_55_the_source_is_stopped_before_what_it_feeds():
    """Rule 55: reflector first."""
    rig = listed().start()
    order = []
    for handle in rig.informer._handles:
        stage = handle.stage
        handle.stop = lambda name=stage.name: order.append(name.split("-")[0])

    rig.informer.stop()

    assert order == ["reflector", "processor", "listener"]
    assert rig.server.is_aborted


def test_rule_56_the_same_resource_namespace_and_selectors_share_an_informer():
    """Rule 56: one watch, one copy; the lab is the factory."""
    with crlab.sandbox(seed=0, driver="manual") as lab:
        one = lab.informer("pods", label_selector="app=web")

        assert lab.informer("pods", label_selector="app=web") is one
        others = [
            lab.informer("pods"),
            lab.informer("pods", namespace="x"),
            lab.informer("services"),
        ]
        assert len({id(each.shared) for each in (one, *others)}) == 4
        assert len(lab.informers) == 4


def test_rule_56_an_informer_may_be_started_later_and_twice():
    """Rule 56: start begins what is new, and the wait covers those started."""
    with crlab.sandbox(seed=0, driver="manual") as lab:
        first = lab.informer("pods")
        second = lab.informer("services", start=False)
        lab.settle()
        assert (first.has_synced, second.has_synced) == (True, False)

        second.start().start()
        lab.wait_for_cache_sync()
        assert second.has_synced
    with pytest.raises(AlreadyStopped):
        lab.informer("pods")


def test_rule_56_a_wait_that_runs_out_names_what_is_unsynced():
    """Rule 56: as the newer WaitFor does."""
    with crlab.sandbox(seed=0, driver="manual") as lab:
        lab.faults.status(404, resource="pods")
        lab.informer("pods")

        with pytest.raises(SyncTimeout, match="pods: gone"):
            lab.wait_for_cache_sync(0.1)


def test_rule_66_a_missing_resource_is_asked_for_until_it_comes():
    """Rule 66, sooner than upstream's 10 s: until the sync timeout of whoever waits."""
    rig = Rig(timing=quick()).lists(*[NotFound("no CRD", code=404)] * 5)
    rig.server.default_page = ListPage([pod("a")], "10")
    rig.start()

    waits = [rig.retry() for _ in range(5)]

    assert waits == [1, 2, 4, 5, 5]
    assert rig.state == "live"


def several(*namespaces, **options):
    clock = FakeClock()
    driver = ManualDriver()
    servers = [ScriptedListerWatcher(namespace=name) for name in namespaces]
    for server in servers:
        server.default_page = ListPage([pod("a", namespace=server.namespace)], "10")
    informer = SharedInformer(
        servers, driver=driver, clock=clock, ids=Ids(0), trace=Trace(clock), list_mode="list"
    )
    return informer, servers, driver, clock


def test_one_forbidden_namespace_does_not_stop_the_others():
    """Fault 34: that one is failed and named; the rest is live and synced."""
    informer, servers, driver, _ = several("x", "y", "z")
    servers[1].lists.append(Forbidden("pods is forbidden", code=403, reason="Forbidden"))
    informer.start()
    driver.settle()

    informer.wait_for_sync(1)

    assert informer.indexer.list_keys() == ["x/a", "z/a"]
    assert [part.state.value for part in informer.status.parts] == ["live", "failed", "live"]
    assert 'y: failed: missing permission: verb "list"' in informer.status.cause


def test_a_relist_of_one_namespace_leaves_the_others_alone():
    """Each namespace is replaced by its own lists only."""
    informer, servers, driver, clock = several("x", "y")
    informer.start()
    driver.settle()
    servers[0].lists.append(ListPage([], "20"))

    servers[0].stream.feed(error_event(410))
    driver.settle()
    clock.advance(2)
    driver.settle()

    assert informer.indexer.list_keys() == ["y/a"]


class TestThreads:
    """The same with one thread per stage."""

    def make(self, **options):
        clock = RealClock()
        server = ScriptedListerWatcher()
        server.default_page = ListPage([pod("a"), pod("b")], "10")
        return server, SharedInformer(
            server,
            driver=ThreadDriver(clock),
            clock=clock,
            ids=Ids(0),
            trace=Trace(clock),
            list_mode="list",
            **options,
        )

    def test_each_stage_has_its_named_thread_and_none_is_left(self):
        """The thread register of the house."""
        _, informer = self.make()
        informer.add_event_handler()
        informer.start()
        informer.wait_for_sync(5)

        names = {t.name for t in threading.enumerate() if "pods" in t.name}

        assert names == {"crlab-reflector-pods", "crlab-processor-pods", "crlab-listener-pods-1"}
        assert informer.close() == ()
        assert not [t for t in threading.enumerate() if "pods" in t.name]

    def test_events_reach_a_handler_on_its_own_thread(self):
        """The reader never runs user code."""
        server, informer = self.make()
        seen, ready = [], threading.Event()

        def on_update(old, new):
            seen.append((new.resource_version, threading.current_thread().name))
            ready.set()

        informer.add_event_handler(on_update=on_update)
        with informer:
            informer.wait_for_sync(5)
            server.stream.feed(event("MODIFIED", pod("a", 11)), bookmark(12))
            assert ready.wait(5)

        assert seen == [("11", "crlab-listener-pods-1")]

    def test_a_handler_that_never_returns_is_abandoned_by_name(self):
        """C10, fault 66: close keeps its limit and says what it left behind."""
        _, informer = self.make()
        inside, release = threading.Event(), threading.Event()

        def stuck(obj, initial):
            inside.set()
            release.wait(20)

        informer.add_event_handler(on_add=stuck)
        informer.start()
        assert inside.wait(5)

        assert informer.close(0.05) == ("crlab-listener-pods-1",)
        release.set()
        assert informer.join(5)

    def test_a_slow_handler_delays_nobody_else(self):
        """C6, fault 62: the cache and other handlers go on."""
        server, informer = self.make()
        release, other = threading.Event(), threading.Event()
        informer.add_event_handler(on_add=lambda obj, initial: release.wait(20))
        informer.add_event_handler(on_update=lambda old, new: other.set())
        informer.start()

        assert server.has_opened.wait(5)
        server.stream.feed(event("MODIFIED", pod("a", 11)))

        assert other.wait(5)
        release.set()
        informer.close(5)

    def test_stop_and_close_may_be_called_by_a_handler_and_twice(self):
        """C10, fault 67: no deadlock, no exception."""
        _, informer = self.make()
        done = threading.Event()

        def closing(obj, initial):
            informer.close(0.01)
            informer.stop()
            done.set()

        informer.add_event_handler(on_add=closing)
        informer.start()

        assert done.wait(5)
        assert informer.close(5) == ()

    def test_close_before_start_is_fine(self):
        """Fault 67."""
        _, informer = self.make()

        assert informer.close() == ()


def test_a_late_handler_is_not_settled_before_it_was_shown_the_cache():
    """What waits to join counts: nothing was offered to it yet."""
    rig = Rig().lists(ListPage([pod("a")], "10")).start()
    late = Calls()
    assert rig.informer.is_settled

    rig.informer.add_event_handler(**late.handlers())
    assert not rig.informer.is_settled
    rig.driver.settle()

    assert rig.informer.is_settled
    assert late.kinds() == [("add", "default/a")]
