"""HTTP/1.1 message bodies, sans-I/O: framing (chunked, length, until close) and gzip.

From: `connection.Connection`. To: whoever reads the answer.

Guarantees:
  1. A body is complete only when its framing says so; a cut one is never taken as whole.
  2. Time is linear and what is kept is bounded: a size line is short, a decompressed
     piece has a cap, and so has the ratio of decompressed to received bytes.

Thread: one at a time.
Source: RFC 9112 sections 6 and 7.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Protocol

from crlab.errors import TransportError

MAX_SIZE_LINE_BYTES = 4096
MAX_TRAILER_BYTES = 16 * 1024
PIECE_BYTES = 1 << 20
MAX_RATIO = 250
RATIO_GRACE_BYTES = 16 << 20


class Framing(Protocol):
    """Where a body ends."""

    @property
    def is_complete(self) -> bool:
        """Whether the whole body was seen."""

    @property
    def surplus(self) -> bool:
        """Whether bytes came after its end, so that the connection cannot be used again."""

    def feed(self, data: bytes) -> bytes:
        """Take received bytes, return body bytes."""

    def end(self) -> None:
        """The connection ended; raise `TransportError` if the body was not complete."""


def _broken(text: str) -> TransportError:
    return TransportError(f"the answer is not HTTP/1.1: {text}", phase="read")


class LengthBody:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.surplus = False

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def feed(self, data: bytes) -> bytes:
        if len(data) > self._left:
            self.surplus = True
            data = data[: self._left]
        self._left -= len(data)
        return data

    def end(self) -> None:
        if self._left:
            raise TransportError(
                f"the connection was cut {self._left} bytes before the end", phase="read"
            )


class CloseBody:
    """A body that ends with the connection (HTTP/1.0)."""

    surplus = True

    def __init__(self) -> None:
        self.is_complete = False

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        self.is_complete = True


class ChunkedBody:
    """A body in chunks."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        self._state = "size"
        self._trailer_bytes = 0
        self.surplus = False

    @property
    def is_complete(self) -> bool:
        return self._state == "done"

    def feed(self, data: bytes) -> bytes:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        out = []
        at = 0
        while at < len(data):
            if self._state == "data":
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = "after"
            elif self._state == "done":
                self.surplus = True
                break
            else:
                end = data.find(b"\n", at, at + MAX_SIZE_LINE_BYTES)
                if end < 0:
                    if len(data) - at >= MAX_SIZE_LINE_BYTES:
                        raise _broken("a chunk's size line does not end")
                    self._rest = data[at:]
                    break
                self._line(data[at:end].rstrip(b"\r"))
                at = end + 1
        return out[0] if len(out) == 1 else b"".join(out)

    def _line(self, line: bytes) -> None:
        if self._state == "after":
            if line:
                raise _broken("a chunk is longer than it says")
            self._state = "size"
        elif self._state == "size":
            digits = line.partition(b";")[0].strip()
            if not digits or len(digits) > 16 or digits.strip(b"0123456789abcdefABCDEF"):
                raise _broken("a chunk's size is not a number")
            self._left = int(digits, 16)
            self._state = "data" if self._left else "trailer"
        elif line:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_TRAILER_BYTES:
                raise _broken("too many trailers")
        else:
            self._state = "done"

    def end(self) -> None:
        if self._state != "done":
            raise TransportError("the connection was cut inside a chunked body", phase="read")


class Plain:
    """No content coding."""

    has_more = False

    def feed(self, data: bytes) -> bytes:
        """Return decoded bytes."""
        return data

    def end(self) -> None:
        """The body is complete; raise if the coding is not."""


class Gzip:
    """gzip, inflated a piece at a time."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)
        self._tail = b""
        self._in = 0
        self._out = 0

    @property
    def has_more(self) -> bool:
        """Whether `feed(b"")` would return more of what was taken already."""
        return bool(self._tail)

    def feed(self, data: bytes) -> bytes:
        """Take compressed bytes, return at most `PIECE_BYTES` inflated ones."""
        self._in += len(data)
        try:
            piece = self._inflate.decompress(self._tail + data, PIECE_BYTES)
        except zlib.error as error:
            raise TransportError(f"the answer is not gzip: {error}", phase="read") from None
        self._tail = self._inflate.unconsumed_tail
        self._out += len(piece)
        if self._out > RATIO_GRACE_BYTES and self._out > MAX_RATIO * self._in:
            raise TransportError(
                f"the answer inflates to more than {MAX_RATIO} times its size", phase="read"
            )
        return piece

    def end(self) -> None:
        """The body is complete; raise if the gzip stream is not."""
        if self._in and not self._inflate.eof:
            raise TransportError("the gzip body is truncated", phase="read")


def framing_of(status: int, method: str, headers: Mapping[str, str]) -> Framing:
    """Choose how the body of an answer ends.

    Raises:
        TransportError: the headers contradict each other.
    """
    if method == "HEAD" or status in (204, 304):
        return LengthBody(0)
    coding = headers.get("transfer-encoding", "").lower().strip()
    length = headers.get("content-length")
    if coding:
        if coding != "chunked" or length is not None:
            raise _broken("transfer-encoding and content-length contradict each other")
        return ChunkedBody()
    if length is None:
        return CloseBody()
    values = {part.strip() for part in length.split(",")}
    value = values.pop()
    if values or not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise _broken("content-length is not a number")
    return LengthBody(int(value))


def coding_of(headers: Mapping[str, str]) -> Plain | Gzip:
    """Choose how the body of an answer is decompressed.

    Raises:
        TransportError: a coding that was not asked for.
    """
    coding = headers.get("content-encoding", "").lower().strip()
    if coding in ("", "identity"):
        return Plain()
    if coding in ("gzip", "x-gzip"):
        return Gzip()
    raise TransportError(f"the answer has content-encoding {coding[:20]!r}, unasked", phase="read")
