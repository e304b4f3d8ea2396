"""One socket to the server: connected, encrypted, read and written with deadlines.

From: `connection.Connection`. To: the kernel.

Guarantees:
  1. No call blocks without a limit, except `receive(None)`.
  2. `abort`, from any thread, wakes whoever waits here within 50 ms: while a name is
     looked up, a connection made, a handshake held, bytes awaited.
  3. The descriptor is closed by its owner only, so that its number is never reused under
     a waiting thread.

Why not urllib3's connections: their reads can neither be polled nor resumed after a
time-out, and cannot be woken while they connect.

Thread: one owner; `abort` from any thread.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import select
import socket
import ssl
import threading
from typing import Any
from urllib.parse import SplitResult, unquote

from crlab.client.endpoint import Endpoint
from crlab.errors import TransportError
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.thread import StageThread

RECEIVE_BYTES = 256 * 1024
FIRST_RECEIVE_BYTES = 64 * 1024  # a fresh buffer from the system costs more than a call
SLICE_SECONDS = 0.05

_Address = tuple[int, int, int, str, Any]
_WANT_READ = (BlockingIOError, ssl.SSLWantReadError)


class Wire:
    """A stream socket with deadlines and an abort."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        """Prepare; `connect` opens it."""
        self._endpoint = endpoint
        self._clock = clock
        self._socket: socket.socket | None = None
        self._receive_bytes = FIRST_RECEIVE_BYTES
        self.is_aborted = False
        self._born = fork.generation()

    def connect(self, context: ssl.SSLContext | None, timeout_seconds: float) -> None:
        """Connect, through the proxy if there is one, and shake hands.

        Raises:
            TransportError: phase "connect", with what failed.
        """
        deadline = Deadline(self._clock, timeout_seconds)
        endpoint = self._endpoint
        proxy = endpoint.proxy
        host, port = endpoint.host, endpoint.port
        if proxy is not None:
            host, port = proxy.hostname or "", proxy.port or 80
        try:
            self._dial(host, port, deadline)
            if proxy is not None and endpoint.is_tls:
                self._tunnel(proxy, deadline)
            if context is not None:
                self._handshake(context, endpoint.tls.server_name or endpoint.host, deadline)
        except TimeoutError:
            self.close()
            raise self._failed(f"no connection within {timeout_seconds:g} s") from None
        except TransportError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise self._failed(_reason(error), isinstance(error, ConnectionRefusedError)) from None

    def send(self, data: bytes, timeout_seconds: float) -> None:
        """Send everything.

        Raises:
            TransportError: phase "write".
        """
        view = memoryview(data)
        while view:
            self._require_open("write")
            try:
                view = view[self._live().send(view) :]
                continue
            except (BlockingIOError, ssl.SSLWantWriteError):
                write = True
            # TLS may have to read before it can write (its own messages, as for new keys).
            except ssl.SSLWantReadError:
                write = False
            except OSError as error:
                self._require_open("write")
                raise self._failed(_reason(error), phase="write") from None
            if not self._ready(timeout_seconds, write=write):
                raise self._failed(f"nothing was taken for {timeout_seconds:g} s", phase="write")

    def receive(self, timeout_seconds: float | None) -> bytes:
        """Return what is there, waiting for at least one byte; b"" is the end.

        Raises:
            TimeoutError: nothing came in time; the wire stays usable.
            TransportError: phase "read": cut, or aborted here.
        """
        deadline = Deadline(self._clock, timeout_seconds)
        while True:
            self._require_open("read")
            try:
                data = self._live().recv(self._receive_bytes)
            except _WANT_READ:
                write = False
            except ssl.SSLWantWriteError:
                write = True
            except OSError as error:
                self._require_open("read")
                raise self._failed(_reason(error), phase="read") from None
            else:
                # An abort looks like a clean end from here: after a shutdown `recv` returns b"".
                if not data:
                    self._require_open("read")
                is_much = len(data) >= FIRST_RECEIVE_BYTES
                self._receive_bytes = RECEIVE_BYTES if is_much else FIRST_RECEIVE_BYTES
                return data
            if not self._ready(deadline.remaining_seconds(), write=write):
                raise TimeoutError

    @property
    def is_stale(self) -> bool:
        """Whether an idle wire was closed by the other side (or sends what nobody asked for)."""
        try:
            return self.is_aborted or self._ready(0.0, write=False)
        except (OSError, ValueError):
            return True

    @property
    def has_answer(self) -> bool:
        """Whether bytes can be read now, although a send failed."""
        # A server that refuses a body answers and closes before it has read it all: its answer is
        # worth more than the error of the send.
        try:
            return self._socket is not None and self._ready(0.5, write=False)
        except (OSError, ValueError):
            return False

    def abort(self) -> None:
        """Wake whoever waits here; every later call fails. Any thread."""
        self.is_aborted = True
        live = self._socket
        # A shutdown ends the connection of every process that has it.
        if live is not None and self._born == fork.generation():
            try:
                # SSLSocket.shutdown would drop the TLS state under the reader.
                socket.socket.shutdown(live, socket.SHUT_RDWR)
            except OSError:
                pass  # not connected yet, or closed: the slices of `_ready` notice

    def close(self) -> None:
        """Close the descriptor. Owner only."""
        live, self._socket = self._socket, None
        if live is not None:
            live.close()

    def _live(self) -> socket.socket:
        if self._socket is None:
            raise self._failed("the connection is closed", phase="read")
        return self._socket

    def _require_open(self, phase: str) -> None:
        fork.check(self._born, f"this connection to {self._endpoint.authority}")
        if self.is_aborted:
            raise self._failed("closed here", phase=phase)

    def _failed(
        self, text: str, refused: bool = False, *, phase: str = "connect"
    ) -> TransportError:
        endpoint = self._endpoint
        through = ""
        if endpoint.proxy is not None:
            through = f" (through the proxy {endpoint.proxy.hostname})"
        return TransportError(
            f"{phase} {endpoint.authority}{through}: {text}", phase=phase, refused=refused
        )

    def _ready(self, timeout_seconds: float | None, *, write: bool, sliced: bool = False) -> bool:
        """Wait until the socket can be used; False if time ran out."""
        live = self._live()
        # Bytes that the TLS layer has decrypted already: `poll` knows only the socket.
        if timeout_seconds != 0.0 and isinstance(live, ssl.SSLSocket) and live.pending():
            return True
        deadline = Deadline(self._clock, timeout_seconds)
        while True:
            left = deadline.remaining_seconds()
            # A socket that is not connected yet cannot be shut down, so `abort` cannot end a poll:
            # its flag is looked at between slices.
            part = min(left, SLICE_SECONDS) if sliced and left is not None else left
            if _poll(live, write, part):
                return True
            if self.is_aborted or deadline.is_over():
                return self.is_aborted

    def _dial(self, host: str, port: int, deadline: Deadline) -> None:
        failure: OSError | None = None
        for family, kind, protocol, _, address in self._resolve(host, port, deadline):
            live = socket.socket(family, kind, protocol)
            self._socket = live
            live.setblocking(False)
            try:
                # It returns at once, connected or not: what came of it is in SO_ERROR, later.
                live.connect_ex(address)
                if not self._ready(deadline.remaining_seconds(), write=True, sliced=True):
                    raise TimeoutError
                self._require_open("connect")
                number = live.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise OSError(number, os.strerror(number))
                # Every request is waited for: Nagle's algorithm would hold small ones back. And a
                # watch may be silent for minutes: keep-alive finds a peer that is gone.
                live.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                live.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return
            except TimeoutError:
                raise
            except OSError as error:
                failure = error
                self.close()
        raise failure or OSError(f"no address for {host}")

    def _resolve(self, host: str, port: int, deadline: Deadline) -> list[_Address]:
        """Look a name up again for every connection, in a thread that can be left behind."""
        if host == "localhost" or _is_address(host):
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        found: list[list[_Address]] = []
        failed: list[OSError] = []
        done = threading.Event()

        def look_up() -> None:
            try:
                found.append(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
            except OSError as error:
                failed.append(error)
            finally:
                done.set()

        # `getaddrinfo` has no time limit and nothing can interrupt it.
        StageThread("resolve", look_up).start()
        while not done.wait(min(SLICE_SECONDS, deadline.remaining_seconds() or 0.0)):
            self._require_open("connect")
            if deadline.is_over():
                raise TimeoutError
        if failed:
            raise self._failed(f"the name {host} cannot be resolved") from None
        return found[0]

    def _tunnel(self, proxy: SplitResult, deadline: Deadline) -> None:
        """Ask the proxy for a connection to the server."""
        authority = self._endpoint.authority
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if proxy.username:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            token = base64.b64encode(pair.encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {token}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode(), deadline.remaining_seconds() or 0.0)
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.receive(deadline.remaining_seconds())
            head += data
            if not data or len(head) > 64 * 1024:
                raise self._failed("the proxy's answer is not HTTP")
        status = head.split(None, 2)[1:2]
        if status != [b"200"]:
            code = status[0].decode("ascii", "replace")[:3] if status else "?"
            hint = " (it asks for credentials)" if code == "407" else ""
            raise self._failed(f"the proxy answered {code}{hint}")

    def _handshake(self, context: ssl.SSLContext, name: str, deadline: Deadline) -> None:
        live = context.wrap_socket(
            self._live(), server_hostname=name, do_handshake_on_connect=False
        )
        # `wrap_socket` takes the descriptor away from the plain socket: from here on `abort` must
        # find this one.
        self._socket = live
        while True:
            self._require_open("connect")
            try:
                live.do_handshake()
                return
            except ssl.SSLWantReadError:
                write = False
            except ssl.SSLWantWriteError:
                write = True
            if not self._ready(deadline.remaining_seconds(), write=write, sliced=True):
                raise TimeoutError


def is_readable(fd: int, timeout_seconds: float | None) -> bool:
    """Wait until a descriptor can be read; False if time ran out."""
    return _poll(fd, False, timeout_seconds)


def _poll(live: socket.socket | int, write: bool, timeout_seconds: float | None) -> bool:
    # `select` fails on descriptors from 1024 on, which a long notebook session may reach.
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(live, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(None if timeout_seconds is None else timeout_seconds * 1000))
    sockets = [live]
    readable, writable, broken = select.select(
        [] if write else sockets, sockets if write else [], sockets, timeout_seconds
    )
    return bool(readable or writable or broken)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted: {error.verify_message} "
            "(check certificate-authority and the host name; verification is never skipped)"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'no TLS server there?'}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    return error.strerror or type(error).__name__
