"""One object's bytes to a `KubeObject`, checked against the kind that was asked for.

From: the list and watch decoders. To: the cache.

Guarantees:
  1. What is returned has a name and is of the asked kind and apiVersion.
  2. Its bytes are strict UTF-8 and well-formed JSON: no lone surrogate, NaN or control
     character; nesting beyond the interpreter's limit is an error, not a crash.

Thread: any; decoders keep no state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from crlab.errors import DecodeError
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource

PARTIAL_API_VERSION = "meta.k8s.io/v1"
PARTIAL_KIND = "PartialObjectMetadata"

_trusted = KubeObject.trusted
T = TypeVar("T")


class _ItemMetadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815 - the wire's spelling


class _ItemHeader(msgspec.Struct, gc=False):
    metadata: _ItemMetadata
    kind: str = ""
    apiVersion: str = ""  # noqa: N815 - the wire's spelling


_decode_header = msgspec.json.Decoder(_ItemHeader).decode


def decode(decoder: Callable[[bytes | memoryview], T], data: bytes, what: str) -> T:
    """Run a msgspec decoder; whatever it cannot take becomes a `DecodeError`."""
    try:
        return decoder(data)
    except msgspec.DecodeError as error:
        raise DecodeError(f"{what} does not decode: {error}", offset=_offset(error)) from None
    except UnicodeDecodeError as error:
        raise DecodeError(f"{what} is not UTF-8: {error.reason}", offset=error.start) from None
    except RecursionError:
        raise DecodeError(f"{what} is nested too deeply") from None
    except ValueError as error:  # an integer beyond the interpreter's digit limit
        raise DecodeError(f"{what} does not decode: {error}") from None


def require_utf8(data: bytes, what: str) -> None:
    """Raise `DecodeError` unless `data` is UTF-8 throughout."""
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"{what} is not UTF-8: {error.reason}", offset=error.start) from None


def is_utf8(data: bytes) -> bool:
    """Whether `data` is UTF-8 throughout."""
    try:
        require_utf8(data, "")
    except DecodeError:
        return False
    return True


def _offset(error: Exception) -> int:
    _, found, rest = str(error).rpartition("(byte ")
    return int(rest[:-1]) if found and rest[:-1].isdigit() else -1


class ObjectDecoder:
    """Makes the objects of one resource."""

    __slots__ = ("_prefix", "api_version", "kind")

    def __init__(self, resource: ApiResource, *, metadata_only: bool = False) -> None:
        """Expect `resource`, or its metadata alone."""
        self.kind = PARTIAL_KIND if metadata_only else resource.kind
        self.api_version = PARTIAL_API_VERSION if metadata_only else resource.gvr.api_version
        self._prefix = f'{{"kind":"{self.kind}","apiVersion":"{self.api_version}"'.encode()

    def decode_usual(self, raw: bytes) -> KubeObject | None:
        """Make the object of `raw`, which must be UTF-8 already; None if `decode` must say why not.

        An object of a typed list says neither kind nor apiVersion; they are added.
        """
        try:
            header = _decode_header(raw)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        metadata = header.metadata
        if not metadata.name:
            return None
        if header.kind != self.kind or header.apiVersion != self.api_version:
            if header.kind or header.apiVersion:
                return None
            raw = self._prefix + b"," + raw.lstrip()[1:]
        return _trusted(
            raw, metadata.name, metadata.namespace, metadata.uid, metadata.resourceVersion
        )

    def decode(self, raw: bytes, what: str) -> KubeObject:
        """Make the object of `raw`, which must be UTF-8 already (`require_utf8`).

        Raises:
            DecodeError: not an object of this kind, or without a name.
        """
        obj = self.decode_usual(raw)
        if obj is not None:
            return obj
        header = decode(_decode_header, raw, what)
        if not header.metadata.name:
            raise DecodeError(f"{what} has no metadata.name")
        raise DecodeError(
            f"{what} is a {header.apiVersion} {header.kind}, "
            f"expected {self.api_version} {self.kind}"
        )
