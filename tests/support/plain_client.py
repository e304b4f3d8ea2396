"""A client of plain sockets: it sees the bytes, and how a connection ended."""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import urlsplit


class PlainClient:
    """One connection; `ended` is "" while it is open, then "fin" or "rst"."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None, timeout: float = 3) -> None:
        place = urlsplit(url)
        self._place = place
        self.sock = socket.create_connection((place.hostname, place.port), timeout=timeout)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=place.hostname)
        self.received = b""
        self.ended = ""

    def get(self, path: str) -> PlainClient:
        text = f"GET {self._place.path}{path} HTTP/1.1\r\nHost: {self._place.netloc}\r\n\r\n"
        self.sock.sendall(text.encode())
        return self

    def read(self, until: bytes = b"", seconds: float = 2.0) -> bytes:
        """Read until something came, the connection ended, or time is up; return all of it."""
        deadline = time.monotonic() + seconds
        while not self.ended and not (until and until in self.received):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                break
            except ConnectionResetError:
                self.ended = "rst"
                break
            self.received += data
            self.ended = "" if data else "fin"
        return self.received

    @property
    def status(self) -> int:
        return int(self.read(b"\r\n\r\n").split(b" ")[1])

    @property
    def body(self) -> bytes:
        return self.received.partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> PlainClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
