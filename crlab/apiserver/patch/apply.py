"""Server-side apply: the object a manager states, merged into what is there.

From: PATCH with application/apply-patch+yaml. To: the merged object before defaulting,
validation and commit, its managedFields updated.

Guarantees:
  1. A field that another manager owns with another value is a 409, unless forced.
  2. A field the manager no longer states goes if nobody else owns it.
  3. Defaults are not owned: the caller fills them in afterwards.
  4. Inputs are never changed.

Thread: pure functions.
Source: structured-merge-diff/merge/update.go; k8s.io/apimachinery/pkg/util/managedfields
(internal/{structuredmerge,lastapplied,skipnonapplied,conflict}.go).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from crlab.apiserver.patch.compare import PathError, compare_objects, stated_paths
from crlab.apiserver.patch.field_set import (
    FieldSet,
    Node,
    difference,
    intersection,
    path_text,
    union,
)
from crlab.apiserver.patch.managed_fields import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Key,
    ManagedFieldsEntry,
    Managers,
    Tree,
    cap,
    current,
    record,
    strip,
)
from crlab.apiserver.patch.type_schema import Schema, TypeNode, compile_schema
from crlab.apiserver.patch.typed_value import check, merge, remove, with_named_parents
from crlab.apiserver.status import StatusError, bad_request, internal

KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_IDENTITY = ("name", "namespace", "uid", "resourceVersion")
_SERVER_WRITES = ("creationTimestamp", "generation", "selfLink")
_text = json.JSONEncoder(ensure_ascii=False).encode


class _Conflicts(Exception):
    """Paths that other managers own with other values."""

    def __init__(self, by_manager: dict[Key, Node]) -> None:
        super().__init__("apply conflict")
        self.by_manager = by_manager


def server_side_apply(
    live: Tree | None,
    applied: Tree,
    *,
    manager: str,
    force: bool = False,
    api_version: str,
    subresource: str = "",
    time: str = "",
    schema: Schema | TypeNode | None = None,
    ignores_status: bool = False,
) -> Tree:
    """Return `live` (None: nothing there) with what `manager` applies merged in.

    Args:
        applied: the decoded body; apiVersion, kind and metadata.name are checked already.
        force: take fields over instead of refusing.
        subresource: "status" applies status alone.
        ignores_status: on the main endpoint of a kind with a status subresource.

    Raises:
        StatusError: 400 managedFields in the body; 409 conflicts; 500 the body does not
            fit the schema (as the real server answers).
    """
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    node = compile_schema(schema)
    errors = check(node, applied)
    if errors:
        raise internal(_typed_error("patch", applied, api_version, errors))
    stated = _without_reset_fields(applied, subresource, ignores_status=ignores_status)
    entry = ManagedFieldsEntry(manager, APPLY, api_version, subresource, time, {})
    try:
        merged = _apply(live, stated, entry, node, force=force)
    except _Conflicts as conflicts:
        if manager != KUBECTL or live is None:
            raise conflict_error(conflicts.by_manager) from None
        left = _without_migrated(conflicts.by_manager, live, node)
        if left:
            raise conflict_error(left) from None
        merged = _apply(live, stated, entry, node, force=True)
    except PathError as error:
        raise internal(
            _typed_error("live", live or {}, api_version, [f"element {error.index}: {error}"])
        ) from None
    if manager == KUBECTL:
        _refresh_last_applied(merged, applied)
    return merged


def _apply(
    live: Tree | None, stated: Tree, entry: ManagedFieldsEntry, node: TypeNode, *, force: bool
) -> Tree:
    managers = current(live, None, entry.subresource)
    before = _plain(live) if live is not None else _skeleton(stated)
    if live is not None and not managers.entries:
        first = ManagedFieldsEntry(
            BEFORE_FIRST_APPLY, UPDATE, entry.api_version, "", entry.time, {}
        )
        record(managers, first, node, {}, before)
    last = managers.entries.get(entry.key)
    fields = stated_paths(node, stated) or {}
    merged = merge(node, before, stated)
    if last is not None and last.fields:
        merged = _prune(node, merged, managers, entry.key, last.fields, fields)
    changed, removed = compare_objects(node, before, merged)
    _settle_conflicts(managers, entry.key, changed, force=force)
    managers.lose(changed, removed, keep=entry.key)
    is_changed = bool(changed or removed) or live is None
    moment = entry.time if is_changed else (last.time if last is not None else "")
    own = ManagedFieldsEntry(
        entry.manager, APPLY, entry.api_version, entry.subresource, moment, strip(fields)
    )
    if last is not None and not own.fields:
        managers.entries.pop(entry.key, None)
    managers.put(own)
    cap(managers)
    metadata = _settled_metadata(merged, live)
    listed = managers.to_list()
    if listed:
        metadata["managedFields"] = listed
    return {**merged, "metadata": metadata}


def _plain(live: Tree) -> Tree:
    metadata = {k: v for k, v in live.get("metadata", {}).items() if k != "managedFields"}
    return {**live, "metadata": metadata}


def _settled_metadata(merged: Tree, live: Tree | None) -> Tree:
    """Return the metadata with what only the server writes as it was."""
    before = (live or {}).get("metadata", {})
    metadata = dict(merged.get("metadata") or {})
    for key in _SERVER_WRITES:
        if key in before:
            metadata[key] = before[key]
        else:
            metadata.pop(key, None)
    return {key: value for key, value in metadata.items() if value or value == 0}


def _skeleton(stated: Tree) -> Tree:
    """Return the empty object that an apply creates from."""
    return {key: stated[key] for key in ("apiVersion", "kind") if key in stated}


def _without_reset_fields(applied: Tree, subresource: str, *, ignores_status: bool) -> Tree:
    """Return what the endpoint lets a manager state."""
    if subresource != "status":
        if ignores_status:
            return {key: value for key, value in applied.items() if key != "status"}
        return applied
    metadata = applied.get("metadata") or {}
    kept: Tree = {key: applied[key] for key in ("apiVersion", "kind", "status") if key in applied}
    kept["metadata"] = {key: metadata[key] for key in _IDENTITY if key in metadata}
    return kept


def _settle_conflicts(managers: Managers, own: Key, changed: Node, *, force: bool) -> None:
    if force or not changed:
        return
    found = {}
    for key, entry in managers.entries.items():
        if key != own:
            both = intersection(entry.fields, changed)
            if both:
                found[key] = both
    if found:
        raise _Conflicts(found)


def _prune(
    node: TypeNode, merged: Tree, managers: Managers, own: Key, last: Node, fields: Node
) -> Tree:
    """Take out what the manager owned alone and no longer states."""
    before = with_named_parents(node, last)
    pruned = remove(node, merged, before)
    owned = fields
    for key, entry in managers.entries.items():
        if key != own:
            owned = union(owned, entry.fields)
    everything = with_named_parents(node, stated_paths(node, merged) or {})
    kept = with_named_parents(node, stated_paths(node, pruned) or {} if pruned else {})
    pruned = remove(
        node, merged, difference(everything, union(kept, with_named_parents(node, owned)))
    )
    kept = with_named_parents(node, stated_paths(node, pruned) or {} if pruned else {})
    gone = intersection(difference(everything, kept), before)
    result = remove(node, merged, gone)
    return result if isinstance(result, dict) else {}


def _typed_error(which: str, obj: Tree, api_version: str, errors: list[str]) -> str:
    metadata = obj.get("metadata") or {}
    place = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    text = errors[0] if len(errors) == 1 else "\n  ".join(["errors:", *errors])
    return (
        f"failed to create typed {which} object "
        f"({place}; {api_version}, Kind={obj.get('kind', '')}): {text}"
    )


def conflict_error(by_manager: dict[Key, Node]) -> StatusError:
    """Return the 409 that lists every field and who owns it."""
    listed = [
        (_manager_text(key), path_text(path))
        for key in sorted(by_manager)
        for path in FieldSet(by_manager[key]).paths()
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
        for who, path in listed
    ]
    if len(listed) == 1:
        who, path = listed[0]
        message = f"Apply failed with 1 conflict: conflict with {who}: {path}"
    else:
        lines: list[str] = []
        for who in dict.fromkeys(who for who, _ in listed):
            lines.append(f"conflicts with {who}:")
            lines.extend(f"- {path}" for owner, path in listed if owner == who)
        message = f"Apply failed with {len(listed)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _manager_text(key: Key) -> str:
    manager, operation, version, subresource = key
    text = _text(manager)
    if subresource:
        text += f" with subresource {_text(subresource)}"
    return f"{text} using {version}" if operation == UPDATE else text


def _without_migrated(by_manager: dict[Key, Node], live: Tree, node: TypeNode) -> dict[Key, Node]:
    """Return the conflicts left when kubectl takes over what client-side apply had set."""
    allowed = _last_applied_paths(live, node)
    left = {key: difference(paths, allowed) for key, paths in by_manager.items()}
    return {key: paths for key, paths in left.items() if paths}


def _last_applied_paths(live: Tree, node: TypeNode) -> Node:
    text = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    if not isinstance(text, str):
        return {}
    try:
        last = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != live.get("apiVersion"):
        return {}
    try:
        paths = stated_paths(node, last) or {}
        changed, removed = compare_objects(node, last, live)
    except PathError:
        return {}
    return difference(difference(paths, changed), removed)


def _refresh_last_applied(merged: Tree, applied: Tree) -> None:
    """Keep kubectl's client-side annotation in step, so that a later apply can go back."""
    annotations = merged.get("metadata", {}).get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return
    metadata: dict[str, Any] = dict(applied.get("metadata") or {})
    stated = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    metadata["annotations"] = stated
    text = msgspec.json.encode({**applied, "metadata": metadata}, order="sorted").decode() + "\n"
    merged["metadata"]["annotations"] = {**annotations, LAST_APPLIED: text}
