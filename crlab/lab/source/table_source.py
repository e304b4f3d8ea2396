"""A frame as a window of rows, with marks for what changed lately.

From: a frame (an informer's, or a live expression's). To: the live table.

A frame that has not changed is the same object, so what was computed for it (its filtered,
sorted order) is kept until it is another one. Marks come from comparing the rows of the
window with the frame before.

Thread: `table_state` on one thread at a time (the view's lock); `_frame` and what hangs on
it belong to that thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crlab.errors import describe_error
from crlab.lab.parts import Parts
from crlab.lab.source.past import Lane, Past
from crlab.lab.source.status_source import Changing, status_state
from crlab.views.filter import Filter
from crlab.views.format import clock_time
from crlab.views.state import ColumnState, Row, StatusState, TableQuery, TableState

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.frame.live import LiveExpression

MARK_SECONDS = 6.0


@dataclass(slots=True)
class _Mark:
    word: str
    changed: frozenset[int]
    at: float


class TableRows(Changing):
    """The rows of one frame-giving function."""

    def __init__(
        self,
        parts: Parts,
        title: str,
        frame: Callable[[], object],
        lane: Lane | None = None,
        past: Past | None = None,
    ) -> None:
        super().__init__(parts)
        self._past = past or Past(self.parts.trace)
        self._title = title
        self._read = frame
        self._lane = lane
        self._informer = lane.informer if lane is not None else None
        self._value: Any = None
        self._frame: pd.DataFrame | None = None
        self._order: tuple[Any, list[int]] | None = None
        self._marks: dict[str, _Mark] = {}

    def table_state(self, query: TableQuery) -> TableState:
        """Return the window asked for; see `TableSource`."""
        frame = self._present(query.moment)
        columns = tuple(
            ColumnState(str(name), _kind(frame.dtypes.iloc[place]))
            for place, name in enumerate(frame.columns)
        )
        order = self._ordered(frame, query)
        offset = max(0, min(query.offset, max(0, len(order) - 1)))
        window = order[offset : offset + query.limit]
        now = self.parts.clock.monotonic()
        rows = tuple(self._row(frame, place, now, query.moment) for place in window)
        return TableState(
            title=self._title,
            columns=columns,
            rows=rows,
            matching=len(order),
            total=len(frame),
            status=self._status(query.moment, frame),
            offset=offset,
            sort=query.sort,
            is_descending=query.is_descending,
        )

    def _status(self, moment: int | None, frame: pd.DataFrame) -> StatusState:
        """Return the view's header."""
        version = frame.attrs.get("resource_version")
        return status_state(self.parts, self._informer, moment, version)

    # -- the frame -----------------------------------------------------------------------

    def _present(self, moment: int | None) -> pd.DataFrame:
        if moment is not None and self._lane is not None:
            return self._past.frame(self._lane, moment)
        value = self._read()
        if self._frame is None or value is not self._value:
            frame = as_frame(value)
            self._compare(self._frame, frame)
            self._value, self._frame, self._order = value, frame, None
        return self._frame

    def _compare(self, old: pd.DataFrame | None, new: pd.DataFrame) -> None:
        """Mark the rows that differ from the frame before."""
        now = self.parts.clock.monotonic()
        self._marks = {k: m for k, m in self._marks.items() if now - m.at < MARK_SECONDS}
        if old is None or list(old.columns) != list(new.columns):
            return
        if not (old.index.is_unique and new.index.is_unique):
            return
        for key in new.index.difference(old.index):
            self._marks[str(key)] = _Mark("added", frozenset(), now)
        common = new.index
        if not new.index.equals(old.index):
            common = new.index.intersection(old.index)
            old, new = old.reindex(common), new.reindex(common)
        changed: dict[Any, set[int]] = {}
        for place, name in enumerate(new.columns):
            left, right = old[name], new[name]
            if left.equals(right):  # all at once: most columns, most of the time
                continue
            same = (left.astype(object) == right.astype(object)).fillna(False).astype(bool)
            differs = ~(same | (left.isna() & right.isna()))
            for key in common[differs.to_numpy(dtype=bool)]:
                changed.setdefault(key, set()).add(place)
        for key, places in changed.items():
            self._marks[str(key)] = _Mark("modified", frozenset(places), now)

    # -- the window ----------------------------------------------------------------------

    def _ordered(self, frame: pd.DataFrame, query: TableQuery) -> list[int]:
        """Return the positions of the rows that match, in the order asked for."""
        asked = (id(frame), query.filter, query.sort, query.is_descending)
        if query.moment is None and self._order is not None and self._order[0] == asked:
            return self._order[1]
        found = list(range(len(frame)))
        if query.filter is not None:
            found = self._matching(frame, query.filter)
        if query.sort and query.sort in frame.columns:
            places = _sorted_places(frame[query.sort], descending=query.is_descending)
            wanted = set(found)
            found = [place for place in places if place in wanted]
        elif query.is_descending:
            found.reverse()
        if query.moment is None:
            self._order = (asked, found)
        return found

    def _matching(self, frame: pd.DataFrame, wanted: Filter) -> list[int]:
        names = [str(name) for name in frame.columns]
        wanted.check([*names, "key"])
        values = {str(name): frame[name].tolist() for name in frame.columns}
        keys = [str(key) for key in frame.index]
        now = self.parts.clock.now()
        found = []
        for place, key in enumerate(keys):

            def lookup(field: str, place: int = place, key: str = key) -> object:
                if field in values:
                    value = values[field][place]
                    if isinstance(value, pd.Timestamp):
                        return value.to_pydatetime()  # "created<5m" needs to know it is a time
                    return plain_cell(value)
                return key if field == "key" else self._label(key, field)

            def cells(place: int = place, key: str = key) -> list[object]:
                return [key, *(plain_cell(column[place]) for column in values.values())]

            if wanted.matches(lookup, cells, now):
                found.append(place)
        return found

    def _label(self, key: str, field: str) -> object:
        if self._informer is None or not field.startswith("label."):
            return None
        obj = self._informer.indexer.get_by_key(key)
        labels = obj["metadata"].get("labels") or {} if obj is not None else {}
        return labels.get(field.removeprefix("label."))

    def _row(self, frame: pd.DataFrame, place: int, now: float, moment: int | None) -> Row:
        key = str(frame.index[place])
        cells = tuple(plain_cell(frame.iat[place, c]) for c in range(len(frame.columns)))
        mark = self._marks.get(key) if moment is None else None
        if mark is None or now - mark.at >= MARK_SECONDS:
            return Row(key, cells)
        return Row(key, cells, mark.word, mark.changed, now - mark.at)


class LiveRows(TableRows):
    """The rows of a live expression: "live" only while it and all it reads are."""

    def __init__(
        self,
        parts: Parts,
        title: str,
        live: LiveExpression,
        informers: Callable[[], Sequence[SharedInformer]],
    ) -> None:
        super().__init__(parts, title, self._good)
        self._live = live
        self._informers = informers

    def _good(self) -> object:
        """Return the last good value; of none, no rows."""
        try:
            return self._live.value
        except Exception:  # noqa: BLE001 - a user's function; `_status` says what it raised
            return _NO_ROWS

    def _status(self, moment: int | None, frame: pd.DataFrame) -> StatusState:
        error, good_at = self._live.error, self._live.good_at
        if error is None or self.parts.life.state == "closed":
            return status_state(
                self.parts, self._worst(), moment, frame.attrs.get("resource_version")
            )
        since = self._live.failed_at or 0.0
        text = f"{describe_error(error)} (since {clock_time(since)})"
        return replace(
            status_state(self.parts),
            state="failed",
            cause=text if good_at is None else f"{text}; these are the last good rows",
            age_seconds=None if self.parts.is_seeded else max(0.0, self.parts.clock.now() - since),
            at=since if good_at is None else good_at,
        )

    def _worst(self) -> SharedInformer | None:
        """Return an informer that it reads and that is not live, if there is one."""
        read = self._live.sources
        indexers = [*read, *(getattr(source, "indexer", None) for source in read)]
        for informer in self._informers():
            is_read = any(each is informer.indexer for each in indexers)
            if is_read and not informer.status.is_live:
                return informer
        return None


_NO_ROWS = pd.DataFrame({"value": []})


def as_frame(value: object) -> pd.DataFrame:
    """Return what a live expression gave as a frame; a Series becomes one column.

    An index that says something (groups, counted values) is shown as the first columns; row
    numbers are not, nor are keys that the columns `namespace` and `name` say already.
    """
    if isinstance(value, pd.Series):
        value = value.to_frame(value.name if value.name is not None else "value")
    if not isinstance(value, pd.DataFrame):
        return pd.DataFrame({"value": [value]})
    index = value.index
    is_count = isinstance(index, pd.RangeIndex) and index.name is None
    if is_count or (index.name == "key" and _says_keys(value)):
        return value
    shown = value.copy(deep=False)
    if isinstance(shown.columns, pd.MultiIndex):
        shown.columns = pd.Index([" ".join(map(str, names)).strip() for names in shown.columns])
    for level, name in enumerate(index.names):
        title = str(name) if name is not None else "index"
        while title in shown.columns:
            title = f"index {title}"
        shown.insert(level, title, index.get_level_values(level).array)
    return shown


def _says_keys(frame: pd.DataFrame) -> bool:
    """Whether the columns of names hold what the index of keys does."""
    if "name" not in frame.columns or not frame.columns.is_unique:
        return False
    names = frame["name"].astype("str")
    if "namespace" in frame.columns:
        names = frame["namespace"].astype("str").str.cat(names, sep="/")
    return bool(pd.Index(names).equals(frame.index.astype("str")))


def plain_cell(value: object) -> str | float | bool | None:
    """Return a cell as a view takes it: str, int, float, bool, None, or seconds for a time."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return value.timestamp()
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if value != value else value
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", 0) == 0:
        return plain_cell(item())
    return str(value)


def _kind(dtype: np.dtype[Any] | pd.api.extensions.ExtensionDtype) -> str:
    if isinstance(dtype, pd.DatetimeTZDtype) or str(dtype).startswith("datetime64"):
        return "time"
    if pd.api.types.is_bool_dtype(dtype):
        return "bool"
    return "number" if pd.api.types.is_numeric_dtype(dtype) else "text"


def _sorted_places(column: pd.Series[Any], *, descending: bool) -> list[int]:
    positions = pd.Series(column.to_numpy(), index=range(len(column)))
    try:
        ordered = positions.sort_values(ascending=not descending, kind="stable")
    except TypeError:  # mixed types in an object column: compare their texts
        texts = positions.map(str)
        ordered = texts.sort_values(ascending=not descending, kind="stable")
    return [int(place) for place in ordered.index]
