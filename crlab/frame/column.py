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
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from crlab.errors import ColumnTypeError
from crlab.model.jsonpath import JSONPath, compile_path
from crlab.model.printer import PrinterColumn, text_of
from crlab.model.quantity import quantity_number

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
_INT64 = 2**63
_NOT_A_TIME = -_INT64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame.

    Attributes:
        name: its label.
        type: key of `DTYPES`.
        header: "key", "namespace", "name", "uid" or "resource_version", if that is its value.
        path: the JSONPath to its value, if it has one.
        value: object → value, where a path does not do.
    """

    name: str
    type: str = "object"
    header: str = ""
    path: JSONPath | None = None
    value: Callable[[Mapping[str, Any]], Any] | None = None

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

    def plain(self, values: Sequence[Any]) -> list[Any]:
        """Return the values as this column holds them, None where one does not fit."""
        return _CODECS[self.type].plain(values)

    def pack(self, plain: Sequence[Any]) -> Any:
        """Return an array of this column's dtype (object: a numpy array) of plain values."""
        return _CODECS[self.type].pack(plain)

    def unpack(self, array: Any) -> list[Any]:
        """Return the plain values of an array."""
        return _CODECS[self.type].unpack(array)

    def encode(self, values: Sequence[Any]) -> Any:
        """Return any values as an array of this column's dtype."""
        return self.pack(self.plain(values))


def snake(text: str) -> str:
    """Return a table's header as a Python name: "Up-to-date" → up_to_date, "Port(s)" → ports."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.replace("(s)", "s"))
    return re.sub(r"\W+", "_", text).strip("_").lower() or "column"


# --- read-only cells ------------------------------------------------------------

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


# --- codecs -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Codec:
    """Any values → plain ones → an array → plain ones again."""

    plain: Callable[[Sequence[Any]], list[Any]]
    pack: Callable[[Sequence[Any]], Any]
    unpack: Callable[[Any], list[Any]]


def _as_list(values: Sequence[Any]) -> list[Any]:
    return values if isinstance(values, list) else list(values)


def _strings(values: Sequence[Any]) -> list[Any]:
    if set(map(type, values)) <= {str, _NONE}:
        return _as_list(values)
    return [None if v is None else v if type(v) is str else text_of(v) for v in values]


def _pack_strings(plain: Sequence[Any]) -> Any:
    try:
        return _text_array(plain)
    except (UnicodeEncodeError, ValueError):  # lone surrogates
        clean = [v if v is None else v.encode("utf-8", "replace").decode() for v in plain]
        return pd.array(clean, dtype="str")


def _unpack_strings(array: Any) -> list[Any]:
    return [v if type(v) is str else None for v in array.to_numpy(dtype=object).tolist()]


def _plain_text_array(values: Sequence[Any]) -> Any:
    return pd.array(values, dtype="str")


def _arrow_text_array(values: Sequence[Any]) -> Any:
    if len(values) < 1000:
        return pd.array(values, dtype="str")
    return pd.array(pa.array(values, type=pa.large_string()), dtype="str")


try:  # pandas keeps str in Arrow where pyarrow is there; building it directly is 3 times as fast
    import pyarrow as pa

    _text_array = _arrow_text_array
except ImportError:
    _text_array = _plain_text_array


def _integer(value: Any) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _integers(values: Sequence[Any]) -> list[Any]:
    if set(map(type, values)) <= {int, _NONE}:
        known = [v for v in values if v is not None]
        if not known or (min(known) >= -_INT64 and max(known) < _INT64):
            return _as_list(values)
    return [_integer(value) for value in values]


def _number(value: Any) -> float | None:
    if type(value) is float:
        return value if value == value else None
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _booleans(values: Sequence[Any]) -> list[Any]:
    return [value if type(value) is bool else None for value in values]


def _masked(make: Any, dtype: Any) -> Callable[[Sequence[Any]], Any]:
    """A packer for one of pandas' masked arrays."""

    def pack(plain: Sequence[Any]) -> Any:
        size = len(plain)
        if None in plain:
            mask = np.fromiter((value is None for value in plain), bool, size)
            plain = [value or 0 for value in plain]
        else:
            mask = np.zeros(size, bool)
        return make(np.fromiter(plain, dtype, size), mask)

    return pack


def _unpack_masked(array: Any) -> list[Any]:
    found: list[Any] = array.to_numpy(dtype=object, na_value=None).tolist()
    return found


def _microseconds(text: str) -> int | None:
    """An RFC 3339 time as microseconds since the epoch; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def _dates(values: Sequence[Any]) -> list[Any]:
    known: dict[Any, int | None] = {}
    for value in {v for v in values if type(v) is str}:
        known[value] = _microseconds(value) if 10 <= len(value) < 64 else None
    return [known[value] if type(value) is str else None for value in values]


def _pack_dates(plain: Sequence[Any]) -> Any:
    if None in plain:
        plain = [_NOT_A_TIME if stamp is None else stamp for stamp in plain]
    data = np.fromiter(plain, np.int64, len(plain))
    return pd.DatetimeIndex(data.view("M8[us]")).tz_localize("UTC").array


def _unpack_dates(array: Any) -> list[Any]:
    stamps = pd.DatetimeIndex(array).asi8.tolist()
    return [None if stamp == _NOT_A_TIME else stamp for stamp in stamps]


def _objects(values: Sequence[Any]) -> list[Any]:
    return [cell(value) if isinstance(value, Mapping | list) else value for value in values]


def _pack_objects(plain: Sequence[Any]) -> Any:
    array = np.empty(len(plain), dtype=object)
    for place, value in enumerate(plain):
        array[place] = value
    return array


_NONE = type(None)
_FLOATS = _masked(pd.arrays.FloatingArray, np.float64)
_CODECS: dict[str, _Codec] = {
    "string": _Codec(_strings, _pack_strings, _unpack_strings),
    "integer": _Codec(_integers, _masked(pd.arrays.IntegerArray, np.int64), _unpack_masked),
    "number": _Codec(lambda values: [_number(v) for v in values], _FLOATS, _unpack_masked),
    "quantity": _Codec(
        lambda values: [quantity_number(v) for v in values], _FLOATS, _unpack_masked
    ),
    "boolean": _Codec(_booleans, _masked(pd.arrays.BooleanArray, np.bool_), _unpack_masked),
    "date": _Codec(_dates, _pack_dates, _unpack_dates),
    "object": _Codec(_objects, _pack_objects, lambda array: array.tolist()),
}
