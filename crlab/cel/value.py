"""What CEL expressions compute with, beyond JSON: times, optionals, types, sets, errors.

Thread: immutable values and pure functions.
Source: google/cel-go:common/types, k8s.io/apiserver/pkg/cel/common/{values,maplist}.go.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crlab.cel.expression import UInt
from crlab.model.timestamp import is_date_time, parse_moment

Converter = Callable[[Any], Any]

_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9,
    "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class CelError(Exception):
    """An evaluation failed; str() is cel-go's sentence."""


NO_OVERLOAD = "no such overload"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment in nanoseconds since 1970."""

    nanos: int

    def at(self, zone: datetime.tzinfo = datetime.UTC) -> datetime.datetime:
        """Return it as a datetime, cut to microseconds."""
        moment = _EPOCH + datetime.timedelta(microseconds=self.nanos // 1000)
        return moment.astimezone(zone)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span in nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be absent."""

    has: bool
    value: Any = None


NONE = Optional(False)


@dataclass(frozen=True, slots=True)
class TypeValue:
    """The type of a value, as ``type(x)`` returns it."""

    name: str


class SetList(list[Any]):
    """A list of type set: order does not matter, ``+`` is union."""


class MapList(list[Any]):
    """A list of type map: items are told apart by their keys, ``+`` merges."""

    keys: tuple[str, ...] = ()


def kind_of(value: Any) -> str:
    """Return the CEL type name of a value."""
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "bool", int: "int", UInt: "uint", float: "double", str: "string", bytes: "bytes",
        list: "list", SetList: "list", MapList: "list", dict: "map", Timestamp: "timestamp",
        Duration: "duration", Optional: "optional_type", TypeValue: "type",
    }  # fmt: skip
    found = names.get(type(value))
    return found if found is not None else str(getattr(value, "cel_type", "object"))


def is_equal(left: Any, right: Any) -> bool:
    """Compare as CEL does: numbers across types, everything else by type and content."""
    one, two = type(left), type(right)
    if one is two and (one is str or one is int or one is bool):
        return bool(left == right)
    if one is bool or two is bool:
        return one is two and left == right
    if isinstance(left, list) and isinstance(right, list):
        return _lists_equal(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            is_equal(item, right[key]) for key, item in left.items()
        )
    if isinstance(left, Optional) and isinstance(right, Optional):
        return left.has == right.has and is_equal(left.value, right.value)
    numbers = (int, float)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return left == right
    return one is two and bool(left == right)


def _lists_equal(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, SetList | MapList) and isinstance(right, SetList | MapList):
        return all(any(is_equal(item, other) for other in right) for item in left)
    return all(is_equal(one, two) for one, two in zip(left, right, strict=True))


def join_lists(left: list[Any], right: list[Any]) -> list[Any]:
    """Return ``left + right``: union for sets, merge by key for maps."""
    if isinstance(left, SetList):
        added = SetList(left)
        added.extend(item for item in right if not any(is_equal(item, one) for one in left))
        return added
    if isinstance(left, MapList):
        merged = MapList(left)
        merged.keys = left.keys
        for item in right:
            key = [item.get(name) for name in left.keys]
            places = [at for at, one in enumerate(merged) if [one.get(n) for n in left.keys] == key]
            if places:
                merged[places[0]] = item
            else:
                merged.append(item)
        return merged
    return [*left, *right]


def parse_duration(text: str) -> Duration:
    """Read a Go duration.

    Raises:
        CelError: it is none.
    """
    sign, rest = 1, text
    if rest[:1] in ("+", "-"):
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return Duration(0)
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise CelError(f'time: invalid duration "{text}"')
    total = 0
    for number, unit in parts:
        whole, _, fraction = number.partition(".")
        fraction = fraction[:18]  # what follows is less than a nanosecond, even of an hour
        if len(whole.lstrip("0")) > 19:  # before int(): it would be out of range anyway
            raise CelError(f'time: invalid duration "{text}"')
        total += int(whole or "0") * _UNITS[unit]
        total += int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
    if total > 2**63 - (sign > 0):
        raise CelError(f'time: invalid duration "{text}"')
    return Duration(sign * total)


def parse_timestamp(text: str) -> Timestamp:
    """Read an RFC 3339 date-time.

    Raises:
        CelError: it is none.
    """
    layout = "2006-01-02T15:04:05Z07:00"
    fault = CelError(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"')
    if not is_date_time(text) or text[10] not in "Tt":
        raise fault
    whole, fraction, zone = re.fullmatch(r"(.{19})(?:\.(\d+))?(.+)", text).groups()  # type: ignore[union-attr]
    moment = parse_moment(whole + zone)
    if moment is None:  # the year 0, an offset of 99 hours
        raise fault
    seconds = (moment - _EPOCH) // datetime.timedelta(seconds=1)
    return Timestamp(seconds * 10**9 + int((fraction or "").ljust(9, "0")[:9]))


def _date(text: Any) -> Any:
    return parse_timestamp(f"{text}T00:00:00Z")


def _bytes(text: Any) -> Any:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CelError("failed to decode base64") from error


_FORMATS: dict[str, Converter] = {
    "duration": parse_duration,
    "date-time": parse_timestamp,
    "date": _date,
    "byte": _bytes,
}


def converter(schema: Mapping[str, Any]) -> Converter | None:
    """Return what turns a JSON value of a schema into CEL's; None if it already is."""
    if schema.get("x-kubernetes-int-or-string"):
        return None
    kind = schema.get("type")
    if kind == "number":
        return lambda value: float(value) if type(value) is int else value
    if kind == "string":
        parse = _FORMATS.get(schema.get("format") or "")
        return _lenient(parse, str) if parse is not None else None
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return _list_converter(schema)
    if kind == "object":
        return _object_converter(schema)
    return None


def _lenient(parse: Converter, wanted: type) -> Converter:
    return lambda value: parse(value) if type(value) is wanted else value


def _list_converter(schema: Mapping[str, Any]) -> Converter | None:
    inner = converter(schema["items"])
    list_type = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def convert(value: Any) -> Any:
        if type(value) is not list:
            return value
        items = value if inner is None else [inner(item) for item in value]
        if list_type == "set":
            return SetList(items)
        if list_type == "map":
            found = MapList(items)
            found.keys = keys
            return found
        return items

    return convert if inner is not None or list_type in ("set", "map") else None


def _object_converter(schema: Mapping[str, Any]) -> Converter | None:
    named = {
        key: inner
        for key, sub in (schema.get("properties") or {}).items()
        if (inner := converter(sub)) is not None
    }
    additional = schema.get("additionalProperties")
    rest = converter(additional) if isinstance(additional, Mapping) else None
    if not named and rest is None:
        return None

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            return value
        found = {}
        for key, item in value.items():
            inner = named.get(key, rest)
            found[key] = item if inner is None else inner(item)
        return found

    return convert
