"""Rules 1-24: how the reflector lists, watches, retries and gives up.

Each test is one rule of client-go's reflector; where crlab is stricter on purpose, the
docstring says so. Server and clock are scripted; nothing waits.
"""

from __future__ import annotations

import pytest
from support.informer_rig import Rig, quick
from support.scripted import (
    ScriptedStream,
    bookmark,
    error_event,
    event,
    pod,
)

from crlab.client.list_watch import EndOfStream, ListPage
from crlab.errors import (
    DecodeError,
    NotFound,
    ResourceExpired,
    ServerFailure,
    ServerTimeout,
    TooManyRequests,
    TransportError,
    api_error,
)
from crlab.runtime.backoff import Backoff
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids


def expired(tried="list"):
    return api_error(410, {"reason": "Expired", "message": "too old resource version"}, tried=tried)


def too_large():
    return api_error(504, {"reason": "Timeout", "message": "Too large resource version: 9"})


def server_error(code=500):
    return api_error(code, {"reason": "InternalError", "message": "boom"})


def refused():
    return TransportError("refused", phase="connect", refused=True)


def page(*pods, rv="10", token=""):
    return ListPage(list(pods), rv, token)


def test_rule_01_lists_at_once_then_waits_one_delay_after_every_return():
    """Rule 1: ListAndWatch runs at once, and again one back-off delay after each return."""
    rig = Rig(timing=quick()).lists(server_error(), server_error(), page(pod("a"))).start()

    assert rig.verbs() == ["list"]
    assert 0.8 <= rig.retry() < 1.6
    assert 1.6 <= rig.retry() < 3.2
    assert rig.state == "live"


def test_rule_01_a_clean_stop_returns_without_another_delay():
    """Rule 1: after stop nothing is asked and nothing waits."""
    rig = Rig().lists(page()).start()

    rig.informer.stop()
    rig.advance(1000)

    assert rig.verbs() == ["list", "watch"]
    assert rig.informer.close() == ()


def test_rule_02_delays_double_from_0_8_to_30_seconds_with_full_jitter():
    """Rule 2: 0.8 s, factor 2, cap 30 s, each uniform in [d, 2d)."""
    rig = Rig(timing=quick()).lists(*[server_error()] * 9).start()

    delays = [rig.retry() for _ in range(8)]

    for delay, least in zip(delays, [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30], strict=True):
        assert least <= delay < 2 * least


@pytest.mark.parametrize(("generation", "attempts"), [("idle", 18), ("sawtooth", 34)])
def test_rule_03_the_two_generations_of_reset_differ_in_a_long_outage(generation, attempts):
    """Rule 3: about 18 attempts in ten minutes with the idle reset, 34 with the sawtooth."""
    rig = Rig(backoff_reset=generation, seed=1)
    rig.server.default_page = None
    rig.server.lists.extend([server_error()] * 100)

    rig.start().run(600, 0.5)

    assert abs(len(rig.verbs()) - attempts) <= 6


def test_rule_03_two_quiet_minutes_reset_the_idle_back_off():
    """Rule 3: "idle" returns to 0.8 s after two minutes without a delay."""
    clock = FakeClock()
    backoff = Backoff(clock, Ids(0), reset="idle")
    for _ in range(6):
        backoff.next_seconds()

    clock.advance(121)

    assert backoff.next_seconds() < 1.6


def test_rule_04_every_delay_is_on_the_injected_clock():
    """Rule 4: while the clock stands still, no retry happens."""
    rig = Rig().lists(server_error()).start()

    rig.driver.settle()

    assert rig.verbs() == ["list"]
    assert rig.phase == "backing_off"


def test_rule_05_the_first_list_asks_for_any_version_in_pages_of_500():
    """Rule 5: resourceVersion 0, limit 500."""
    rig = Rig().lists(page()).start()

    assert (rig.asked(0).resource_version, rig.asked(0).limit) == ("0", 500)


def test_rule_05_a_relist_asks_for_not_older_than_the_last_version():
    """Rule 5: a relist uses the last seen resourceVersion."""
    rig = Rig(timing=quick()).lists(page(pod("a", 3), rv="10"), page(rv="12")).start()

    rig.feed(event("ADDED", pod("b", 11)), error_event(410, "Expired")).retry()

    assert rig.verbs() == ["list", "watch", "list", "watch"]
    assert rig.asked(2).resource_version == "11"


def test_rule_05_a_version_that_expired_is_not_asked_for_again():
    """Rule 5, 6: after "expired" the list is the newest (no resourceVersion)."""
    rig = Rig(timing=quick()).lists(page(rv="10"), expired(), page(rv="30")).start()

    rig.feed(error_event(410, "Expired")).retry()

    assert [o.resource_version for v, o in rig.server.asked if v == "list"] == ["0", "10", None]


@pytest.mark.parametrize("failure", [expired(), too_large()])
def test_rule_06_an_unavailable_version_is_retried_at_once_with_none(failure):
    """Rule 6: in the same call, without a delay."""
    rig = Rig(timing=quick()).lists(page(rv="10"), failure, page(pod("a"), rv="20")).start()

    rig.feed(error_event(410, "Expired")).retry()

    assert rig.state == "live"
    assert rig.keys() == ["default/a"]


def test_rule_06_too_large_is_known_by_cause_or_by_message():
    """Rule 6: the cause type, or for old servers the message."""
    by_cause = api_error(
        504, {"reason": "Timeout", "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]}}
    )

    assert isinstance(by_cause, ServerTimeout)
    assert by_cause.is_too_large_resource_version
    assert too_large().is_too_large_resource_version


def test_rule_07_a_relist_is_not_paged_so_that_the_watch_cache_can_answer():
    """Rule 7: paging is off for a resourceVersion neither "" nor "0"."""
    rig = Rig(timing=quick()).lists(page(rv="10"), page(rv="11")).start()

    rig.feed(error_event(410)).retry()

    assert rig.asked(2).limit is None


def test_rule_07_a_first_list_that_came_in_pages_is_remembered():
    """Rule 7: then relists are paged too."""
    rig = (
        Rig(timing=quick()).lists(page(pod("a"), token="t1"), page(pod("b")), page(rv="11")).start()
    )

    rig.feed(error_event(410)).retry()

    assert rig.asked(3).limit == 500


def test_rule_07_a_page_size_of_the_user_forces_paging():
    """Rule 7: a page size set by the user is used for every list."""
    rig = Rig(page_size=2, timing=quick()).lists(page(rv="10"), page(rv="11")).start()

    rig.feed(error_event(410)).retry()

    assert (rig.asked(0).limit, rig.asked(2).limit) == (2, 2)


def test_rule_07_pages_are_followed_by_their_continue_token():
    """Rule 7: until the token is empty; the cache is replaced once, whole."""
    rig = Rig().lists(page(pod("a"), token="t1"), page(pod("b"), token="t2"), page(pod("c")))
    rig.start()

    assert [o.continue_token for v, o in rig.server.asked if v == "list"] == ["", "t1", "t2"]
    assert rig.keys() == ["default/a", "default/b", "default/c"]
    assert len([r for r in rig.trace if r.kind == "replaced"]) == 1


def test_rule_07_an_expired_page_leads_to_one_full_list():
    """Rule 7: page 2+ expired: one unpaged list at the version asked first."""
    rig = Rig().lists(page(pod("a"), token="t1"), expired(), page(pod("a"), pod("b"), rv="12"))
    rig.start()

    full = rig.asked(2)
    assert (full.limit, full.continue_token, full.resource_version) == (None, "", "0")
    assert rig.keys() == ["default/a", "default/b"]


def test_rule_07_an_expired_first_page_is_not_answered_by_a_full_list():
    """Rule 7: it goes back to the caller (rule 6: retried at the newest)."""
    rig = Rig(timing=quick()).lists(page(rv="10"), expired(), page(rv="20")).start()

    rig.feed(error_event(410)).retry()

    assert rig.asked(3).limit == 500


def test_rule_08_the_version_is_set_only_after_the_replace():
    """Rule 8: while pages are missing, nothing moved."""
    rig = Rig().lists(page(pod("a"), token="t1"), page(pod("b")))
    rig.informer.start()
    for _ in range(2):  # decide, and read page one
        rig.driver.step(lambda stage: stage.name.startswith("reflector"))

    assert rig.version == ""
    assert rig.keys() == []
    rig.driver.settle()
    assert rig.version == "10"


def test_rule_08_what_is_not_a_list_changes_nothing():
    """Rule 8: a Table or other body is an error of the client; the cache is untouched."""
    rig = Rig(timing=quick()).lists(page(pod("a")), DecodeError("a Table, not a PodList")).start()

    rig.feed(error_event(410))
    rig.retry()

    assert rig.keys() == ["default/a"]
    assert "Table" in rig.informer.status.cause


def test_rule_09_other_list_errors_are_reported_and_backed_off():
    """Rule 9: the watch-error handler hears of it, then the whole starts again."""
    rig = Rig(timing=quick()).lists(server_error(), page(pod("a"))).start()

    assert isinstance(rig.errors[0], ServerFailure)
    rig.retry()
    assert rig.verbs() == ["list", "list", "watch"]


def test_rule_10_a_watch_asks_for_bookmarks_from_the_last_version_for_5_to_10_minutes():
    """Rule 10: resourceVersion, allowWatchBookmarks, timeoutSeconds in [300, 600]."""
    for seed in range(5):
        rig = Rig(seed=seed).lists(page(rv="10")).start()

        asked = rig.asked()

        assert asked.resource_version == "10"
        assert asked.allow_watch_bookmarks
        assert 300 <= asked.timeout_seconds <= 600


@pytest.mark.parametrize(("minimum", "low", "high"), [(10, 300, 600), (1000, 1000, 2000)])
def test_rule_10_a_smaller_minimum_is_ignored_and_a_larger_one_kept(minimum, low, high):
    """Rule 10: m gives [m, 2m] only above 300."""
    rig = Rig(timing=quick(min_watch_seconds=minimum)).lists(page()).start()

    assert low <= rig.asked().timeout_seconds <= high


@pytest.mark.parametrize("failure", [refused(), api_error(429, {"reason": "TooManyRequests"})])
def test_rule_11_refused_and_429_wait_and_watch_the_same_version(failure):
    """Rule 11: no relist."""
    rig = Rig(timing=quick()).lists(page(rv="10")).watches(failure).start()

    rig.retry()

    assert rig.verbs() == ["list", "watch", "watch"]
    assert rig.asked().resource_version == "10"


def test_rule_11_any_other_opening_error_leads_to_a_relist():
    """Rule 11: leave with the error, back off, list again at the last version."""
    rig = Rig(timing=quick()).lists(page(rv="10"), page(rv="10")).watches(server_error(503))
    rig.start().retry()

    assert rig.verbs() == ["list", "watch", "list", "watch"]
    assert rig.asked(2).resource_version == "10"


def test_rule_12_a_stream_that_brought_something_is_reopened_at_once():
    """Rule 12: from the last version, no delay, no relist."""
    rig = Rig().lists(page(rv="10")).start()

    rig.feed(event("ADDED", pod("a", 11)), EndOfStream())

    assert rig.verbs() == ["list", "watch", "watch"]
    assert rig.asked().resource_version == "11"


def test_rule_12_a_stream_that_lasted_a_second_is_reopened_at_once():
    """Rule 12: even without an event."""
    rig = Rig().lists(page(rv="10")).start().advance(1.0)

    rig.feed(EndOfStream())

    assert rig.verbs() == ["list", "watch", "watch"]


def test_rule_13_a_very_short_watch_backs_off_and_lists_again():
    """Rule 13: closed within a second without an event."""
    rig = Rig(timing=quick()).lists(page(rv="10"), page(rv="10")).start()

    rig.feed(EndOfStream())

    assert rig.phase == "backing_off"
    rig.retry()
    assert rig.verbs() == ["list", "watch", "list", "watch"]


def test_rule_14_an_in_stream_410_backs_off_and_lists_at_the_last_version():
    """Rule 14: quietly; a second failure is rule 6's."""
    rig = Rig(timing=quick()).lists(page(rv="10"), page(rv="15")).start()

    rig.feed(event("ADDED", pod("a", 12)), error_event(410, "Expired"))

    assert isinstance(rig.informer.error, ResourceExpired)
    rig.retry()
    assert rig.asked(2).resource_version == "12"


def test_rule_14_an_in_stream_429_backs_off_and_watches_the_same_version():
    """Rule 14: no relist."""
    rig = Rig(timing=quick()).lists(page(rv="10")).start()

    rig.feed(error_event(429, "TooManyRequests", retryAfterSeconds=7))

    assert rig.informer.status.retry_in_seconds >= 7
    rig.retry()
    assert rig.verbs() == ["list", "watch", "watch"]


def test_rule_14_an_in_stream_500_lists_again_unless_a_retry_window_is_set():
    """Rule 14: MaxInternalErrorRetryDuration is 0 by default."""
    strict = Rig(timing=quick()).lists(page(rv="10")).start()
    patient = Rig(timing=quick(), internal_retry_seconds=30).lists(page(rv="10")).start()

    for rig in (strict, patient):
        rig.feed(error_event(500, "InternalError"))

    assert strict.phase == "backing_off"
    assert patient.verbs() == ["list", "watch", "watch"]


def test_rule_14_the_retry_window_of_a_500_ends():
    """Rule 14: 500s that go on longer than the window lead to a relist."""
    rig = Rig(timing=quick(), internal_retry_seconds=5).lists(page(rv="10")).start()

    for _ in range(4):
        rig.feed(error_event(500))
        rig.advance(2)

    assert rig.verbs()[:4] == ["list", "watch", "watch", "watch"]
    assert "list" in rig.verbs()[4:]


@pytest.mark.parametrize(
    "odd",
    [
        DecodeError("a line is not JSON"),
        event("ADDED", pod("a", "")),
        event("ADDED", pod("a", "eleven")),
        bookmark(""),
        bookmark("eleven"),
        bookmark(9),
    ],
)
def test_rule_15_and_17_what_cannot_be_applied_moves_no_version(odd):
    """Rules 15-17, stricter: the stream is closed and resumed once from the last good one."""
    rig = Rig(timing=quick()).lists(page(rv="10"), page(rv="20")).start()

    rig.feed(event("ADDED", pod("b", 11)), odd, event("ADDED", pod("c", 12)))

    assert rig.version == "11"
    assert rig.server.streams[0].is_closed
    assert rig.verbs() == ["list", "watch", "watch"]
    assert rig.asked().resource_version == "11"


def test_rule_17_an_unknown_type_is_distrusted_and_then_listed():
    """Rule 17, stricter: resumed once, then the whole is listed again."""
    rig = Rig(timing=quick()).lists(page(rv="10"), page(pod("a", 12), rv="20")).start()
    odd = event("RENAMED", pod("a", 11))

    rig.feed(odd)
    rig.feed(odd)

    assert rig.phase == "backing_off"
    rig.retry()
    assert rig.verbs() == ["list", "watch", "watch", "list", "watch"]
    assert rig.keys() == ["default/a"]


def test_rule_15_a_good_event_renews_the_right_to_resume():
    """Rule 15, stricter: distrust is counted since the last good event."""
    rig = Rig(timing=quick()).lists(page(rv="10")).start()

    for version in (11, 12, 13):
        rig.feed(event("ADDED", pod("a", version)), DecodeError("odd"))

    assert rig.verbs() == ["list", "watch", "watch", "watch", "watch"]


def test_rule_16_a_bookmark_moves_the_version_and_reaches_the_store():
    """Rule 16: no object changes; the store's own version follows in order."""
    rig = Rig().lists(page(pod("a"), rv="10")).start()

    rig.feed(bookmark(17))

    assert rig.version == "17"
    assert rig.informer.indexer.resource_version == "17"
    assert rig.calls.seen == [("add", "default/a", True)]


def test_rule_18_synthetic_adds_of_a_watch_from_0_do_not_move_the_version():
    """Rule 18: they are in no order; the first other event starts publishing."""
    rig = Rig().lists(page(rv="0")).start()

    rig.feed(event("ADDED", pod("a", 9)), event("ADDED", pod("b", 5)))
    assert rig.version == "0"

    rig.feed(event("MODIFIED", pod("b", 10)))
    assert rig.version == "10"


def test_rule_19_the_resync_timer_asks_nobody_but_the_store():
    """Rule 19: each period everything is shown again, without a request."""
    rig = Rig(resync_seconds=60, idle_timeout_seconds=1e6).lists(page(pod("a", 3))).start()
    rig.calls.clear()

    rig.advance(60).advance(60)

    assert rig.calls.seen == [("update", "default/a", "3", "3")] * 2
    assert rig.verbs() == ["list", "watch"]


def test_rule_19_period_0_never_resyncs():
    """Rule 19: the default."""
    rig = Rig(idle_timeout_seconds=1e9).lists(page(pod("a", 3))).start()
    rig.calls.clear()

    rig.advance(100_000)

    assert rig.calls.seen == []


def streamed(*events, **options):
    return Rig(list_mode="auto", **options).watches(ScriptedStream(events))


def test_rule_20_a_streamed_list_asks_for_initial_events():
    """Rule 20: sendInitialEvents, NotOlderThan, bookmarks; no version on the first start."""
    asked = streamed(bookmark(10, is_end=True)).start().asked()

    assert asked.send_initial_events
    assert asked.resource_version_match == "NotOlderThan"
    assert asked.allow_watch_bookmarks
    assert asked.resource_version is None
    assert 300 <= asked.timeout_seconds <= 600


def test_rule_21_the_store_is_replaced_at_the_annotated_bookmark_only():
    """Rule 21: until then nothing is visible; then the same stream goes on."""
    rig = streamed(event("ADDED", pod("b", 5)), event("ADDED", pod("a", 9))).start()
    assert rig.keys() == []
    assert not rig.informer.has_synced

    rig.feed(bookmark(10, is_end=True), event("MODIFIED", pod("a", 11)))

    assert rig.keys() == ["default/a", "default/b"]
    assert rig.version == "11"
    assert rig.verbs() == ["stream"]


def test_rule_21_later_kinds_count_before_the_bookmark():
    """Rule 21: MODIFIED and DELETED apply to the temporary store."""
    rig = streamed(
        event("ADDED", pod("a", 5)),
        event("ADDED", pod("b", 6)),
        event("MODIFIED", pod("a", 7)),
        event("DELETED", pod("b", 8)),
        bookmark(10, is_end=True),
    ).start()

    assert [obj.resource_version for obj in rig.informer.indexer.list()] == ["7"]


def test_rule_22_a_missing_bookmark_is_reported_every_ten_seconds():
    """Rule 22: "still waiting"."""
    rig = streamed(event("ADDED", pod("a", 5))).start()

    rig.advance(10).advance(5).advance(5)

    assert len([e for e in rig.errors if "still waiting" in str(e)]) == 2


def test_rule_22_a_stream_that_ends_early_starts_over_with_a_fresh_store():
    """Rule 22: at once."""
    rig = streamed(event("ADDED", pod("ghost", 5)), EndOfStream())
    rig.watches(ScriptedStream([event("ADDED", pod("a", 6)), bookmark(10, is_end=True)])).start()

    assert rig.verbs() == ["stream", "stream"]
    assert rig.keys() == ["default/a"]


def test_rule_22_a_stream_that_ends_at_once_with_nothing_falls_back_to_a_list():
    """Rule 22: a very short one counts as an error."""
    rig = streamed(EndOfStream()).lists(page(pod("a"))).start()

    assert rig.verbs() == ["stream", "list", "watch"]
    assert rig.keys() == ["default/a"]


@pytest.mark.parametrize("failure", [refused(), api_error(429, {})])
def test_rule_23_refused_and_429_are_retried_as_a_stream(failure):
    """Rule 23: after a back-off."""
    rig = Rig(list_mode="auto", timing=quick()).watches(failure).start()

    rig.retry()

    assert rig.verbs() == ["stream", "stream"]


def test_rule_23_an_unavailable_version_is_retried_from_the_newest():
    """Rule 23: expired or too large: flag, retry without a version."""
    rig = streamed(bookmark(10, is_end=True), error_event(410), timing=quick())
    rig.watches(expired(), ScriptedStream([bookmark(20, is_end=True)])).start().retry()

    assert [o.resource_version for _, o in rig.server.asked] == [None, "10", None]


@pytest.mark.parametrize("code", [400, 422, 500])
def test_rule_23_an_old_server_is_listed_this_round_and_streamed_the_next(code):
    """Rule 23: anything else falls back to LIST for this round only."""
    rig = Rig(list_mode="auto", timing=quick()).watches(api_error(code, {}))
    rig.lists(page(pod("a"), rv="10")).start()
    assert rig.verbs() == ["stream", "list", "watch"]

    rig.feed(error_event(410)).retry()

    assert rig.verbs()[3] == "stream"


def test_rule_23_a_bookmark_that_never_comes_is_waited_for_until_the_deadline():
    """Rule 23 with a deadline: then LIST; the store is untouched meanwhile."""
    rig = streamed(event("ADDED", pod("ghost", 5))).lists(page(pod("a"))).start()

    rig.run(61, 1.0)

    assert rig.verbs() == ["stream", "list", "watch"]
    assert rig.keys() == ["default/a"]


def test_404_empties_the_cache_once_and_is_asked_again_from_one_second_on():
    """Beyond the rules (fault 36): deletes once, state gone, then one try every five seconds."""
    rig = Rig(timing=quick()).lists(page(pod("a")), *[NotFound("gone", code=404)] * 9).start()

    rig.feed(error_event(410)).retry()
    tries = []
    for second in range(23):
        seen = rig.verbs().count("list")
        rig.run(1, 1.0)
        tries += [second + 1] * (rig.verbs().count("list") - seen)

    assert rig.state == "gone"
    assert rig.calls.kinds() == [("add", "default/a"), ("delete", "default/a")]
    assert tries == [1, 3, 7, 12, 17, 22]
    assert rig.verbs() == ["list", "watch"] + ["list", "discover"] * 7


def test_what_returns_after_a_404_begins_at_one_second_again():
    """Beyond the rules (fault 37): a definition that comes and goes is seen each time."""
    gone = [NotFound("gone", code=404)] * 3
    rig = Rig(timing=quick()).lists(page(pod("a")), *gone, page(pod("b", 20), rv="20"))
    rig.start().feed(error_event(410)).retry()
    rig.run(8, 1.0)
    assert (rig.state, rig.keys()) == ("live", ["default/b"])

    rig.lists(NotFound("gone", code=404), page(pod("c", 30), rv="30"))
    rig.feed(error_event(410)).retry()
    assert rig.keys() == []
    rig.run(1, 1.0)

    assert (rig.state, rig.keys()) == ("live", ["default/c"])


def test_the_looks_at_discovery_are_in_the_budget_too():
    """Beyond the rules (fault 36): whatever a server of many versions is asked, it is counted."""
    rig = Rig().lists(*[NotFound("gone", code=404)] * 99)
    found = rig.server.other_versions

    def nine(on_request):
        for _ in range(8):
            on_request()
        return found(on_request)

    rig.server.other_versions = nine
    rig.start().run(120, 1.0)

    assert 10 <= rig.verbs().count("discover") <= (120 + 5 + 9) / 10  # the last look may overdraw


def test_a_404_of_the_version_alone_deletes_nothing():
    """Beyond the rules (fault 38): the cause names what is served; then it is gone for good."""
    rig = Rig(timing=quick()).lists(page(pod("a")), *[NotFound("gone", code=404)] * 99).start()
    rig.server.served_as = ("pods.v2.example.com", "pods.v3.example.com")

    rig.feed(error_event(410)).retry()
    rig.run(70, 1.0)

    assert (rig.state, rig.keys()) == ("gone", ["default/a"])
    assert "but it does pods.v2.example.com, pods.v3.example.com" in rig.informer.status.cause
    rig.server.served_as = ()
    rig.run(60, 1.0)
    assert rig.keys() == []
    assert rig.calls.kinds() == [("add", "default/a"), ("delete", "default/a")]


def test_only_a_404_makes_it_look_for_other_versions():
    """Beyond the rules (fault 38): no other failure costs a request more."""
    rig = Rig(timing=quick()).lists(page(pod("a")))
    rig.watches(*[api_error(code, {}) for code in (400, 401, 403, 410, 429, 500, 503)])
    rig.start().run(120, 0.5)

    assert "discover" not in rig.verbs()


def test_429_is_left_alone_as_long_as_it_asks_but_a_minute_at_most():
    """Beyond the rules (faults 29, 30): Retry-After is honoured and clamped to 60 s."""
    busy = TooManyRequests("busy", code=429)
    busy.retry_after_seconds = 1e9
    rig = Rig().lists(page()).watches(busy).start()

    assert rig.informer.status.retry_in_seconds == 60
