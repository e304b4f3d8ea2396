"""Faults 80, 81: a laptop that slept, and a wall clock that was only set."""

from __future__ import annotations

import pytest
from support.informer_rig import Rig, quick
from support.scripted import ScriptedStream, event, pod

from crlab.client.list_watch import ListPage
from crlab.errors import TransportError, api_error

HOUR = 3600.0


def listed(*pods, rv="10", **options):
    return Rig(**options).lists(ListPage(list(pods), rv))


def causes(rig):
    """Return the reasons that the trace gives for being stale."""
    states = [r for r in rig.informer.trace.records() if r.kind == "state"]
    return [r.get("reason") for r in states if r.get("health") == "stale"]


def test_a_machine_that_slept_is_stale_before_any_thread_has_run():
    """Fault 81: at once on wake, with the cause; the age counts the sleep."""
    rig = listed().start()
    rig.advance(5)

    rig.clock.jump(HOUR)

    status = rig.informer.status
    assert (status.state.value, status.cause) == ("stale", "the machine slept for 3600 s")
    assert status.age_seconds == HOUR + 5


def test_the_stream_is_reopened_at_once_from_the_last_version():
    """Fault 81: no list, no delay; what happened meanwhile comes as events."""
    rig = listed().start()
    rig.feed(event("ADDED", pod("a", 12)))
    old = rig.server.stream
    rig.watches(ScriptedStream([event("MODIFIED", pod("a", 13))]))

    rig.clock.jump(HOUR)
    rig.driver.settle()

    assert rig.verbs() == ["list", "watch", "watch"]
    assert rig.asked().resource_version == "12"
    assert old.is_closed
    assert (rig.state, rig.version) == ("live", "13")
    assert causes(rig) == ["the machine slept for 3600 s"]
    assert rig.informer.status.age_seconds == 0


def test_a_history_that_is_gone_is_listed_within_five_seconds():
    """Fault 81: 410 after the sleep, whatever the back-off had grown to before it."""
    rig = listed().start()
    refused = TransportError("no route", phase="connect", refused=True)
    rig.watches(*[refused] * 9).advance(80).run(120, 0.5)
    assert rig.informer.status.retry_in_seconds > 5
    rig.server.watches.clear()
    rig.watches(api_error(410, {})).lists(ListPage([pod("a", 90)], "99"))

    rig.clock.jump(HOUR)
    rig.driver.settle()
    rig.run(5, 0.1)

    assert (rig.state, rig.keys(), rig.version) == ("live", ["default/a"], "99")


@pytest.mark.parametrize("seconds", [1.0, 9.9, -HOUR, -24 * HOUR])
def test_a_short_nap_or_a_clock_set_back_is_no_sleep(seconds):
    """Fault 80: nothing is asked, nothing is stale."""
    rig = listed().start()

    rig.clock.jump(seconds)
    rig.driver.settle()

    assert (rig.verbs(), rig.state) == (["list", "watch"], "live")


def test_a_clock_that_was_set_costs_one_reopened_watch_each_time():
    """Fault 80: no relist, however often a time server sets it; the budget is kept."""
    rig = listed().start()

    for _ in range(50):
        rig.clock.jump(24 * HOUR)
        rig.run(2, 0.1)

    assert rig.verbs() == ["list"] + ["watch"] * 51
    assert rig.calls.seen == []


def test_clocks_that_drift_apart_slowly_are_no_sleep():
    """Fault 80: the gap is counted since the last step, not since the start."""
    rig = listed().start()

    for _ in range(60):
        rig.clock.jump(5)
        rig.advance(1)

    assert rig.verbs() == ["list", "watch"]


def test_a_sleep_ends_a_back_off():
    """Fault 81: nobody waits out a delay of before the sleep."""
    rig = Rig().lists(TransportError("down", phase="connect")).start()
    assert rig.phase == "backing_off"

    rig.clock.jump(HOUR)
    rig.driver.settle()

    assert (rig.verbs(), rig.state) == (["list", "list", "watch"], "live")


def test_a_sleep_before_a_request_that_is_due_asks_it_once():
    """Fault 81: the request is over a new connection anyway; no second one."""
    rig = listed(pod("a", 5), timing=quick())
    rig.informer.start()
    while rig.informer.status.phase != "opening":
        rig.driver.step()

    rig.clock.jump(HOUR)
    rig.driver.settle()

    assert rig.verbs() == ["list", "watch"]
    assert rig.state == "live"


def test_a_streamed_list_starts_over():
    """Fault 81: with a fresh temporary store; nothing half is seen."""
    rig = Rig(list_mode="auto").start()
    rig.feed(event("ADDED", pod("a", 5)))

    rig.clock.jump(HOUR)
    rig.driver.settle()

    assert rig.verbs() == ["stream", "stream"]
    assert rig.keys() == []
    assert rig.state == "starting"


def test_a_polling_informer_polls_when_it_wakes():
    """Faults 35, 81: it does not wait for the interval to end."""
    rig = listed(poll_seconds=600.0).watches(*[api_error(403, {})] * 9)
    rig.lists(ListPage([pod("a", 12)], "12")).start()
    assert rig.phase == "polling"

    rig.clock.jump(HOUR)
    rig.driver.settle()

    assert rig.keys() == ["default/a"]
