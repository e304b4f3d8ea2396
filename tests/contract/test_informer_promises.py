"""Promises C1-C11 of the informer, beyond the rules of client-go."""

from __future__ import annotations

import gc
import os
import weakref

import pytest
from support.informer_rig import Calls, Rig, quick
from support.scripted import ScriptedStream, bookmark, error_event, event, pod

from crlab.cache.reflector import Timing
from crlab.cache.stream_reader import StreamReader
from crlab.client.list_watch import EndOfStream, ListPage
from crlab.errors import (
    CredentialError,
    CrlabError,
    DecodeError,
    LifecycleError,
    SyncTimeout,
    TransportError,
    api_error,
)
from crlab.runtime.clock import FakeClock


def listed(*pods, rv="10", **options):
    return Rig(**options).lists(ListPage(list(pods), rv))


def status(code, reason=""):
    return api_error(code, {"reason": reason, "message": "no"})


# C2: no older state, no repetition ---------------------------------------------------------


def test_an_older_event_of_a_cached_key_is_ignored_and_counted():
    """Fault 48."""
    rig = listed(pod("a", 9)).start()

    rig.feed(event("MODIFIED", pod("a", 5)), event("DELETED", pod("a", 6)))

    assert rig.calls.kinds() == [("add", "default/a")]
    assert rig.informer.status.ignored_older == 2
    assert rig.version == "10"


def test_a_repeated_event_is_not_told_again():
    """Fault 47: the same version of the same key; adds, updates and deletions alike."""
    rig = listed().start()
    a, gone = event("ADDED", pod("a", 11)), event("DELETED", pod("a", 12))

    rig.feed(a, a, gone, gone, a)

    assert rig.calls.kinds() == [("add", "default/a"), ("delete", "default/a")]
    assert rig.keys() == []


def test_events_out_of_order_across_keys_are_applied():
    """Fault 49: order is per key; the version never goes back."""
    rig = listed().start()

    rig.feed(event("ADDED", pod("a", 12)), event("ADDED", pod("b", 11)))

    assert rig.keys() == ["default/a", "default/b"]
    assert rig.version == "12"


@pytest.mark.parametrize("version", ["abc", str(2**70), "9" * 5000])
def test_odd_versions_crash_nothing(version):
    """Fault 51: equality where they do not parse, numbers of any length where they do."""
    rig = listed(pod("a", version), rv=version).start()

    rig.feed(event("MODIFIED", pod("a", version + "1")))

    assert rig.informer.indexer.get_by_key("default/a").resource_version == version + "1"


# C3: deletions ------------------------------------------------------------------------------


def test_an_inferred_deletion_is_told_once_as_a_tombstone():
    """Fault 23: missed while away; the relist lacks it."""
    rig = listed(pod("a", 3), timing=quick())
    rig.server.lists.extend([ListPage([], "20"), ListPage([], "30")])
    rig.start()
    for _ in range(2):
        rig.feed(error_event(410)).retry()

    assert rig.calls.seen[1:] == [("delete", "default/a", "DeletedFinalStateUnknown")]


def test_an_event_from_before_its_deletion_raises_no_dead_even_after_a_404():
    """I5: found by the history test; emptying the cache forgot what had been deleted."""
    rig = listed(timing=quick()).start()
    lived, died = event("ADDED", pod("a", 11)), event("DELETED", pod("a", 12))
    rig.feed(lived, died)
    rig.server.lists.extend([status(404), ListPage([], "12")])
    rig.feed(error_event(410)).retry()
    rig.retry()

    rig.feed(lived, died)

    assert rig.calls.kinds() == [("add", "default/a"), ("delete", "default/a")]


# C8: present tense ---------------------------------------------------------------------------


def test_live_is_a_claim_of_now_with_an_age():
    """C8: not a latch; has_synced is one."""
    rig = listed().start()
    assert (rig.state, rig.informer.status.age_seconds) == ("live", 0)

    rig.clock.advance(80)

    assert rig.state == "stale"
    assert rig.informer.status.age_seconds == 80
    assert rig.informer.has_synced


def test_a_silent_stream_is_reopened_at_the_idle_limit():
    """Fault 1: from the last version; a bookmark counts as life."""
    rig = listed().start()

    rig.advance(70).feed(bookmark(11)).advance(70)
    assert rig.verbs() == ["list", "watch"]
    rig.advance(6)

    assert rig.verbs() == ["list", "watch", "watch"]
    assert rig.asked().resource_version == "11"
    assert rig.state == "stale"
    rig.feed(bookmark(12))
    assert rig.state == "live"


def test_without_bookmarks_a_stream_may_be_silent_until_the_server_ends_it():
    """T_idle: else server timeout + 5 s."""
    rig = listed(bookmarks=False).start()

    rig.advance(290)

    assert not rig.asked().allow_watch_bookmarks
    assert rig.verbs() == ["list", "watch"]
    rig.advance(320)
    assert rig.verbs() == ["list", "watch", "watch"]


def test_two_silent_streams_lead_to_one_cheap_look_at_the_servers_revision():
    """Fault 50 (b): a restored server is silent about a future version."""
    rig = listed(pod("a", 90), rv="100").start()
    rig.server.lists.extend([ListPage([], "40"), ListPage([pod("b", 30)], "41")])

    rig.advance(76).advance(76)

    assert rig.verbs() == ["list", "watch", "watch", "list", "list", "watch"]
    assert (rig.asked(3).limit, rig.asked(3).resource_version) == (1, None)
    assert rig.keys() == ["default/b"]
    assert rig.version == "41"


def test_a_look_that_finds_nothing_wrong_watches_on():
    """Fault 50 (b): the resource is only quiet."""
    rig = listed(pod("a", 90), rv="100").start()
    rig.server.lists.append(ListPage([pod("a", 90)], "170"))

    rig.advance(76).advance(76)

    assert rig.verbs() == ["list", "watch", "watch", "list", "watch"]
    assert rig.asked().resource_version == "100"


def test_a_list_that_went_back_is_refused_once_and_then_a_new_epoch():
    """Faults 50 (a), 56: a lagging server is asked for the newest; a restored one believed."""
    rig = listed(pod("a", 90), rv="100", timing=quick()).start()
    rig.server.lists.extend(
        [ListPage([pod("a", 50)], "60"), ListPage([pod("a", 50), pod("b", 51)], "61")]
    )

    rig.feed(error_event(410)).retry()

    assert rig.calls.seen[1:] == [
        ("update", "default/a", "90", "50"),
        ("add", "default/b", False),
    ]
    rig.feed(event("MODIFIED", pod("a", 62)))
    assert rig.version == "62"


def test_403_names_the_missing_verb():
    """Faults 34, 35."""
    for verb, rig in {
        "list": Rig().lists(status(403, "Forbidden")),
        "watch": listed().watches(status(403, "Forbidden")),
    }.items():
        rig.start()
        assert rig.state == "failed"
        assert f'verb "{verb}"' in rig.informer.status.cause


def test_401_is_retried_once_at_once_with_fresh_credentials():
    """Fault 32."""
    rig = Rig().lists(status(401), ListPage([pod("a")], "10")).start()

    assert rig.server.renewals == 1
    assert rig.state == "live"


@pytest.mark.parametrize("failure", [status(401), CredentialError("the plugin failed")])
def test_401_for_ever_is_failed_and_stays_restartable(failure):
    """Fault 33."""
    rig = Rig(timing=quick()).lists(*[failure] * 4).start()
    assert rig.state == "failed"
    assert rig.informer.status.cause.startswith("auth")
    assert rig.server.renewals == 1
    rig.server.lists.clear()

    rig.retry()

    assert rig.state == "live"


def test_a_server_that_fails_makes_the_cache_degraded_with_its_age():
    """C8: what is cached stays readable; the status says how old it is."""
    rig = listed(pod("a"), timing=quick()).start()
    rig.server.lists.extend([status(500)] * 9)

    rig.advance(5).feed(error_event(410)).retry()

    assert rig.state == "degraded"
    assert rig.keys() == ["default/a"]
    assert rig.informer.status.retry_in_seconds > 0


# C9: a failing server ------------------------------------------------------------------------

HOSTILE = {
    "an instant end of every watch": lambda: {"watch": EndOfStream()},
    "an in-stream 410 in every watch": lambda: {"watch": error_event(410)},
    "410 on every watch": lambda: {"watch": status(410, "Expired")},
    "500 on every list": lambda: {"list": status(500)},
    "401 on everything": lambda: {"list": status(401), "watch": status(401)},
    "a garbage line in every watch": lambda: {"watch": DecodeError("odd")},
    "refused connections": lambda: {
        "list": TransportError("refused", phase="connect", refused=True)
    },
    "a bookmark and then the end": lambda: {"watch": (bookmark(11), EndOfStream())},
    "a repeated event and then the end": lambda: {
        "watch": (event("ADDED", pod("a", 5)), EndOfStream())
    },
    "429 with Retry-After 0": lambda: {"watch": error_event(429, retryAfterSeconds=0)},
}


@pytest.mark.parametrize("mode", ["list", "auto"])
@pytest.mark.parametrize("fault", HOSTILE)
def test_a_failing_server_sees_at_most_one_request_a_second_after_a_burst(fault, mode):
    """C9: even with a back-off of nothing, whatever it answers (WatchList loops too)."""
    answers = HOSTILE[fault]()
    timing = Timing(backoff_first_seconds=0.001, backoff_cap_seconds=0.001)
    rig = Rig(list_mode=mode, timing=timing)

    def watch(options):
        what = answers.get("watch", EndOfStream())
        if isinstance(what, Exception) and not isinstance(what, EndOfStream | DecodeError):
            raise what
        return ScriptedStream(what if isinstance(what, tuple) else (what,))

    rig.server.lists.extend([answers.get("list", ListPage([], "10"))] * 500)
    rig.watches(*[watch] * 500).start().run(30, 0.1)

    assert len(rig.verbs()) <= 5 + 30 + 1


def test_a_healthy_server_is_never_waited_for():
    """C9 does not bite: each watch that brought something new costs nothing."""
    rig = listed().start()

    for n in range(50):
        rig.feed(event("ADDED", pod(f"p{n}", 11 + n)), EndOfStream())

    assert rig.verbs().count("watch") == 51


# C6, C7, C10, C11 ----------------------------------------------------------------------------


def test_metadata_of_a_deleted_key_is_forgotten_in_time():
    """C11: the memory of deletions is bounded."""
    from crlab.cache import processor

    rig = listed().start()
    rig.server.stream.feed(
        *[event("DELETED", pod(f"p{n}", 11 + n)) for n in range(processor.MAX_DELETED + 50)]
    )
    rig.driver.settle(10**6)

    assert len(rig.informer._processor._deleted) == processor.MAX_DELETED


def test_stop_needs_no_driver_and_ends_the_stream():
    """C10: immediate, idempotent."""
    rig = listed().start()

    rig.informer.stop()
    rig.informer.stop()

    assert rig.server.stream.is_closed
    assert rig.state == "stopped"
    assert [r.get("state") for r in rig.trace if r.kind == "state"][-1] == "stopped"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_refused_and_does_not_hang():
    """Fault 77."""
    rig = listed().start()
    child = os.fork()
    if child == 0:
        try:
            rig.informer.wait_for_sync(1)
        except LifecycleError:
            rig.informer.close()
            os._exit(7)
        os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_wait_that_cannot_end_says_why():
    """Bad input: what was still unsynced, with its state and cause."""
    rig = Rig().lists(status(403, "Forbidden")).start()

    with pytest.raises(SyncTimeout, match=r'failed.*verb "list"'):
        rig.informer.wait_for_sync(0.1)


# Looking inside ------------------------------------------------------------------------------


def test_an_audit_compares_with_a_list_at_exactly_the_caches_revision():
    """Fault 54: what no stream can tell."""
    rig = listed(pod("same", 3), pod("stale", 4), pod("extra", 5)).start()
    rig.server.lists.append(ListPage([pod("same", 3), pod("stale", 8), pod("missing", 9)], "10"))

    audit = rig.informer.audit()

    assert rig.asked().resource_version_match == "Exact"
    assert [(row.key, row.problem) for row in audit.rows] == [
        ("default/extra", "extra"),
        ("default/missing", "missing"),
        ("default/stale", "version"),
    ]
    assert audit.is_exact
    assert not audit.is_clean


def test_an_audit_of_a_compacted_revision_calls_newer_objects_moving():
    """An exact list may be gone; then only what is certainly wrong counts."""
    rig = listed(pod("a", 3)).start()
    rig.server.lists.extend([status(410, "Expired"), ListPage([pod("a", 12)], "12")])

    audit = rig.informer.audit()

    assert [row.problem for row in audit.rows] == ["moving"]
    assert audit.is_clean


def test_memory_names_the_heaviest_field_and_what_a_transform_would_save():
    """Issue: bytes per kind and per field path."""
    rig = listed(*[pod(f"p{n}", 3, blob="x" * 1000, small=1) for n in range(20)]).start()

    def slim(obj):
        fresh = obj.to_dict()
        del fresh["spec"]["blob"]
        return fresh

    memory = rig.informer.memory(slim)

    assert memory.objects == 20
    heaviest = [field.path for field in memory.fields[:2]]
    assert heaviest == ["spec", "spec.blob"]
    assert memory.transform_saves_bytes >= 20 * 1000


def test_redaction_comes_before_the_queue_and_the_users_transform():
    """Secrets never enter cache or trace."""
    order = []

    def redact(obj):
        order.append("redact")
        fresh = obj.to_dict()
        fresh["spec"] = {"secret": "redacted"}
        return type(obj).of(fresh)

    def transform(obj):
        order.append("transform")
        return obj

    rig = listed(pod("a", 3, secret="hunter2"), redact=redact, transform=transform).start()
    rig.feed(event("MODIFIED", pod("a", 11, secret="hunter3")))

    assert order == ["redact", "transform"] * 2
    texts = [bytes(o.raw) for r in rig.trace for o in (r.get("objects") or [r.get("object")]) if o]
    assert b"hunter" not in b"".join([*texts, rig.informer.indexer.list()[0].raw])


def test_every_hand_over_is_linked_in_the_trace():
    """Watch event → queued → stored → notified; and to the write that made it."""
    rig = listed().start()
    write = rig.trace.append("client", "request")
    rig.trace.note_write("pods", "11", write)

    rig.feed(event("ADDED", pod("a", 11)))

    chain = [r for r in rig.trace if r.key == "default/a"]
    assert [r.kind for r in chain] == ["watch_event", "queued", "stored", "notified"]
    assert [r.causes for r in chain] == [(write,), *[(r.seq,) for r in chain[:3]]]


def test_a_handlers_requests_are_caused_by_its_notification():
    """`current_causes` inside a handler."""
    from crlab.trace.cause import current_actor, current_causes

    rig, seen = listed(pod("a")), []
    rig.informer.add_event_handler(
        on_add=lambda obj, initial: seen.append((current_causes(), current_actor())), name="mine"
    )
    rig.start()

    notified = [r.seq for r in rig.trace if r.kind == "notified" and r.get("handler") == "mine"]
    assert seen == [(tuple(notified), "handler/mine")]


def test_a_person_can_step_one_unit_at_a_time():
    """One transition, one event, one pop, one notification per step."""
    rig = listed(pod("a"), pod("b"))
    rig.informer.start()

    steps = []
    while (stage := rig.driver.step()) is not None:
        steps.append(stage.name.split("-")[0])

    assert steps == ["reflector"] * 3 + ["processor"] * 2 + ["listener"] * 2
    assert isinstance(rig.calls, Calls)


class Items(list):
    """A list that can be seen to go."""


@pytest.mark.parametrize("is_transform_failing", [False, True], ids=["too long", "transform"])
def test_a_refused_list_is_not_kept_alive_by_its_error(is_transform_failing):
    """C11: the error stays readable for ever; what it was about does not stay."""
    items = Items([pod("a"), pod("b")])
    held = weakref.ref(items)
    options = (
        {"transform": lambda obj: 1 / 0}
        if is_transform_failing
        else {"timing": quick(max_list_bytes=10)}
    )
    rig = Rig(**options).lists(ListPage(items, "10", size_bytes=1000))
    del items

    rig.start()

    assert isinstance(rig.informer.error, CrlabError)
    assert rig.errors == [rig.informer.error]
    assert held() is None
    if is_transform_failing:
        assert "<lambda>" in rig.informer.error.__cause__.__notes__[0]


def test_a_stream_that_broke_is_no_cycle():
    """C11: a reader with its socket and buffers goes at once, not at some collection."""
    stream = ScriptedStream([TransportError("cut", phase="watch")])
    reader = StreamReader(stream, FakeClock(), 0.0)
    held = weakref.ref(reader)
    gc.disable()
    try:
        reader.fetch(0)
        error = reader.error
        del reader
        assert held() is None
    finally:
        gc.enable()
    assert isinstance(error, TransportError)
