"""CEL's operators and type conversions.

Thread: pure functions.
Source: google/cel-go:common/types.
"""

from __future__ import annotations

import math
import re
from typing import Any

from crlab.cel.expression import UInt
from crlab.cel.value import (
    NONE,
    CelError,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    is_equal,
    join_lists,
    kind_of,
    parse_timestamp,
)
from crlab.model.go_text import go_float

_TIMES = (-62135596800, 253402300799)
_INT = (-(2**63), 2**63 - 1)


def checked_int(value: int) -> int:
    if not _INT[0] <= value <= _INT[1]:
        raise CelError("integer overflow")
    return value


def checked_uint(value: int) -> UInt:
    if not 0 <= value < 2**64:
        raise CelError("unsigned integer overflow")
    return UInt(value)


def _number(left: Any, result: Any) -> Any:
    if type(left) is float:
        return float(result)
    return checked_uint(result) if type(left) is UInt else checked_int(result)


def add(left: Any, right: Any) -> Any:
    """``+``."""
    if isinstance(left, list):
        return join_lists(left, right)
    if isinstance(left, Timestamp | Duration):
        moment = isinstance(left, Timestamp) or isinstance(right, Timestamp)
        total = left.nanos + right.nanos
        return checked_time(total) if moment else Duration(checked_int(total))
    if isinstance(left, str | bytes):
        return left + right
    return _number(left, left + right)


def subtract(left: Any, right: Any) -> Any:
    """``-``."""
    if isinstance(left, Timestamp | Duration):
        rest = left.nanos - right.nanos
        if isinstance(left, Timestamp) and isinstance(right, Duration):
            return checked_time(rest)
        return Duration(checked_int(rest))
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
    return -value if type(value) is float else checked_int(-value)


def index(container: Any, key: Any) -> Any:
    """``container[key]``."""
    if isinstance(container, Optional):
        return index_optional(container, key)
    if isinstance(container, dict):
        found = find_entry(container, key)
        if found is NONE:
            raise CelError(f"no such key: {show(key)}")
        return found.value
    at = int(key) if isinstance(key, float) and key.is_integer() else key
    if not 0 <= at < len(container):
        raise CelError(f"index out of bounds: {at}")
    return container[at]


def find_entry(container: dict[Any, Any], key: Any) -> Optional:
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
        return find_entry(container, key)
    return Optional(True, container[key]) if 0 <= key < len(container) else NONE


def contains(item: Any, container: Any) -> bool:
    """``item in container``."""
    if isinstance(container, dict):
        return find_entry(container, item) is not NONE
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
    return checked_int(int(value))


def to_uint(value: Any) -> UInt:
    """``uint(value)``."""
    if isinstance(value, str) and not re.fullmatch(r"\d+", value, re.ASCII):
        raise CelError(f'strconv.ParseUint: parsing "{value}": invalid syntax')
    return checked_uint(int(value))


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
    return value if isinstance(value, Timestamp) else checked_time(value * 10**9)


def checked_time(nanos: int) -> Timestamp:
    """Return a moment of the years 1 to 9999."""
    if not _TIMES[0] <= nanos // 10**9 <= _TIMES[1]:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


_TYPE_NAMES = {
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "null": "null_type",
}


def type_name(kind: str) -> str:
    """Return a kind's name as a type's."""
    return _TYPE_NAMES.get(kind, kind)


def type_of(value: Any) -> TypeValue:
    """``type(value)``."""
    return TypeValue(type_name(kind_of(value)))
