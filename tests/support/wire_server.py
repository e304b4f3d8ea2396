"""A server of raw sockets that does to a connection exactly what a test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def read_request(self) -> Received | None:
        """Return the next request, None if the client is gone."""
        try:
            while b"\r\n\r\n" not in self._rest:
                data = self.sock.recv(65536)
                if not data:
                    return None
                self._rest += data
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
            size = int(headers.get("content-length", "0"))
            while len(self._rest) < size:
                self._rest += self.sock.recv(65536)
        except OSError:
            return None
        body, self._rest = self._rest[:size], self._rest[size:]
        method, target, _ = lines[0].split(" ")
        return Received(method, target, headers, body)

    def send(self, data: bytes) -> None:
        """Send bytes as they are; a client that is gone is no error here."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer."""
        fields = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def begin_stream(self) -> None:
        """Send the headers of a chunked answer."""
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        """Send one chunk; b"" ends the body."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def reset(self) -> None:
        """Cut the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@dataclass
class WireServer:
    """What a test sees of the server."""

    port: int
    scheme: str
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def hold(self) -> None:
        """Keep a connection silent until the test ends."""
        self.released.wait(30)


@contextlib.contextmanager
def wire_server(
    handle: Callable[[Peer, Received, WireServer], None],
    *,
    tls: ssl.SSLContext | None = None,
    on_accept: Callable[[Peer, WireServer], None] | None = None,
) -> Iterator[WireServer]:
    """Serve `handle` for every request, or `on_accept` for every connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = WireServer(listener.getsockname()[1], "https" if tls else "http")
    peers: list[socket.socket] = []

    def serve(sock: socket.socket) -> None:
        try:
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
                peers.append(sock)
            peer = Peer(sock)
            if on_accept is not None:
                on_accept(peer, server)
                return
            while (request := peer.read_request()) is not None:
                server.requests.append(request)
                handle(peer, request, server)
        except OSError:
            pass  # the client left, which is what many tests are about
        finally:
            sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            peers.append(sock)
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in peers:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
