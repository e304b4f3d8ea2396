"""Typed columns in key order, patched row by row, shared with the frames made of them.

Guarantees:
  1. An array that was handed out in a frame is never written again: a column that changes
     is copied first.
  2. A column in which no cell differs keeps its array.
  3. Frames share arrays, and neither their labels nor their index objects.

Thread: none of its own; `LiveFrame` holds its lock around every call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import itemgetter

import pandas as pd

from crlab.frame.codec import text_array, text_planes
from crlab.frame.column import Column
from crlab.frame.plane import Plane, Splice
from crlab.frame.row_reader import RowReader
from crlab.model.object import KubeObject

_Planes = tuple[Plane, ...]
_FEW = 200  # up to here, moving the tail of a list is cheaper than making a new one


class Slots:
    """The rows of one frame."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        self.keys: list[str] = []
        self._fill(text_planes([]), [column.planes(()) for column in self.columns])

    def frame(self) -> pd.DataFrame:
        """Return a frame that shares every array (pandas copies one before a write)."""
        return self._whole.copy(deep=False)

    def build(self, rows: Mapping[str, KubeObject], reader: RowReader) -> None:
        """Fill every slot anew."""
        keys = sorted(rows)
        values = reader.read([rows[key] for key in keys])
        pairs = zip(self.columns, values, strict=True)
        self._fill(text_planes(keys), [column.planes(cells) for column, cells in pairs])
        self.keys = keys

    def patch(self, rows: Mapping[str, KubeObject | None], reader: RowReader) -> None:
        """Apply the present state of some keys (None: gone)."""
        keys, size = self.keys, len(self.keys)
        changed: list[tuple[int, str, KubeObject]] = []
        added: list[tuple[int, str, KubeObject]] = []
        removed: list[int] = []
        for key, obj in sorted(rows.items(), key=itemgetter(0)):
            place = bisect_left(keys, key)
            is_there = place < size and keys[place] == key
            if obj is not None:
                (changed if is_there else added).append((place, key, obj))
            elif is_there:
                removed.append(place)
        if not (changed or added or removed):
            return
        splice = Splice(size, [row[0] for row in changed], removed, [row[0] for row in added])
        names = [key for _, key, _ in changed + added]
        values = reader.read([obj for _, _, obj in changed + added])
        fresh = [column.planes(cells) for column, cells in zip(self.columns, values, strict=True)]
        if added or removed:
            self._move(splice, text_planes(names), fresh)
            if len(added) + len(removed) > _FEW:
                self.keys = splice.listed(keys, names)
            else:
                _move_few(keys, removed, [(place, key) for place, key, _ in added])
        else:
            self._overwrite(splice, fresh)

    def _fill(self, key_planes: _Planes, planes: list[_Planes]) -> None:
        self._key_planes = key_planes
        self._planes = planes
        self._index = pd.Index(text_array(key_planes), name="key")
        self._whole = pd.DataFrame(
            {column.name: self._series(number) for number, column in enumerate(self.columns)},
            index=self._index,
            copy=False,
        )

    def _overwrite(self, splice: Splice, fresh: list[_Planes]) -> None:
        """Give the columns in which a cell differs new arrays."""
        for number, (old, new) in enumerate(zip(self._planes, fresh, strict=True)):
            if not all(map(splice.is_idle, old, new)):
                self._planes[number] = tuple(map(splice.applied, old, new))
                self._whole.isetitem(number, self._series(number))  # type: ignore[arg-type]

    def _move(self, splice: Splice, names: _Planes, fresh: list[_Planes]) -> None:
        """Take rows out and put rows in."""
        pairs = zip([self._key_planes, *self._planes], [names, *fresh], strict=True)
        keys, *planes = [tuple(map(splice.applied, old, new)) for old, new in pairs]
        self._fill(keys, planes)

    def _series(self, number: int) -> pd.Series:
        """Return a column as a Series that shares its planes."""
        column = self.columns[number]
        array = column.array(self._planes[number])
        dtype = object if column.type == "object" else None
        return pd.Series(array, index=self._index, dtype=dtype, name=column.name, copy=False)


def _move_few(keys: list[str], removed: list[int], added: list[tuple[int, str]]) -> None:
    moves = [(place, True, "") for place in removed] + [(p, False, key) for p, key in added]
    for place, is_gone, key in sorted(moves, reverse=True):
        if is_gone:
            del keys[place]
        else:
            keys.insert(place, key)
