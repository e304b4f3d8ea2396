"""Watches over random histories: nothing missed, doubled, reordered or invented.

The rules are those etcd's robustness tests hold a watch to: filtered, ordered, unique,
reliable, resumable, bookmarkable, and creations that are creations. The oracle is a plain
list of what the test itself wrote. CRLAB_HISTORIES sets how many histories each is tried on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.histories import histories
from support.server import make_server

from crlab.apiserver import ApiServer, HttpRequest, WatchResponse
from crlab.runtime.clock import FakeClock

NAMES = ("a", "b", "c")
NAMESPACES = ("default", "kube-public")
TIERS = ("x", "y")
MERGE = "application/merge-patch+json"


@dataclass
class Change:
    """One write the test made: labels before and after, None for absent."""

    revision: int
    namespace: str
    name: str
    before: str | None
    after: str | None


@dataclass
class Watcher:
    """An open watch with everything it must and did say."""

    stream: WatchResponse
    namespace: str
    tier: str
    start: int
    got: list[dict[str, Any]] = field(default_factory=list)

    def poll(self) -> None:
        self.got += [json.loads(line) for line in self.stream.poll().splitlines()]

    @property
    def events(self) -> list[tuple[str, str, str, int]]:
        return [as_event(event) for event in self.got if event["type"] != "BOOKMARK"]


def as_event(event: dict[str, Any]) -> tuple[str, str, str, int]:
    metadata = event["object"]["metadata"]
    return (
        event["type"],
        metadata["namespace"],
        metadata["name"],
        int(metadata["resourceVersion"]),
    )


class World:
    """A server, what was written to it, and who watches."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server: ApiServer = make_server(self.clock)
        self.changes: list[Change] = []
        self.present: dict[tuple[str, str], str] = {}
        self.watchers: list[Watcher] = []

    # --- writes ----------------------------------------------------------------------------------

    def put(self, namespace: str, name: str, tier: str) -> None:
        before = self.present.get((namespace, name))
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        body = {"metadata": {"name": name, "labels": {"tier": tier}}}
        if before is None:
            status, found = self.server.request("POST", collection, body)
            assert status == 201
        else:
            path = f"{collection}/{name}"
            status, found = self.server.request("PATCH", path, body, content_type=MERGE)
            assert status == 200
        if before != tier:
            revision = int(found["metadata"]["resourceVersion"])
            self.changes.append(Change(revision, namespace, name, before, tier))
        self.present[namespace, name] = tier

    def delete(self, namespace: str, name: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        status, _ = self.server.request("DELETE", path)
        before = self.present.pop((namespace, name), None)
        assert status == (404 if before is None else 200)
        if before is not None:
            revision = self.server.storage.revision
            self.changes.append(Change(revision, namespace, name, before, None))

    def write_elsewhere(self) -> None:
        self.server.request(
            "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"generateName": "s-"}}
        )

    # --- watches ---------------------------------------------------------------------------------

    def watch(self, namespace: str, tier: str, start: int) -> None:
        place = f"/namespaces/{namespace}" if namespace else ""
        query = [("watch", "1"), ("resourceVersion", str(start)), ("allowWatchBookmarks", "true")]
        if tier:
            query.append(("labelSelector", f"tier={tier}"))
        answer = self.server.handle(HttpRequest("GET", f"/api/v1{place}/configmaps", tuple(query)))
        assert isinstance(answer, WatchResponse)
        self.watchers.append(Watcher(answer, namespace, tier, start))

    def expected(self, watcher: Watcher) -> list[tuple[str, str, str, int]]:
        found = []
        for change in self.changes:
            if change.revision <= watcher.start:
                continue
            if watcher.namespace and change.namespace != watcher.namespace:
                continue
            was = change.before is not None and change.before == (watcher.tier or change.before)
            now = change.after is not None and change.after == (watcher.tier or change.after)
            kind = {(0, 1): "ADDED", (1, 1): "MODIFIED", (1, 0): "DELETED"}.get((was, now))
            if kind:
                found.append((kind, change.namespace, change.name, change.revision))
        return found


operations = st.one_of(
    st.tuples(
        st.just("put"), st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(TIERS)
    ),
    st.tuples(st.just("delete"), st.sampled_from(NAMESPACES), st.sampled_from(NAMES)),
    st.tuples(st.just("elsewhere")),
    st.tuples(st.just("poll"), st.integers(0, 9)),
    st.tuples(st.just("advance"), st.sampled_from([1.0, 61.0])),
    st.tuples(
        st.just("watch"),
        st.sampled_from(["", *NAMESPACES]),
        st.sampled_from(["", *TIERS]),
        st.integers(0, 12),
    ),
)


def play(steps: list[tuple[Any, ...]]) -> World:
    world = World()
    base = world.server.storage.revision
    for step in steps:
        match step:
            case ("put", namespace, name, tier):
                world.put(namespace, name, tier)
            case ("delete", namespace, name):
                world.delete(namespace, name)
            case ("elsewhere",):
                world.write_elsewhere()
            case ("poll", which):
                for watcher in world.watchers[which : which + 1]:
                    watcher.poll()
            case ("advance", seconds):
                world.clock.advance(seconds)
            case ("watch", namespace, tier, back):
                world.watch(namespace, tier, max(base, world.server.storage.revision - back))
    for watcher in world.watchers:
        watcher.poll()
    return world


@given(st.lists(operations, max_size=40))
@histories(120)
def test_every_watch_tells_exactly_what_happened(steps: list[tuple[Any, ...]]) -> None:
    """Filtered, ordered, unique, reliable: each watcher got its share of the log, no more."""
    world = play(steps)
    for watcher in world.watchers:
        assert watcher.events == world.expected(watcher)


@given(st.lists(operations, max_size=40))
@histories(60)
def test_bookmarks_never_run_ahead_or_back(steps: list[tuple[Any, ...]]) -> None:
    """What follows a bookmark is newer than it; what precedes is not."""
    world = play(steps)
    for watcher in world.watchers:
        highest = watcher.start
        for event in watcher.got:
            revision = int(event["object"]["metadata"]["resourceVersion"])
            if event["type"] == "BOOKMARK":
                assert revision >= highest
            else:
                assert revision > highest or revision > watcher.start == highest
            highest = max(highest, revision)


@given(st.lists(operations, max_size=30), st.integers(0, 30))
@histories(60)
def test_a_watch_can_be_resumed_anywhere(steps: list[tuple[Any, ...]], cut: int) -> None:
    """Events up to a cut, then a new watch from the last revision seen: the same history."""
    world = play(steps)
    for watcher in list(world.watchers):
        seen = watcher.events[:cut]
        last = seen[-1][3] if seen else watcher.start
        world.watch(watcher.namespace, watcher.tier, last)
        resumed = world.watchers.pop()
        resumed.poll()
        assert seen + resumed.events == watcher.events


@given(st.lists(operations, max_size=40), st.integers(0, 40))
@histories(60)
def test_list_then_watch_is_a_fresh_list(steps: list[tuple[Any, ...]], split: int) -> None:
    """Replaying a watch over an older list gives what a list says now."""
    world = World()
    first = [step for step in steps[:split] if step[0] in ("put", "delete", "elsewhere")]
    later = [step for step in steps[split:] if step[0] in ("put", "delete", "elsewhere")]
    apply(world, first)
    _, listed = world.server.request("GET", "/api/v1/configmaps")
    state = {as_key(item): item["metadata"]["resourceVersion"] for item in listed["items"]}
    world.watch("", "", int(listed["metadata"]["resourceVersion"]))
    apply(world, later)
    world.watchers[0].poll()
    for event in world.watchers[0].got:
        key = as_key(event["object"])
        if event["type"] == "DELETED":
            del state[key]
        else:
            assert (event["type"] == "ADDED") == (key not in state)
            state[key] = event["object"]["metadata"]["resourceVersion"]
    _, fresh = world.server.request("GET", "/api/v1/configmaps")
    assert state == {as_key(i): i["metadata"]["resourceVersion"] for i in fresh["items"]}


@given(st.lists(operations, min_size=1, max_size=40))
@histories(60)
def test_every_past_revision_reads_as_it_was(steps: list[tuple[Any, ...]]) -> None:
    """An Exact list at each revision equals the state that was there then."""
    world = World()
    writes = [step for step in steps if step[0] in ("put", "delete", "elsewhere")]
    states = {world.server.storage.revision: dict(world.present)}
    for write in writes:
        apply(world, [write])
        states[world.server.storage.revision] = dict(world.present)
    for revision, state in states.items():
        query = [("resourceVersion", str(revision)), ("resourceVersionMatch", "Exact")]
        _, listed = world.server.request("GET", "/api/v1/configmaps", query=query)
        found = {as_key(i): i["metadata"]["labels"]["tier"] for i in listed["items"]}
        assert found == state
        assert listed["metadata"]["resourceVersion"] == str(revision)


@given(st.lists(operations, max_size=40), st.integers(0, 20))
@histories(40)
def test_rewinding_is_a_history_of_its_own(steps: list[tuple[Any, ...]], back: int) -> None:
    """`rewind` restores the old state by new events, and watchers end where a list does."""
    world = play(steps)
    server, store = world.server, world.server.storage
    target = max(store.revision - back, store.floor)
    past = {key: item.labels for key, item in store.at("configmaps", target)}
    revision = store.revision
    changed = server.rewind(target)
    assert {key: item.labels for key, item in store.items("configmaps")} == past
    assert store.revision == revision + changed


@given(st.lists(operations, max_size=30), st.lists(operations, max_size=10))
@histories(40)
def test_a_restored_snapshot_lists_as_it_was(
    steps: list[tuple[Any, ...]], later: list[tuple[Any, ...]]
) -> None:
    """The objects of then at a revision that is new; every watch of before has ended."""
    world = play(steps)
    server = world.server
    snapshot = server.snapshot()
    before = server.request("GET", "/api/v1/configmaps")[1]
    apply(world, [step for step in later if step[0] in ("put", "delete", "elsewhere")])
    highest = server.storage.revision
    server.restore(snapshot)
    after = server.request("GET", "/api/v1/configmaps")[1]
    assert after["items"] == before["items"]
    assert int(after["metadata"]["resourceVersion"]) > highest
    for watcher in world.watchers:
        watcher.poll()
        assert watcher.stream.is_ended


@given(st.lists(operations, max_size=30))
@histories(60)
def test_refused_and_idle_writes_leave_no_trace(steps: list[tuple[Any, ...]]) -> None:
    """409, 422, dry runs and writes that change nothing: no revision, no event."""
    world = play(steps)
    server = world.server
    revision = server.storage.revision
    world.watch("", "", revision)
    for (namespace, name), tier in world.present.items():
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        path, body = f"{collection}/{name}", {"metadata": {"name": name, "labels": {"tier": tier}}}
        stale = {"metadata": {"resourceVersion": "1", "labels": {"tier": "z"}}}
        wrong = {"metadata": {"labels": {"tier": "not a label!"}}}
        dry = [("dryRun", "All")]
        assert server.request("POST", collection, body)[0] == 409
        assert server.request("PATCH", path, stale, content_type=MERGE)[0] == 409
        assert server.request("PATCH", path, wrong, content_type=MERGE)[0] == 422
        assert server.request("PATCH", path, body, content_type=MERGE)[0] == 200
        assert server.request("DELETE", path, query=dry)[0] == 200
    assert server.storage.revision == revision
    world.watchers[-1].poll()
    assert world.watchers[-1].got == []


def apply(world: World, writes: list[tuple[Any, ...]]) -> None:
    for step in writes:
        match step:
            case ("put", namespace, name, tier):
                world.put(namespace, name, tier)
            case ("delete", namespace, name):
                world.delete(namespace, name)
            case _:
                world.write_elsewhere()


def as_key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]
