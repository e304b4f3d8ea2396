"""Faults that know HTTP, lists and watch lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from support.fault_proxy.fault import Fault
from support.fault_proxy.http1 import Head, chunk
from support.fault_proxy.proxy import Exchange

REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired"}
REASONS |= {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


def status_body(code: int, message: str = "", **more: Any) -> bytes:
    """Return a Status."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
    }
    body |= {"message": message or f"fault {code}", "code": code, "reason": REASONS.get(code, "")}
    return json.dumps(body | more).encode()


class Status(Fault):
    """Another answer instead of the server's."""

    def __init__(self, code: int, body: bytes | None = None, **headers: str) -> None:
        self.code = code
        self.body = status_body(code) if body is None else body
        self.headers = {"content-type": "application/json"}
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    def asked(self, exchange: Exchange) -> None:
        exchange.note(self, str(self.code))
        exchange.answer(Head(f"HTTP/1.1 {self.code} Fault", dict(self.headers)), self.body)
        exchange.fin()


class TooLarge(Status):
    """504: the resourceVersion asked for is of the future."""

    def __init__(self) -> None:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        details = {"causes": [cause], "retryAfterSeconds": 1}
        body = status_body(504, "Timeout: Too large resource version: 9", details=details)
        super().__init__(504, body)


class RetryAfter(Status):
    """429 (or another code) with Retry-After as seconds, as a date, absurd, or negative."""

    def __init__(self, form: str, *, seconds: float = 1, code: int = 429) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        forms = {"seconds": f"{seconds:g}", "date": date, "absurd": "1000000000", "negative": "-5"}
        super().__init__(code, retry_after=forms[form])


class Redirect(Status):
    """30x to somewhere else."""

    def __init__(self, url: str, code: int = 302) -> None:
        super().__init__(code, b"", location=url)


class CloseAfter(Fault):
    """The stream ends cleanly after `events` lines; 0: a 200 without a body."""

    def __init__(self, events: int) -> None:
        self.events = events

    def asked(self, exchange: Exchange) -> None:
        if self.events == 0:
            exchange.note(self)
            exchange.begin_stream()
            exchange.finish()

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        if exchange.lines_sent >= self.events:
            exchange.note(self)
            exchange.finish()
        return [line]


class End(Fault):
    """The open stream ends now, between two events: cleanly, or by a FIN alone."""

    def __init__(self, *, is_clean: bool = True) -> None:
        self.is_clean = is_clean

    def opened(self, exchange: Exchange) -> None:
        exchange.note(self)
        if self.is_clean:
            exchange.finish()
        exchange.fin()


class Buffered(Fault):
    """A proxy that gives out nothing of a stream before its end."""

    def data(self, exchange: Exchange, pieces: list[bytes]) -> list[bytes]:
        exchange.note(self)
        return []

    def closing(self, exchange: Exchange) -> None:
        exchange.hold()


class Inject(Fault):
    """Bytes that the server never sent, now, in an open stream or a new one."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = lines

    def opened(self, exchange: Exchange) -> None:
        for line in self.lines:
            exchange.write(chunk(line))
        exchange.note(self, repr(self.lines)[:80])


def error_line(code: int | None, reason: str = "") -> bytes:
    """Return an in-stream ERROR; None: without a code."""
    body = json.loads(status_body(code or 0))
    if code is None:
        del body["code"], body["reason"]
    return json.dumps({"type": "ERROR", "object": body}).encode() + b"\n"


class Lines(Fault):
    """Base of those that change the next `times` events (bookmarks pass)."""

    def __init__(self, times: int | None = 1) -> None:
        self.times = times

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        if self.times == 0 or line.startswith((b'{"type":"BOOKMARK"', b'{"type":"ERROR"')):
            return [line]
        if self.times is not None:
            self.times -= 1
        try:
            out = self.change(line)
        except (ValueError, LookupError, TypeError, AttributeError):
            return [line]  # another fault was at it before
        exchange.note(self, f"1 line became {len(out)}")
        return out

    def change(self, line: bytes) -> list[bytes]:
        raise NotImplementedError


class Duplicate(Lines):
    """An event comes twice."""

    def change(self, line: bytes) -> list[bytes]:
        return [line, line]


class Drop(Lines):
    """An event does not come."""

    def change(self, line: bytes) -> list[bytes]:
        return []


class Garble(Lines):
    """An event cannot be read."""

    def change(self, line: bytes) -> list[bytes]:
        return [line[: len(line) // 2] + b"\x00}{\n"]


class Framing(Lines):
    """Blank lines, CRLF and a byte order mark around an event."""

    def change(self, line: bytes) -> list[bytes]:
        return [b"\n", b"\r\n", b"\xef\xbb\xbf" + line.rstrip(b"\n") + b"\r\n", b"\n"]


class Batch(Lines):
    """`size` copies of an event in one chunk."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def change(self, line: bytes) -> list[bytes]:
        return [line * self.size]


class Reorder(Lines):
    """The next `size` events come in the opposite order, but before the next bookmark."""

    def __init__(self, size: int = 2) -> None:
        super().__init__(size)
        self._held: list[bytes] = []

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        out = super().line(exchange, line)
        if self._held and out == [line]:  # a bookmark that covers what is held
            self.times, held = 0, self._held[::-1]
            self._held = []
            return [b"".join([*held, line])]
        return out

    def change(self, line: bytes) -> list[bytes]:
        self._held.append(line)
        if self.times:
            return []
        out, self._held = self._held[::-1], []
        return [b"".join(out)]  # in one piece: a cut between them would lose the first for good


class Stale(Fault):
    """After an event of a key, its first known state comes again, as a late MODIFIED."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self._first: dict[str, dict] = {}

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        try:
            event = json.loads(line)
            key = event["object"]["metadata"]["name"]
        except (ValueError, LookupError, TypeError):
            return [line]  # another fault was at it before, or it has no name
        first = self._first.setdefault(key, event["object"])
        if first is event["object"] or not self.times:
            return [line]
        self.times -= 1
        exchange.note(self, key)
        return [line, json.dumps({"type": "MODIFIED", "object": first}).encode() + b"\n"]


class Edit(Lines):
    """An event is changed by a function: null object, unknown type, wrong kind, ..."""

    def __init__(self, change: Callable[[dict], Any], times: int | None = 1) -> None:
        super().__init__(times)
        self._edit = change

    def change(self, line: bytes) -> list[bytes]:
        event = json.loads(line)
        self._edit(event)
        return [json.dumps(event).encode() + b"\n"]


class RewriteRv(Edit):
    """An event's resourceVersion is another."""

    def __init__(self, version: str, times: int | None = 1) -> None:
        super().__init__(lambda e: e["object"]["metadata"].update(resourceVersion=version), times)


class StripMetadata(Edit):
    """An event's object has no metadata."""

    def __init__(self, times: int | None = 1) -> None:
        super().__init__(lambda event: event["object"].pop("metadata"), times)


class Body(Fault):
    """A whole answer is changed by a function of its decoded JSON (list answers)."""

    def __init__(self, change: Callable[[dict], Any]) -> None:
        self._edit = change

    def answered(self, exchange: Exchange, head: Head, body: bytes) -> tuple[Head, bytes]:
        if head.status != 200:
            return head, body
        tree = json.loads(body)
        made = self._edit(tree)
        exchange.note(self)
        return head, json.dumps(tree if made is None else made).encode()


class Gzip(Fault):
    """An answer is compressed: "good", "truncated", or a "bomb" that inflates 1:1000."""

    def __init__(self, form: str = "good", *, bomb_bytes: int = 1 << 26) -> None:
        self.form = form
        self._bomb = gzip.compress(b" " * bomb_bytes) if form == "bomb" else b""

    def answered(self, exchange: Exchange, head: Head, body: bytes) -> tuple[Head, bytes]:
        exchange.note(self, self.form)
        data = self._bomb or gzip.compress(body)
        if self.form == "truncated":
            data = data[: len(data) // 2]
        return Head(head.first, head.fields | {"content-encoding": "gzip"}), data
