"""What a column is: a name, a declared dtype, and where its value stands in an object.

Guarantees:
  1. A column's dtype is declared, never inferred: the same over any history, and for no rows.
  2. `encode` does not raise for anything JSON can hold. A value that does not fit its column
     is missing (NA), except in text columns, which show it as kubectl would.
  3. Cells that are objects or lists are read-only: a frame's user cannot reach the cache.
  4. Of several values that a path finds, a cell shows all of them or none, never the first;
     but for a CRD's printer columns, which show what kubectl shows.

Thread: immutable values and pure functions.
Source: decision 8 of docs/architecture.md; pandas 3's nullable and str dtypes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crlab.errors import ColumnTypeError
from crlab.frame.codec import CODECS
from crlab.frame.plane import Plane
from crlab.model.jsonpath import JSONPath, compile_path
from crlab.model.object import KubeObject
from crlab.model.printer import PrinterColumn, text_of
from crlab.model.quantity import add_quantities, parse_quantity

CREATED = ("metadata", "creationTimestamp")
AGES = ("age", "created_at")  # how printer columns call it

DTYPES: dict[str, str] = {
    "string": "str",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "boolean",
    "date": "datetime64[us, UTC]",
    "quantity": "Float64",
    "object": "object",
}
_PANDAS_NAMES = {
    "str": "string",
    "Int64": "integer",
    "Float64": "number",
    "datetime64[us, UTC]": "date",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame.

    Attributes:
        name: its label.
        type: key of `DTYPES`.
        header: "key", "namespace", "name", "uid" or "resource_version", if that is its value.
        path: the JSONPath to its value, if it has one. Of several values "object" keeps the
            list and "string" joins them; "quantity", "integer" and "number" are their sum
            (missing, if one of them is none); "boolean" and "date" refuse them.
        is_first: take the first of several values: the rule of printer columns.
        function: a user's, from a `KubeObject` to the value; what it raises is told.
        value: a plain dict → value, for crlab's own columns where a path does not do.
        looks_at: the fields that `value` looks at, so that no others are decoded for it; None
            where any may be. It is then given an object that has just these.
    """

    name: str
    type: str = "object"
    header: str = ""
    path: JSONPath | None = None
    value: Callable[[Mapping[str, Any]], Any] | None = None
    looks_at: tuple[tuple[str, ...], ...] | None = None
    function: Callable[[KubeObject], Any] | None = None
    is_first: bool = False

    def __post_init__(self) -> None:
        if self.type not in DTYPES:
            kind = _PANDAS_NAMES.get(self.type)
            if kind is None:
                raise ColumnTypeError(
                    f"column {self.name!r}: no type {self.type!r}; types: {', '.join(DTYPES)}",
                    name=self.name,
                )
            object.__setattr__(self, "type", kind)

    @classmethod
    def at(cls, name: str, path: str, type: str = "object") -> Column:
        """Make a column of the value at a JSONPath.

        Args:
            type: "string", "integer", "number", "boolean", "date", "quantity" (a number read
                from text such as 100m), "object" (as it is), or a pandas name (Int64, …).
                A path with several values: see `path` of the class.
        """
        return cls(name, type, path=compile_path(path))

    @classmethod
    def of_printer(cls, column: PrinterColumn) -> Column:
        """Make a frame's column of a printer column; the object's age becomes "created"."""
        kind = column.frame_type or column.type
        name, path = snake(column.name), column.path
        if kind == "date" and name in AGES and (path is None or path.fields == CREATED):
            name = "created"
        kind = kind if kind in DTYPES else "string"
        if path is not None:
            return cls(name, kind, path=path, is_first=True)
        return cls(name, kind, value=column.value)

    def named(self, name: str) -> Column:
        """Return the same column under another name."""
        return replace(self, name=name)

    @property
    def dtype(self) -> str:
        """The pandas dtype, by name."""
        return DTYPES[self.type]

    def take(self, found: list[Any]) -> Any:
        """Return the cell's value from what a path found.

        Raises:
            ColumnTypeError: several values, which a column of this type cannot show.
        """
        if not found:
            return None
        if len(found) == 1 or self.is_first:
            return found[0]
        if self.type == "string":
            return ",".join(text_of(item) for item in found)
        if self.type == "object":
            return found
        if self.type in ("boolean", "date"):
            raise ColumnTypeError(
                f"{len(found)} values at {self.path.text if self.path else '?'}, and a "
                f'{self.type} is one; take an index, as [0], or type "string" or "object"',
                name=self.name,
            )
        return _sum(self.type, [item for item in found if item is not None])

    def planes(self, values: Sequence[Any]) -> tuple[Plane, ...]:
        """Return any values as the planes that hold such a column."""
        codec = CODECS[self.type]
        return codec.planes(codec.plain(values))

    def array(self, planes: tuple[Plane, ...]) -> Any:
        """Return an array of this column's dtype (object: a numpy one) that shares `planes`."""
        return CODECS[self.type].array(planes)

    def encode(self, values: Sequence[Any]) -> Any:
        """Return any values as an array of this column's dtype."""
        return self.array(self.planes(values))


def _sum(kind: str, values: Sequence[Any]) -> Any:
    """Add values up exactly; None if there are none, or one of them is no number."""
    plain = CODECS[kind].plain(values)
    if not plain or None in plain:
        return None
    if kind == "integer":
        return sum(plain)
    if kind == "quantity":
        return float(add_quantities(map(parse_quantity, values)))
    return math.fsum(plain)


def snake(text: str) -> str:
    """Return a table's header as a Python name: "Up-to-date" → up_to_date, "Port(s)" → ports."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.replace("(s)", "s"))
    return re.sub(r"\W+", "_", text).strip("_").lower() or "column"
