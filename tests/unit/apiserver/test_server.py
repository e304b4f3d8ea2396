"""The server as a whole: determinism, forks, restores, rewinds, waiting."""

from __future__ import annotations

import threading

import pytest
from support.server import CRDS, MERGE, crd, events, install, make_server, open_watch, widget

from crlab.apiserver import ApiServer, HttpRequest, HttpResponse
from crlab.runtime.clock import RealClock

MAPS = "/api/v1/namespaces/default/configmaps"


def put(server: ApiServer, name: str, value: str = "") -> dict:
    status, body = server.request("POST", MAPS, {"metadata": {"name": name}, "data": {"v": value}})
    assert status == 201, body
    return body


def names(server: ApiServer, path: str = MAPS) -> list[str]:
    return [item["metadata"]["name"] for item in server.request("GET", path)[1]["items"]]


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Uids, names, times, revisions and audit ids: notebook outputs can be compared."""

    def run() -> list[bytes]:
        found = []
        with make_server(seed=7) as server:
            for _ in range(3):
                body = b'{"metadata":{"generateName":"a-"}}'
                answer = server.handle(HttpRequest("POST", MAPS, (), {}, body))
                assert isinstance(answer, HttpResponse)
                found.append(answer.body + answer.header("audit-id").encode())
        return found

    assert run() == run()


def test_a_fork_serves_the_same_and_then_its_own(api_server: ApiServer) -> None:
    """Objects, definitions and history come along; later writes do not."""
    path = install(api_server)
    api_server.request("POST", path, widget("a"))
    with api_server.fork() as other:
        assert names(other, path) == ["a"]
        assert other.request("POST", path, widget("b"))[0] == 201
        assert names(api_server, path) == ["a"]
        kinds = [
            row["name"] for row in other.request("GET", "/apis/demo.crlab.dev/v1")[1]["resources"]
        ]
        assert "widgets" in kinds


def test_a_fork_shares_compiled_schemas(api_server: ApiServer) -> None:
    """Its objects are served from their bytes, without another round of defaulting."""
    install(api_server)
    with api_server.fork() as other:
        mine = api_server.registry.get("demo.crlab.dev", "widgets")
        theirs = other.registry.get("demo.crlab.dev", "widgets")
        assert mine is not None
        assert theirs is not None
        assert mine.storage_version.form == theirs.storage_version.form


def test_restore_ends_watches_and_jumps_ahead(api_server: ApiServer) -> None:
    """What a client knew is too old: it lists again, and finds the old objects."""
    put(api_server, "a")
    snapshot = api_server.snapshot()
    put(api_server, "b")
    before = api_server.storage.revision
    watch = open_watch(api_server, MAPS)
    watch.poll()
    assert api_server.restore(snapshot) > before
    watch.poll()
    assert watch.is_ended
    assert names(api_server) == ["a"]
    (event,) = events(open_watch(api_server, MAPS, resourceVersion=str(before)))
    assert event["object"]["code"] == 410


def test_rewind_is_seen_as_ordinary_events(api_server: ApiServer) -> None:
    """Watchers see the inverse changes; nothing ends."""
    put(api_server, "a", "old")
    target = api_server.storage.revision
    put(api_server, "b")
    api_server.request("PATCH", f"{MAPS}/a", {"data": {"v": "new"}}, content_type=MERGE)
    watch = open_watch(api_server, MAPS)
    watch.poll()
    assert api_server.rewind(target) == 2
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in events(watch)]
    assert seen == [("MODIFIED", "a"), ("DELETED", "b")]
    assert api_server.request("GET", f"{MAPS}/a")[1]["data"] == {"v": "old"}


def test_rewind_takes_definitions_back(api_server: ApiServer) -> None:
    """A resource that was defined later is no longer served."""
    target = api_server.storage.revision
    path = install(api_server)
    api_server.rewind(target)
    assert api_server.request("GET", path)[0] == 404
    assert api_server.request("POST", CRDS, crd())[0] == 201


def test_a_future_read_is_refused_at_once_on_a_manual_clock(api_server: ApiServer) -> None:
    """Nobody would move the clock while we wait."""
    status, body = api_server.request("GET", MAPS, query=[("resourceVersion", "999")])
    assert (status, body["details"]["retryAfterSeconds"]) == (504, 1)


def test_a_future_read_waits_for_its_revision() -> None:
    """A write in time answers it."""
    with make_server(RealClock(), wait_seconds=10.0) as server:
        wanted = server.storage.revision + 1
        answers: list[int] = []

        def read() -> None:
            query = [("resourceVersion", str(wanted))]
            answers.append(server.request("GET", MAPS, query=query)[0])

        reader = threading.Thread(target=read)
        reader.start()
        put(server, "a")
        reader.join(10)
        assert answers == [200]


def test_parallel_writers_lose_no_update() -> None:
    """Read-modify-write with retries from several threads: every increment counts."""
    with make_server() as server:
        put(server, "n", "0")

        def work() -> None:
            for _ in range(20):
                while True:
                    body = server.request("GET", f"{MAPS}/n")[1]
                    body["data"]["v"] = str(int(body["data"]["v"]) + 1)
                    if server.request("PUT", f"{MAPS}/n", body)[0] == 200:
                        break

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert server.request("GET", f"{MAPS}/n")[1]["data"] == {"v": "80"}


def test_every_request_is_audited(api_server: ApiServer) -> None:
    """Verb, object, user, code and revision; the ring is bounded."""
    put(api_server, "a")
    record = api_server.audit.records()[-1]
    assert (record.verb, record.resource, record.namespace) == ("create", "configmaps", "default")
    assert (record.code, record.revision) == (201, api_server.storage.revision)


def test_events_live_for_an_hour(api_server: ApiServer) -> None:
    """Of the server's clock, counted from the last write; then a DELETED event."""
    path = "/api/v1/namespaces/default/events"
    body = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}
    api_server.request("POST", path, body)
    watch = open_watch(api_server, path, timeoutSeconds="9999")
    watch.poll()
    api_server.core.clock.advance(3000)
    api_server.request("PATCH", f"{path}/e", {"count": 2}, content_type=MERGE)
    api_server.core.clock.advance(3000)
    assert api_server.request("GET", f"{path}/e")[0] == 200
    api_server.core.clock.advance(601)
    assert [event["type"] for event in events(watch)] == ["MODIFIED", "DELETED"]


@pytest.mark.parametrize("method", ["BREW", "TRACE", "CONNECT", ""])
def test_strange_methods_get_a_status(api_server: ApiServer, method: str) -> None:
    """Never an exception, never a hang."""
    answer = api_server.handle(HttpRequest(method, MAPS))
    assert isinstance(answer, HttpResponse)
    assert answer.status == 405
