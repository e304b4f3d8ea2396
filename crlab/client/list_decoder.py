"""The body of a list to a `ListPage`: items taken apart as raw bytes.

From: a response body. To: the reflector.

Guarantees:
  1. Only a list of the asked kind with a resourceVersion makes a page. A Status, a
     Table, another kind, missing ``items`` or HTML is an error, never an empty list;
     ``items: null`` is empty, as Go writes an empty slice.
  2. One bad item fails the page: a list with a hole would read as a deletion.
  3. The interpreter is not held for longer than one slice of the body takes, however
     long the list is (`_slices`).

Thread: any; pure functions.
Source: kubernetes/apimachinery:pkg/apis/meta/v1/unstructured/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from crlab.client.list_watch import ListPage
from crlab.client.object_decoder import ObjectDecoder, decode, require_utf8
from crlab.errors import DecodeError, api_error
from crlab.model.object import KubeObject
from crlab.model.redaction import mask_status

SLICE_BYTES = 1 << 20


class _ListMeta(msgspec.Struct, gc=False):
    resourceVersion: str = ""  # noqa: N815 - the wire's spelling
    continue_token: str = msgspec.field(name="continue", default="")
    remainingItemCount: int | None = None  # noqa: N815


class _List(msgspec.Struct, gc=False):
    kind: str = ""
    apiVersion: str = ""  # noqa: N815
    metadata: _ListMeta | None = None
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


class _Kind(msgspec.Struct, gc=False):
    kind: Any = None


_decode_list = msgspec.json.Decoder(_List).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_status = msgspec.json.Decoder(dict[str, Any]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class WrongListKind(DecodeError):
    """The list is of another kind than asked.

    Attributes:
        kind: what it says it is.
    """

    kind: str


def decode_page(
    body: bytes, objects: ObjectDecoder, *, list_kinds: tuple[str, ...] = (), tried: str = ""
) -> ListPage:
    """Take one page apart.

    Args:
        list_kinds: accepted besides ``<kind>List`` (a CRD may name its list otherwise).
        tried: what was asked, for error texts.

    Raises:
        ApiError: the body is a Status of failure, whatever the HTTP code said.
        DecodeError: it is not a list of this kind.
    """
    what = f"the answer to {tried}" if tried else "the list"
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    parts = _slices(body)
    head = _header(body if parts is None else parts[0], what, tried)
    if parts is None:
        require_utf8(body, what)
        slices: Iterator[list[msgspec.Raw]] = iter((head.items or [],))
    else:
        slices = _item_slices(body, parts[1], parts[2], what)
    _require_list_kind(head, objects, list_kinds, what)
    items: list[KubeObject] = []
    try:
        for part in slices:
            for raw in part:
                items.append(objects.decode(bytes(raw), "it"))
    except DecodeError as error:
        raise DecodeError(f"item {len(items)} of {what}: {error}", offset=error.offset) from None
    metadata = head.metadata or _ListMeta()
    if not items and not metadata.resourceVersion:
        raise DecodeError(f"{what} is empty and has no resourceVersion: not taken for a list")
    return ListPage(
        items,
        metadata.resourceVersion,
        metadata.continue_token,
        metadata.remainingItemCount,
        len(body),
    )


def _header(data: bytes, what: str, tried: str) -> _List:
    try:
        head = decode(_decode_list, data, what)
    except DecodeError:
        _raise_if_status(data, tried)
        raise
    if head.kind == "Status":
        _raise_if_status(data, tried)
    if head.kind == "Table":
        raise DecodeError(f"{what} is a Table, which holds no objects")
    if head.items is msgspec.UNSET:
        raise DecodeError(f"{what} has no items: not taken for an empty list")
    if head.metadata is None:
        raise DecodeError(f"{what} has no metadata: not taken for a list")
    return head


def _raise_if_status(data: bytes, tried: str) -> None:
    """A Status of failure sent with 200 is still a failure."""
    try:
        if _decode_kind(data).kind != "Status":
            return
        status = _decode_status(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    code = status.get("code")
    code = code if isinstance(code, int) and code >= 400 else 500
    raise api_error(code, mask_status(status), tried=tried)


def _require_list_kind(
    head: _List, objects: ObjectDecoder, list_kinds: tuple[str, ...], what: str
) -> None:
    expected = (f"{objects.kind}List", *list_kinds)
    if head.kind in expected and head.apiVersion == objects.api_version:
        return
    error = WrongListKind(
        f"{what} is a {head.apiVersion or '?'} {head.kind or '?'}, "
        f"expected {objects.api_version} {expected[0]}"
    )
    error.kind = head.kind if head.apiVersion == objects.api_version else ""
    raise error


_ITEMS = b'"items":['
_CUTS = (b'},{"metadata":{', b'},{"apiVersion":"', b'},{"kind":"')


def _slices(body: bytes) -> tuple[bytes, int, int] | None:
    """Find where the items of a long list begin and end; None if the body is short or odd.

    Returns:
        The body without its items, and the bounds of the text between ``[`` and ``]``.
    """
    if len(body) <= 2 * SLICE_BYTES:
        return None
    start = body.find(_ITEMS, 0, 4096) + len(_ITEMS)
    end = body.rfind(b"]}", len(body) - 16)
    if start < len(_ITEMS) or end < 0:
        return None
    head = body[:start] + body[end:]
    try:
        is_list = _decode_list(head).items == []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (head, start, end) if is_list else None


def _item_slices(body: bytes, start: int, end: int, what: str) -> Iterator[list[msgspec.Raw]]:
    """Decode the items a slice at a time, so that other threads get their turn.

    A cut is where one object ends and another begins. If that was inside an item, the
    slice has unbalanced brackets and does not decode; then it grows to the next cut.
    """
    mark = _cut_mark(body, start)
    view = memoryview(body)
    while start < end:
        size = SLICE_BYTES
        while True:
            cut = body.find(mark, start + size, end)
            stop = end if cut < 0 else cut + 1
            text = b"".join((b"[", view[start:stop], b"]"))
            try:
                items = _decode_items(text)
                break
            except (msgspec.DecodeError, RecursionError):
                if stop == end:
                    decode(_decode_items, text, what)
                size = max(2 * size, stop - start)
        require_utf8(text, what)
        yield items
        start = stop + 1


def _cut_mark(body: bytes, start: int) -> bytes:
    for mark in _CUTS:
        if body.startswith(mark[2:], start):
            return mark
    return _CUTS[0]
