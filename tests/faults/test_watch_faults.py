"""Each fault of a watch really happens, is counted, and ends when it should."""

import msgspec
import pytest
from support.api_server import CONFIG_MAPS, Talk, events

from crlab.errors import ConfigError


@pytest.fixture
def talk():
    return Talk()


@pytest.fixture
def faults(talk):
    return talk.server.faults


def test_an_open_watch_is_cut_at_once_and_a_new_one_is_not(talk, faults):
    """The reader is woken; what happened is in the journal."""
    watch = talk.watch()
    fault = faults.cut_watch("configmaps")
    assert watch.wait(0)
    assert watch.poll() == b""
    assert (watch.is_ended, watch.is_cut, fault.hits) == (True, True, 1)
    assert [entry.fault for entry in faults.journal] == ["cut"]
    second = talk.watch()
    talk.create("a")
    assert events(second) == [("ADDED", "a")]
    assert not second.is_ended


def test_every_open_watch_is_cut_once(talk, faults):
    """Also those of other readers, but not of other resources."""
    watches = [talk.watch(), talk.watch(), talk.watch("/api/v1/secrets")]
    fault = faults.cut_watch("configmaps")
    for watch in watches:
        watch.poll()
    assert [watch.is_cut for watch in watches] == [True, True, False]
    assert fault.hits == 2
    assert not fault.is_active


def test_without_an_open_watch_the_next_one_is_cut(talk, faults):
    """The rule waits for its watch."""
    fault = faults.cut_watch("configmaps", after_events=1)
    talk.create("a")
    talk.create("b")
    watch = talk.watch()
    assert events(watch) == [("ADDED", "a")]
    assert watch.is_cut
    assert fault.hits == 1


def test_a_cut_after_k_events_lets_k_through(talk, faults):
    """Counted from when the fault was added."""
    watch = talk.watch()
    talk.create("before")
    assert events(watch) == [("ADDED", "before")]
    faults.cut_watch("configmaps", after_events=2)
    for name in ("a", "b", "c"):
        talk.create(name)
    assert events(watch) == [("ADDED", "a"), ("ADDED", "b")]
    assert watch.is_cut


def test_a_cut_in_mid_line_sends_half_a_line(talk, faults):
    """Never a newline after it."""
    watch = talk.watch()
    faults.cut_watch("configmaps", mid_line=True)
    assert not watch.is_ended
    talk.create("a")
    data = watch.poll()
    assert data.startswith(b'{"type":"ADDED"')
    assert b"\n" not in data
    assert watch.is_cut


def test_a_clean_end_is_no_cut(talk, faults):
    """As a server that shuts down."""
    watch = talk.watch()
    faults.cut_watch("configmaps", clean=True)
    watch.poll()
    assert watch.is_ended
    assert not watch.is_cut


def test_times_cuts_so_many_watches(talk, faults):
    """Reconnecting readers meet it again."""
    fault = faults.cut_watch("configmaps", times=3)
    for _ in range(4):
        watch = talk.watch()
        watch.poll()
    assert fault.hits == 3
    assert not watch.is_ended


def test_a_stalled_watch_is_silent_until_it_is_released(talk, faults):
    """Nothing is lost: the lines come late."""
    watch = talk.watch()
    fault = faults.stall_watch("configmaps")
    talk.create("a")
    talk.create("b")
    assert events(watch) == []
    assert not watch.is_ended
    fault.remove()
    assert events(watch) == [("ADDED", "a"), ("ADDED", "b")]
    assert fault.hits == 1


def test_a_stall_ends_by_itself_after_its_seconds(talk, faults):
    """On the server's clock."""
    watch = talk.watch()
    faults.stall_watch("configmaps", seconds=5, after_events=1)
    talk.create("a")
    talk.create("b")
    assert events(watch) == [("ADDED", "a")]
    talk.server.core.clock.advance(5)
    assert events(watch) == [("ADDED", "b")]


def test_a_stalled_watch_hides_its_end(talk, faults):
    """As behind a dead connection: the deadline passes unseen."""
    watch = talk.watch(timeoutSeconds="3")
    faults.stall_watch("configmaps")
    watch.poll()
    talk.server.core.clock.advance(10)
    assert watch.poll() == b""
    assert not watch.is_ended


def test_an_expired_watch_gets_410_and_ends(talk, faults):
    """In the stream, as the real server."""
    watch = talk.watch()
    faults.expire_watch("configmaps")
    event = msgspec.json.decode(watch.poll())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert watch.is_ended


@pytest.mark.parametrize(
    ("add", "expected"),
    [
        ("drop_event", ["b", "c"]),
        ("duplicate_event", ["a", "a", "b", "c"]),
        ("reorder_event", ["b", "a", "c"]),
    ],
)
def test_illegal_faults_bend_the_stream_once(talk, faults, add, expected):
    """They say that no real API server does this."""
    watch = talk.watch()
    fault = getattr(faults, add)("configmaps")
    for name in ("a", "b", "c"):
        talk.create(name)
    assert [name for _, name in events(watch)] == expected
    assert (fault.hits, fault.is_legal) == (1, False)


def test_an_event_fault_may_name_its_victim(talk, faults):
    """By type and by object."""
    watch = talk.watch()
    fault = faults.drop_event("configmaps", type="DELETED", name="b")
    talk.create("a")
    talk.create("b")
    talk.send("DELETE", f"{CONFIG_MAPS}/a")
    talk.send("DELETE", f"{CONFIG_MAPS}/b")
    assert events(watch) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    assert fault.hits == 1


def test_a_garbled_line_is_no_json_and_a_rewound_one_is_older(talk, faults):
    """One broken proxy, one restored backup."""
    watch = talk.watch()
    faults.garble_event("configmaps")
    talk.create("a")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(watch.poll())
    faults.rewind_revision("configmaps", by=3)
    _, created = talk.create("b")
    event = msgspec.json.decode(watch.poll())
    revision = int(created["metadata"]["resourceVersion"])
    assert int(event["object"]["metadata"]["resourceVersion"]) == revision - 3


def test_bookmarks_can_be_switched_off(talk, faults):
    """Including the one that ends initial events."""
    fault = faults.no_bookmarks("configmaps")
    watch = talk.watch(
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    )
    assert events(watch) == []
    assert fault.hits == 1


def test_a_small_window_makes_resuming_watches_start_over(talk, faults):
    """Within the window they resume."""
    _, first = talk.create("a")
    talk.create("b")
    talk.create("c")
    start = first["metadata"]["resourceVersion"]
    assert events(talk.watch(resourceVersion=start)) == [("ADDED", "b"), ("ADDED", "c")]
    fault = faults.watch_window("configmaps", events=1)
    watch = talk.watch(resourceVersion=start)
    event = msgspec.json.decode(watch.poll())
    assert event["object"]["reason"] == "Expired"
    assert watch.is_ended
    assert fault.hits == 1


def test_compaction_makes_old_revisions_expire(talk, faults):
    """It is an injection like any other."""
    _, first = talk.create("a")
    talk.create("b")
    fault = faults.compact()
    event = msgspec.json.decode(
        talk.watch(resourceVersion=first["metadata"]["resourceVersion"]).poll()
    )
    assert event["object"]["code"] == 410
    assert fault.hits == 1
    assert faults.journal[-1].fault == "compact"


def test_a_server_without_watch_list_refuses_or_ignores_it(talk, faults):
    """422 where the gate is off; before 1.27 the parameter was unknown."""
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    fault = faults.refuse_watch_list()
    status, body = talk.send("GET", CONFIG_MAPS, query={"watch": "1", **options})
    assert status == 422
    assert "unless the WatchList feature gate is enabled" in body["message"]
    fault.remove()
    faults.refuse_watch_list(ignores=True)
    talk.create("a")
    watch = talk.watch(**options, allowWatchBookmarks="true")
    assert events(watch) == [("ADDED", "a")]


def test_clear_removes_every_fault(talk, faults):
    """And releases what was held."""
    watch = talk.watch()
    faults.stall_watch("configmaps")
    faults.drop_event("configmaps")
    talk.create("a")
    assert events(watch) == []
    assert len(faults.active()) == 1
    faults.clear()
    assert faults.active() == []
    assert events(watch) == [("ADDED", "a")]


def test_settings_that_make_no_sense_are_refused(faults):
    """With the reason."""
    with pytest.raises(ConfigError, match="knows no colour"):
        faults.cut_watch("configmaps", colour="red")
    with pytest.raises(ConfigError, match="probability"):
        faults.drop_event(probability=2)
    with pytest.raises(ConfigError, match="nth"):
        faults.drop_event(nth=0)


def test_a_fault_whose_watch_was_closed_is_over(talk, faults):
    """It does not lie in wait for ever."""
    watch = talk.watch()
    fault = faults.cut_watch("configmaps", after_events=3)
    watch.close()
    assert not fault.is_active
    assert faults.active() == []


def test_what_happens_in_a_stream_is_in_the_audit(talk, faults):
    """A cut is no request, but it is on record."""
    watch = talk.watch()
    faults.cut_watch("configmaps")
    watch.poll()
    faults.compact()
    found = [(record.fault, record.verb) for record in talk.server.audit.records()]
    assert ("cut", "watch") in found
    assert ("compact", "compact") in found
