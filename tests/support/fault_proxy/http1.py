"""Just enough HTTP/1.1: heads, bodies by length and by chunks, read from a socket."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit


@dataclass
class Head:
    """The first line and the header fields (lower-case names)."""

    first: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])

    @property
    def method(self) -> str:
        return self.first.split(" ")[0]

    @property
    def target(self) -> str:
        return self.first.split(" ")[1]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch", ["0"])[0].lower() in ("1", "true")

    @property
    def is_chunked(self) -> bool:
        return "chunked" in self.fields.get("transfer-encoding", "").lower()

    def encoded(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.fields.items())]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class Source:
    """A socket read through a buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""
        self._left = 0  # of the chunk under way
        self.is_over = False

    def fill(self) -> bool:
        """Read what is there; False at the end."""
        data = self.sock.recv(65536)
        self.rest += data
        return bool(data)

    def head(self) -> Head | None:
        """Return the next head, None if the peer left before one."""
        while b"\r\n\r\n" not in self.rest:
            if not self.fill():
                return None
        text, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = text.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Head(first, {name.strip().lower(): value.strip() for name, _, value in pairs})

    def exactly(self, size: int) -> bytes:
        while len(self.rest) < size and self.fill():
            pass
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def body(self, head: Head) -> bytes:
        """Return a whole body."""
        if not head.is_chunked:
            return self.exactly(int(head.fields.get("content-length", "0")))
        parts = []
        while not self.is_over:
            parts.append(self.dechunked())
            if not self.is_over and not self.fill():
                break
        return b"".join(parts)

    def dechunked(self) -> bytes:
        """Return the payload of a chunked body that is in the buffer; never reads."""
        out = []
        while self.rest and not self.is_over:
            if self._left:
                part, self.rest = self.rest[: self._left], self.rest[self._left :]
                self._left -= len(part)
                out.append(part)
                continue
            line, mark, rest = self.rest.lstrip(b"\r\n").partition(b"\r\n")
            if not mark:
                break
            self._left, self.rest = int(line.split(b";")[0], 16), rest
            self.is_over = self._left == 0
        return b"".join(out)


def chunk(data: bytes) -> bytes:
    """Return data as one chunk; b"" is the end of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
