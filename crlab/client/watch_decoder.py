"""Bytes of a watch to events: one buffer, whole lines, nothing skipped.

From: a `ByteStream`. To: the reflector, through `list_watch.WatchEvent`.

Guarantees:
  1. Events come in the order of the bytes; those before a bad line are delivered first,
     then every call raises its `DecodeError`. No line is ever skipped.
  2. Linear time, however the bytes are cut into chunks; a line longer than the cap is an
     error and is not kept.
  3. A fragment without its newline is never parsed.
  4. An object of another kind, without a name, or not UTF-8 throughout is a `DecodeError`.

Sans-I/O: knows neither sockets nor clocks. Thread: one at a time.
Source: kubernetes/apimachinery:pkg/watch/streamwatcher.go, pkg/apis/meta/v1/watch.go.
"""

from __future__ import annotations

import msgspec

from crlab.client.answer import status_of
from crlab.client.list_watch import INITIAL_EVENTS_END, WatchEvent
from crlab.client.object_decoder import ObjectDecoder, decode, is_utf8, require_utf8
from crlab.errors import DecodeError

MAX_LINE_BYTES = 32 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_KNOWN = ("ADDED", "MODIFIED", "DELETED")
_USUAL = {ord(name[0]): (f'{{"type":"{name}","object":'.encode(), name) for name in _KNOWN}
_LETTER = len(b'{"type":"')  # where the types of usual lines begin to differ


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw = msgspec.Raw(b"null")


class _BookmarkMeta(msgspec.Struct, gc=False):
    resourceVersion: str  # noqa: N815 - the wire's spelling
    annotations: dict[str, str] | None = None


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _BookmarkMeta


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_bookmark = msgspec.json.Decoder(_Bookmark).decode
_decode_any = msgspec.json.Decoder().decode


class WatchDecoder:
    """Cuts lines and decodes them."""

    def __init__(self, objects: ObjectDecoder, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        """Expect events about what `objects` makes."""
        self._objects = objects
        self._max_line_bytes = max_line_bytes
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._is_at_start = True
        self._error: DecodeError | None = None
        self.lines = 0

    @property
    def error(self) -> DecodeError | None:
        """What ended the decoding, None as long as every line was good."""
        return self._error

    @property
    def has_fragment(self) -> bool:
        """Whether a line has begun that has not ended."""
        return self._fragment_bytes > 0

    def feed(self, chunk: bytes) -> list[WatchEvent]:
        """Take the next bytes and return the events that are complete now.

        Raises:
            DecodeError: this or an earlier line is bad, and what came before it was returned.
        """
        if self._error is not None:
            raise self._error
        end = chunk.rfind(b"\n")
        if end < 0:
            self._keep(chunk)
            if self._error is not None:
                raise self._error
            return []
        head = chunk[: end + 1]
        # Joined only once a line has ended: to join at each chunk would take quadratic time.
        if self._fragments:
            self._fragments.append(head)
            head = b"".join(self._fragments)
            self._fragments.clear()
            self._fragment_bytes = 0
        events = self._decode_lines(head)
        if self._error is None and end + 1 < len(chunk):
            self._keep(chunk[end + 1 :])
        # Good events from before a bad line go out first; the next call raises.
        if self._error is not None and not events:
            raise self._error
        return events

    def _keep(self, chunk: bytes) -> None:
        self._fragment_bytes += len(chunk)
        if self._fragment_bytes > self._max_line_bytes:
            self._fragments.clear()
            self._error = DecodeError(
                f"line {self.lines + 1} of the watch is longer than "
                f"{self._max_line_bytes} bytes and was not read further",
                offset=self._max_line_bytes,
            )
        elif chunk:
            self._fragments.append(chunk)

    def _decode_lines(self, text: bytes) -> list[WatchEvent]:
        """Decode whole lines, up to the first that is bad."""
        if self._is_at_start:
            self._is_at_start = False
            text = text.removeprefix(_BOM)
        events: list[WatchEvent] = []
        start, is_ascii = 0, text.isascii()  # asked once: it reads the whole text
        while (start := self._decode_usual(text, start, events, is_ascii)) < len(text):
            end = text.index(b"\n", start)
            line = text[start:end].removesuffix(b"\r")
            start = end + 1
            if not line or line.isspace():
                continue
            self.lines += 1
            try:
                events.append(self._event(line))
            except DecodeError as error:
                where = f"line {self.lines} of the watch"
                self._error = DecodeError(f"{where}: {error}", offset=error.offset)
                break
        return events

    def _decode_usual(
        self, text: bytes, start: int, events: list[WatchEvent], ascii_only: bool
    ) -> int:
        """Decode lines as every API server writes them; return where another one begins.

        What stands between a usual beginning and a usual end is decoded whole, so it
        cannot hold a second member. `_event` decides about all other lines, and says what
        is wrong with them.
        """
        objects, longest, size = self._objects, self._max_line_bytes, len(text)
        while start < size:
            end = text.index(b"\n", start)
            usual = _USUAL.get(text[start + _LETTER]) if end - start > _LETTER else None
            if usual is None or end - start > longest:
                return start
            prefix, kind = usual
            if not (text.startswith(prefix, start) and text.startswith(b"}}", end - 2)):
                return start
            raw = text[start + len(prefix) : end - 1]
            obj = objects.decode_usual(raw) if ascii_only or is_utf8(raw) else None
            if obj is None:
                return start
            events.append(WatchEvent(kind, obj, obj.resource_version, False, None, end - start))
            self.lines += 1
            start = end + 1
        return start

    def _event(self, line: bytes) -> WatchEvent:
        what = "it"
        if len(line) > self._max_line_bytes:
            raise DecodeError(f"{what} is longer than {self._max_line_bytes} bytes")
        require_utf8(line, what)
        try:
            parsed = decode(_decode_line, line, what)
        except DecodeError:
            if (status := status_of(line)) is None:
                raise
            return WatchEvent("ERROR", status=status, size_bytes=len(line))  # a bare Status
        if parsed.type in _KNOWN:
            obj = self._objects.decode(bytes(parsed.object), what)
            return WatchEvent(parsed.type, obj, obj.resource_version, size_bytes=len(line))
        if parsed.type == "BOOKMARK":
            return self._bookmark(bytes(parsed.object), len(line))
        if parsed.type == "ERROR":
            status = decode(_decode_any, bytes(parsed.object), what)
            return WatchEvent(
                "ERROR", status=status if isinstance(status, dict) else {}, size_bytes=len(line)
            )
        return WatchEvent(parsed.type, size_bytes=len(line))

    @staticmethod
    def _bookmark(raw: bytes, size: int) -> WatchEvent:
        metadata = decode(_decode_bookmark, raw, "the bookmark").metadata
        if not metadata.resourceVersion:
            raise DecodeError("the bookmark has no resourceVersion")
        is_end = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
        return WatchEvent(
            "BOOKMARK",
            resource_version=metadata.resourceVersion,
            is_initial_events_end=is_end,
            size_bytes=size,
        )
