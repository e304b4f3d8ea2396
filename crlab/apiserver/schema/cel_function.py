"""CEL's standard functions: arithmetic, comparison, conversion, strings, times, lists, sets.

Each takes its arguments as values (a member's target first) and returns a value or raises
`CelError` with cel-go's sentence.

Thread: pure functions.
Source: google/cel-go:common/{stdlib,types}, ext/{strings,lists,sets}.go.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crlab.apiserver.schema.cel_syntax import UInt
from crlab.apiserver.schema.cel_value import (
    NO_OVERLOAD,
    NONE,
    CelError,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    is_equal,
    join_lists,
    kind_of,
    parse_duration,
    parse_timestamp,
)
from crlab.apiserver.schema.gotext import PatternError, compile_pattern, go_float

_INT = (-(2**63), 2**63 - 1)


def _int(value: int) -> int:
    if not _INT[0] <= value <= _INT[1]:
        raise CelError("integer overflow")
    return value


def _uint(value: int) -> UInt:
    if not 0 <= value < 2**64:
        raise CelError("unsigned integer overflow")
    return UInt(value)


def _number(left: Any, result: Any) -> Any:
    if type(left) is float:
        return float(result)
    return _uint(result) if type(left) is UInt else _int(result)


def add(left: Any, right: Any) -> Any:
    """``+``."""
    if isinstance(left, list):
        return join_lists(left, right)
    if isinstance(left, Timestamp | Duration):
        moment = isinstance(left, Timestamp) or isinstance(right, Timestamp)
        total = left.nanos + right.nanos
        return Timestamp(total) if moment else Duration(_int(total))
    if isinstance(left, str | bytes):
        return left + right
    return _number(left, left + right)


def subtract(left: Any, right: Any) -> Any:
    """``-``."""
    if isinstance(left, Timestamp | Duration):
        rest = left.nanos - right.nanos
        if isinstance(left, Timestamp) and isinstance(right, Duration):
            return Timestamp(rest)
        return Duration(_int(rest))
    return _number(left, left - right)


def multiply(left: Any, right: Any) -> Any:
    """``*``."""
    return _number(left, left * right)


def divide(left: Any, right: Any) -> Any:
    """``/``: truncates for integers."""
    if type(left) is float:
        if right == 0:
            return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
        return left / right
    if right == 0:
        raise CelError("division by zero")
    quotient = abs(left) // abs(right)
    return _number(left, quotient if (left < 0) == (right < 0) else -quotient)


def modulo(left: Any, right: Any) -> Any:
    """``%``: the sign is the dividend's."""
    if right == 0:
        raise CelError("modulus by zero")
    rest = abs(left) % abs(right)
    return _number(left, rest if left >= 0 else -rest)


def negate(value: Any) -> Any:
    """Unary ``-``."""
    return -value if type(value) is float else _int(-value)


def index(container: Any, key: Any) -> Any:
    """``container[key]``."""
    if isinstance(container, Optional):
        return index_optional(container, key)
    if isinstance(container, dict):
        found = _entry(container, key)
        if found is NONE:
            raise CelError(f"no such key: {show(key)}")
        return found.value
    at = int(key) if isinstance(key, float) and key.is_integer() else key
    if not 0 <= at < len(container):
        raise CelError(f"index out of bounds: {at}")
    return container[at]


def _entry(container: dict[Any, Any], key: Any) -> Optional:
    if type(key) is str:
        return Optional(True, container[key]) if key in container else NONE
    for found, value in container.items():
        if is_equal(found, key):
            return Optional(True, value)
    return NONE


def index_optional(container: Any, key: Any) -> Any:
    """``container[?key]``."""
    if isinstance(container, Optional):
        return index_optional(container.value, key) if container.has else NONE
    if isinstance(container, dict):
        return _entry(container, key)
    return Optional(True, container[key]) if 0 <= key < len(container) else NONE


def contains(item: Any, container: Any) -> bool:
    """``item in container``."""
    if isinstance(container, dict):
        return _entry(container, item) is not NONE
    return any(is_equal(item, found) for found in container)


def show(value: Any) -> str:
    """Return ``string(value)``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None
    if isinstance(value, Timestamp):
        fraction = f"{value.nanos % 10**9:09d}".rstrip("0")
        text = value.at().strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
        return f"{text}.{fraction}Z" if fraction else f"{text}Z"
    if isinstance(value, Duration):
        whole, rest = divmod(abs(value.nanos), 10**9)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{'-' if value.nanos < 0 else ''}{whole}{fraction}s"
    return str(value)


def to_int(value: Any) -> int:
    """``int(value)``."""
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            raise CelError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        if not _INT[0] <= int(value) <= _INT[1]:
            raise CelError(f'strconv.ParseInt: parsing "{value}": value out of range')
        return int(value)
    if isinstance(value, Timestamp):
        return value.nanos // 10**9
    if isinstance(value, Duration):
        return value.nanos
    if isinstance(value, float) and not math.isfinite(value):
        raise CelError("integer overflow")
    return _int(int(value))


def to_uint(value: Any) -> UInt:
    """``uint(value)``."""
    if isinstance(value, str) and not re.fullmatch(r"\d+", value, re.ASCII):
        raise CelError(f'strconv.ParseUint: parsing "{value}": invalid syntax')
    return _uint(int(value))


def to_double(value: Any) -> float:
    """``double(value)``."""
    try:
        return float(value)
    except ValueError:
        raise CelError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def to_bool(value: Any) -> bool:
    """``bool(value)``."""
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "TRUE", "t", "1"):
        return True
    if value in ("false", "False", "FALSE", "f", "0"):
        return False
    raise CelError(f'strconv.ParseBool: parsing "{value}": invalid syntax')


def to_timestamp(value: Any) -> Timestamp:
    """``timestamp(value)``."""
    if isinstance(value, str):
        return parse_timestamp(value)
    return value if isinstance(value, Timestamp) else Timestamp(value * 10**9)


def search(pattern: Any) -> re.Pattern[str]:
    """Compile a pattern given at run time."""
    try:
        return compile_pattern(pattern)
    except PatternError as error:
        raise CelError(str(error)) from None


def _matches(text: str, pattern: str) -> bool:
    return search(pattern).search(text) is not None


def _at(text: str, position: int) -> str:
    if not 0 <= position <= len(text):
        raise CelError(f"index out of range: {position}")
    return text[position : position + 1]


def _index_of(text: Any, part: Any, start: int = 0) -> int:
    if isinstance(text, list):
        return next((at for at, item in enumerate(text) if is_equal(item, part)), -1)
    if not part:
        return start
    if not 0 <= start < max(1, len(text)):
        raise CelError(f"index out of range: {start}")
    return int(text.find(part, start))


def _last_index_of(text: Any, part: Any, start: int | None = None) -> int:
    if isinstance(text, list):
        return max((at for at, item in enumerate(text) if is_equal(item, part)), default=-1)
    if start is not None and not 0 <= start < max(1, len(text)):
        raise CelError(f"index out of range: {start}")
    if not part:
        return len(text) if start is None else start
    end = None if start is None else start + len(part)
    return int(text.rfind(part, 0, end))


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    for position in (start, stop):
        if not 0 <= position <= len(text):
            raise CelError(f"index out of range: {position}")
    if start > stop:
        raise CelError(f"invalid substring range. start: {start}, end: {stop}")
    return text[start:stop]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        chars = list(text)
        return (
            chars
            if limit < 0 or len(chars) <= limit
            else [*chars[: limit - 1], "".join(chars[limit - 1 :])]
        )
    return text.split(separator, -1 if limit < 0 else limit - 1)


def _lower(text: str) -> str:
    return re.sub("[A-Z]+", lambda found: found[0].lower(), text)


def _upper(text: str) -> str:
    return re.sub("[a-z]+", lambda found: found[0].upper(), text)


def _quote(text: str) -> str:
    escapes = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
               "\v": "\\v", "\\": "\\\\", '"': '\\"'}  # fmt: skip
    return '"' + "".join(escapes.get(char, char) for char in text) + '"'


def _format(text: str, values: list[Any]) -> str:
    rest = list(values)

    def fill(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        if not rest:
            raise CelError(f"index {len(values)} out of range")
        value, verb, digits = rest.pop(0), found[2], int(found[1][1:]) if found[1] else 6
        if verb == "s":
            return _format_value(value)
        if verb == "d" and isinstance(value, int) and not isinstance(value, bool):
            return str(int(value))
        if verb in "fe" and isinstance(value, int | float):
            return f"{float(value):.{digits}{verb}}"
        if verb in "bo" and isinstance(value, int):
            return format(int(value), verb)
        if verb in "xX":
            return _hex(value, verb)
        raise CelError(f"error during formatting: {verb} clause cannot be used on {kind_of(value)}")

    return re.sub(r"%(?:%|(\.\d+)?([a-zA-Z]))", fill, text)


def _hex(value: Any, verb: str) -> str:
    if isinstance(value, int):
        return format(int(value), verb)
    text = (value.encode() if isinstance(value, str) else bytes(value)).hex()
    return text.upper() if verb == "X" else text


def _format_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_format_value(item) for item in value)}]"
    if isinstance(value, dict):
        pairs = sorted(
            f"{_format_value(key)}: {_format_value(item)}" for key, item in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    return "null" if value is None else show(value)


def _zone(name: str) -> datetime.tzinfo:
    found = re.fullmatch(r"([+-]?)(\d\d?):(\d\d)", name, re.ASCII)
    if found:
        minutes = int(found[2]) * 60 + int(found[3])
        return datetime.timezone(
            datetime.timedelta(minutes=-minutes if found[1] == "-" else minutes)
        )
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
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
    order = sorted(range(len(items)), key=cmp_to_key(lambda a, b: _compare(keys[a], keys[b])))
    return [items[at] for at in order]


def _range(count: int) -> list[int]:
    if count > 1_000_000:
        raise CelError("lists.range: too many elements")
    return list(range(count))


def _value(optional: Optional) -> Any:
    if not optional.has:
        raise CelError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    is_zero = value is None or (
        isinstance(value, int | float | str | bytes | list | dict) and not value
    )
    return NONE if is_zero else Optional(True, value)


def type_of(value: Any) -> TypeValue:
    """``type(value)``."""
    names = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}
    kind = kind_of(value)
    return TypeValue(names.get(kind, "null_type" if kind == "null" else kind))


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
    "matches": _matches,
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
    "charAt": _at,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "join": lambda items, separator="": separator.join(items),
    "lowerAscii": _lower,
    "upperAscii": _upper,
    "trim": lambda text: text.strip(),
    "strings.quote": _quote,
    "replace": lambda text, old, new, count=-1: text.replace(old, new, count),
    "split": _split,
    "substring": _substring,
    "format": _format,
    "isSorted": lambda items: all(not b < a for a, b in zip(items, items[1:], strict=False)),
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

ERRORS_OF_TYPE = (TypeError, AttributeError, KeyError, ValueError)
MISFIT = NO_OVERLOAD
