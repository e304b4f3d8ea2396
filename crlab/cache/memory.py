"""What a cache weighs: bytes of JSON, of Python around it, per field, and what could go.

Thread: any; works on a snapshot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crlab.cache.listing import kept
from crlab.model.argument import checked_function
from crlab.model.object import KubeObject

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class FieldBytes:
    """What one field weighs over all objects.

    Attributes:
        path: dotted, e.g. "metadata.managedFields"; list items count under the list.
        bytes: of JSON, keys included.
        share: of all JSON bytes, 0 to 1.
        objects: in how many objects it is.
    """

    path: str
    bytes: int
    share: float
    objects: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The bill.

    Attributes:
        objects: cached.
        json_bytes: kept as received.
        overhead_bytes: of Python objects around the bytes (object, key, names, versions).
        decoded: objects that somebody looked into, which keep a decoded tree besides.
        fields: heaviest first; scaled up if only a sample was decoded.
        sampled: objects decoded for `fields`.
        transform_saves_bytes: JSON bytes the proposed transform would save, None if none
            was proposed.
    """

    kind: str
    objects: int
    json_bytes: int
    overhead_bytes: int
    decoded: int
    fields: tuple[FieldBytes, ...]
    sampled: int
    transform_saves_bytes: int | None = None

    @property
    def bytes_per_object(self) -> float:
        """JSON and overhead of one object, on average."""
        total = self.json_bytes + self.overhead_bytes
        return total / self.objects if self.objects else 0.0


def measure(
    kind: str,
    objects: Sequence[KubeObject],
    *,
    transform: Callable[[KubeObject], Any] | None = None,
    max_sample: int = 1000,
) -> Memory:
    """Weigh objects.

    Args:
        transform: a proposal; it is tried on the sample, nothing is changed.
        max_sample: how many objects to decode for the fields, evenly spread.
    """
    step = max(1, -(-len(objects) // max_sample)) if objects else 1
    sample = objects[::step]
    json_bytes = sum(obj.size_bytes for obj in objects)
    sample_bytes = sum(len(obj.raw) for obj in sample)
    scale = json_bytes / sample_bytes if sample_bytes else 1.0
    saved = None
    if transform is not None:
        checked_function(transform, "transform", ("obj",))
        saved = int(scale * sum(len(o.raw) - len(kept(transform, o).raw) for o in sample))
    return Memory(
        kind=kind,
        objects=len(objects),
        json_bytes=json_bytes,
        overhead_bytes=sum(_overhead(obj) for obj in objects),
        decoded=sum(obj._tree is not None for obj in objects),  # noqa: SLF001 - whether it is decoded; asking would decode it
        fields=_fields(sample, scale, json_bytes),
        sampled=len(sample),
        transform_saves_bytes=saved,
    )


def _overhead(obj: KubeObject) -> int:
    held = (obj.key, obj.name, obj.uid, obj.resource_version)
    return sys.getsizeof(obj) + sys.getsizeof(b"") + sum(sys.getsizeof(text) for text in held)


def _fields(sample: Iterable[KubeObject], scale: float, total: int) -> tuple[FieldBytes, ...]:
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    for obj in sample:
        for path, size in _walk(_decode(obj.raw), ""):
            sizes[path] = sizes.get(path, 0) + size
            counts[path] = counts.get(path, 0) + 1
    fields = [
        FieldBytes(
            path,
            int(size * scale),
            size * scale / total if total else 0.0,
            round(counts[path] * scale),
        )
        for path, size in sizes.items()
    ]
    return tuple(sorted(fields, key=lambda field: (-field.bytes, field.path)))


def _walk(tree: dict[str, Any], prefix: str) -> Iterable[tuple[str, int]]:
    for name, value in tree.items():
        path = f"{prefix}{name}"
        yield path, len(_encode(value)) + len(name) + 4  # quotes, colon, comma
        if isinstance(value, dict) and path.count(".") + 1 < MAX_DEPTH:
            yield from _walk(value, f"{path}.")
