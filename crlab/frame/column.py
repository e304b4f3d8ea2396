"""What a column is: a name, a declared dtype, and where its value stands in an object.

Guarantees:
  1. A column's dtype is declared, never inferred: the same over any history, and for no rows.
  2. `encode` does not raise for anything JSON can hold. A value that does not fit its column
     is missing (NA), except in text columns, which show it as kubectl would.
  3. Cells that are objects or lists are read-only: a frame's user cannot reach the cache.

Thread: immutable values and pure functions.
Source: decision 8 of docs/architecture.md; pandas 3's nullable and str dtypes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crlab.errors import ColumnTypeError
from crlab.frame.codec import CODECS
from crlab.frame.plane import Plane
from crlab.model.jsonpath import JSONPath, compile_path
from crlab.model.printer import PrinterColumn, text_of

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
        path: the JSONPath to its value, if it has one.
        value: object → value, where a path does not do.
        looks_at: the fields that `value` looks at, so that no others are decoded for it; None
            where any may be. It is then given an object that has just these.
        is_users: whether `value` is the user's own; what it raises is then told.
    """

    name: str
    type: str = "object"
    header: str = ""
    path: JSONPath | None = None
    value: Callable[[Mapping[str, Any]], Any] | None = None
    looks_at: tuple[tuple[str, ...], ...] | None = None
    is_users: bool = False

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
        """
        return cls(name, type, path=compile_path(path))

    @classmethod
    def of_printer(cls, column: PrinterColumn) -> Column:
        """Make a frame's column of a printer column; an age becomes a time, "created"."""
        kind = column.frame_type or column.type
        name = snake(column.name)
        if kind == "date" and name in ("age", "created_at"):
            name = "created"
        if column.path is not None:
            return cls(name, kind if kind in DTYPES else "string", path=column.path)
        return cls(name, kind if kind in DTYPES else "string", value=column.value)

    def named(self, name: str) -> Column:
        """Return the same column under another name."""
        return replace(self, name=name)

    @property
    def dtype(self) -> str:
        """The pandas dtype, by name."""
        return DTYPES[self.type]

    def take(self, found: list[Any]) -> Any:
        """Return the cell's value from what a path found."""
        if not found:
            return None
        if len(found) == 1:
            return found[0]
        if self.type == "string":
            return ",".join(text_of(item) for item in found)
        return found if self.type == "object" else found[0]

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


def snake(text: str) -> str:
    """Return a table's header as a Python name: "Up-to-date" → up_to_date, "Port(s)" → ports."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.replace("(s)", "s"))
    return re.sub(r"\W+", "_", text).strip("_").lower() or "column"
