"""Who wrote a version of an object, and what it changed, read from its bytes; who deleted it.

Managed fields name no one for a deletion. It is known only where this lab sent the request,
and its answer names the incarnation that went (`Deletions`).

Only the parts that differ are decoded: a 5 KB pod whose status changed costs its status.

Thread: pure functions.
Source: metadata.managedFields (one entry per manager, operation and subresource; its time is
that of its last change, to the second), server-side apply docs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from crlab.model.diff import NOISE, Change, diff
from crlab.model.object import KubeObject
from crlab.trace.record import TraceRecord


class _ManagedEntry(msgspec.Struct, frozen=True, gc=False):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: str = ""
    fieldsV1: msgspec.Raw = msgspec.Raw(b"{}")  # noqa: N815 - the wire's spelling

    @property
    def identity(self) -> tuple[str, str, str, str, bytes]:
        """What tells an entry from one that was written since."""
        return self.manager, self.operation, self.subresource, self.time, bytes(self.fieldsV1)


class _Managed(msgspec.Struct, gc=False):
    managedFields: list[_ManagedEntry] = []  # noqa: N815 - the wire's spelling
    deletionTimestamp: str | None = None  # noqa: N815 - the wire's spelling


class _Object(msgspec.Struct, gc=False):
    metadata: _Managed


_entries = msgspec.json.Decoder(_Object).decode
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
_HIDDEN = frozenset({"managedFields", "resourceVersion"})
MOST = 10_000  # deletions that are remembered
_STEP = re.compile(r"\.([A-Za-z_$][A-Za-z0-9_$-]*)|\['((?:[^'\\]|\\.)*)'\]")


def writer_of(obj: KubeObject, old: KubeObject | None = None) -> str:
    """Return the manager that wrote this version, "" if managed fields do not say.

    With the version before it: whose entry is new or changed. Where none is (two writes
    within one second leave the same entry), the newest that owns a changed field. A delete
    is nobody's entry. Without it: the manager of the newest entry.
    """
    managed = _managed(obj)
    if not managed.managedFields:
        return ""
    found = managed.managedFields
    if old is not None:
        before = _managed(old)
        if managed.deletionTimestamp and not before.deletionTimestamp:
            return ""
        known = {entry.identity for entry in before.managedFields}
        found = [entry for entry in found if entry.identity not in known] or found
    newest = max(entry.time for entry in found)
    candidates = [entry for entry in found if entry.time == newest]
    if len(candidates) > 1 and old is not None:
        paths = [change.path for change in changes_between(old, obj)]
        owners = [e for e in candidates if any(_owns(_decode(e.fieldsV1), p) for p in paths)]
        candidates = owners or candidates
    return candidates[-1].manager


class Deletions:
    """Which incarnations this lab deleted, by uid. The newest ones are kept.

    Thread: its owner's, under the owner's lock.
    """

    def __init__(self) -> None:
        self._deleters: dict[str, str] = {}

    def note(self, record: TraceRecord, known: KubeObject | None, known_at: float) -> str:
        """Take in a request; return the uid that it deleted, "" if it is no such request.

        Args:
            known: the newest version seen of that object, at wall time `known_at`; if it was
                on its way out before the request was sent, somebody else had deleted it.
        """
        if record.get("verb") != "delete" or record.get("dry_run") or record.get("error"):
            return ""
        body = record.get("response_body")
        answer = body if isinstance(body, Mapping) else {}
        about = answer.get("details") if answer.get("kind") == "Status" else answer.get("metadata")
        uid = about.get("uid") if isinstance(about, Mapping) else None
        if not isinstance(uid, str) or not uid:
            return ""
        is_late = known is not None and known.uid == uid and _managed(known).deletionTimestamp
        if is_late and known_at <= record.at - record.get("duration_seconds", 0.0):
            return ""
        actor = str(record.get("actor", ""))
        self._deleters[uid] = actor.partition("controller/")[2] or "crlab"
        if len(self._deleters) > MOST:
            del self._deleters[next(iter(self._deleters))]
        return uid

    def by(self, uid: str) -> str:
        """Return who deleted it, as managed fields would name him; "" if that is not known."""
        return self._deleters.get(uid, "")


def _managed(obj: KubeObject) -> _Managed:
    try:
        return _entries(obj.raw).metadata
    except (msgspec.DecodeError, RecursionError):
        return _Managed()


def _owns(fields: Any, path: str) -> bool:
    """Whether managed fields hold a path, as far as it can be followed."""
    end = 0
    for step in _STEP.finditer(path):
        if step.start() != end:
            break  # a list item: its list is close enough
        below = fields.get(f"f:{step[1] or step[2]}") if isinstance(fields, dict) else None
        if below is None:
            return end > 0 and not fields  # a leaf that is owned as a whole
        fields, end = below, step.end()
    return end > 0


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
        kind = _decode(after["kind"]) if "kind" in after else ""
        return diff(
            _opened(left, skips_noise), _opened(right, skips_noise), ignore=ignore, kind=kind
        )
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
