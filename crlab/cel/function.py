"""CEL's standard functions: arithmetic, comparison, conversion, strings, times, lists, sets.

Each takes its arguments as values (a member's target first) and returns a value or raises
`CelError` with cel-go's sentence.

Thread: pure functions.
Source: google/cel-go:common/{stdlib,types}, ext/{strings,lists,sets}.go.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crlab.cel.operator import (
    add,
    contains,
    divide,
    index,
    index_optional,
    modulo,
    multiply,
    negate,
    show,
    subtract,
    to_bool,
    to_double,
    to_int,
    to_timestamp,
    to_uint,
    type_of,
)
from crlab.cel.string import (
    char_at,
    format_text,
    index_of,
    last_index_of,
    lower_ascii,
    matches,
    quote_text,
    split_text,
    substring,
    upper_ascii,
)
from crlab.cel.value import (
    NONE,
    CelError,
    Duration,
    Optional,
    Timestamp,
    is_equal,
    parse_duration,
)


def _zone(name: str) -> datetime.tzinfo:
    found = re.fullmatch(r"([+-]?)(\d\d?):(\d\d)", name, re.ASCII)
    if found:
        minutes = int(found[2]) * 60 + int(found[3])
        return datetime.timezone(
            datetime.timedelta(minutes=-minutes if found[1] == "-" else minutes)
        )
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, or a name too long
        raise CelError(f"unknown time zone {name}") from None


def _moment(part: Callable[[datetime.datetime], int]) -> Callable[..., int]:
    return lambda moment, zone="UTC": part(moment.at(_zone(zone)))


def _clock(part: Callable[[datetime.datetime], int], nanos: int) -> Callable[..., int]:
    def found(value: Any, zone: str = "UTC") -> int:
        if isinstance(value, Duration):
            whole = abs(value.nanos) // nanos
            return -whole if value.nanos < 0 else whole
        return part(value.at(_zone(zone)))

    return found


def _milliseconds(value: Any, zone: str = "UTC") -> int:
    if isinstance(value, Duration):
        whole = abs(value.nanos) % 10**9 // 10**6
        return -whole if value.nanos < 0 else whole
    del zone
    return int(value.nanos % 10**9 // 10**6)


def _compare(left: Any, right: Any) -> int:
    return -1 if left < right else int(right < left)


def _extreme(items: list[Any], name: str, pick: Callable[[Any, Any], bool]) -> Any:
    if not items:
        raise CelError(f"{name} called on empty list")
    best = items[0]
    for item in items[1:]:
        if pick(item, best):
            best = item
    return best


def _sum(items: list[Any]) -> Any:
    if not items:
        return 0
    total = items[0]
    for item in items[1:]:
        total = add(total, item)
    return total


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if end > len(items):
        raise CelError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    flat: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth > 0:
            flat.extend(_flatten(item, depth - 1))
        else:
            flat.append(item)
    return flat


def _distinct(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if not any(is_equal(item, one) for one in kept):
            kept.append(item)
    return kept


def sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    """Return items in the order of their keys, stable."""

    def in_order(one: int, other: int) -> int:
        return _compare(keys[one], keys[other])

    order = sorted(range(len(items)), key=cmp_to_key(in_order))
    return [items[at] for at in order]


def _range(count: int) -> list[int]:
    if count > 1_000_000:
        raise CelError("lists.range: too many elements")
    return list(range(count))


def _value(optional: Optional) -> Any:
    if not optional.has:
        raise CelError("optional.none() dereference")
    return optional.value


_ZERO_TIME = Timestamp(-62135596800 * 10**9)  # 0001-01-01T00:00:00Z, Go's zero time


def _non_zero(value: Any) -> Optional:
    if value in (_ZERO_TIME, Duration(0)):
        return NONE
    is_zero = value is None or (
        isinstance(value, int | float | str | bytes | list | dict) and not value
    )
    return NONE if is_zero else Optional(True, value)


def _subset(items: list[Any], of: list[Any]) -> bool:
    return all(any(is_equal(item, one) for one in of) for item in items)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "!_": lambda value: not value,
    "-_": negate,
    "_==_": is_equal,
    "_!=_": lambda left, right: not is_equal(left, right),
    "_<_": lambda left, right: left < right,
    "_<=_": lambda left, right: left <= right,
    "_>_": lambda left, right: left > right,
    "_>=_": lambda left, right: left >= right,
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": modulo,
    "_[_]": index,
    "_[?_]": index_optional,
    "@in": contains,
    "size": len,
    "type": type_of,
    "dyn": lambda value: value,
    "int": to_int,
    "uint": to_uint,
    "double": to_double,
    "string": show,
    "bytes": lambda value: value.encode() if isinstance(value, str) else value,
    "bool": to_bool,
    "timestamp": to_timestamp,
    "duration": lambda value: parse_duration(value) if isinstance(value, str) else value,
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "matches": matches,
    "getFullYear": _moment(lambda moment: moment.year),
    "getMonth": _moment(lambda moment: moment.month - 1),
    "getDayOfYear": _moment(lambda moment: moment.timetuple().tm_yday - 1),
    "getDayOfMonth": _moment(lambda moment: moment.day - 1),
    "getDate": _moment(lambda moment: moment.day),
    "getDayOfWeek": _moment(lambda moment: moment.isoweekday() % 7),
    "getHours": _clock(lambda moment: moment.hour, 3600 * 10**9),
    "getMinutes": _clock(lambda moment: moment.minute, 60 * 10**9),
    "getSeconds": _clock(lambda moment: moment.second, 10**9),
    "getMilliseconds": _milliseconds,
    "optional.of": lambda value: Optional(True, value),
    "optional.ofNonZeroValue": _non_zero,
    "optional.none": lambda: NONE,
    "optional.unwrap": lambda items: [item.value for item in items if item.has],
    "unwrapOpt": lambda items: [item.value for item in items if item.has],
    "hasValue": lambda optional: optional.has,
    "value": _value,
    "or": lambda optional, other: optional if optional.has else other,
    "orValue": lambda optional, other: optional.value if optional.has else other,
    "first": lambda items: Optional(True, items[0]) if items else NONE,
    "last": lambda items: Optional(True, items[-1]) if items else NONE,
    "charAt": char_at,
    "indexOf": index_of,
    "lastIndexOf": last_index_of,
    "join": lambda items, separator="": separator.join(items),
    "lowerAscii": lower_ascii,
    "upperAscii": upper_ascii,
    "trim": lambda text: text.strip(),
    "strings.quote": quote_text,
    "replace": lambda text, old, new, count=-1: text.replace(old, new, count),
    "split": split_text,
    "substring": substring,
    "format": format_text,
    "isSorted": lambda items: all(not b < a for a, b in pairwise(items)),
    "sum": _sum,
    "min": lambda items: _extreme(items, "min", lambda one, best: one < best),
    "max": lambda items: _extreme(items, "max", lambda one, best: best < one),
    "slice": _slice,
    "flatten": _flatten,
    "sort": lambda items: sort_by(items, items),
    "distinct": _distinct,
    "reverse": lambda items: list(reversed(items)),
    "lists.range": _range,
    "sets.contains": lambda items, of: _subset(of, items),
    "sets.equivalent": lambda one, two: _subset(one, two) and _subset(two, one),
    "sets.intersects": lambda one, two: any(contains(item, two) for item in one),
}

# What Python raises where a value is of no overload, or outside what its library can hold.
ERRORS_OF_TYPE = (TypeError, AttributeError, KeyError, ValueError, OverflowError)
