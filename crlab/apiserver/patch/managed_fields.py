"""metadata.managedFields: who owns which field, kept up on every write.

From: the writing verbs, after defaulting and before the commit. To: the list that is
stored in ``metadata.managedFields``.

Guarantees:
  1. An ordinary write owns exactly the leaves it changed; all others lose them.
  2. An object without managedFields stays without until it is applied to.
  3. Entries that a write does not touch are handed on as they are.
  4. At most `MAX_UPDATERS` entries of operation Update; the oldest merge into one.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/util/managedfields, structured-merge-diff/merge/update.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crlab.apiserver.patch.compare import SERVER_OWNED, PathError, compare_objects
from crlab.apiserver.patch.field_set import FieldSet, Node, difference, union
from crlab.apiserver.patch.type_schema import Schema, TypeNode, compile_schema

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"

Tree = dict[str, Any]
Key = tuple[str, str, str, str]  # manager, operation, apiVersion ("" for Apply), subresource


@dataclass(slots=True)
class ManagedFieldsEntry:
    """One manager's set; `raw` is its stored form as long as nothing changed it."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: Node
    raw: Mapping[str, Any] | None = None

    @property
    def key(self) -> Key:
        """Who this is: an applier is the same whatever the version."""
        version = "" if self.operation == APPLY else self.api_version
        return self.manager, self.operation, version, self.subresource

    def with_fields(self, fields: Node) -> ManagedFieldsEntry:
        """Return the entry with another set (itself if it is the same one)."""
        if fields is self.fields:
            return self
        return ManagedFieldsEntry(
            self.manager, self.operation, self.api_version, self.subresource, self.time, fields
        )

    def to_dict(self) -> Tree:
        """Return it as it stands in metadata.managedFields."""
        if self.raw is not None:
            return dict(self.raw)
        found: Tree = {"apiVersion": self.api_version, "fieldsType": "FieldsV1"}
        found["fieldsV1"] = FieldSet(self.fields).to_fields_v1()
        found["manager"] = self.manager
        found["operation"] = self.operation
        if self.subresource:
            found["subresource"] = self.subresource
        if self.time:
            found["time"] = self.time
        return found


@dataclass(slots=True)
class Managers:
    """All entries of one object, by manager."""

    entries: dict[Key, ManagedFieldsEntry] = field(default_factory=dict)

    @classmethod
    def read(cls, listed: Any, *, trusted: bool = False) -> Managers:
        """Read metadata.managedFields; `trusted` if this server wrote them.

        Raises:
            ValueError: they are malformed.
        """
        managers = cls()
        if listed and not isinstance(listed, list):
            raise ValueError("managedFields is not a list")
        for raw in listed or ():
            entry = _read_entry(raw, trusted=trusted)
            managers.entries[entry.key] = entry
        return managers

    def to_list(self) -> list[Tree]:
        """Return the sorted list to store."""
        ordered = sorted(self.entries.values(), key=_order)
        return [entry.to_dict() for entry in ordered]

    def put(self, entry: ManagedFieldsEntry) -> None:
        """Set one manager's entry; an empty set removes it."""
        if entry.fields:
            self.entries[entry.key] = entry
        else:
            self.entries.pop(entry.key, None)

    def lose(self, *tries: Node, keep: Key | None = None) -> None:
        """Take paths away from every manager but `keep`."""
        for key, entry in list(self.entries.items()):
            if key == keep:
                continue
            fields = entry.fields
            for trie in tries:
                fields = difference(fields, trie)
            if fields is not entry.fields:
                self.put(entry.with_fields(fields))


def _order(entry: ManagedFieldsEntry) -> tuple[str, ...]:
    """Sort by operation, time to the second, manager, version, subresource."""
    return entry.operation, entry.time, entry.manager, entry.api_version, entry.subresource


def _read_entry(raw: Any, *, trusted: bool) -> ManagedFieldsEntry:
    if not isinstance(raw, Mapping):
        raise ValueError("an entry is not an object")
    fields = raw.get("fieldsV1")
    if not isinstance(fields, Mapping):
        raise ValueError("an entry has no fieldsV1")
    operation = raw.get("operation")
    if operation not in (APPLY, UPDATE):
        raise ValueError(f"unknown operation {operation!r}")
    texts = [raw.get(key, "") for key in ("manager", "apiVersion", "subresource", "time")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("an entry's texts are not strings")
    manager, api_version, subresource, time = texts
    if trusted:
        return ManagedFieldsEntry(
            manager, operation, api_version, subresource, time, dict(fields), raw
        )
    node = FieldSet.from_fields_v1(fields).node
    return ManagedFieldsEntry(manager, operation, api_version, subresource, time, node)


def is_reset(listed: Any) -> bool:
    """Whether a request asks to clear managedFields: a list of one empty entry."""
    return isinstance(listed, list) and len(listed) == 1 and listed[0] in ({}, None)


def current(live: Tree | None, new: Tree | None, subresource: str) -> Managers:
    """Return the managers a write starts from: the request's if it brings valid ones."""
    stored = (live or {}).get("metadata", {}).get("managedFields")
    asked = (new or {}).get("metadata", {}).get("managedFields") if not subresource else None
    if is_reset(asked):
        return Managers()
    if asked and asked is not stored and asked != stored:
        try:
            return Managers.read(asked)
        except ValueError:
            pass  # as the real server: what cannot be read is as if it were not sent
    try:
        return Managers.read(stored, trusted=True)
    except ValueError:
        return Managers()


def update_on_write(
    live: Tree | None,
    new: Tree,
    *,
    manager: str,
    operation: str = UPDATE,
    api_version: str,
    subresource: str = "",
    time: str = "",
    schema: Schema | TypeNode | None = None,
) -> list[Tree]:
    """Return the managedFields of `new` after a create (live None), update or patch.

    Args:
        manager: the fieldManager parameter or the user agent up to "/".
        time: RFC 3339 seconds, as creationTimestamp.
        schema: the version's openAPIV3Schema or a builtin_schema type; None deduces.

    Returns:
        A list to store in ``new["metadata"]["managedFields"]``; empty: leave it out.
    """
    managers = current(live, new, subresource)
    if live is not None and not managers.entries:
        return []
    node = compile_schema(schema)
    entry = ManagedFieldsEntry(manager or "unknown", operation, api_version, subresource, time, {})
    try:
        record(managers, entry, node, live or {}, new)
    except PathError:
        pass  # list items without names: ownership stays as it was
    cap(managers)
    return managers.to_list()


def record(
    managers: Managers, entry: ManagedFieldsEntry, node: TypeNode, old: Tree, new: Tree
) -> None:
    """Give what changed between two objects to `entry`'s manager and take it from the rest."""
    changed, removed = compare_objects(node, old, new)
    if changed or removed:
        managers.lose(changed, removed)
    if changed:
        before = managers.entries.get(entry.key)
        fields = union(before.fields, changed) if before is not None else changed
        managers.put(entry.with_fields(fields))


def cap(managers: Managers) -> None:
    """Merge the oldest Update entries of a version until there are few enough."""
    updaters = [e for e in managers.entries.values() if e.operation == UPDATE]
    count = len(updaters)
    if count <= MAX_UPDATERS:
        return
    first: dict[str, Key] = {}
    for entry in sorted(updaters, key=lambda e: (e.time, e.key)):
        if count <= MAX_UPDATERS:
            return
        version = entry.api_version
        if version not in first:
            first[version] = entry.key
            continue
        bucket = managers.entries.get((ANCIENT, UPDATE, version, ""))
        if bucket is None:
            bucket = managers.entries.pop(first[version])
        merged = union(bucket.fields, entry.fields)
        managers.entries.pop(entry.key)
        managers.put(ManagedFieldsEntry(ANCIENT, UPDATE, version, "", entry.time, merged))
        count -= 1


def strip(fields: Node) -> Node:
    """Return a set without what no manager owns: identity and server-owned metadata."""
    rest = {key: child for key, child in fields.items() if key not in ("f:apiVersion", "f:kind")}
    meta = rest.get("f:metadata")
    if meta is not None:
        kept = {k: c for k, c in meta.items() if k[2:] not in SERVER_OWNED and k != "."}
        if kept:
            rest["f:metadata"] = kept
        else:
            del rest["f:metadata"]
    return rest


def _sort_key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("operation", "manager", "apiVersion", "subresource")
    return tuple(str(entry.get(name, "")) for name in names)
