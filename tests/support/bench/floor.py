"""The raw floor: bytes and four metadata fields, nothing else, checked for nothing."""

from __future__ import annotations

import msgspec


class Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""


class _Header(msgspec.Struct, gc=False):
    metadata: Metadata


class _ListMeta(msgspec.Struct, gc=False):
    token: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, gc=False):
    metadata: _ListMeta
    items: list[msgspec.Raw]


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_header = msgspec.json.Decoder(_Header).decode
_list = msgspec.json.Decoder(_List).decode
_line = msgspec.json.Decoder(_Line).decode


def page(body: bytes) -> tuple[list[tuple[bytes, Metadata]], str]:
    """Take a page apart; return its objects and its continue token."""
    decoded = _list(body)
    kept = []
    for raw in decoded.items:
        data = bytes(raw)
        kept.append((data, _header(data).metadata))
    return kept, decoded.metadata.token


def line(text: bytes) -> tuple[str, bytes, Metadata]:
    """Take a watch line apart."""
    decoded = _line(text)
    data = bytes(decoded.object)
    return decoded.type, data, _header(data).metadata
