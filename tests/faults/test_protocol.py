"""Faults 23-59: what API servers, and whoever sits before them, answer and stream."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from support.fault_proxy import semantic, toxic
from support.fault_rig import IDLE_SECONDS, PATH, FaultRig, cached, truth
from support.poll import pause
from support.server import CRDS, crd, install, make_server, widget

from crlab.cache import polling
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import RealClock

Status, Inject, error_line = semantic.Status, semantic.Inject, semantic.error_line


def change(rig):
    """Change, create and delete while something is broken."""
    rig.put("a", n="2")
    rig.put("c", n="1")
    rig.delete("b")


# A watch that is refused or ended ------------------------------------------------------------


def test_410_at_the_start_of_a_watch_is_one_relist():
    """Fault 23: what was deleted meanwhile is told once, flagged as inferred."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.add(Status(410), "watch", times=1)
        rig.proxy.add(toxic.Latency(0.05), "watch")
        rig.proxy.inject(toxic.HalfOpen())
        change(rig)
        rig.converges()
        assert rig.proxy.journal.count("fault", "status") == 1
        assert rig.count("list") == 1
        assert rig.fold.tombstones == ["default/b"]
        assert rig.fold.kinds("default/b") == ["add", "delete"]


def test_410_in_the_stream_is_one_relist():
    """Fault 24: the same."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.inject(semantic.Drop(None))
        change(rig)
        rig.until(lambda: rig.proxy.journal.count("fault", "drop") == 3)
        rig.proxy.inject(Inject(error_line(410, "Expired")))
        rig.converges()
        assert rig.count("list") == 1
        assert rig.fold.tombstones == ["default/b"]


LASTING = [
    (25, lambda: Status(410), "watch", "degraded"),
    (31, lambda: Status(500), "any", "degraded"),
    (31, lambda: Status(503), "any", "degraded"),
    (31, lambda: Status(504), "any", "degraded"),
    (33, lambda: Status(401), "any", "failed"),
    (34, lambda: Status(403), "any", "failed"),
    (35, lambda: Status(403), "watch", "failed"),
    (36, lambda: Status(404), "any", "gone"),
    (30, lambda: Status(429), "any", "degraded"),
    (30, lambda: semantic.RetryAfter("negative"), "any", "degraded"),
    (26, semantic.TooLarge, "any", "degraded"),
    (39, lambda: Status(200, b"<html>Log in</html>"), "any", "degraded"),
]


@pytest.mark.parametrize(
    ("number", "fault", "match", "word"),
    LASTING,
    ids=[f"{number}-{fault().code}-{match}" for number, fault, match, _ in LASTING],
)
@pytest.mark.parametrize("mode", ["list", "auto"])
def test_a_lasting_refusal_is_not_hammered(number, fault, match, word, mode):
    """Faults 25, 26, 30, 31, 33, 34, 35, 36, 39: at most R_max; the state says it; it heals."""
    with FaultRig(list_mode=mode).start() as rig:
        rig.proxy.add(fault(), match)
        rig.proxy.inject(semantic.End())
        rig.until(lambda: rig.proxy.journal.count("fault") >= 2)
        rig.until_state(word)
        change(rig)
        rig.fails_for(0.5)
        assert word in rig.words
        rig.until(lambda: rig.informer.status.cause)
        if number == 36:
            assert cached(rig.informer) == {}
            assert rig.fold.kinds("default/b") == ["add", "delete"]
        rig.proxy.clear()
        rig.converges()


def test_a_410_for_every_watch_list_is_not_hammered():
    """Fault 25, as client-go does not: also for the streamed list."""
    with FaultRig(list_mode="auto").start() as rig:
        rig.proxy.add(Inject(error_line(410, "Expired")), "watch")
        rig.proxy.inject(semantic.End())
        rig.fails_for(1.0)
        rig.proxy.clear()
        change(rig)
        rig.converges()


def test_a_version_too_large_is_asked_for_only_once():
    """Fault 26: then the newest, whatever it is."""
    with FaultRig(list_mode="list").start() as rig:
        has_version = _with("resourceVersion", lambda value: value not in ("", "0"))
        rig.proxy.add(semantic.TooLarge(), lambda head: not head.is_watch and has_version(head))
        rig.proxy.inject(Inject(error_line(410)))
        change(rig)
        rig.converges()
        assert rig.proxy.journal.count("fault", "too_large") == 1


def _with(name, holds=bool):
    return lambda head: any(holds(value) for value in head.query.get(name, []))


def test_an_expired_page_token_starts_the_list_again():
    """Fault 27: on page three; nobody sees half a list."""
    with FaultRig(list_mode="list", page_size=2) as rig:
        for n in range(9):
            rig.put(f"c{n}")
        rig.start()
        sizes = set()
        rig.informer.indexer.add_change_listener(lambda _: sizes.add(len(rig.informer.indexer)))
        rig.proxy.add(Status(410), _with("continue"), nth=2, times=1)
        rig.proxy.inject(Inject(error_line(410)))
        rig.delete("c0")
        rig.converges()
        assert rig.proxy.journal.happened("status")
        assert sizes <= {10}


def test_pages_of_two_revisions_are_not_put_together():
    """Fault 28: the whole is asked for in one answer."""
    with FaultRig(list_mode="list", page_size=2) as rig:
        for n in range(5):
            rig.put(f"c{n}")
        older = semantic.Body(lambda tree: tree["metadata"].update(resourceVersion="3"))
        rule = rig.start().proxy.add(older, _with("continue"), times=1)
        rig.proxy.inject(Inject(error_line(410)))
        rig.put("a", n="2")
        rig.until(lambda: rule.used)
        rig.converges()
        assert rule.used == 1
        assert any("different revisions" in str(error) for error in rig.errors)


def test_retry_after_is_kept():
    """Fault 29: nothing before it, and no relist after."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.add(semantic.RetryAfter("seconds", seconds=1), "watch", times=1)
        rig.proxy.inject(semantic.End())
        rig.until(lambda: rig.proxy.journal.happened("retry_after"))
        change(rig)
        rig.converges()
        first, second = (e.at_seconds for e in rig.proxy.journal.entries("request")[-2:])
        assert second - first >= 1.0
        assert rig.count("list") == 0


@pytest.mark.parametrize(("form", "low", "high"), [("absurd", 50, 60), ("date", 20, 40)])
def test_retry_after_is_clamped_and_read_as_a_date(form, low, high):
    """Fault 30: an absurd delay is a minute; a date is a delay."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.add(semantic.RetryAfter(form, seconds=30), "watch")
        rig.proxy.inject(semantic.End())
        rig.until_state("degraded")
        assert low <= rig.informer.status.retry_in_seconds <= high


def test_a_single_401_is_answered_at_once():
    """Fault 32: with renewed credentials, no relist, no back-off to see."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.add(Status(401), "watch", times=1)
        rig.proxy.inject(semantic.End())
        change(rig)
        rig.converges()
        assert rig.proxy.journal.count("fault", "status") == 1
        assert rig.count("list") == 0


def test_one_forbidden_namespace_leaves_the_others_live():
    """Fault 34: over real sockets; the status says which part is missing."""
    with FaultRig(namespaces=("default", "kube-system"), list_mode="list") as rig:
        rig.proxy.add(Status(403), lambda head: "kube-system" in head.target)
        rig.put("a")
        rig.informer.start()
        rig.informer.wait_for_sync(10)
        assert list(rig.fold.objects) == ["default/a"]
        assert [part.state.value for part in rig.informer.status.parts] == ["live", "failed"]
        assert "kube-system" in rig.informer.status.cause


@pytest.mark.parametrize("mode", ["list", "auto"])
def test_a_forbidden_watch_is_polled_for_if_asked(mode, monkeypatch):
    """Fault 35: live by lists alone, as often as asked; the watch takes over when it may."""
    monkeypatch.setattr(polling, "WATCH_RETRY_SECONDS", 0.5)
    with FaultRig(list_mode=mode, poll_seconds=0.1) as rig:
        rig.proxy.add(Status(403), "watch")
        rig.put("a")
        rig.put("b")
        rig.informer.start()
        rig.informer.wait_for_sync(10)
        change(rig)
        rig.converges()
        assert rig.informer.status.cause == "polling every 0.1 s: watch is forbidden"
        assert rig.fold.tombstones == ["default/b"]
        rig.proxy.clear()
        rig.until(lambda: rig.informer.status.phase == "watching")
        rig.put("d", n="1")
        rig.converges()
        assert rig.informer.status.cause == ""


@pytest.mark.parametrize("is_whole", [True, False], ids=["crd", "version"])
def test_a_definition_that_goes_and_comes_back_is_a_new_epoch(is_whole):
    """Faults 37, 38: gone; then other UIDs, told as delete and add, nothing raises.

    "version" is a server that says nothing of other versions.
    """
    gvr = GroupVersionResource("demo.crlab.dev", "v1", "widgets")
    resource = ApiResource(gvr, "Widget", True)
    path = gvr.path("default")
    with FaultRig(resource=resource, path=path) as rig:
        install(rig.server)
        rig.server.request("POST", path, widget("w"))
        rig.informer.start()
        rig.informer.wait_for_sync(10)
        rig.mark()
        if is_whole:
            rig.server.request("DELETE", f"{CRDS}/widgets.demo.crlab.dev")
        else:
            rig.proxy.add(Status(404, b"404 page not found"), lambda head: True)
            rig.proxy.inject(semantic.End())
        rig.until_state("gone")
        rig.until(lambda: cached(rig.informer) == {})
        if is_whole:
            rig.until(lambda: rig.server.request("POST", CRDS, crd())[0] == 201)
            rig.server.request("POST", path, widget("w", size=2))
        rig.proxy.clear()
        rig.converges()
        assert rig.fold.kinds("default/w") == ["add", "delete", "add"]


def test_a_version_that_is_served_no_more_leaves_its_objects_alone():
    """Fault 38: gone, and the cause names the version that is served; nothing is deleted."""
    gvr = GroupVersionResource("demo.crlab.dev", "v1beta1", "gauges")
    path, name = gvr.path("default"), "/gauges.demo.crlab.dev"
    with FaultRig(resource=ApiResource(gvr, "Gauge", True), path=path) as rig:
        install(rig.server, "gauges")
        gauge = {"apiVersion": "demo.crlab.dev/v1beta1", "kind": "Gauge", "metadata": {"name": "g"}}
        assert rig.server.request("POST", path, gauge)[0] == 201
        rig.informer.start()
        rig.informer.wait_for_sync(10)

        def serve(is_served):
            definition = rig.server.request("GET", CRDS + name)[1]
            definition["spec"]["versions"][0]["served"] = is_served
            assert rig.server.request("PUT", CRDS + name, definition)[0] == 200

        serve(False)
        rig.until_state("gone")
        cause = rig.informer.status.cause
        assert "but it does gauges.v1.demo.crlab.dev" in cause
        assert list(cached(rig.informer)) == ["default/g"]
        serve(True)
        rig.converges()
        assert "delete" not in rig.fold.kinds("default/g")
        serve(False)
        rig.until_state("gone")
        rig.server.request("DELETE", CRDS + name)
        rig.until(lambda: cached(rig.informer) == {})
        assert rig.fold.tombstones == ["default/g"]
        assert "gauges.v1" not in rig.informer.status.cause


# Lists that are none -------------------------------------------------------------------------

TABLE = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "rows": []}
LISTS = {
    "no items": lambda tree: tree.pop("items") and None,
    "items of another type": lambda tree: tree.update(items={"a": 1}),
    "another kind": lambda tree: tree.update(kind="PodList"),
    "a table": lambda tree: TABLE,
    "a status": lambda tree: json.loads(semantic.status_body(500)),
    "no version": lambda tree: tree["metadata"].pop("resourceVersion") and None,
    "an item without a name": lambda tree: tree["items"][0]["metadata"].pop("name") and None,
    "an item that is null": lambda tree: tree["items"].append(None),
    "an array": lambda tree: [tree],
}


@pytest.mark.parametrize("shape", LISTS)
def test_a_list_that_is_none_deletes_nothing(shape):
    """Faults 39, 45: typed, backed off, the cache untouched."""
    with FaultRig(list_mode="list").start() as rig:
        before = cached(rig.informer)
        rig.proxy.add(semantic.Body(LISTS[shape]), "list")
        rig.proxy.inject(Inject(error_line(410)))
        rig.until(lambda: rig.proxy.journal.count("fault", "body") >= 2)
        assert cached(rig.informer) == before
        assert rig.state == "degraded"
        assert rig.fold.tombstones == []
        rig.proxy.clear()
        rig.converges()


def test_null_items_are_an_empty_list():
    """Fault 45: what Go writes for an empty slice."""
    with FaultRig(list_mode="list").start() as rig:
        rig.delete("a")
        rig.delete("b")
        rig.proxy.add(semantic.Body(lambda tree: tree.update(items=None)), "list")
        rig.proxy.inject(Inject(error_line(410)))
        rig.until(lambda: rig.proxy.journal.happened("body"))
        rig.converges()


# Events that cannot be believed --------------------------------------------------------------


@dataclass
class Event:
    """A damaged event of a change that did happen, and what the table says of it."""

    number: int
    fault: Any
    name: str


def edit(number, name, function):
    return Event(number, lambda: semantic.Edit(function), name)


EVENTS = [
    Event(40, semantic.Garble, "garbage"),
    Event(41, semantic.StripMetadata, "no metadata"),
    edit(41, "empty name", lambda e: e["object"]["metadata"].update(name="")),
    edit(42, "null object", lambda e: e.update(object=None)),
    edit(42, "no object", lambda e: e.pop("object")),
    edit(43, "unknown type", lambda e: e.update(type="RENAMED")),
    edit(43, "no type", lambda e: e.pop("type")),
    edit(44, "wrong kind", lambda e: e["object"].update(kind="Secret")),
    edit(44, "wrong apiVersion", lambda e: e["object"].update(apiVersion="v9")),
    Event(51, lambda: semantic.RewriteRv("x-9"), "odd version"),
    Event(51, lambda: semantic.RewriteRv(""), "empty version"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: f"{e.number}-{e.name}")
@pytest.mark.parametrize("times", [1, 2])
def test_an_event_that_cannot_be_believed_is_not_skipped(event, times):
    """Faults 40, 41, 42, 43, 44, 51: resumed once, then listed; nothing odd is stored."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.add(event.fault(), "watch", times=times - 1)
        assert rig.proxy.inject(event.fault()) == 1
        change(rig)
        rig.converges()
        assert rig.proxy.journal.count("fault") >= times
        assert rig.informer.status.violations >= 1
        assert rig.count("list") == (0 if times == 1 else 1)
        assert set(rig.fold.objects) == {"default/a", "default/c"}


def test_a_version_beyond_64_bits_is_a_number():
    """Fault 51: of an event, then of nothing more; nothing raises."""
    with FaultRig(list_mode="list").start() as rig:
        rig.proxy.inject(semantic.RewriteRv(str(2**70)))
        rig.put("a", n="2")
        rig.until(lambda: rig.informer.last_sync_resource_version == str(2**70))
        rig.proxy.inject(Inject(error_line(410)))
        rig.put("c")
        rig.until(lambda: rig.count("list") >= 1)
        rig.until(lambda: set(cached(rig.informer)) == {"default/a", "default/b", "default/c"})


@pytest.mark.parametrize("code", [500, None], ids=["500", "no code"])
def test_an_error_in_the_stream_is_survived(code):
    """Fault 46: and the silence after it."""
    with FaultRig().start() as rig:
        rig.proxy.inject(Inject(error_line(code)))
        rig.proxy.inject(toxic.HalfOpen())
        change(rig)
        rig.converges()


# Events that are no news ---------------------------------------------------------------------


def test_a_repeated_event_is_told_once():
    """Fault 47: same key, same version."""
    with FaultRig().start() as rig:
        rig.proxy.inject(semantic.Duplicate(3))
        change(rig)
        rig.converges()
        rig.until(lambda: rig.informer.status.ignored_repeated >= 2)
        assert rig.fold.kinds("default/a") == ["add", "update", "update"]
        assert rig.fold.kinds("default/b") == ["add", "delete"]


def test_an_older_state_is_ignored_and_counted():
    """Fault 48: the cache never goes back."""
    with FaultRig().start() as rig:
        rig.proxy.inject(semantic.Stale())
        rig.put("a", n="2")
        rig.put("a", n="3")
        rig.until(lambda: rig.informer.status.ignored_older >= 1)
        rig.converges()
        assert rig.proxy.journal.happened("stale")


def test_order_is_kept_per_key_only():
    """Fault 49: two keys in the opposite order."""
    with FaultRig().start() as rig:
        rig.proxy.inject(semantic.Reorder(2))
        rig.put("a", n="2")
        rig.put("c", n="1")
        rig.put("a", n="3")
        rig.converges()
        assert rig.proxy.journal.happened("reorder")


@pytest.mark.parametrize("mode", ["list", "auto"])
def test_a_restored_server_is_a_new_epoch(mode):
    """Fault 50: the revision went back, the server is silent about it, nobody says so."""
    with FaultRig(list_mode=mode) as rig:
        for n in range(40):
            rig.put("busy", n=str(n))
        rig.start()
        with make_server(RealClock(), secret=rig.secret) as restored:
            restored.start()
            body = {"metadata": {"name": "restored"}}
            assert restored.request("POST", PATH, body)[0] == 201
            assert restored.storage.revision < rig.server.storage.revision
            rig.server.faults.clear()
            old, rig.server = rig.server, restored
            rig.proxy.upstream = restored.url
            rig.proxy.inject(toxic.HalfOpen())
            restored.faults.no_bookmarks("configmaps")
            rig.until(lambda: set(cached(rig.informer)) == {"default/restored"})
            rig.until_state("live")
            rig.until(lambda: set(rig.fold.objects) == {"default/restored"})
            rig.informer.close(2)
            rig.server = old


def test_a_restored_server_that_overtook_the_old_one_is_found_by_an_audit():
    """Fault 50: its revision is not lower any more, so no stream or list shows it."""
    with (
        FaultRig(audit_seconds=0.3) as rig,
        make_server(RealClock(), secret=rig.secret) as restored,
    ):
        rig.start()
        restored.start()
        body = {"metadata": {"name": "restored"}}
        assert restored.request("POST", PATH, body)[0] == 201
        while restored.storage.revision <= rig.server.storage.revision:
            body["data"] = {"n": str(restored.storage.revision)}
            assert restored.request("PUT", f"{PATH}/restored", body)[0] == 200
        old, rig.server = rig.server, restored
        rig.proxy.upstream = restored.url
        rig.proxy.inject(toxic.HalfOpen())
        rig.converges()
        assert rig.informer.status.drifted >= 2
        assert sorted(rig.fold.tombstones) == ["default/a", "default/b"]
        rig.informer.close(2)
        rig.server = old


@pytest.mark.parametrize("version", ["x", "", None, "1"], ids=["garbage", "empty", "none", "low"])
def test_a_bad_bookmark_poisons_nothing(version):
    """Faults 52, 53: ignored, distrusted, counted; a disconnect after it is harmless."""
    meta = {} if version is None else {"resourceVersion": version}
    line = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "apiVersion": "v1"}}
    line["object"]["metadata"] = meta
    with FaultRig().start() as rig:
        rig.proxy.inject(Inject(json.dumps(line).encode() + b"\n"))
        rig.proxy.inject(semantic.End())
        change(rig)
        rig.converges()
        assert rig.informer.status.violations >= 1
        assert rig.informer.last_sync_resource_version.isdigit()


@pytest.mark.parametrize("number", [54, 55])
def test_an_event_the_server_lost_is_found_by_an_audit(number):
    """Faults 54, 55: no stream can tell; the audit names the keys, and a relist mends it."""
    with FaultRig().start() as rig:
        rig.proxy.inject(semantic.Drop())
        rig.delete("b") if number == 55 else rig.put("b", n="lost")
        rig.until(lambda: rig.proxy.journal.happened("drop"))
        rig.until(lambda: rig.informer.indexer.resource_version == str(rig.server.storage.revision))
        problems = [(row.key, row.problem) for row in rig.informer.audit().rows]
        assert problems == [("default/b", "extra" if number == 55 else "version")]
        rig.proxy.inject(Inject(error_line(410)))
        rig.converges()
        assert rig.informer.audit().rows == ()


@pytest.mark.parametrize("number", [54, 55])
def test_an_event_the_server_lost_is_mended_by_audits_if_asked(number):
    """Faults 54, 55: nobody calls anything; it is told, counted, and converges."""
    with FaultRig(audit_seconds=0.2).start() as rig:
        rig.proxy.inject(semantic.Drop())
        rig.delete("b") if number == 55 else rig.put("b", n="lost")
        rig.until(lambda: rig.proxy.journal.happened("drop"))
        rig.converges()
        assert rig.informer.status.drifted == 1
        assert [str(e).partition(":")[0] for e in rig.errors] == [
            "an audit found 1 key that the server holds otherwise"
        ]
        assert rig.fold.tombstones == (["default/b"] if number == 55 else [])


def test_audits_of_a_busy_cache_find_nothing():
    """Faults 54, 55: what is on its way is no drift, however much there is of it."""
    with FaultRig(audit_seconds=0.05).start() as rig:
        for n in range(100):
            rig.put("a", n=str(n))
            pause(0.005)
        rig.until(lambda: rig.informer.status.audits >= 5)
        rig.converges()
        assert rig.informer.status.drifted == 0
        assert rig.errors == []


def test_a_lagging_server_is_not_believed():
    """Fault 56: a list older than what is held is refused; the next one asks for the newest."""
    with FaultRig(list_mode="list") as rig:
        rig.start()
        for n in range(5):
            rig.put("a", n=str(n))
        rig.converges()

        def older(tree):
            tree["metadata"]["resourceVersion"] = "3"
            tree["items"] = []

        rule = rig.proxy.add(semantic.Body(older), "list", times=1)
        rig.proxy.inject(Inject(error_line(410)))
        rig.until(lambda: rule.used == 1)
        rig.converges()
        assert rig.fold.tombstones == []


def test_leaving_the_selector_is_a_deletion():
    """Fault 57: out and in again."""
    with FaultRig(label_selector="app=web") as rig:
        rig.put("moving", {"app": "web"})
        rig.start()
        rig.put("moving", {"app": "db"})
        rig.until(lambda: rig.fold.kinds("default/moving") == ["add", "delete"])
        rig.put("moving", {"app": "web"})
        rig.converges()
        assert rig.fold.kinds("default/moving") == ["add", "delete", "add"]


def test_a_recreated_object_is_not_an_update_of_the_old_one():
    """Fault 58: between two lists; the UIDs differ and it is told so."""
    with FaultRig(list_mode="list").start() as rig:
        uid = rig.fold.objects["default/b"].uid
        rig.proxy.inject(semantic.Drop(None))
        rig.delete("b")
        rig.put("b", n="again")
        rig.until(lambda: rig.proxy.journal.count("fault", "drop") >= 2)
        rig.proxy.inject(Inject(error_line(410)))
        rig.converges()
        assert rig.fold.objects["default/b"].uid != uid
        assert rig.fold.kinds("default/b") in (["add", "delete", "add"], ["add", "update"])


def test_initial_events_without_an_end_fall_back_to_pages():
    """Fault 59: at the deadline; the live store is untouched meanwhile."""
    with FaultRig(list_mode="auto").start() as rig:
        before = cached(rig.informer)
        mute = rig.server.faults.no_bookmarks("configmaps")
        rig.proxy.inject(Inject(error_line(410)))
        began = time.monotonic()
        rig.put("c")
        pause(IDLE_SECONDS / 2)
        assert cached(rig.informer) == before
        rig.until(lambda: rig.count("list") == 1)
        assert time.monotonic() - began >= IDLE_SECONDS * 0.9
        mute.remove()
        rig.converges()


def test_a_list_beyond_its_limit_is_given_up_page_by_page():
    """Fault 60: a typed error with the way out; well again when it fits."""
    with FaultRig(list_mode="list", page_size=2, transport={"max_body_bytes": 20_000}) as rig:
        rig.put("large", pad="x" * 40_000)
        rig.start(is_synced=False)
        rig.until(lambda: any("exceeds" in str(error) for error in rig.errors))
        assert cached(rig.informer) == {}
        rig.delete("large")
        rig.converges()


def test_reading_never_waits_for_handlers():
    """Fault 61: a handler of a second each; 300 events are cached at once."""
    with FaultRig().start() as rig:
        rig.informer.add_event_handler(on_update=lambda old, new: pause(1.0))
        for n in range(300):
            rig.put("a", n=str(n))
        rig.until(lambda: rig.informer.indexer.get_by_key("default/a") is not None)
        rig.until(lambda: rig.fold.kinds("default/a").count("update") == 301, 5)
        rig.until(lambda: cached(rig.informer) == truth(rig.server))
        assert rig.count("watch") == 0, "the server had to close a slow watcher"
