"""Read-only cells: JSON objects and arrays as a frame holds them.

Guarantee: what is in a cell cannot be changed through it; copies are ordinary dicts and lists.

Thread: immutable values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

_ADVICE = "cells of a frame are read-only views of the cache; change a copy: dict(cell)"


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError(_ADVICE)


class CellDict(dict[str, Any]):
    """A JSON object in a cell; copies of it are ordinary dicts."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return {key: _mutable(value) for key, value in self.items()}


class CellList(list[Any]):
    """A JSON array in a cell; copies of it are ordinary lists."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = remove = pop = clear = _refuse
    sort = reverse = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: object) -> list[Any]:
        return [_mutable(value) for value in self]


def cell(value: Any) -> Any:
    """Return a JSON value as a frame holds it: nested ones read-only."""
    if isinstance(value, Mapping):
        return CellDict((key, cell(item)) for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return CellList(cell(item) for item in value)
    return value


def _mutable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mutable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mutable(item) for item in value]
    return value
