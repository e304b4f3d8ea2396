"""A real informer, real sockets, a proxy that breaks them, the embedded server behind it.

Every limit is scaled down by about a hundred: the idle limit 75 s → 0.6 s, bookmarks 60 s
→ 0.15 s, back-off 0.8-30 s → 5-50 ms, one request a second → twenty.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any
from unittest import mock

import msgspec

from crlab.apiserver import watch as server_watch
from crlab.cache import SharedInformer
from crlab.cache import reflector_state as machine
from crlab.cache.reflector import Timing
from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.client import HttpTransport, ResourceListerWatcher
from crlab.client.endpoint import parse_endpoint
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from support import poll
from support.fault_proxy import FaultProxy
from support.server import make_server

CONFIG_MAPS = ApiResource(GroupVersionResource("", "v1", "configmaps"), "ConfigMap", True)
PATH = "/api/v1/namespaces/default/configmaps"
RATE, BURST = 20.0, 5
IDLE_SECONDS, BOOKMARK_SECONDS = 0.6, 0.15
TIMING = Timing(
    idle_seconds=IDLE_SECONDS,
    stream_deadline_seconds=0.6,
    stream_warning_seconds=0.2,
    backoff_first_seconds=0.005,
    backoff_cap_seconds=0.05,
    max_requests_per_second=RATE,
    request_burst=BURST,
)
PATIENCE_SECONDS = 10.0  # what a busy machine may take; a fault that heals takes 0.1 s


class Fold:
    """A handler that keeps what it was told, folded, and what it must never be told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, KubeObject] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.tombstones: list[str] = []
        self.problems: list[str] = []
        self.dead: set[str] = set()
        self.may_go_back = False
        self.may_rise = False  # with a selector, an object that left may come back

    def on_add(self, obj: KubeObject, is_in_initial_list: bool) -> None:
        with self.lock:
            if obj.key in self.objects:
                self.problems.append(f"{obj.key} was added twice")
            if obj.uid in self.dead and not self.may_rise:
                self.problems.append(f"{obj.key} rose from the dead")
            self._take("add", obj)

    def on_update(self, old: KubeObject, new: KubeObject) -> None:
        with self.lock:
            if self.objects.get(new.key) is not old:
                self.problems.append(f"{new.key}: the old state is not the one told before")
            went_back = int(new.resource_version) < int(old.resource_version)
            if went_back and not self.may_go_back:
                self.problems.append(f"{new.key}: went back to {new.resource_version}")
            self._take("update", new)

    def on_delete(self, obj: Any) -> None:
        with self.lock:
            if isinstance(obj, DeletedFinalStateUnknown):
                self.tombstones.append(obj.key)
            else:
                self.dead.add(obj.uid)
            if self.objects.pop(obj.key, None) is None:
                self.problems.append(f"{obj.key} was deleted twice")
            self.calls.append(("delete", obj.key, ""))

    def _take(self, kind: str, obj: KubeObject) -> None:
        if not obj.name:
            self.problems.append("an object without a name")
        self.objects[obj.key] = obj
        self.calls.append((kind, obj.key, obj.resource_version))

    def handlers(self) -> dict[str, Any]:
        return {"on_add": self.on_add, "on_update": self.on_update, "on_delete": self.on_delete}

    def kinds(self, key: str) -> list[str]:
        return [call[0] for call in self.calls if call[1] == key]


def truth(server: Any, path: str = PATH, selector: str = "") -> dict[str, Any]:
    """Return what the server holds, as {key: object without apiVersion and kind}."""
    query = [("labelSelector", selector)] if selector else []
    status, body = server.request("GET", path, query=query)
    assert status == 200, body
    return {_key(item): _plain(item) for item in body["items"]}


def cached(informer: SharedInformer) -> dict[str, Any]:
    """Return what the cache holds, in the same form."""
    return {obj.key: _plain(obj.raw) for obj in informer.indexer.list()}


def _key(item: dict[str, Any]) -> str:
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else str(meta["name"])


def _plain(item: Any) -> dict[str, Any]:
    if isinstance(item, bytes):
        item = msgspec.json.decode(item)
    return {name: value for name, value in item.items() if name not in ("apiVersion", "kind")}


class FaultRig:
    """One informer behind one proxy; a context that proves that nothing is left behind."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        tls: Any = None,
        client_tls: Any = None,
        resource: ApiResource = CONFIG_MAPS,
        path: str = PATH,
        namespaces: tuple[str | None, ...] = ("default",),
        label_selector: str = "",
        source: dict[str, Any] | None = None,
        credentials: Any = None,
        transport: dict[str, Any] | None = None,
        timing: Timing = TIMING,
        bookmark_seconds: float = BOOKMARK_SECONDS,
        **options: Any,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._patch(server_watch, "BOOKMARK_SECONDS", bookmark_seconds)
        self._patch(machine, "GONE_FIRST_SECONDS", 0.2)
        self._patch(machine, "GONE_CAP_SECONDS", 0.2)
        self._patch(machine, "VERY_SHORT_SECONDS", 0.1)
        self.path, self.selector = path, label_selector
        self.server = self._stack.enter_context(make_server(RealClock()))
        self.server.start()
        self.proxy = self._stack.enter_context(FaultProxy(self.server.url, tls=tls))
        deadlines = {"connect_seconds": 0.5, "first_byte_seconds": 0.5, "silence_seconds": 0.5}
        self.transport = HttpTransport(
            parse_endpoint(self.proxy.url.replace("127.0.0.1", host), tls=client_tls, env={}),
            credentials,
            **{**deadlines, **(transport or {})},
        )
        self._stack.callback(self.transport.close)
        self._parts = (resource, namespaces, source or {}, {"timing": timing, **options})
        self.errors: list[Any] = []
        self.make_informer()
        self.began = 0.0

    def make_informer(self) -> None:
        """Make the informer, or another after the old one was closed, with a noted handler."""
        resource, namespaces, source, options = self._parts
        clock = RealClock()
        sources = [
            ResourceListerWatcher(
                self.transport, resource, name, label_selector=self.selector, **source
            )
            for name in namespaces
        ]
        self.informer = SharedInformer(
            sources if len(sources) > 1 else sources[0],
            driver=ThreadDriver(clock),
            clock=clock,
            ids=Ids(0),
            trace=Trace(clock, max_records=10_000),
            watch_error_handler=self.errors.append,
            **options,
        )
        self.fold = Fold()
        self.fold.may_rise = bool(self.selector)
        self.handler = self.informer.add_event_handler(**self.fold.handlers())

    def _patch(self, owner: Any, name: str, value: Any) -> None:
        self._stack.enter_context(mock.patch.object(owner, name, value))

    def __enter__(self) -> FaultRig:
        return self

    def __exit__(self, kind: Any, *exc_info: object) -> None:
        began = time.monotonic()
        abandoned = self.informer.close(5)
        took = time.monotonic() - began
        self._stack.close()
        if kind is None:
            assert abandoned == (), abandoned
            assert took < 2.0, f"close took {took:.2f} s"

    # Changing the truth ------------------------------------------------------------------

    def put(self, name: str, labels: dict[str, str] | None = None, **data: str) -> None:
        """Create or replace a ConfigMap."""
        body = {"metadata": {"name": name, "labels": labels or {}}, "data": data}
        status, answer = self.server.request("POST", PATH, body)
        if status == 409:
            status, answer = self.server.request("PUT", f"{PATH}/{name}", body)
        assert status in (200, 201), answer

    def delete(self, name: str) -> None:
        status, answer = self.server.request("DELETE", f"{PATH}/{name}")
        assert status == 200, answer

    # Waiting -----------------------------------------------------------------------------

    def start(self, *, is_synced: bool = True) -> FaultRig:
        """Start the informer, with two objects that it may know before anything breaks."""
        self.put("a", pad="x" * 400)
        self.put("b", pad="y" * 400)
        self.informer.start()
        if is_synced:
            self.informer.wait_for_sync(PATIENCE_SECONDS)
            self.until(lambda: self.state == "live" and self.proxy.streams())
            self.put("a", pad="x" * 400, seen="1")  # so that no stream counts as very short
            if not self.selector:
                self.until(lambda: self.fold.kinds("default/a") == ["add", "update"])
        self.mark()
        return self

    def mark(self) -> None:
        """Count from now."""
        self.began = self.proxy.journal.now_seconds
        self.asked = self.informer.status.requests

    @property
    def secret(self) -> str:
        """The part of the server's URL that nobody can guess."""
        return str(self.server.url).rpartition("/")[2]

    @property
    def state(self) -> str:
        return self.informer.status.state.value

    def until(self, predicate: Any, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for something, or fail with everything that is known."""
        poll.until(predicate, seconds, lambda: f"{self.informer.status}\n{self.proxy.journal}")

    def healths(self) -> set[str]:
        """Return every word its state has been, however short."""
        records = self.informer.trace.records()
        return {
            record.data["health"] for record in records if record.kind == "state" and record.data
        }

    def until_state(self, *words: str) -> None:
        self.until(lambda: self.state in words)

    def converges(self, seconds: float = PATIENCE_SECONDS) -> None:
        """C1: the cache becomes the server's state exactly, live, and so does the fold."""
        self.until(
            lambda: (
                cached(self.informer) == truth(self.server, self.path, self.selector)
                and self.state == "live"
                and self.informer.is_settled
            ),
            seconds,
        )
        told = {key: _plain(obj.raw) for key, obj in self.fold.objects.items()}
        assert told == cached(self.informer)
        assert not self.fold.problems, self.fold.problems

    # Counting ----------------------------------------------------------------------------

    def count(self, what: str = "") -> int:
        """Return the requests since the mark: "list", "watch" or both."""
        return self.proxy.journal.count("request", what, self.began)

    def fails_for(self, seconds: float) -> None:
        """Let it fail; C9: it asks no more often than it may, and no state says live."""
        self.mark()
        began, words = time.monotonic(), set()
        while (lasted := time.monotonic() - began) < seconds:
            words.add(self.state)
            poll.pause(0.01)
        asked = self.informer.status.requests - self.asked
        assert asked <= BURST + RATE * lasted + 1, f"{asked} requests in {lasted:.1f} s"
        assert asked >= 2, "it gave up"
        self.words = words
