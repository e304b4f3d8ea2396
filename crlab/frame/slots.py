"""Typed columns in key order, patched row by row, shared with the frames made of them.

Guarantees:
  1. An array that was handed out in a frame is never written again: a column that changes
     is copied first.
  2. A column in which no cell differs keeps its Series.

Thread: none of its own; `LiveFrame` holds its lock around every call.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crlab.frame.column import Column
from crlab.frame.row_reader import RowReader
from crlab.model.object import KubeObject

_FEW = 200  # up to here, moving the tail of a list is cheaper than making a new one


class Slots:
    """The rows of one frame."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        self.keys: list[str] = []
        self.index = _index([])
        self.series = [_series(c.encode(()), self.index, c) for c in self.columns]
        self._labels = pd.Index([c.name for c in self.columns], dtype="object")

    def frame(self) -> pd.DataFrame:
        """Return a frame that shares every column (pandas copies one before a write)."""
        pairs = zip(self.columns, self.series, strict=True)
        return pd.DataFrame(
            {column.name: series for column, series in pairs}, index=self.index, copy=False
        )

    def build(self, rows: Mapping[str, KubeObject], reader: RowReader) -> None:
        """Fill every slot anew."""
        self.keys = sorted(rows)
        self.index = _index(self.keys)
        values = reader.read([rows[key] for key in self.keys])
        self.series = [
            _series(column.encode(cells), self.index, column)
            for column, cells in zip(self.columns, values, strict=True)
        ]

    def patch(self, rows: Mapping[str, KubeObject | None], reader: RowReader) -> None:
        """Apply the present state of some keys (None: gone)."""
        changed: list[tuple[int, KubeObject]] = []
        added: list[tuple[str, KubeObject]] = []
        removed: list[int] = []
        for key, obj in rows.items():
            place = bisect_left(self.keys, key)
            is_there = place < len(self.keys) and self.keys[place] == key
            if obj is None:
                if is_there:
                    removed.append(place)
            elif is_there:
                changed.append((place, obj))
            else:
                added.append((key, obj))
        if changed:
            self._overwrite(changed, reader)
        if added or removed:
            self._move(sorted(added, key=lambda pair: pair[0]), removed, reader)

    def _overwrite(self, changed: list[tuple[int, KubeObject]], reader: RowReader) -> None:
        places = np.fromiter((place for place, _ in changed), np.intp, len(changed))
        values = reader.read([obj for _, obj in changed])
        for number, (column, cells) in enumerate(zip(self.columns, values, strict=True)):
            present = _array(self.series[number])
            old, new = column.unpack(present[places]), column.plain(cells)
            same = _same if column.type == "object" else operator.eq
            differing = [n for n, pair in enumerate(zip(old, new, strict=True)) if not same(*pair)]
            if differing:
                copy = present.copy()
                copy[places[differing]] = column.pack([new[n] for n in differing])
                self.series[number] = _series(copy, self.index, column)

    def _move(
        self, added: list[tuple[str, KubeObject]], removed: list[int], reader: RowReader
    ) -> None:
        """Take rows out and put rows in, keeping the order of keys."""
        keep = np.ones(len(self.keys), dtype=bool)
        keep[removed] = False
        is_cut = bool(removed)
        kept = _without(self.keys, removed)
        places = [bisect_left(kept, key) for key, _ in added]
        order = np.insert(
            np.arange(len(kept)), places, np.arange(len(kept), len(kept) + len(added))
        )
        new_keys = [key for key, _ in added]
        self.keys = _with(kept, places, new_keys)
        index = self.index.array[keep] if is_cut else self.index.array
        if added:
            index = _joined(index, pd.array(new_keys, dtype="str"))[order]
        self.index = pd.Index(index, name="key")
        values = reader.read([obj for _, obj in added]) if added else [()] * len(self.columns)
        for number, (column, cells) in enumerate(zip(self.columns, values, strict=True)):
            array = _array(self.series[number])
            array = array[keep] if is_cut else array
            if added:
                array = _joined(array, column.encode(cells))[order]
            self.series[number] = _series(array, self.index, column)


def _without(keys: list[str], places: list[int]) -> list[str]:
    if len(places) > _FEW:
        gone = set(places)
        return [key for place, key in enumerate(keys) if place not in gone]
    kept = keys.copy() if places else keys
    for place in sorted(places, reverse=True):
        del kept[place]
    return kept


def _with(keys: list[str], places: list[int], new: list[str]) -> list[str]:
    if len(new) > _FEW:
        return sorted([*keys, *new])
    both = keys.copy()
    for shift, (place, key) in enumerate(zip(places, new, strict=True)):
        both.insert(place + shift, key)
    return both


def _index(keys: list[str]) -> pd.Index:
    return pd.Index(keys, dtype="str", name="key")


def _series(array: Any, index: pd.Index, column: Column) -> pd.Series:
    return pd.Series(array, index=index, dtype=column.dtype, name=column.name, copy=False)


def _array(series: pd.Series) -> Any:
    """The column's array: a numpy array for objects, pandas' own for the rest."""
    return series.to_numpy() if series.dtype == object else series.array


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    pair = [pd.Series(first, copy=False), pd.Series(second, copy=False)]
    return pd.concat(pair, ignore_index=True).array


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values are one, 1 and True told apart."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
