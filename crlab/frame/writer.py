"""Who wrote a version of an object, and what it changed, read from its bytes.

Only the parts that differ are decoded: a 5 KB pod whose status changed costs its status.

Thread: pure functions.
Source: metadata.managedFields (the entry with the newest time, server-side apply docs).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from crlab.model.diff import NOISE, Change, diff
from crlab.model.object import KubeObject


class _Entry(msgspec.Struct, frozen=True, gc=False):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: str = ""


class _Managed(msgspec.Struct, gc=False):
    managedFields: list[_Entry] = []  # noqa: N815 - the wire's spelling


class _Object(msgspec.Struct, gc=False):
    metadata: _Managed


_entries = msgspec.json.Decoder(_Object).decode
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
_HIDDEN = frozenset({"managedFields", "resourceVersion"})


def writer_of(obj: KubeObject, old: KubeObject | None = None) -> str:
    """Return the manager of the newest managed fields entry, "" if it is not said.

    Where several have the newest time, one that `old` did not have is preferred.
    """
    found = _managers(obj)
    if not found:
        return ""
    newest = max(entry.time for entry in found)
    candidates = [entry for entry in found if entry.time == newest]
    if len(candidates) > 1 and old is not None:
        before = set(_managers(old))
        candidates = [entry for entry in candidates if entry not in before] or candidates
    return candidates[-1].manager


def _managers(obj: KubeObject) -> list[_Entry]:
    try:
        return _entries(obj.raw).metadata.managedFields
    except (msgspec.DecodeError, RecursionError):
        return []


def changes_between(
    old: KubeObject | None, new: KubeObject | None, *, ignore: Collection[str] = NOISE
) -> list[Change]:
    """Return what changed between two versions, decoding only the parts that differ."""
    if old is None or new is None:
        return []
    if old is new or old.raw == new.raw:
        return []
    try:
        before, after = _parts(old.raw), _parts(new.raw)
        left = {n: v for n, v in before.items() if after.get(n) != v}
        right = {n: v for n, v in after.items() if before.get(n) != v}
        skips_noise = NOISE.issubset(ignore)
        return diff(_opened(left, skips_noise), _opened(right, skips_noise), ignore=ignore)
    except (msgspec.DecodeError, RecursionError):
        return []


def _opened(parts: dict[str, msgspec.Raw], skips_noise: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, raw in parts.items():
        if name == "metadata" and skips_noise:
            inner = _parts(raw)
            tree[name] = {n: _decode(v) for n, v in inner.items() if n not in _HIDDEN}
        else:
            tree[name] = _decode(raw)
    return tree
