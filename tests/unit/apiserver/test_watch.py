"""What a watch says and when it ends, on a clock moved by hand."""

from __future__ import annotations

from support.server import (
    CRDS,
    MERGE,
    events,
    install,
    open_watch,
    widget,
)

from crlab.apiserver import ApiServer
from crlab.apiserver.watch import POLL_ENTRIES

MAPS = "/api/v1/namespaces/default/configmaps"


def types(found: list[dict]) -> list[str]:
    return [event["type"] for event in found]


def test_a_too_old_start_is_one_error_line(api_server: ApiServer) -> None:
    """HTTP 200, one ERROR with 410 Expired, then the end."""
    api_server.request("POST", MAPS, {"metadata": {"name": "a"}})
    api_server.compact()
    watch = open_watch(api_server, MAPS, resourceVersion="2")
    (event,) = events(watch)
    assert (event["type"], event["object"]["reason"]) == ("ERROR", "Expired")
    assert watch.is_ended


def test_a_watch_that_read_everything_survives_compaction(api_server: ApiServer) -> None:
    """Its place in the log is newer than what was forgotten."""
    watch = open_watch(api_server, MAPS)
    api_server.request("POST", MAPS, {"metadata": {"name": "a"}})
    assert types(events(watch)) == ["ADDED"]
    api_server.compact()
    api_server.request("POST", MAPS, {"metadata": {"name": "b"}})
    assert types(events(watch)) == ["ADDED"]


def test_a_reader_that_fell_behind_is_cut_off(api_server: ApiServer) -> None:
    """A clean end, never a gap."""
    watch = open_watch(api_server, MAPS)
    api_server.request("POST", MAPS, {"metadata": {"name": "a"}})
    api_server.compact()
    assert events(watch) == []
    assert watch.is_ended


def test_no_bookmark_covers_what_compaction_took(api_server: ApiServer) -> None:
    """A reader that fell behind must not resume beyond events it never got."""
    path = install(api_server)
    start = str(api_server.storage.revision)
    with_marks = open_watch(api_server, path, resourceVersion=start, allowWatchBookmarks="true")
    api_server.request("POST", path, widget("missed"))
    api_server.compact()
    api_server.core.clock.advance(61)
    assert events(with_marks) == []
    assert with_marks.is_ended


def test_a_deadline_is_a_clean_end(api_server: ApiServer) -> None:
    """What happened before it is still told; no ERROR follows."""
    watch = open_watch(api_server, MAPS, timeoutSeconds="5")
    api_server.request("POST", MAPS, {"metadata": {"name": "a"}})
    api_server.core.clock.advance(5)
    assert types(events(watch)) == ["ADDED"]
    assert watch.is_ended


def test_bookmarks_come_every_minute_with_the_stores_revision(api_server: ApiServer) -> None:
    """Writes to other resources move them on."""
    watch = open_watch(api_server, MAPS, allowWatchBookmarks="true")
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    api_server.core.clock.advance(60)
    (event,) = events(watch)
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"] == {"resourceVersion": str(api_server.storage.revision)}
    api_server.core.clock.advance(60)
    assert types(events(watch)) == ["BOOKMARK"]


def test_without_the_flag_there_are_no_bookmarks(api_server: ApiServer) -> None:
    """Not even the one that would end the initial events."""
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    watch = open_watch(api_server, MAPS, **query)
    api_server.core.clock.advance(300)
    assert events(watch) == []


def test_initial_events_wait_for_a_future_revision(api_server: ApiServer) -> None:
    """They come once the store is there, marked by their bookmark."""
    future = str(api_server.storage.revision + 1)
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    watch = open_watch(
        api_server, MAPS, resourceVersion=future, allowWatchBookmarks="true", **query
    )
    assert events(watch) == []
    api_server.request("POST", MAPS, {"metadata": {"name": "a"}})
    assert types(events(watch)) == ["ADDED", "BOOKMARK"]


def test_initial_events_give_up_on_a_far_future() -> None:
    """After the wait one in-stream 504 ends the watch."""
    from support.server import make_server

    with make_server(wait_seconds=3.0) as server:
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        watch = open_watch(server, MAPS, resourceVersion="9999", **query)
        server.core.clock.advance(3)
        (event,) = events(watch)
        assert event["object"]["code"] == 504
        assert watch.is_ended


def test_a_selector_shows_arrival_and_departure(api_server: ApiServer) -> None:
    """The departing line has the old labels under the new revision."""
    body = {"metadata": {"name": "a", "labels": {"tier": "x"}}}
    api_server.request("POST", MAPS, body)
    watch = open_watch(api_server, MAPS, labelSelector="tier=x")
    assert types(events(watch)) == ["ADDED"]
    change = {"metadata": {"labels": {"tier": "y"}}}
    _, left = api_server.request("PATCH", f"{MAPS}/a", change, content_type=MERGE)
    (gone,) = events(watch)
    assert gone["type"] == "DELETED"
    assert gone["object"]["metadata"]["labels"] == {"tier": "x"}
    assert gone["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


def test_a_changed_definition_ends_the_watches_of_its_objects(api_server: ApiServer) -> None:
    """What was unread is told first; then a clean end."""
    path = install(api_server)
    watch = open_watch(api_server, path)
    api_server.request("POST", path, widget("a"))
    change = {"spec": {"names": {"shortNames": ["wdg"]}}}
    name = "widgets.demo.crlab.dev"
    assert api_server.request("PATCH", f"{CRDS}/{name}", change, content_type=MERGE)[0] == 200
    assert types(events(watch)) == ["ADDED"]
    assert watch.is_ended


def test_equal_watches_share_their_lines(api_server: ApiServer) -> None:
    """The bytes of an event are made once for all watches that show it alike."""
    first, second = open_watch(api_server, MAPS), open_watch(api_server, MAPS)
    api_server.request("POST", MAPS, {"metadata": {"name": "a"}})
    assert first.poll() == second.poll()
    (entry,) = api_server.storage.entries_after("configmaps", api_server.storage.revision - 1)
    assert entry.lines is not None
    assert len(entry.lines) == 1


def test_a_long_backlog_comes_in_pieces(api_server: ApiServer) -> None:
    """One poll never takes the whole log; the reader is told that there is more."""
    watch = open_watch(api_server, MAPS)
    for number in range(POLL_ENTRIES + 10):
        api_server.request("POST", MAPS, {"metadata": {"name": f"a{number}"}})
    assert len(events(watch)) == POLL_ENTRIES
    assert watch.wait(0)
    assert len(events(watch)) == 10


def test_stop_ends_every_watch(api_server: ApiServer) -> None:
    """And nothing keeps listening to the store."""
    watch = open_watch(api_server, MAPS)
    api_server.stop()
    assert watch.is_ended
    assert list(api_server.watches) == []
