"""Values of one column type: any JSON → plain values → planes → a pandas array.

Guarantees:
  1. Nothing JSON can hold raises; a value that does not fit is missing.
  2. An array shares the memory of the planes it was made of.

Thread: pure functions.
Source: pandas 3's nullable and str dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from crlab.frame.cell import cell
from crlab.frame.plane import Plane
from crlab.model.printer import text_of
from crlab.model.quantity import quantity_number
from crlab.model.timestamp import parse_moment

try:
    import pyarrow as pa
except ImportError:
    pa = None

_INT64 = 2**63
_NOT_A_TIME = -_INT64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NONE = type(None)


@dataclass(frozen=True, slots=True)
class Codec:
    """How a column type is kept."""

    plain: Callable[[Sequence[Any]], list[Any]]
    planes: Callable[[Sequence[Any]], tuple[Plane, ...]]
    array: Callable[[tuple[Plane, ...]], Any]


def _as_list(values: Sequence[Any]) -> list[Any]:
    return values if isinstance(values, list) else list(values)


def _strings(values: Sequence[Any]) -> list[Any]:
    if set(map(type, values)) <= {str, _NONE}:
        return _as_list(values)
    return [None if v is None else v if type(v) is str else text_of(v) for v in values]


def text_planes(plain: Sequence[Any]) -> tuple[Plane, ...]:
    """Return texts (None: missing) as a plane."""
    if pa is None:
        return _object_planes(plain)
    try:
        return (pa.array(plain, type=pa.large_string()),)
    except (UnicodeEncodeError, ValueError):  # lone surrogates
        clean = [v if v is None else v.encode("utf-8", "replace").decode() for v in plain]
        return (pa.array(clean, type=pa.large_string()),)


def text_array(planes: tuple[Plane, ...]) -> Any:
    """Return the array of a plane of texts."""
    return pd.array(planes[0], dtype="str")


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


def _masked_planes(dtype: Any) -> Callable[[Sequence[Any]], tuple[Plane, ...]]:
    def planes(plain: Sequence[Any]) -> tuple[Plane, ...]:
        size = len(plain)
        if None in plain:
            mask = np.fromiter((value is None for value in plain), bool, size)
            plain = [value or 0 for value in plain]
        else:
            mask = np.zeros(size, bool)
        return np.fromiter(plain, dtype, size), mask

    return planes


def _microseconds(text: str) -> int | None:
    """An RFC 3339 time as microseconds since the epoch; without an offset it is UTC."""
    moment = parse_moment(text)
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def _dates(values: Sequence[Any]) -> list[Any]:
    known: dict[Any, int | None] = {}
    for value in {v for v in values if type(v) is str}:
        known[value] = _microseconds(value) if 10 <= len(value) < 64 else None
    return [known[value] if type(value) is str else None for value in values]


def _date_planes(plain: Sequence[Any]) -> tuple[Plane, ...]:
    if None in plain:
        plain = [_NOT_A_TIME if stamp is None else stamp for stamp in plain]
    return (np.fromiter(plain, np.int64, len(plain)),)


def _date_array(planes: tuple[Plane, ...]) -> Any:
    return pd.DatetimeIndex(planes[0].view("M8[us]")).tz_localize("UTC").array


def _objects(values: Sequence[Any]) -> list[Any]:
    return [cell(value) if isinstance(value, Mapping | list) else value for value in values]


def _object_planes(plain: Sequence[Any]) -> tuple[Plane, ...]:
    array = np.empty(len(plain), dtype=object)
    for place, value in enumerate(plain):
        array[place] = value
    return (array,)


def _float_array(planes: tuple[Plane, ...]) -> Any:
    return pd.arrays.FloatingArray(*planes)


_floats = _masked_planes(np.float64)
CODECS: dict[str, Codec] = {
    "string": Codec(_strings, text_planes, text_array),
    "integer": Codec(
        _integers, _masked_planes(np.int64), lambda planes: pd.arrays.IntegerArray(*planes)
    ),
    "number": Codec(lambda values: [_number(v) for v in values], _floats, _float_array),
    "quantity": Codec(lambda values: [quantity_number(v) for v in values], _floats, _float_array),
    "boolean": Codec(
        _booleans, _masked_planes(np.bool_), lambda planes: pd.arrays.BooleanArray(*planes)
    ),
    "date": Codec(_dates, _date_planes, _date_array),
    "object": Codec(_objects, _object_planes, lambda planes: planes[0]),
}
