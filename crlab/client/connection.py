"""One HTTP/1.1 connection: a request out, an answer in.

From: `http.HttpTransport`. To: `wire.Wire`.

Guarantees:
  1. A header block over 64 KiB, contradicting framing or a broken line is an error.
  2. A connection is used again only after a whole answer without surplus bytes.

Thread: one owner; `abort` from any thread.
Source: RFC 9112.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crlab.client.http_body import Framing, Gzip, Plain, coding_of, framing_of
from crlab.client.wire import Wire
from crlab.errors import TransportError
from crlab.runtime.deadline import Deadline

MAX_HEADER_BYTES = 64 * 1024
MAX_INTERIM_ANSWERS = 16

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: |$)")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Fields(dict[str, str]):
    """Request headers, which a traceback with locals does not show (S10)."""

    def __repr__(self) -> str:
        return f"Fields({', '.join(self)})"


class Sealed(bytes):
    """An encoded request, which a traceback with locals does not show (S10)."""

    def __repr__(self) -> str:
        return f"Sealed({len(self)} bytes)"


def _encoded(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Sealed:
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    is_broken = any("\r" in line or "\n" in line for line in lines)
    encoded = Sealed("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))
    # A traceback with locals would show the token in them.
    del lines
    if is_broken:
        raise TransportError("a header or path holds a line break; not sent", phase="write")
    return encoded


class Head:
    """Status and headers of an answer."""

    __slots__ = ("headers", "is_kept_alive", "status", "warnings")

    def __init__(self, block: bytes) -> None:
        """Parse a header block.

        Raises:
            TransportError: it is not HTTP/1.1.
        """
        # A bare newline may end a line too (RFC 9112, 2.2).
        lines = block.split(b"\r\n") if b"\r\n" in block else block.split(b"\n")
        found = _STATUS.match(lines[0])
        if found is None:
            raise TransportError("the answer is not HTTP/1.1", phase="read")
        self.status = int(found[2])
        self.headers: dict[str, str] = {}
        self.warnings: list[str] = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not _TOKEN.fullmatch(name):
                raise TransportError("the answer has a broken header", phase="read")
            self._add(name.decode("ascii").lower(), value.strip().decode("latin-1"))
        connection = self.headers.get("connection", "").lower()
        self.is_kept_alive = (
            "keep-alive" in connection if found[1] == b"0" else "close" not in connection
        )

    def _add(self, name: str, value: str) -> None:
        if name == "warning":
            self.warnings.append(value)
        # Lines of one name are a list (RFC 9110, 5.2); framing refuses lengths that differ.
        if name in self.headers:
            value = f"{self.headers[name]}, {value}"
        self.headers[name] = value


class Answer:
    """The answer to the one request under way on a connection."""

    def __init__(self, wire: Wire, head: Head, method: str, rest: bytes) -> None:
        self._wire = wire
        self.head = head
        self._framing: Framing = framing_of(head.status, method, head.headers)
        self._coding: Plain | Gzip = coding_of(head.headers)
        self._rest = rest
        self.bytes_received = 0

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return decoded bytes that are there; b"" is the clean end.

        Raises:
            TimeoutError: nothing came in time.
            TransportError: the body was cut or is not what its headers say.
        """
        if self._coding.has_more and (piece := self._coding.feed(b"")):
            return piece
        while not self._framing.is_complete:
            data, self._rest = self._rest, b""
            if not data:
                data = self._wire.receive(timeout_seconds)
                if not data:
                    # Without a length this is how a body ends; with one it was cut.
                    self._framing.end()
                    break
            self.bytes_received += len(data)
            if piece := self._coding.feed(self._framing.feed(data)):
                return piece
        self._coding.end()
        return b""

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can take another request."""
        return (
            self.head.is_kept_alive
            and self._framing.is_complete
            and not self._framing.surplus
            and not self._rest
        )


class Connection:
    """A connected wire that speaks HTTP/1.1."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.requests = 0

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> None:
        """Send a request."""
        self.requests += 1
        self.wire.send(_encoded(method, target, headers, body), timeout_seconds)

    def receive(self, method: str, deadline: Deadline) -> Answer:
        """Return the answer once its headers are there.

        Raises:
            TimeoutError: they did not come in time.
            NoAnswer: the connection ended before the first byte.
            TransportError: they are not HTTP/1.1.
        """
        data = b""
        for _ in range(MAX_INTERIM_ANSWERS):
            block, data = self._block(data, deadline)
            head = Head(block)
            if head.status >= 200:
                return Answer(self.wire, head, method, data)
            # Nobody asked for another protocol: what follows would not be HTTP.
            if head.status == 101:
                break
        raise TransportError("the server sends interim answers only", phase="read")

    def _block(self, data: bytes, deadline: Deadline) -> tuple[bytes, bytes]:
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                return data[:end], data[end + 4 :]
            end = data.find(b"\n\n")
            if end >= 0 and b"\r\n" not in data[:end]:
                return data[:end], data[end + 2 :]
            if len(data) > MAX_HEADER_BYTES:
                raise TransportError("the answer's headers exceed 64 KiB", phase="read")
            more = self.wire.receive(deadline.remaining_seconds())
            if not more:
                if data:
                    raise TransportError("cut inside the headers", phase="read")
                # Most often an idle connection that the server closed as the request went out: the
                # transport decides whether to send it again.
                raise NoAnswer
            data += more


class NoAnswer(Exception):
    """The connection ended before the first byte of an answer (internal)."""
