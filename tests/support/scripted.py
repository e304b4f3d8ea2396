"""A lister-watcher that answers from a script, and a small truth to answer from."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence

from crlab.client.list_watch import EndOfStream, ListOptions, ListPage, WatchEvent
from crlab.errors import TransportError
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource

PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)


def pod(name: str, rv: int | str = 1, *, namespace: str = "default", uid: str = "", **spec):
    """Return a pod as the cache holds it."""
    return KubeObject(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "uid": uid or f"uid-{name}",
                    "resourceVersion": str(rv),
                },
                "spec": spec,
            }
        ).encode()
    )


def event(kind: str, obj: KubeObject) -> WatchEvent:
    """Return a watch event with an object."""
    return WatchEvent(kind, obj, obj.resource_version)


def bookmark(rv: int | str, *, is_end: bool = False) -> WatchEvent:
    """Return a bookmark."""
    return WatchEvent("BOOKMARK", resource_version=str(rv), is_initial_events_end=is_end)


def error_event(code: int, reason: str = "", message: str = "", **details) -> WatchEvent:
    """Return an in-stream ERROR."""
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    if details:
        status["details"] = details
    return WatchEvent("ERROR", status=status)


class ScriptedStream:
    """A watch stream fed by the test."""

    def __init__(self, script=()) -> None:
        self._cond = threading.Condition()
        self._script = deque(script)
        self.is_closed = False

    def feed(self, *what) -> None:
        """Queue events, or an exception that ends the stream."""
        with self._cond:
            self._script.extend(what)
            self._cond.notify_all()

    def end(self) -> None:
        """End in good order."""
        self.feed(EndOfStream())

    def read(self, timeout_seconds: float | None) -> list[WatchEvent]:
        with self._cond:
            if not self._script and not self.is_closed and timeout_seconds != 0:
                self._cond.wait(timeout_seconds)
            events = []
            while self._script and not isinstance(self._script[0], BaseException):
                events.append(self._script.popleft())
            if events:
                return events
            if self._script:
                raise self._script.popleft()
            if self.is_closed:
                raise TransportError("closed here", phase="watch")
            return []

    def close(self) -> None:
        with self._cond:
            self.is_closed = True
            self._cond.notify_all()


class ScriptedListerWatcher:
    """Answers lists and watches from two scripts; records every request.

    An answer is a value, an exception to raise, or a function of the options. When a script
    has run out, lists answer with the last page again and watches open a silent stream.
    """

    def __init__(self, *, namespace: str | None = None, resource: ApiResource = PODS) -> None:
        self.resource = resource
        self.namespace = namespace
        self.lists: deque = deque()
        self.watches: deque = deque()
        self.default_page = ListPage([], "1")
        self.asked: list[tuple[str, ListOptions]] = []
        self.streams: list[ScriptedStream] = []
        self.renewals = 0
        self.served_as: tuple[str, ...] = ()  # its names in other versions
        self.is_aborted = False
        self.has_opened = threading.Event()

    def list(self, options: ListOptions) -> ListPage:
        self.asked.append(("list", options))
        answer = self.lists.popleft() if self.lists else self.default_page
        return self._answer(answer, options)

    def watch(self, options: ListOptions) -> ScriptedStream:
        kind = "stream" if options.send_initial_events else "watch"
        self.asked.append((kind, options))
        answer = self.watches.popleft() if self.watches else ScriptedStream()
        stream = self._answer(answer, options)
        self.streams.append(stream)
        self.has_opened.set()
        return stream

    @staticmethod
    def _answer(answer, options):
        if callable(answer) and not isinstance(answer, type):
            answer = answer(options)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def stream(self) -> ScriptedStream:
        """The newest stream."""
        return self.streams[-1]

    def verbs(self) -> Sequence[str]:
        """What was asked, in order: "list", "watch" or "stream"."""
        return [verb for verb, _ in self.asked]

    def other_versions(self, on_request=lambda: None) -> tuple[str, ...]:
        on_request()
        self.asked.append(("discover", ListOptions()))
        return self.served_as

    def invalidate_credentials(self) -> None:
        self.renewals += 1

    def abort(self) -> None:
        self.is_aborted = True
