"""Which cells of a frame could not be worked out, and why.

From: `row_reader`, cell by cell. To: `LiveFrame.column_errors`, a frame's attrs, the informer.

Guarantees:
  1. A row that is read again, or is gone, fails no more.
  2. What is kept keeps nothing alive: errors have no traceback (`errors.let_go`).

Thread: any; `_lock` guards the tables.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from crlab.errors import ColumnFailed, describe_error, let_go
from crlab.model.plural import counted


@dataclass(frozen=True, slots=True)
class FailingColumn:
    """A column of which cells are missing because working them out failed.

    Attributes:
        column: its name.
        rows: how many rows lack it now.
        count: how often it has failed so far.
        key: the row that failed last, with its `error`.
    """

    column: str
    rows: int
    count: int
    key: str
    error: Exception

    @property
    def cause(self) -> str:
        """Which error, where: "default/web: ZeroDivisionError: division by zero"."""
        return f"{self.key}: {describe_error(self.error)}"

    def __str__(self) -> str:
        return f"column {self.column!r} fails for {counted(self.rows, 'rows')}, last {self.cause}"


class FailingColumns:
    """The failing columns of one frame."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: dict[str, dict[str, Exception]] = {}  # column → key → error, last at the end
        self._counts: dict[str, int] = {}
        self._fresh: list[tuple[str, str, Exception]] = []

    def add(self, column: str, key: str, error: Exception) -> None:
        """Note that a cell could not be worked out."""
        let_go(error)
        with self._lock:
            self._counts[column] = self._counts.get(column, 0) + 1
            self._errors.setdefault(column, {})[key] = error
            self._fresh.append((column, key, error))

    def take(self) -> list[tuple[str, str, Exception]]:
        """Return column, key and error of what was added since the last call."""
        if not self._fresh:
            return []
        with self._lock:
            fresh, self._fresh = self._fresh, []
        return fresh

    def rows(self, column: str) -> frozenset[str]:
        """Return the keys of the rows in which a column fails now."""
        with self._lock:
            return frozenset(self._errors.get(column, ()))

    def forget(self, keys: Iterable[str] | None = None) -> None:
        """Forget what failed in these rows (None: all), before they are read again."""
        if not self._errors:
            return
        with self._lock:
            if keys is None:
                self._errors = {}
                return
            gone = set(keys)
            kept = {
                column: {key: error for key, error in rows.items() if key not in gone}
                for column, rows in self._errors.items()
            }
            self._errors = {column: rows for column, rows in kept.items() if rows}

    def list(self) -> list[FailingColumn]:
        """Return those that fail now, in the order in which they began."""
        with self._lock:
            return [
                FailingColumn(column, len(rows), self._counts[column], *list(rows.items())[-1])
                for column, rows in self._errors.items()
            ]

    def attrs(self) -> dict[str, dict[str, str]]:
        """Return what a frame's attrs say of it: nothing, if nothing fails."""
        told = {each.column: str(each) for each in self.list()}
        return {"column_errors": told} if told else {}

    def check(self, rows: int) -> None:
        """Raise if a column fails in every one of a frame's rows.

        Raises:
            ColumnFailed: names column, key and cause.
        """
        for failing in self.list() if self._errors else ():
            if failing.rows >= rows:
                raise ColumnFailed(
                    f"column {failing.column!r} fails for every row; {failing.cause}",
                    name=failing.column,
                    key=failing.key,
                ) from failing.error
