"""The proxy: one listener, one thread per connection, rules that say what breaks."""

from __future__ import annotations

import random
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from support.fault_proxy.fault import Ended, Fault
from support.fault_proxy.http1 import Head, Source, chunk
from support.fault_proxy.journal import Journal

Match = str | Callable[[Head], bool]
_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Rule:
    """A fault for requests that match: from the `nth` on, `times` of them, for `seconds`.

    `match` is "list" (a GET that is no watch), "watch", "any", "connect", or a predicate.
    """

    def __init__(
        self,
        fault: Fault,
        match: Match = "any",
        *,
        nth: int = 1,
        times: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self.fault, self.match, self.nth, self.times = fault, match, nth, times
        self._until = None if seconds is None else time.monotonic() + seconds
        self.seen = self.used = 0

    def takes(self, head: Head | None) -> bool:
        """Whether this request gets the fault; counts it."""
        if not self._fits(head) or (self._until and time.monotonic() > self._until):
            return False
        self.seen += 1
        if self.seen < self.nth or self.is_spent:
            return False
        self.used += 1
        return True

    @property
    def is_spent(self) -> bool:
        """Whether no request can get the fault any more."""
        return self.times is not None and self.used >= self.times

    def _fits(self, head: Head | None) -> bool:
        if head is None or self.match == "connect":
            return head is None and self.match == "connect"
        if callable(self.match):
            return self.match(head)
        is_watch = head.is_watch
        kinds = {"any": True, "watch": is_watch, "list": head.method == "GET" and not is_watch}
        return kinds[self.match]


class FaultProxy:
    """Forwards to `upstream` (a URL) and breaks what its rules say; use it as a context."""

    def __init__(
        self,
        upstream: str,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        seed: int = 0,
    ) -> None:
        self.upstream = upstream
        self.tls, self.host, self.port = tls, host, 0
        self.random = random.Random(seed)
        self.journal = Journal()
        self.is_closed = threading.Event()
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._exchanges: set[Exchange] = set()
        self._threads: list[threading.Thread] = []
        self._connections = 0
        self._listener: socket.socket | None = None
        self.up()

    @property
    def url(self) -> str:
        """The upstream's URL, prefix included, through here."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host}:{self.port}{urlsplit(self.upstream).path}"

    # Script ------------------------------------------------------------------------------

    def add(self, fault: Fault, match: Match = "any", **when) -> Rule:
        """Let requests (or connections) to come meet a fault."""
        rule = Rule(fault, match, **when)
        with self._lock:
            self._rules = [r for r in self._rules if not r.is_spent]
            self._rules.append(rule)
        return rule

    def inject(self, fault: Fault) -> int:
        """Break the watch streams that are open now; return how many there are."""
        streams = self.streams()
        for taken in [exchange.command(fault) for exchange in streams]:
            taken.wait(2)
        return len(streams)

    def clear(self) -> None:
        """Let requests to come be; streams keep the faults they have."""
        with self._lock:
            self._rules.clear()

    def streams(self) -> list[Exchange]:
        """Return the watch streams that are open."""
        with self._lock:
            return [exchange for exchange in self._exchanges if exchange.is_stream]

    def faults_for(self, head: Head | None) -> list[Fault]:
        with self._lock:
            return [rule.fault for rule in self._rules if rule.takes(head)]

    # Life --------------------------------------------------------------------------------

    def up(self) -> None:
        """Listen, on the same port as before."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        self._thread(self._accept, self._listener)

    def down(self) -> None:
        """Refuse connections and cut those there are (toxiproxy's "down")."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self.journal.note(0, "fault", "down")
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for exchange in self._all():
            exchange.shut()

    def close(self) -> None:
        """End everything; idempotent."""
        self.is_closed.set()
        self.down()
        for thread in self._threads:
            thread.join(2)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _all(self) -> list[Exchange]:
        with self._lock:
            return list(self._exchanges)

    def _thread(self, target: Callable, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="fault-proxy", daemon=True)
        with self._lock:
            self._threads = [t for t in self._threads if t.is_alive()]
            thread.start()
            self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self._connections += 1
            exchange = Exchange(self, sock, self._connections)
            with self._lock:
                self._exchanges.add(exchange)
            self._thread(self._serve, exchange)

    def _serve(self, exchange: Exchange) -> None:
        try:
            exchange.run()
        except (OSError, Ended, ValueError):
            pass  # somebody left, which is what this is for
        finally:
            exchange.shut(is_final=True)
            with self._lock:
                self._exchanges.discard(exchange)


class Exchange:
    """One connection of a client: its requests, one after the other."""

    def __init__(self, proxy: FaultProxy, sock: socket.socket, number: int) -> None:
        self.proxy, self.number = proxy, number
        self.client: socket.socket = sock
        self.faults: list[Fault] = []
        self.request: Head | None = None
        self.is_stream = False
        self.is_mute = False
        self.lines_sent = 0
        self._server: socket.socket | None = None
        self._commands: deque[tuple[Fault, threading.Event]] = deque()
        self._wake_r, self._wake_w = socket.socketpair()

    def note(self, fault: Fault, detail: str = "") -> None:
        """Put on record that a fault acted."""
        self.proxy.journal.note(self.number, "fault", fault.name, detail)

    def command(self, fault: Fault) -> threading.Event:
        """Attach a fault while the stream runs; set once it is attached. Any thread."""
        taken = threading.Event()
        self._commands.append((fault, taken))
        with suppress(OSError):
            self._wake_w.send(b"!")
        return taken

    # Serving -----------------------------------------------------------------------------

    def run(self) -> None:
        self.proxy.journal.note(self.number, "connect", "connect")
        for fault in self.proxy.faults_for(None):
            fault.connected(self)
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.proxy.tls is not None:
            self.client = self.proxy.tls.wrap_socket(self.client, server_side=True)
        source = Source(self.client)
        while (head := source.head()) is not None:
            body = source.body(head)
            self.request = head
            self.faults = self.proxy.faults_for(head)
            kind = "watch" if head.is_watch else "list" if head.method == "GET" else head.method
            self.proxy.journal.note(self.number, "request", kind, head.target)
            for fault in self.faults:
                fault.asked(self)
            self._forward(head, body)

    def _forward(self, head: Head, body: bytes) -> None:
        place = urlsplit(self.proxy.upstream)
        self._server = socket.create_connection((place.hostname, place.port), timeout=10)
        fields = {name: value for name, value in head.fields.items() if name not in _HOP}
        fields |= {"host": place.netloc, "connection": "close"}
        if body:
            fields["content-length"] = str(len(body))
        self._server.sendall(Head(head.first, fields).encoded() + body)
        source = Source(self._server)
        answer = source.head()
        if answer is None:
            raise Ended
        if head.is_watch and answer.status == 200:
            self._stream(source, answer)
        else:
            self._whole(answer, source.body(answer))
        self._server.close()

    def _whole(self, answer: Head, body: bytes) -> None:
        for fault in self.faults:
            answer, body = fault.answered(self, answer, body)
        self.answer(answer, body)

    def answer(self, answer: Head, body: bytes) -> None:
        """Send a whole answer."""
        fields = {name: value for name, value in answer.fields.items() if name not in _HOP}
        fields["content-length"] = str(len(body))
        self.write(Head(answer.first, fields).encoded() + body)

    def begin_stream(self, answer: Head | None = None) -> None:
        """Send the head of a chunked answer."""
        answer = answer or Head("HTTP/1.1 200 OK", {"content-type": "application/json"})
        fields = {name: value for name, value in answer.fields.items() if name not in _HOP}
        fields["transfer-encoding"] = "chunked"
        self.write(Head(answer.first, fields).encoded())

    def _stream(self, source: Source, answer: Head) -> None:
        self.begin_stream(answer)
        self.is_stream = True
        for fault in list(self.faults):
            fault.opened(self)
        pending = b""
        while True:
            pending += source.dechunked()
            *lines, pending = pending.split(b"\n")
            for line in lines:
                self._pass_on(line + b"\n")
            if source.is_over or not self._await(source):
                break
        self.finish()

    def _pass_on(self, line: bytes) -> None:
        lines = [line]
        for fault in list(self.faults):
            lines = [new for old in lines for new in fault.line(self, old)]
        for new in lines:
            self.write(chunk(new))
            self.lines_sent += 1
            if self.lines_sent == 1:
                self.proxy.journal.note(self.number, "fruitful", "watch")

    def _await(self, source: Source) -> bool:
        """Wait for the server, the client's end or a command; False at the server's end."""
        while True:
            ready, _, _ = select.select([source.sock, self.client, self._wake_r], [], [], 30)
            if self._wake_r in ready:
                self._wake_r.recv(64)
                while self._commands:
                    fault, taken = self._commands.popleft()
                    self.faults.append(fault)
                    taken.set()
                    fault.opened(self)
            if self.client in ready:
                raise Ended  # a client says nothing during a watch but that it leaves
            if source.sock in ready:
                return source.fill()

    # What faults use ---------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes through the byte-level faults."""
        pieces = [data]
        for fault in list(self.faults):
            pieces = fault.data(self, pieces)
        for piece in pieces:
            self.client.sendall(piece)

    def pause(self, seconds: float) -> None:
        """Wait, unless the proxy closes."""
        if self.proxy.is_closed.wait(seconds):
            raise Ended

    def hold(self) -> None:
        """Say nothing until the client leaves or the proxy closes."""
        self.is_stream = False  # nothing can be put into it any more
        while not self.proxy.is_closed.is_set():
            ready, _, _ = select.select([self.client], [], [], 0.05)
            if ready and not self.client.recv(65536):
                break
        raise Ended

    def finish(self) -> None:
        """End the body as HTTP wants it, close the connection, and be done."""
        if self.is_mute:
            self.hold()
        for fault in list(self.faults):
            fault.closing(self)
        self.write(chunk(b""))
        raise Ended

    def fin(self) -> None:
        """Close the connection without ending the body."""
        raise Ended

    def reset(self) -> None:
        """Close the connection with a RST."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        raise Ended

    def shut(self, *, is_final: bool = False) -> None:
        """End both connections; any thread. Only its own thread closes the descriptors."""
        for sock in (self.client, self._server):
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                if is_final:
                    sock.close()
        if is_final:
            self.is_stream = False
            self._wake_r.close()
            self._wake_w.close()
