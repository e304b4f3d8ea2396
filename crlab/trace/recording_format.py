"""The lines of a recording: one JSON object each, chained by their hashes.

    {"r": <manifest>, "h": "<sha256 of the manifest>"}
    {"r": <record>,   "h": "<sha256 of the hash before + this record's bytes>"}
    …
    {"r": {"end": <count>}, "h": …}

A record's data may hold objects: ``{"$o": <object>, "$n": 7}`` is object number 7,
``{"$r": 7}`` is it again; ``{"$b": …}`` are bytes, ``{"$g": key, …}`` a deletion of which
only the absence was seen. Keys of users' maps that begin with "$" are doubled.

Guarantees:
  1. Reading makes numbers, texts, tuples, dicts, bytes and `KubeObject`; nothing is
     looked up by name, imported or called.

Thread: pure functions and an encoder of one owner.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from crlab.errors import CrlabError, RecordingError
from crlab.model.object import FrozenList, KubeObject, thawed
from crlab.model.redaction import mask_text, redact_body, redact_kube_object
from crlab.model.resource import GroupVersionResource
from crlab.trace.record import TraceRecord

FORMAT = "crlab-recording"
VERSION = 1
_MAX_DEPTH = 64
_REMEMBERED = 50_000
_BODIES = ("request_body", "response_body", "body")
_KINDS = {"secrets": "Secret", "configmaps": "ConfigMap"}


class RecordingLine(msgspec.Struct, gc=False):
    """One line."""

    r: msgspec.Raw
    h: str


class Manifest(msgspec.Struct, omit_defaults=True):
    """The first line of a recording.

    Attributes:
        redaction: profile its objects were redacted with; "none" if secrets are in it.
        resources: what was watched, as rows of discovery.
        banner: a warning to whoever opens it with a pager.
    """

    format: str
    version: int
    created: float = 0.0
    redaction: str = ""
    banner: str = ""
    crlab: str = ""
    name: str = ""
    resources: list[dict[str, Any]] = []
    first_seq: int = 1


class WireRecord(msgspec.Struct, omit_defaults=True):
    """A trace record as it is written."""

    seq: int
    at: float
    stage: str
    kind: str
    resource: str = ""
    key: str = ""
    rv: str = ""
    causes: tuple[int, ...] = ()
    data: dict[str, msgspec.Raw] | None = None


class _End(msgspec.Struct):
    end: int


_encode = msgspec.json.Encoder().encode
_line = msgspec.json.Decoder(RecordingLine).decode
_record = msgspec.json.Decoder(WireRecord).decode
_manifest = msgspec.json.Decoder(Manifest).decode
_end = msgspec.json.Decoder(_End).decode
_raw_map = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


def chained(before: str, payload: bytes) -> str:
    """Return the hash of a line after the line with hash `before` ("" for the first)."""
    return hashlib.sha256(before.encode() + payload).hexdigest()


class RecordEncoder:
    """Turns records into lines; one per recording."""

    def __init__(self, *, include_secrets: bool) -> None:
        self._include_secrets = include_secrets
        self._hash = ""
        self._numbers: OrderedDict[tuple[str, str, str], tuple[int, KubeObject]] = OrderedDict()
        self._next = 1
        self.count = 0

    def manifest(self, manifest: Manifest) -> bytes:
        """Return the first line."""
        return self._finished(_encode(manifest))

    def record(self, record: TraceRecord) -> bytes:
        """Return the line of a record."""
        self.count += 1
        data = record.data
        wire = WireRecord(
            record.seq,
            record.at,
            str(record.stage),
            record.kind,
            record.resource,
            record.key,
            record.resource_version,
            tuple(record.causes),
            None
            if data is None
            else {
                str(name): msgspec.Raw(self._value(value, record, str(name)))
                for name, value in data.items()
            },
        )
        return self._finished(_encode(wire))

    def end(self) -> bytes:
        """Return the last line."""
        return self._finished(_encode(_End(self.count)))

    def _finished(self, payload: bytes) -> bytes:
        self._hash = chained(self._hash, payload)
        return b'{"r":' + payload + b',"h":"' + self._hash.encode() + b'"}\n'

    def _value(self, value: Any, record: TraceRecord, name: str = "", depth: int = 0) -> bytes:
        if isinstance(value, KubeObject):
            return self._object(value, record.resource)
        if depth > _MAX_DEPTH:
            return b'"<nested too deeply>"'
        if isinstance(value, str):
            safe = value if self._include_secrets or len(value) < 12 else mask_text(value)
            return _encode(safe.encode("utf-8", "replace").decode())
        if value is None or isinstance(value, bool | int | float):
            return _number(value)
        if isinstance(value, bytes):
            if name in _BODIES and not self._include_secrets:
                body = redact_body(value, kind=_kind(record.resource))
                return self._value(body, record, "", depth + 1)
            return _encode({"$b": base64.b64encode(value).decode()})
        if isinstance(value, Mapping):
            if name in _BODIES and not self._include_secrets:
                value = redact_body(value, kind=_kind(record.resource))
            parts = [
                _encode(_escaped(str(key))) + b":" + self._value(item, record, str(key), depth + 1)
                for key, item in value.items()
            ]
            return b"{" + b",".join(parts) + b"}"
        if isinstance(value, list | tuple | set | frozenset | FrozenList):
            items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
            inner = [self._value(item, record, "", depth + 1) for item in items]
            return b"[" + b",".join(inner) + b"]"
        gone_key, gone = getattr(value, "key", None), getattr(value, "obj", None)
        if isinstance(gone_key, str) and isinstance(gone, KubeObject):
            key = _encode(gone_key)
            return b'{"$g":' + key + b',"o":' + self._object(gone, record.resource) + b"}"
        return self._value(str(value), record, name, depth + 1)

    def _object(self, obj: KubeObject, resource: str) -> bytes:
        place = (resource, obj.key, obj.resource_version)
        known = self._numbers.get(place)
        if known is not None and known[1].raw == obj.raw:
            return b'{"$r":%d}' % known[0]
        number = self._next
        self._next += 1
        self._numbers[place] = (number, obj)
        if len(self._numbers) > _REMEMBERED:
            self._numbers.popitem(last=False)
        shown = obj
        if not self._include_secrets:
            shown = redact_kube_object(obj, GroupVersionResource("", "", resource))
        return b'{"$o":' + _one_line(shown) + b',"$n":%d}' % number


class RecordDecoder:
    """Turns lines into records and checks the chain; one per recording."""

    def __init__(self) -> None:
        self._hash = ""
        self._objects: dict[int, KubeObject] = {}
        self.count = 0
        self.is_ended = False

    def manifest(self, line: bytes) -> Manifest:
        """Read the first line.

        Raises:
            RecordingError: not a recording, or from a newer version.
        """
        try:
            payload = bytes(_line(line).r)
            head = _manifest(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise RecordingError("not a crlab recording: its first line is no manifest") from error
        if head.format != FORMAT:
            raise RecordingError("not a crlab recording: its first line names another format")
        if head.version > VERSION:
            raise RecordingError(
                f"this recording has format {head.version}, this crlab reads up to {VERSION}; "
                "use a newer crlab",
                version=head.version,
            )
        self._checked(line, 1)
        return head

    def record(self, line: bytes, number: int) -> TraceRecord | None:
        """Read a further line; None for the last one.

        Raises:
            RecordingError: it is altered, malformed or out of place.
        """
        if self.is_ended:
            raise RecordingError(f"line {number}: something follows the end", line=number)
        payload = self._checked(line, number)
        try:
            if payload.startswith(b'{"end":'):
                if _end(payload).end != self.count:
                    raise RecordingError(
                        f"line {number}: the recording says it has {_end(payload).end} records, "
                        f"{self.count} came",
                        line=number,
                    )
                self.is_ended = True
                return None
            wire = _record(payload)
            data = None
            if wire.data is not None:
                data = {name: self._value(raw) for name, raw in wire.data.items()}
        except (
            msgspec.DecodeError,
            RecursionError,
            UnicodeDecodeError,
            binascii.Error,
            ValueError,
            TypeError,
        ) as error:
            raise RecordingError(f"line {number}: not a record: {error}", line=number) from error
        except RecordingError:
            raise
        except CrlabError as error:
            raise RecordingError(f"line {number}: {error}", line=number) from error
        self.count += 1
        return TraceRecord(
            wire.seq,
            wire.at,
            wire.stage,
            wire.kind,
            wire.resource,
            wire.key,
            wire.rv,
            wire.causes,
            data,
        )

    def _checked(self, line: bytes, number: int) -> bytes:
        try:
            parsed = _line(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise RecordingError(
                f"line {number}: not a line of a recording", line=number
            ) from error
        payload = bytes(parsed.r)
        self._hash = chained(self._hash, payload)
        if parsed.h != self._hash:
            raise RecordingError(
                f"line {number}: its hash does not follow from the lines before; "
                "the recording was altered",
                line=number,
            )
        return payload

    def _value(self, raw: msgspec.Raw | bytes, depth: int = 0) -> Any:
        text = bytes(raw).lstrip()
        if depth > _MAX_DEPTH + 8:
            raise RecordingError("a value is nested too deeply")
        if text[:1] == b"[":
            return tuple(self._value(item, depth + 1) for item in _raw_list(text))
        if text[:1] != b"{":
            return _decode(text)
        parts = _raw_map(text)
        if "$o" in parts:
            obj = KubeObject(bytes(parts["$o"]))
            self._objects[int(_decode(parts["$n"]))] = obj
            return obj
        if "$r" in parts:
            number = _decode(parts["$r"])
            if number not in self._objects:
                raise RecordingError(f"it refers to object {number!r}, which did not come")
            return self._objects[number]
        if "$b" in parts:
            return base64.b64decode(_decode(parts["$b"]), validate=True)
        if "$g" in parts:
            return {"key": _decode(parts["$g"]), "obj": self._value(parts["o"], depth + 1)}
        return {
            (name[1:] if name.startswith("$$") else name): self._value(item, depth + 1)
            for name, item in parts.items()
        }


def _kind(resource: str) -> str:
    return _KINDS.get(resource, "")


def _escaped(key: str) -> str:
    return "$" + key if key.startswith("$") else key


def _number(value: Any) -> bytes:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return b"null"
    try:
        return _encode(value)
    except (OverflowError, msgspec.MsgspecError):
        return _encode(f"<{value.bit_length()}-bit integer>")  # over 64 bits


def _one_line(obj: KubeObject) -> bytes:
    """The object's bytes without line breaks (JSON text has none inside strings)."""
    raw = obj.raw
    if b"\n" in raw or b"\r" in raw:
        return _encode(thawed(obj))
    return raw
