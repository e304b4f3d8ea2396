"""Fault 35: who may list but not watch is told so, or polls if that was asked for."""

from __future__ import annotations

import pytest
from support.informer_rig import Rig
from support.scripted import event, pod

from crlab.client.list_watch import EndOfStream, ListPage
from crlab.errors import ConfigError, TransportError, api_error


def forbidden(options=None):
    return api_error(403, {"reason": "Forbidden", "message": "no watch for you"})


def polling(*pages, poll_seconds=10.0, watches=99, **options):
    rig = Rig(poll_seconds=poll_seconds, **options).lists(*pages)
    rig.server.default_page = pages[-1]
    return rig.watches(*[forbidden()] * watches)


def page(*pods, rv):
    return ListPage(list(pods), str(rv))


def test_nobody_polls_who_did_not_ask_for_it():
    """Fault 35: the default is a state that names the missing verb, and no second list."""
    rig = Rig().lists(page(pod("a"), rv=10)).watches(*[forbidden()] * 9).start().run(60, 1.0)

    assert rig.state == "failed"
    assert 'missing permission: verb "watch"' in rig.informer.status.cause
    assert rig.verbs().count("list") == 1


def test_polling_lists_at_its_interval_and_says_so():
    """Fault 35: live, with the cause; each list is diffed like any relist."""
    rig = polling(page(pod("a", 5), pod("b", 6), rv=10), page(pod("a", 11), rv=12)).start()
    status = rig.informer.status
    assert (rig.state, status.phase) == ("live", "polling")
    assert status.cause == "polling every 10 s: watch is forbidden"
    assert status.retry_in_seconds == 10

    rig.advance(9.9)
    assert rig.verbs() == ["list", "watch"]
    rig.advance(0.1)

    assert rig.verbs() == ["list", "watch", "list"]
    assert rig.asked().resource_version == "10"
    assert rig.calls.seen[2:] == [
        ("delete", "default/b", "DeletedFinalStateUnknown"),
        ("update", "default/a", "5", "11"),
    ]


@pytest.mark.parametrize(
    ("mode", "first"), [("list", ["list", "watch"]), ("auto", ["stream", "list"])]
)
def test_the_missing_permission_is_reported_once(mode, first):
    """Fault 35: the handler of watch errors hears it; a status says it all the time."""
    rig = polling(page(rv=10), list_mode=mode).start()
    assert rig.verbs() == first
    rig.run(300, 1.0)

    assert [error.code for error in rig.errors] == [403]


def test_a_forbidden_watch_is_tried_once_a_minute():
    """Fault 35: 30 polls of 10 s are 30 lists and 5 watches."""
    rig = polling(page(rv=10)).start()
    before = rig.verbs()

    rig.run(300, 1.0)

    asked = rig.verbs()[len(before) :]
    assert (asked.count("list"), asked.count("watch")) == (30, 5)


def test_a_long_interval_tries_the_watch_after_each_list():
    """Fault 35: and does not list twice for it."""
    rig = polling(page(rv=10), poll_seconds=120).start().run(360, 1.0)

    assert rig.verbs() == ["list", "watch"] * 4


def test_the_watch_takes_over_when_it_is_allowed():
    """Fault 35: from the version of the last poll; then nothing is listed any more."""
    rig = polling(page(rv=10), watches=1)
    rig.server.lists.extend([page(rv=n) for n in range(11, 30)])
    rig.start().run(60, 1.0)

    assert rig.verbs() == ["list", "watch"] + ["list"] * 6 + ["watch"]
    assert (rig.asked().resource_version, rig.phase) == ("16", "watching")
    assert rig.informer.status.cause == ""
    rig.feed(event("ADDED", pod("a", 20))).run(60, 1.0)
    assert rig.verbs()[-1] == "watch"
    assert rig.keys() == ["default/a"]


def test_a_permission_withdrawn_under_way_is_polled_for_at_once():
    """Fault 35: the stream ended, so the cache may be behind; it does not wait for a poll."""
    rig = Rig(poll_seconds=10.0).lists(page(rv=10)).start()
    rig.watches(*[forbidden()] * 9).lists(page(pod("a", 12), rv=12))

    rig.advance(2).feed(EndOfStream())

    assert rig.verbs() == ["list", "watch", "watch", "list"]
    assert (rig.keys(), rig.phase) == (["default/a"], "polling")


@pytest.mark.parametrize("mode", ["list", "auto"])
def test_a_poll_that_fails_backs_off_and_the_state_says_it(mode):
    """Fault 35: no word of live; afterwards it polls on, without asking for a stream."""
    rig = polling(page(pod("a", 5), rv=10), list_mode=mode).start()
    rig.server.lists.extend([TransportError("refused", phase="connect", refused=True)] * 3)

    rig.advance(10)

    assert rig.state == "degraded"
    assert rig.keys() == ["default/a"]
    before = len(rig.verbs())
    rig.server.default_page = page(pod("a", 11), rv=12)
    rig.run(20, 0.1)
    assert (rig.state, rig.version) == ("live", "12")
    assert set(rig.verbs()[before:]) == {"list"}


def test_a_poll_that_is_forbidden_too_names_the_verb():
    """Faults 34, 35: then nothing is allowed any more."""
    rig = polling(page(rv=10)).start()
    rig.server.default_page = forbidden()

    rig.advance(10)

    assert rig.state == "failed"
    assert 'verb "list"' in rig.informer.status.cause


def test_live_is_stale_when_two_polls_are_overdue():
    """C8: also without a watch, live is a claim of now."""
    rig = polling(page(rv=10)).start()

    rig.clock.advance(20)
    assert rig.state == "live"
    rig.clock.advance(0.1)

    assert rig.state == "stale"


def test_a_poll_is_paged_like_any_list():
    """Rule 7: a page size of the user is used, tokens are followed."""
    first = ListPage([pod("a", 5)], "12", "more")
    rig = polling(page(rv=10), first, page(pod("b", 6), rv=12), page_size=1).start().advance(10)

    assert rig.keys() == ["default/a", "default/b"]
    assert [(o.limit, o.continue_token) for _, o in rig.server.asked[-2:]] == [(1, ""), (1, "more")]


def test_polls_keep_the_budget():
    """C9: an interval shorter than the budget allows is stretched to it."""
    rig = polling(page(rv=10), poll_seconds=0.01).start()
    before = len(rig.verbs())

    rig.run(60, 0.05)

    assert len(rig.verbs()) - before <= 60 + 5


@pytest.mark.parametrize("name", ["poll_seconds", "audit_seconds"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "10", True])
def test_an_interval_that_is_none_is_refused(name, seconds):
    """It says which option, and what it takes."""
    with pytest.raises(ConfigError, match=f"{name} is a positive number of seconds"):
        Rig(**{name: seconds})
