"""What changed between two JSON trees, path by path.

Items of lists are matched by their natural key (a container by its name, a condition by
its type) where every item has one; lists of scalars change as a whole.

Thread: pure functions.
Source: merge keys as in the core API's patchMergeKey tags.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from crlab.model.redaction import LAST_APPLIED

Op = Literal["add", "remove", "replace"]
_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_MERGE_KEYS = (
    "name",
    "type",
    "uid",
    "key",
    "containerPort",
    "port",
    "ip",
    "mountPath",
    "devicePath",
    "topologyKey",
    "manager",
)

NOISE = frozenset(
    {
        ".metadata.managedFields",
        ".metadata.resourceVersion",
        f".metadata.annotations['{LAST_APPLIED}']",
    }
)
"""Paths that change on every write and say nothing."""


class Change(NamedTuple):
    """One difference; `old` is None for an addition, `new` for a removal."""

    op: Op
    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.op == "add":
            return f"+ {self.path}: {self.new!r}"
        if self.op == "remove":
            return f"- {self.path}: {self.old!r}"
        return f"~ {self.path}: {self.old!r} → {self.new!r}"


def diff(old: Any, new: Any, *, ignore: Collection[str] = NOISE) -> list[Change]:
    """Return the changes that turn `old` into `new`, in a stable order.

    Args:
        old, new: JSON values or views of them; None stands for "no object" at the root.
        ignore: paths left out, with all below them; () for none.
    """
    changes: list[Change] = []
    if old is None or new is None:
        if old is not new:
            changes.append(Change("add" if old is None else "remove", ".", old, new))
        return changes
    _compare(old, new, "", ignore, changes)
    return changes


def field_path(parent: str, name: str) -> str:
    """Return the path of a field below `parent`, quoted where it has to be."""
    if _PLAIN.fullmatch(name):
        return f"{parent}.{name}"
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"{parent}['{quoted}']"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _compare(old: Any, new: Any, path: str, ignore: Collection[str], changes: list[Change]) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        _compare_maps(old, new, path, ignore, changes)
    elif _is_list(old) and _is_list(new):
        _compare_lists(old, new, path, ignore, changes)
    elif not _is_same_scalar(old, new):
        changes.append(Change("replace", path or ".", old, new))


def _is_same_scalar(old: Any, new: Any) -> bool:
    """Whether JSON sees one value: 1 and 1.0 are one number, 1 and true are not."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, int | float) and isinstance(new, int | float):
        return old == new
    return type(old) is type(new) and bool(old == new)


def _compare_maps(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    path: str,
    ignore: Collection[str],
    changes: list[Change],
) -> None:
    for name in [*old, *(name for name in new if name not in old)]:
        below = field_path(path, name)
        if below in ignore:
            continue
        if name not in new:
            changes.append(Change("remove", below, old[name], None))
        elif name not in old:
            changes.append(Change("add", below, None, new[name]))
        else:
            _compare(old[name], new[name], below, ignore, changes)


def _compare_lists(
    old: Sequence[Any],
    new: Sequence[Any],
    path: str,
    ignore: Collection[str],
    changes: list[Change],
) -> None:
    key = _merge_key(old, new)
    if key is not None:
        before = {item[key]: item for item in old}
        after = {item[key]: item for item in new}
        for value in [*before, *(value for value in after if value not in before)]:
            below = f"{path}[{key}={value}]"
            if below in ignore:
                continue
            if value not in after:
                changes.append(Change("remove", below, before[value], None))
            elif value not in before:
                changes.append(Change("add", below, None, after[value]))
            else:
                _compare(before[value], after[value], below, ignore, changes)
        shared = [v for v in before if v in after]
        if shared != [v for v in after if v in before]:
            changes.append(Change("replace", f"{path}[*].{key}", list(before), list(after)))
        return
    if not any(isinstance(item, Mapping) or _is_list(item) for item in [*old, *new]):
        if len(old) != len(new) or not all(map(_is_same_scalar, old, new)):
            changes.append(Change("replace", path or ".", old, new))
        return
    for place in range(max(len(old), len(new))):
        below = f"{path}[{place}]"
        if place >= len(new):
            changes.append(Change("remove", below, old[place], None))
        elif place >= len(old):
            changes.append(Change("add", below, None, new[place]))
        else:
            _compare(old[place], new[place], below, ignore, changes)


def _merge_key(old: Sequence[Any], new: Sequence[Any]) -> str | None:
    """The first natural key that every item of both lists has, once each."""
    if not old and not new:
        return None
    for key in _MERGE_KEYS:
        if _has_unique(old, key) and _has_unique(new, key):
            return key
    return None


def _has_unique(items: Sequence[Any], key: str) -> bool:
    seen: set[Any] = set()
    for item in items:
        value = item.get(key) if isinstance(item, Mapping) else None
        if not isinstance(value, str | int) or isinstance(value, bool) or value in seen:
            return False
        seen.add(value)
    return True
