"""What changed between two JSON trees, path by path.

Items of lists are matched by their natural key (a container by its name, a condition by
its type) where every item has one; lists of scalars change as a whole.

Guarantee: values are compared as they are and told masked (`crlab.model.redaction`): a changed
password is a change, and its values are in no `Change`.

Thread: pure functions.
Source: merge keys as in the core API's patchMergeKey tags.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from crlab.model.redaction import LAST_APPLIED, VALUE_MASK, below, shown

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
    """One difference; `old` is None for an addition, `new` for a removal.

    Secret values are masked; a change whose masks look alike is one all the same.
    """

    op: Op
    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.op == "add":
            return f"+ {self.path}: {self.new!r}"
        if self.op == "remove":
            return f"- {self.path}: {self.old!r}"
        return f"~ {self.path}: {self.old!r} → {self.new!r}{self.note}"

    @property
    def note(self) -> str:
        """What tells that two masks that look alike hide different values, else ""."""
        return " (changed)" if self.op == "replace" and self.old == self.new else ""


class _Place(NamedTuple):
    """Where two values are compared: the path, and what decides whether they are secret."""

    path: str
    old: str = ""
    new: str = ""
    kind: str = ""

    def at(self, path: str) -> _Place:
        """Return the place of a list's item."""
        return self._replace(path=path)

    def field(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> _Place:
        """Return the place of a field of both."""
        return _Place(
            field_path(self.path, name),
            below(old, self.old, name, self.kind),
            below(new, self.new, name, self.kind),
        )


def diff(old: Any, new: Any, *, ignore: Collection[str] = NOISE, kind: str = "") -> list[Change]:
    """Return the changes that turn `old` into `new`, in a stable order.

    Args:
        old, new: JSON values or views of them; None stands for "no object" at the root.
        ignore: paths left out, with all below them; () for none.
        kind: what they are, where they do not say.
    """
    changes: list[Change] = []
    if old is None or new is None:
        if old is not new:
            whole = (
                None if old is None else shown(old, kind=kind),
                (None if new is None else shown(new, kind=kind)),
            )
            changes.append(Change("add" if old is None else "remove", ".", *whole))
        return changes
    _compare(old, new, _Place("", kind=kind), ignore, changes)
    return changes


def field_path(parent: str, name: str) -> str:
    """Return the path of a field below `parent`, quoted where it has to be."""
    if _PLAIN.fullmatch(name):
        return f"{parent}.{name}"
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"{parent}['{quoted}']"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _compare(
    old: Any, new: Any, place: _Place, ignore: Collection[str], changes: list[Change]
) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        _compare_maps(old, new, place, ignore, changes)
    elif _is_list(old) and _is_list(new):
        _compare_lists(old, new, place, ignore, changes)
    elif not _is_same_scalar(old, new):
        _replaced(old, new, place, changes)


def _replaced(old: Any, new: Any, place: _Place, changes: list[Change]) -> None:
    before, after = shown(old, place.old), shown(new, place.new)
    if before == after and (_is_mask(old) or _is_mask(new)):
        return  # one of them was masked when it was taken in: no more can be said
    changes.append(Change("replace", place.path or ".", before, after))


def _is_mask(value: Any) -> bool:
    return isinstance(value, str) and VALUE_MASK.fullmatch(value) is not None


def _removed(old: Any, place: _Place, changes: list[Change]) -> None:
    changes.append(Change("remove", place.path, shown(old, place.old), None))


def _added(new: Any, place: _Place, changes: list[Change]) -> None:
    changes.append(Change("add", place.path, None, shown(new, place.new)))


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
    place: _Place,
    ignore: Collection[str],
    changes: list[Change],
) -> None:
    for name in [*old, *(name for name in new if name not in old)]:
        inner = place.field(name, old, new)
        if inner.path in ignore:
            continue
        if name not in new:
            _removed(old[name], inner, changes)
        elif name not in old:
            _added(new[name], inner, changes)
        else:
            _compare(old[name], new[name], inner, ignore, changes)


def _compare_lists(
    old: Sequence[Any],
    new: Sequence[Any],
    place: _Place,
    ignore: Collection[str],
    changes: list[Change],
) -> None:
    path = place.path
    key = _merge_key(old, new)
    if key is not None:
        before = {item[key]: item for item in old}
        after = {item[key]: item for item in new}
        for value in [*before, *(value for value in after if value not in before)]:
            item = place.at(f"{path}[{key}={value}]")
            if item.path in ignore:
                continue
            if value not in after:
                _removed(before[value], item, changes)
            elif value not in before:
                _added(after[value], item, changes)
            else:
                _compare(before[value], after[value], item, ignore, changes)
        shared = [v for v in before if v in after]
        if shared != [v for v in after if v in before]:
            changes.append(Change("replace", f"{path}[*].{key}", list(before), list(after)))
        return
    if not any(isinstance(item, Mapping) or _is_list(item) for item in [*old, *new]):
        if len(old) != len(new) or not all(map(_is_same_scalar, old, new)):
            _replaced(old, new, place, changes)
        return
    for number in range(max(len(old), len(new))):
        item = place.at(f"{path}[{number}]")
        if number >= len(new):
            _removed(old[number], item, changes)
        elif number >= len(old):
            _added(new[number], item, changes)
        else:
            _compare(old[number], new[number], item, ignore, changes)


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
