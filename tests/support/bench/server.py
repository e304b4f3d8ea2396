"""A static API server: every byte it sends was encoded before it says that it is ready.

    python -m support.bench.server KIND OBJECTS EVENTS RATE

It answers discovery, lists (pages of 500, or whole when no limit is asked), streamed lists,
and watches. A watch sends nothing until ``/start`` was asked for, then EVENTS lines: all at
once (RATE 0), or RATE a second, each stamped with the moment it was sent.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from support.bench import payload

CHUNK_BYTES = 256 * 1024
DISTINCT = 1000


class StaticServer:
    """One collection over plain HTTP/1.1."""

    def __init__(self, kind: payload.Kind, count: int, events: int, rate: float) -> None:
        texts = payload.objects(kind, count)
        self.kind = kind
        self.pages = payload.pages(kind, texts, 500)
        self.texts = texts
        self._whole: bytes | None = None
        distinct = min(count, DISTINCT)
        changed = payload.objects(kind, events, first_version=1001 + count, distinct=distinct)
        self.lines = payload.lines(changed)
        self.rate = rate
        self.start = threading.Event()
        self.discovery = _discovery(kind)

    @property
    def whole(self) -> bytes:
        if self._whole is None:
            self._whole = payload.pages(self.kind, self.texts, len(self.texts) or 1)[""]
        return self._whole

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection, until it ends."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as reader:
            try:
                while request := reader.readline():
                    while reader.readline() not in (b"\r\n", b"\n", b""):
                        pass
                    self._answer(connection, request.split()[1].decode())
            except OSError:
                return  # the client went away

    def _answer(self, connection: socket.socket, target: str) -> None:
        url = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        path = url.path.rstrip("/")
        if path == "/start":
            self.start.set()
            _send(connection, b"{}")
        elif path in self.discovery:
            _send(connection, self.discovery[path])
        elif path != self.kind.path:
            _send(connection, _status(404), "404 Not Found")
        elif query.get("watch") in ("1", "true", "True"):
            self._watch(connection, query)
        elif "limit" in query:
            _send(connection, self.pages[query.get("continue", "")])
        else:
            _send(connection, self.whole)

    def _watch(self, connection: socket.socket, query: dict[str, str]) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        if query.get("sendInitialEvents") == "true":
            for block in _blocks(payload.lines(self.texts, b"ADDED")):
                _chunk(connection, block)
            _chunk(connection, payload.initial_end(self.kind, 1000 + len(self.texts)))
        self.start.wait()
        if not self.rate:
            for block in _blocks(self.lines):
                _chunk(connection, block)
        else:
            began, pause = time.monotonic(), threading.Event()
            for number, line in enumerate(self.lines):
                pause.wait(max(0.0, began + number / self.rate - time.monotonic()))
                _chunk(connection, payload.stamped(line, time.monotonic_ns()))
        while connection.recv(1):
            pass


def _blocks(lines: list[bytes]) -> Iterator[bytes]:
    """Join lines into large pieces, cut anywhere, as a socket delivers them."""
    held, size = [], 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _chunk(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def _send(connection: socket.socket, body: bytes, status: str = "200 OK") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    connection.sendall(head.encode() + b"\r\n\r\n")
    connection.sendall(body)


def _status(code: int) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return json.dumps({**body, "metadata": {}, "reason": "NotFound", "message": "no"}).encode()


def _discovery(kind: payload.Kind) -> dict[str, bytes]:
    group, _, version = kind.api_version.rpartition("/")
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    resource = {"name": kind.plural, "singularName": kind.kind.lower(), "namespaced": True}
    resource |= {"kind": kind.kind, "verbs": verbs}
    served = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": kind.api_version}
    named = {"groupVersion": kind.api_version, "version": version}
    groups = [{"name": group, "versions": [named], "preferredVersion": named}] if group else []
    core = {**served, "groupVersion": "v1", "resources": [] if group else [resource]}
    found: dict[str, dict] = {
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0", "platform": "linux"},
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "/api/v1": core,
        f"/apis/{kind.api_version}": {**served, "resources": [resource]},
    }
    return {path: json.dumps(body).encode() for path, body in found.items()}


def main(kind: str, count: str, events: str, rate: str) -> None:
    """Serve until killed; the first line printed is the URL."""
    server = StaticServer(payload.KINDS[kind], int(count), int(events), float(rate))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
