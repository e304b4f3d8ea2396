"""Protobuf request bodies of core kinds, read into the JSON tree they mean.

From: kubectl's and client-go's typed clients, which send core kinds this way. To: the same
path as JSON bodies. Answers are always JSON; those clients accept it.

Guarantees:
  1. What does not parse, nests deeper than `DEPTH_LIMIT` or is of a kind not listed in
     protobuf_schema.json is refused, never guessed.
  2. Fields that Go's JSON would omit are omitted; a pointer to zero is kept.

Data: protobuf_schema.json has ``kinds`` ("apps/v1/Deployment" → message) and ``messages``
(message → field number → [JSON name, type, flags]). Types: s string, i integer, b boolean,
d double, y bytes, m:<message>, "[" list of, "{" map to, "(" a message around; flags: "*"
pointer, "o" omitempty, "e" embedded.

Thread: pure functions; the data is read once.
Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf; struct tags of k8s.io/api.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Iterator
from importlib import resources
from typing import Any

import msgspec

from crlab.model.timestamp import micro_timestamp, timestamp

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
DEPTH_LIMIT = 64
_SECONDS = range(-62_135_596_800, 253_402_300_800)  # the years 1 to 9999
_NANOS = range(10**9)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Tree = dict[str, Any]


class ProtobufError(ValueError):
    """A body is not the protobuf of a known kind."""


class UnknownMessage(ProtobufError):
    """A kind that has no protobuf form here: a custom resource, or a rare core kind."""


def decode_object(data: bytes) -> Tree:
    """Return the object in a body: envelope, kind and fields.

    Raises:
        ProtobufError: see the module's first guarantee.
    """
    if not data.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message")
    api_version = kind = ""
    raw = b""
    for number, value in _fields(data[len(MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            names = {n: _text(v) for n, v in _fields(value) if isinstance(v, bytes)}
            api_version, kind = names.get(1, ""), names.get(2, "")
        elif number == 2 and isinstance(value, bytes):
            raw = value
    group = "v1" if kind == "DeleteOptions" else api_version  # the same in every group
    message = _schema()["kinds"].get(f"{group}/{kind}")
    if message is None:
        raise UnknownMessage(f"no kind {kind!r} of version {api_version!r} in protobuf; send JSON")
    try:
        tree = _message(message, raw, 0)
    except (struct.error, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ProtobufError(f"the {kind} does not parse") from error
    return {"apiVersion": api_version, "kind": kind, **tree}


@functools.cache
def _schema() -> dict[str, Any]:
    path = resources.files("crlab.apiserver").joinpath("protobuf_schema.json")
    schema: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return schema


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of each field: an integer or bytes."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ProtobufError(f"unknown wire type {wire}")
        if at + length > size:
            raise ProtobufError("unexpected EOF")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _message(name: str, data: bytes, depth: int) -> Tree:
    if depth > DEPTH_LIMIT:
        raise ProtobufError("exceeded max depth")
    schema = _schema()["messages"][name]
    tree: Tree = {}
    for number, value in _fields(data):
        spec = schema.get(str(number))
        if spec is None:
            continue  # a field of a newer version
        json_name, kind, flags = spec
        if kind[0] == "[":
            tree.setdefault(json_name, []).append(_value(kind[1:], value, depth))
        elif kind[0] == "{":
            key, item = _pair(kind[1:], value, depth)
            tree.setdefault(json_name, {})[key] = item
        else:
            found = _value(kind, value, depth)
            if "e" in flags:
                tree.update(found)
            elif not _is_omitted(found, kind, flags):
                tree[json_name] = found
    return tree


def _is_omitted(value: Any, kind: str, flags: str) -> bool:
    if value is None:
        return True
    return "o" in flags and "*" not in flags and not kind.startswith("m:") and not value


def _pair(kind: str, data: int | bytes, depth: int) -> tuple[str, Any]:
    if not isinstance(data, bytes):
        raise ProtobufError("a map entry is not a message")
    key = ""
    item: Any = _value(kind, 0 if kind in ("i", "b") else b"", depth)
    for number, value in _fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _value(kind, value, depth)
    return key, item


def _value(kind: str, value: int | bytes, depth: int) -> Any:
    if kind == "i":
        return _signed(value)
    if kind == "b":
        return bool(_signed(value))
    if not isinstance(value, bytes):
        raise ProtobufError("a number where bytes belong")
    if kind == "s":
        return value.decode()
    if kind == "y":
        return base64.b64encode(value).decode()
    if kind == "d":
        return struct.unpack("<d", value)[0]
    if kind.startswith("m:"):
        return _message(kind[2:], value, depth + 1)
    if kind.startswith("(["):
        return [_value(kind[2:], item, depth + 1) for _, item in _fields(value)]
    return _special(kind, value)


def _signed(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ProtobufError("bytes where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(value: int | bytes) -> str:
    if not isinstance(value, bytes):
        raise ProtobufError("a number where text belongs")
    return value.decode()


def _special(kind: str, data: bytes) -> Any:
    """Read the types whose JSON is not their message."""
    fields = dict(_fields(data))
    if kind in ("Time", "MicroTime"):
        seconds, nanos = _signed(fields.get(1, 0)), _signed(fields.get(2, 0))
        if not data:
            return None
        if seconds not in _SECONDS or nanos not in _NANOS:
            raise ProtobufError("a time out of range")
        is_micro = kind == "MicroTime"
        return micro_timestamp(seconds + nanos / 1e9) if is_micro else timestamp(seconds)
    if kind == "IntOrString":
        return _text(fields.get(3, b"")) if fields.get(1) else _signed(fields.get(2, 0))
    if kind == "Quantity":
        return _text(fields.get(1, b"")) or "0"
    if kind in ("RawExtension", "FieldsV1"):
        raw = fields.get(1, b"")
        return msgspec.json.decode(raw) if isinstance(raw, bytes) and raw else None
    if kind == "Duration":
        return f"{_signed(fields.get(1, 0)) / 1e9:g}s"
    raise ProtobufError(f"unknown type {kind}")
