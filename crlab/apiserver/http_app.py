"""The embedded server on a socket: aiohttp on loopback, below a secret URL prefix.

From: sockets. To: `ApiServer.begin`, called on the loop's thread (every verb answers in
well under a millisecond and never blocks); reads of future revisions wait in the loop.

Guarantees:
  1. Listens on 127.0.0.1 or ::1 only; a path without the secret prefix is a 404 that
     tells nothing (but for health and version); the secret is compared in constant time
     and never logged.
  2. A Host that is not loopback, or any sign of a browser page (Origin, Sec-Fetch-Site
     other than none or same-origin), is refused with 403; no CORS header is ever sent.
  3. Bodies over `BODY_LIMIT`, headers over 16 KiB and more than `CONNECTION_LIMIT`
     connections are refused; half-sent requests are dropped after `READ_SECONDS`.
  4. A watch whose reader does not read is ended, never buffered: what is not sent is
     still in the log, and when the log moves on the stream ends.

Thread: one, ``crlab-apiserver``, with its own event loop; `start` and `stop` from others.
Source: kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/handlers/watch.go.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from aiohttp import web

from crlab.apiserver.auth.authentication import GROUP_SEPARATOR
from crlab.apiserver.negotiation import error_response
from crlab.apiserver.request import BODY_LIMIT, HttpRequest, HttpResponse
from crlab.apiserver.root import PUBLIC_PATHS, public_answer
from crlab.apiserver.status import StatusError, too_large
from crlab.apiserver.verb.read import FutureRevision
from crlab.apiserver.watch import WatchResponse
from crlab.errors import ConfigError, StopTimeout
from crlab.runtime import fork
from crlab.runtime.thread import StageThread

if TYPE_CHECKING:
    from crlab.apiserver.server import ApiServer

DRAIN_LIMIT = 2 * BODY_LIMIT  # read that far, so that a client still writing hears its 413
CONNECTION_LIMIT = 256
READ_SECONDS = 30.0
STOP_SECONDS = 5.0
STALL_SECONDS = 60.0
SHUTDOWN_SECONDS = 0.2
_HEADER_LIMIT = 16_384
_SAME_SITE = ("", "none", "same-origin")

_silent = logging.getLogger("crlab.apiserver.http_app")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class _Refused(asyncio.Protocol):
    """A connection over the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class HttpServer:
    """One listening socket and the thread that serves it."""

    def __init__(self, api: ApiServer, *, host: str, port: int, prefix: str) -> None:
        """Prepare; `start` binds.

        Raises:
            ConfigError: the host is not a loopback address.
        """
        if not _is_loopback(host):
            raise ConfigError(
                f"the embedded server listens on loopback only, not on {host!r}: it has no TLS "
                "and whoever reaches it is the administrator"
            )
        self._api = api
        self._host = host
        self._port = port
        self._prefix = prefix
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._is_stopping = False
        self._born = fork.generation()
        self._ready: Future[int] = Future()
        self._thread = StageThread("apiserver", self._run)
        self._server: web.Server | None = None
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """The base URL with the secret prefix."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{self._prefix}"

    def start(self) -> None:
        """Bind and serve; returns once requests are answered."""
        self._thread.start()
        self._port = self._ready.result()

    def stop(self) -> None:
        """Close every connection and end the thread.

        Raises:
            StopTimeout: the thread did not end.
        """
        if self._born != fork.generation():
            return  # the loop, its sockets and its thread are the parent's
        self._is_stopping = True  # for a thread that has not come so far
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with suppress(RuntimeError):  # the loop ended by itself
                loop.call_soon_threadsafe(stopping.set)
        if not self._thread.join(STOP_SECONDS):
            raise StopTimeout([self._thread.name], timeout_seconds=STOP_SECONDS)

    # --- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        if self._is_stopping:
            self._stopping.set()
        self._server = server = web.Server(
            self._handle,
            handler_cancellation=True,  # a watch ends with its connection, not minutes later
            access_log=None,
            logger=_silent,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            lingering_time=0,
            keepalive_timeout=READ_SECONDS,
        )
        listener = self._bind()
        endpoint = await self._loop.create_server(self._accept, sock=listener, backlog=128)
        self._ready.set_result(listener.getsockname()[1])
        await self._stopping.wait()
        endpoint.close()
        for task in list(self._tasks):
            task.cancel()
        await server.shutdown(SHUTDOWN_SECONDS)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError:
            listener.close()
            raise
        return listener

    def _accept(self) -> asyncio.BaseProtocol:
        """Make the protocol of a new connection; one too many is closed at once."""
        assert self._server is not None
        assert self._loop is not None
        if len(self._server.connections) >= CONNECTION_LIMIT:
            return _Refused()
        handler = self._server()
        self._silent[handler] = self._loop.call_later(READ_SECONDS, self._give_up, handler)
        return handler

    def _give_up(self, handler: web.RequestHandler) -> None:
        """Close a connection that has not sent one whole request."""
        if self._silent.pop(handler, None) is not None:
            handler.force_close()

    # --- one request -------------------------------------------------------------------------

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        timer = self._silent.pop(raw.protocol, None)
        if timer is not None:
            timer.cancel()
        refusal = self._refuse(raw)
        if refusal is not None:
            return refusal
        try:
            request = await self._read(raw)
        except StatusError as error:
            shape = HttpRequest(raw.method, raw.path, (), {"accept": raw.headers.get("Accept", "")})
            return _whole(error_response(shape, error))
        try:
            await self._delay(self._api.fault_gate.delay_seconds(request))
            answer = self._api.begin(request)
            if isinstance(answer, FutureRevision):
                await self._await_revision(answer)
                answer = self._api.begin(request, may_wait=False)
        except ConnectionError:  # a fault: hang up without an answer
            if raw.transport is not None:
                raw.transport.abort()
            return web.Response(status=500)
        if isinstance(answer, WatchResponse):
            return await self._stream(raw, answer)
        assert isinstance(answer, HttpResponse)
        return _whole(answer, head=raw.method == "HEAD")

    def _refuse(self, raw: web.BaseRequest) -> web.Response | None:
        hosts = raw.headers.getall("Host", [])
        if len(hosts) != 1 or not self._is_own_host(hosts[0]):
            return web.Response(status=403, text="this server answers to loopback names only\n")
        if "Origin" in raw.headers or raw.headers.get("Sec-Fetch-Site", "") not in _SAME_SITE:
            return web.Response(status=403, text="this server does not answer web pages\n")
        path = raw.rel_url.raw_path
        given = path[: len(self._prefix)].encode()
        is_below = len(path) == len(self._prefix) or path[len(self._prefix) :].startswith("/")
        if not hmac.compare_digest(given, self._prefix.encode()) or not is_below:
            if path in PUBLIC_PATHS and raw.method == "GET":
                # kubectl 1.32 drops the prefix from `get --raw`; this tells only that we run
                return _whole(public_answer(path))
            return web.Response(status=404, text="404 page not found\n")
        return None

    def _is_own_host(self, host: str) -> bool:
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        return port == str(self._port) and name in ("localhost", "127.0.0.1", "[::1]")

    async def _read(self, raw: web.BaseRequest) -> HttpRequest:
        body = None
        if raw.can_read_body:
            pieces, size = [], 0
            async with asyncio.timeout(READ_SECONDS):
                async for piece in raw.content.iter_any():
                    size += len(piece)
                    if size > DRAIN_LIMIT:
                        break
                    if size <= BODY_LIMIT:
                        pieces.append(piece)
            if size > BODY_LIMIT:
                raise too_large(BODY_LIMIT)
            body = b"".join(pieces)
        url = raw.rel_url
        path = url.raw_path[len(self._prefix) :] or "/"
        headers = {key.lower(): value for key, value in raw.headers.items()}
        for key in headers:
            if key.startswith("impersonate-"):  # the one family that repeats with a meaning
                headers[key] = GROUP_SEPARATOR.join(raw.headers.getall(key))
        return HttpRequest(raw.method, path, tuple(url.query.items()), headers, body)

    async def _delay(self, seconds: float) -> None:
        """Wait on the server's clock: an injected latency."""
        if not seconds:
            return
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        appointment = self._api.core.alarm.call_in(
            seconds, lambda: loop.call_soon_threadsafe(over.set)
        )
        try:
            await over.wait()
        finally:
            appointment.cancel()

    async def _await_revision(self, future: FutureRevision) -> None:
        """Wait in the loop until the store is there, or patience ends."""
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()
        storage = self._api.storage

        def wake(*_: object) -> None:
            if storage.revision >= future.revision:
                loop.call_soon_threadsafe(reached.set)

        cancel = storage.subscribe(wake)
        appointment = self._api.core.alarm.call_in(
            self._api.core.wait_seconds, lambda: loop.call_soon_threadsafe(reached.set)
        )
        try:
            if storage.revision < future.revision:
                await reached.wait()
        finally:
            appointment.cancel()
            cancel()

    async def _stream(self, raw: web.BaseRequest, watch: WatchResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        for key, value in watch.headers:
            response.headers.add(key, value)
        response.enable_chunked_encoding()
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is gone; so is the reader
                loop.call_soon_threadsafe(ready.set)

        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await response.prepare(raw)
            watch.on_ready(wake)
            while not watch.is_ended:
                await ready.wait()
                ready.clear()
                data = watch.poll()
                if data:
                    async with asyncio.timeout(STALL_SECONDS):
                        await response.write(data)
            if watch.is_cut:
                raise ConnectionResetError
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            if raw.transport is not None:
                raw.transport.abort()
        finally:
            self._tasks.discard(task)
            watch.on_ready(None)
            watch.close()
        return response


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _whole(answer: HttpResponse, *, head: bool = False) -> web.Response:
    response = web.Response(status=answer.status, body=b"" if head else answer.body)
    for key, value in answer.headers:
        response.headers.add(key, value)
    return response


__all__ = ["HttpServer"]
