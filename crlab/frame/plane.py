"""Planes: the arrays a column is made of, in row order, and how rows are put in and out.

A plane is an Arrow array (text) or a numpy array (all else). A column has one, or two
where pandas keeps a mask beside the values.

Guarantee: no plane is ever written; `Splice.applied` makes a new one.

A splice with few cuts copies the stretches between them, one after the other, which costs
as much as a copy; with many it gathers row by row.

Thread: immutable values and pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

try:  # pandas keeps str in Arrow where pyarrow is there
    import pyarrow as pa
except ImportError:
    pa = None

Plane = Any
_MANY = 400  # pieces, from which gathering row by row is cheaper


class Splice:
    """Rows of a plane overwritten, taken out and put in, in one step."""

    def __init__(
        self,
        size: int,
        changed: Sequence[int],
        removed: Sequence[int],
        added: Sequence[int],
    ) -> None:
        """Plan it.

        Args:
            size: rows before.
            changed, removed: places of rows, each once.
            added: places before which rows are put in, ascending.
        """
        self._changed = np.array(changed, np.intp)
        self._removed = np.array(removed, np.intp)
        self._added = np.array(added, np.intp)
        self._size = size
        self._is_moving = bool(len(removed) or len(added))
        self._places: Any = None
        self._pieces: list[tuple[bool, int, int]] | None = None
        self._order: Any = None
        if not self._is_moving and pa is not None:
            self._places = pa.array(self._changed)

    def is_idle(self, old: Plane, new: Plane) -> bool:
        """Whether the changed rows are in `old` what they are in `new`."""
        if not isinstance(old, np.ndarray):
            return bool(old.take(self._places).equals(new))
        present = old[self._changed]
        if old.dtype == object:
            return all(map(is_same, present.tolist(), new.tolist()))
        return np.array_equal(present, new)

    def applied(self, old: Plane, new: Plane) -> Plane:
        """Return a plane with the rows of `new`: those for `changed`, then those for `added`."""
        if isinstance(old, np.ndarray) and not self._is_moving:
            copy = old.copy()
            copy[self._changed] = new
            return copy
        pieces = self._all_pieces()
        if len(pieces) > _MANY:
            return _joined([old, new]).take(self._gathered())
        return _joined([_cut(new if is_new else old, a, b) for is_new, a, b in pieces])

    def listed(self, old: list[Any], new: list[Any]) -> list[Any]:
        """Return a list spliced so."""
        rows: list[Any] = []
        for is_new, start, stop in self._all_pieces():
            rows += (new if is_new else old)[start:stop]
        return rows

    def _all_pieces(self) -> list[tuple[bool, int, int]]:
        """The stretches of the result: of the new rows or of the old, from, to."""
        if self._pieces is None:
            cuts = [(place, 1, row) for row, place in enumerate(self._changed.tolist())]
            cuts += [(place, 1, -1) for place in self._removed.tolist()]
            cuts += [(p, 0, row) for row, p in enumerate(self._added.tolist(), len(self._changed))]
            pieces: list[tuple[bool, int, int]] = []
            at = 0
            for place, width, row in sorted(cuts):
                if place > at or not pieces:
                    pieces.append((False, at, place))
                at = place + width
                if row >= 0:
                    is_next = pieces[-1][0] and pieces[-1][2] == row
                    start = pieces.pop()[1] if is_next else row
                    pieces.append((True, start, row + 1))
            self._pieces = [*pieces, (False, at, self._size)]
        return self._pieces

    def _gathered(self) -> Any:
        """Which row of old and new together each row of the result is."""
        if self._order is None:
            order = np.arange(self._size)
            count = len(self._changed)
            order[self._changed] = np.arange(self._size, self._size + count)
            added = np.arange(self._size + count, self._size + count + len(self._added))
            order = np.insert(order, self._added, added)
            keep = np.ones(self._size, bool)
            keep[self._removed] = False
            self._order = order[np.insert(keep, self._added, True)]
        return self._order


def is_same(a: Any, b: Any) -> bool:
    """Whether two JSON values are one, 1 and True told apart."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(is_same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(is_same, a, b))
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001 - a user's function may return what does not compare
        return False


def _cut(plane: Plane, start: int, stop: int) -> Plane:
    if isinstance(plane, np.ndarray):
        return plane[start:stop]
    return plane.slice(start, stop - start)


def _joined(parts: list[Plane]) -> Plane:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else pa.concat_arrays(parts)
