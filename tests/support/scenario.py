"""Plays a recorded scenario against the embedded server, over HTTP, on a clock moved by hand.

Waiting costs no time: whoever waits for an event or a condition looks, then advances the
server's clock a little, and looks again.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from crlab.apiserver import ApiServer
from support.transcript import (
    ABSENT,
    TRANSCRIPTS,
    Resolver,
    differences,
    fill,
    look_up,
    mark,
)

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMESPACES = "/api/v1/namespaces"
RECORDED_HEADERS = ("content-type", "warning", "retry-after")
PATIENCE_SECONDS = 12.0  # of the virtual clock
TICK_SECONDS = 0.25
LOOK_SECONDS = 0.02  # of real time, for bytes on their way through the socket


@dataclass
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: Any

    def header(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]


class Client:
    """Plain HTTP requests, one connection each, as any client may send them."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self._base = urllib.parse.urlsplit(url)
        self._tokens = tokens

    def send(self, step: dict[str, Any]) -> http.client.HTTPConnection:
        """Send a step's request; return the connection to read from."""
        assert self._base.hostname is not None, "a server's URL has a host"
        connection = http.client.HTTPConnection(self._base.hostname, self._base.port, timeout=20)
        headers = {"Accept": "application/json", "User-Agent": "crlab-transcripts/1"}
        token = self._tokens.get(step.get("as") or "admin")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = step.get("raw_body")
        if step.get("body") is not None:
            body = json.dumps(step["body"])
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers.update(step.get("headers") or {})
        target = self._base.path + step["path"]
        if step.get("query"):
            target += "?" + urllib.parse.urlencode(step["query"], doseq=True)
        payload = body.encode() if body is not None else None
        sent = {key: value for key, value in headers.items() if value is not None}
        connection.request(step.get("method", "GET"), target, payload, sent)
        return connection

    def request(self, step: dict[str, Any]) -> Answer:
        """Send a step's request and read the answer."""
        connection = self.send(step)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        kind = response.getheader("Content-Type") or ""
        return Answer(response.status, response.getheaders(), decode(data, kind))


def decode(data: bytes, content_type: str) -> Any:
    """Return a body parsed, or as text."""
    text = data.decode(errors="replace")
    if "yaml" in content_type:
        return yaml.safe_load(text)
    if "json" in content_type or text.startswith("{"):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text


class Stream:
    """An open watch, read by a thread."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._response = connection.getresponse()
        self.answer = Answer(self._response.status, self._response.getheaders(), None)
        self._events: list[Any] = []
        self._has_ended = False
        self._changed = threading.Condition()
        if self._response.status != 200:
            kind = self._response.getheader("Content-Type") or ""
            self.answer.body = decode(self._response.read(), kind)
            self._has_ended = True
            connection.close()
            return
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
            while line := self._response.readline():
                with self._changed:
                    self._events.append(json.loads(line))
                    self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def next_event(self, tick: Callable[[], None], patience_seconds: float) -> Any:
        """Return the next event, None if none comes in (virtual) time or the stream ended."""
        waited = 0.0
        with self._changed:
            while not self._events:
                if self._has_ended or waited >= patience_seconds:
                    return None
                if not self._changed.wait(LOOK_SECONDS):
                    self._changed.release()
                    try:
                        tick()
                    finally:
                        self._changed.acquire()
                    waited += TICK_SECONDS
            return self._events.pop(0)

    @property
    def has_ended(self) -> bool:
        """Whether the server closed the stream and everything was taken."""
        return self._has_ended and not self._events

    def close(self) -> None:
        """Close from the client's side."""
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(2)
        self._connection.close()


def is_plain_bookmark(event: Any) -> bool:
    """Whether an event only carries a revision."""
    metadata = event.get("object", {}).get("metadata", {})
    is_end = "k8s.io/initial-events-end" in (metadata.get("annotations") or {})
    return event.get("type") == "BOOKMARK" and not is_end


class Scenario:
    """One scenario file and its run against one server."""

    def __init__(
        self,
        document: dict[str, Any],
        server: ApiServer,
        tick: Callable[[], None],
        tokens: dict[str, str],
    ) -> None:
        """`tick` moves the server's clock by `TICK_SECONDS` and lets its controllers work."""
        self._document = document
        self._server = server
        self._tick = tick
        self._client = Client(server.url, tokens)
        self._variables: dict[str, Any] = {}
        self._streams: dict[str, Stream] = {}
        self._pause = threading.Event()  # lets the server's thread answer before the next look
        self._keep = frozenset(self._document.get("keep", []))

    def differences(self) -> list[str]:
        """Run everything; return what is not as recorded."""
        self._set_up()
        steps = self._document["steps"]
        try:
            raw = [getattr(self, "_step_" + step["op"])(step) for step in steps]
        finally:
            for stream in self._streams.values():
                stream.close()
        plain = [{k: v for k, v in step.items() if k != "expect"} for step in steps]
        resolver = Resolver(raw, json.dumps(plain))
        found = []
        for number, (step, answer) in enumerate(zip(steps, raw, strict=True)):
            what = f"{number} {step['op']} {step.get('method', step.get('id', ''))}".rstrip()
            got = resolver.resolve(answer)
            found += [f"{what}: {text}" for text in differences(step.get("expect"), got)]
        return found

    # --- setup ---------------------------------------------------------------------------------

    def _set_up(self) -> None:
        setup = self._document.get("setup", {})
        for name in setup.get("namespaces", []):
            self._create(NAMESPACES, {"kind": "Namespace", "metadata": {"name": name}})
        for entry in setup.get("crds", []):
            text = (TRANSCRIPTS / "crds" / f"{entry['use']}.json").read_text()
            self._create(CRDS, json.loads(text.replace("GROUP", entry["group"])))

    def _create(self, path: str, body: dict[str, Any]) -> None:
        answer = self._client.request({"method": "POST", "path": path, "body": body})
        assert answer.status == 201, f"setup: POST {path}: {answer.body}"

    # --- steps ---------------------------------------------------------------------------------

    def _step_request(self, step: dict[str, Any]) -> Any:
        answer = self._send(step)
        waited = 0.0
        while "until" in step and not holds(step["until"], answer):
            if waited >= min(PATIENCE_SECONDS, step.get("patience", PATIENCE_SECONDS)):
                break
            self._tick()
            waited += TICK_SECONDS
            self._pause.wait(LOOK_SECONDS)
            answer = self._send(step)
        for name, path in step.get("save", {}).items():
            self._variables[name] = look_up(answer.body, path)
        for name, header in step.get("save_headers", {}).items():
            self._variables[name] = ", ".join(answer.header(header))
        if step.get("record") == "none":
            assert answer.status < 400, f"{step['method']} {step['path']}: {answer.body}"
            return None
        return self._recorded(answer, step)

    def _step_watch(self, step: dict[str, Any]) -> Any:
        stream = Stream(self._client.send(self._filled(step)))
        self._streams[step["id"]] = stream
        return self._recorded(stream.answer, step, has_body=stream.answer.status != 200)

    def _step_events(self, step: dict[str, Any]) -> Any:
        stream = self._streams[step["id"]]
        takes_bookmarks = step.get("bookmarks", "count" not in step)
        patience = min(PATIENCE_SECONDS, step.get("patience", PATIENCE_SECONDS))
        events: list[Any] = []
        while "count" not in step or len(events) < step["count"]:
            event = stream.next_event(self._tick, patience)
            if event is None:
                break
            if takes_bookmarks or not is_plain_bookmark(event):
                events.append(event)
        for name, path in step.get("save", {}).items():
            self._variables[name] = look_up(events, path)
        if "count" in step:
            return {"events": [self._picked(mark(event, self._keep), step) for event in events]}
        last = [
            event
            for event, later in itertools.zip_longest(events, events[1:])
            if later is None or not event["type"] == later["type"] == "BOOKMARK"
        ]
        shown = [self._picked(mark(event, self._keep), step) for event in last]
        return {"events": shown, "eof": stream.has_ended}

    def _step_close(self, step: dict[str, Any]) -> None:
        self._streams[step["id"]].close()

    def _step_sleep(self, step: dict[str, Any]) -> None:
        for _ in range(int(step["seconds"] / TICK_SECONDS)):
            self._tick()
            self._pause.wait(LOOK_SECONDS / 2)

    def _step_concurrent(self, step: dict[str, Any]) -> Any:
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=lambda inner=inner: answers.append(self._send(inner)))
            for inner in step["steps"]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"statuses": sorted(answer.status for answer in answers)}

    def _step_check(self, step: dict[str, Any]) -> Any:
        left, right = (fill(step[side], self._variables) for side in ("left", "right"))
        if str(left).isdigit() and str(right).isdigit():
            left, right = int(left), int(right)
        return {"holds": {"==": left == right, "!=": left != right, "<": left < right}[step["is"]]}

    def _step_compact(self, step: dict[str, Any]) -> None:
        del step
        self._server.compact()

    # --- pieces --------------------------------------------------------------------------------

    def _filled(self, step: dict[str, Any]) -> dict[str, Any]:
        skipped = ("until", "save", "expect")
        return {k: fill(v, self._variables) for k, v in step.items() if k not in skipped}

    def _send(self, step: dict[str, Any]) -> Answer:
        filled = self._filled(step)
        if str((step.get("query") or {}).get("watch")) == "true":
            return self._whole_stream(filled)
        return self._client.request(filled)

    def _whole_stream(self, step: dict[str, Any]) -> Answer:
        """Read a watch as a plain answer: everything until its end."""
        stream = Stream(self._client.send(step))
        lines = []
        while (event := stream.next_event(self._tick, PATIENCE_SECONDS)) is not None:
            lines.append(json.dumps(event) + "\n")
        stream.answer.body = "".join(lines)
        return stream.answer

    def _recorded(self, answer: Answer, step: dict[str, Any], *, has_body: bool = True) -> Any:
        headers: dict[str, Any] = {}
        for name in (*RECORDED_HEADERS, *step.get("record_headers", ())):
            if values := answer.header(name):
                headers[name] = values if name == "warning" else ", ".join(values)
        found: dict[str, Any] = {"status": answer.status, "headers": headers}
        if has_body and step.get("record") != "status":
            found["body"] = self._picked(mark(answer.body, self._keep), step)
        return found

    def _picked(self, body: Any, step: dict[str, Any]) -> Any:
        if "pick" not in step:
            return body
        return {path: look_up(body, path) for path in step["pick"]}


def holds(condition: dict[str, Any], answer: Answer) -> bool:
    """Whether an answer is what a step waits for."""
    if "status" in condition and answer.status != condition["status"]:
        return False
    if "path" not in condition:
        return True
    value = look_up(answer.body, condition["path"])
    if "is" in condition:
        return bool(value == condition["is"])
    return (value == ABSENT) == bool(condition.get("absent"))
