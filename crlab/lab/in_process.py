"""The embedded server without a socket: the same handler, called directly.

From: the client's floor, through its `Transport` protocol. To: `ApiServer.handle`, on the
caller's thread. The manual driver uses it, so that nothing moves between two steps and
outputs are the same on every run; so would a browser, which has no sockets.

Thread: as `Transport` says; a stream has one reader and may be closed by any thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from crlab.apiserver.request import HttpRequest, Identity
from crlab.apiserver.request import HttpResponse as ServerResponse
from crlab.apiserver.watch import WatchResponse
from crlab.client.dry_run_check import check_sent
from crlab.client.transport import Query, Response, parse_warnings
from crlab.errors import TransportError
from crlab.model.encoder import check_raw
from crlab.runtime import fork

USER_AGENT = "crlab"


class RequestHandler(Protocol):
    """What is needed of the server."""

    def handle(self, request: HttpRequest) -> ServerResponse | WatchResponse:
        """Answer a request."""


class InProcessTransport:
    """Calls a server in this process.

    `_streams`, `_is_closed` — guarded by `_lock`.
    """

    def __init__(
        self,
        server: RequestHandler,
        *,
        identity: Identity | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Speak as `identity`, or let the server authenticate `headers`."""
        self._server = server
        self._identity = identity
        self._headers = {"user-agent": USER_AGENT, **(headers or {})}
        self._lock = fork.lock()
        self._streams: set[InProcessStream] = set()
        self._is_closed = False

    def session(self) -> InProcessTransport:
        """Return a transport to the same server that can be closed on its own."""
        return InProcessTransport(self._server, identity=self._identity, headers=self._headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
    ) -> Response:
        """Send one request; see `Transport.request`."""
        del timeout_seconds  # nothing is waited for
        check_sent(method, path, query, body)
        phase = "read" if method in ("GET", "HEAD") else "write"
        answer = self._send(method, path, query, headers, body, phase)
        if isinstance(answer, WatchResponse):
            data = answer.poll()
            answer.close()
            return Response(200, {}, data)
        return _response(answer)

    def open_stream(
        self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None
    ) -> InProcessStream:
        """Open a stream; see `Transport.open_stream`."""
        answer = self._send("GET", path, query, headers, None, "watch")
        stream = InProcessStream(answer, self._forget)
        with self._lock:
            if not self._is_closed:
                self._streams.add(stream)
                return stream
        stream.close()
        raise TransportError("this transport is closed", phase="watch")

    def close(self) -> None:
        """End every stream and refuse what comes after."""
        with self._lock:
            self._is_closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        phase: str,
    ) -> ServerResponse | WatchResponse:
        if self._is_closed:
            raise TransportError("this transport is closed", phase=phase)
        if body is not None:
            check_raw(body, f"{method} {path}")
        sent = dict(self._headers)
        sent.update({name.lower(): value for name, value in (headers or {}).items()})
        try:
            return self._server.handle(
                HttpRequest(method, path, tuple(query), sent, body, self._identity)
            )
        except ConnectionError as error:  # a fault: the server hung up before it answered
            refused = isinstance(error, ConnectionRefusedError)
            raise TransportError(str(error), phase=phase, refused=refused) from error

    def _forget(self, stream: InProcessStream) -> None:
        with self._lock:
            self._streams.discard(stream)


class InProcessStream:
    """The body of a watch, read from its cursor."""

    def __init__(self, answer: ServerResponse | WatchResponse, on_close: Any) -> None:
        self._watch = answer if isinstance(answer, WatchResponse) else None
        self._rest = b"" if isinstance(answer, WatchResponse) else answer.body
        self.status = answer.status
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in answer.headers}
        self._on_close = on_close
        self._is_closed = False
        self._born = fork.generation()

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return what is there; see `ByteStream.read`."""
        if self._watch is None:
            data, self._rest = self._rest, b""
            return data
        while True:
            self._check_open()
            data = self._watch.poll()
            if data:
                return data
            self._check_open()
            if self._watch.is_ended:
                return self._end()
            if timeout_seconds == 0 or not self._watch.wait(timeout_seconds):
                raise TimeoutError("nothing came in time")

    def close(self) -> None:
        """End the stream and wake its reader."""
        self._is_closed = True
        if self._watch is not None:
            self._watch.close()
        self._on_close(self)

    def _check_open(self) -> None:
        fork.check(self._born, "this watch")
        if self._is_closed:
            raise TransportError("the stream was closed here", phase="watch")

    def _end(self) -> bytes:
        if getattr(self._watch, "is_cut", False):
            raise TransportError("the connection was cut", phase="watch")
        return b""


def _response(answer: ServerResponse) -> Response:
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    warnings = parse_warnings([v for k, v in answer.headers if k.lower() == "warning"])
    return Response(answer.status, headers, answer.body, warnings)
