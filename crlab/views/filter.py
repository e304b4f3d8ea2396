"""The filter box's language: words that must all hold.

    phase=Running name~web replicas>2 label.app=web,api -namespace=kube-system "two words"

A word is ``field OP value``, or a bare text that any shown cell may contain. Operators:
``=`` equal (``*`` stands for anything, commas separate alternatives), ``!=``, ``~``
contains (case does not matter), ``!~``, ``<``, ``<=``, ``>``, ``>=`` for numbers, times
and durations such as ``5m``. A leading ``-`` or ``!`` negates a word. Quotes keep spaces.

Guarantees:
  1. Parsing and matching take time linear in the text (no regular expression of the
     user's is run).
  2. Nothing is evaluated: a filter can only compare.

Thread: immutable values, pure functions.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from crlab.errors import ConfigError, nearest
from crlab.model.timestamp import parse_moment

MAX_LENGTH = 1000
_OPERATORS = ("!=", "!~", "<=", ">=", "=", "~", "<", ">")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]*")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?\Z")
_UNITS = (86400.0, 3600.0, 60.0, 1.0)

Lookup = Callable[[str], Any]
"""Given a field's name, its value in one row; raises KeyError if there is no such field."""


class FilterError(ConfigError):
    """A filter does not parse, or names a field that is not there.

    Attributes:
        position: where, in characters from 0.
    """

    def __init__(self, message: str, *, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Term:
    """One word. `field` "" means: any shown cell contains the value."""

    field: str
    operator: str
    values: tuple[str, ...]
    is_negated: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; `text` is what was typed."""

    text: str
    terms: tuple[Term, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it names, in order."""
        return tuple(term.field for term in self.terms if term.field)

    def check(self, known: Iterable[str], *, open_prefixes: tuple[str, ...] = ("label.",)) -> None:
        """Raise `FilterError` if it names a field that is neither known nor open.

        Names match whatever their case. A field under one of `open_prefixes` may be absent.
        """
        names = list(known)
        lower = {name.lower() for name in names}
        for term in self.terms:
            name = term.field.lower()
            if not name or name in lower or name.startswith(open_prefixes):
                continue
            near = nearest(name, lower)
            hint = f"; nearest: {', '.join(near)}" if near else f"; there are: {_some(names)}"
            raise FilterError(f"no field {term.field!r}{hint}", position=term.position)

    def matches(self, lookup: Lookup, cells: Callable[[], Iterable[Any]], now: float = 0.0) -> bool:
        """Whether one row passes.

        Args:
            lookup: the row's fields; KeyError means the row has no such field.
            cells: the row's shown values, for bare words; called only if there are any.
            now: wall time, for comparing a time with a duration ("older than").
        """
        return all(_holds(term, lookup, cells, now) != term.is_negated for term in self.terms)


def parse(text: str) -> Filter | None:
    """Return the filter in `text`, None if it is blank.

    Raises:
        FilterError: it does not parse; says where and what was expected.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"longer than {MAX_LENGTH} characters", position=MAX_LENGTH)
    terms: list[Term] = []
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return Filter(text, tuple(terms)) if terms else None
        term, at = _term(text, at)
        terms.append(term)


def _term(text: str, start: int) -> tuple[Term, int]:
    at = start
    is_negated = text[at] in "-!" and at + 1 < len(text) and not text[at + 1].isspace()
    if is_negated:
        at += 1
    field = _FIELD.match(text, at)
    if field:
        operator = next((op for op in _OPERATORS if text.startswith(op, field.end())), None)
        if operator:
            values, end = _values(text, field.end() + len(operator), operator)
            _check_values(operator, values, field.group(), field.end())
            return Term(field.group(), operator, values, is_negated, start), end
    for op in _OPERATORS:
        if text.startswith(op, at):
            raise FilterError(f"{op!r} has no field before it", position=at)
    value, end = _value(text, at, stop_at_comma=False)
    return Term("", "~", (value,), is_negated, start), end


def _values(text: str, at: int, operator: str) -> tuple[tuple[str, ...], int]:
    if at >= len(text) or text[at].isspace():
        return ("",), at  # "phase=" asks for an empty value
    values = []
    while True:
        value, at = _value(text, at, stop_at_comma=operator in ("=", "!="))
        values.append(value)
        if at < len(text) and text[at] == "," and operator in ("=", "!="):
            at += 1
            continue
        return tuple(values), at


def _value(text: str, at: int, *, stop_at_comma: bool) -> tuple[str, int]:
    if at < len(text) and text[at] in "\"'":
        end = text.find(text[at], at + 1)
        if end < 0:
            raise FilterError(f"the quote {text[at]} is not closed", position=at)
        return text[at + 1 : end], end + 1
    end = at
    while end < len(text) and not text[end].isspace() and not (stop_at_comma and text[end] == ","):
        end += 1
    return text[at:end], end


def _check_values(operator: str, values: tuple[str, ...], field: str, position: int) -> None:
    if operator in ("=", "!="):
        return
    if not values[0]:
        raise FilterError(f"{field}{operator} needs a value", position=position)
    if operator in ("~", "!~"):
        return
    if all(read(values[0]) is None for read in (number, duration_seconds, _time)):
        raise FilterError(
            f"{field}{operator} needs a number, a duration (5m) or a date (2026-01-31), "
            f"not {values[0]!r}",
            position=position,
        )


def _holds(term: Term, lookup: Lookup, cells: Callable[[], Iterable[Any]], now: float) -> bool:
    if not term.field:
        needle = term.values[0].lower()
        return any(needle in as_text(cell).lower() for cell in cells())
    try:
        value = lookup(term.field)
    except KeyError:
        return term.operator in ("!=", "!~")
    several = value if isinstance(value, list | tuple) else (value,)  # any of them may hold
    if term.operator in ("=", "!="):
        found = any(_equal(one, wanted) for one in several for wanted in term.values)
        return found == (term.operator == "=")
    if term.operator in ("~", "!~"):
        needle = term.values[0].lower()
        return any(needle in as_text(one).lower() for one in several) == (term.operator == "~")
    return _compares(value, term.operator, term.values[0], now)


def _equal(value: Any, wanted: str) -> bool:
    shown = as_text(value)
    if shown == wanted or glob(shown, wanted):
        return True
    if isinstance(value, bool):
        return shown.lower() == wanted.lower()
    if isinstance(value, int | float):
        return number(wanted) == value
    return False


def _compares(value: Any, operator: str, wanted: str, now: float) -> bool:
    left = _comparable(value)
    right = number(wanted)
    if isinstance(value, datetime.datetime):
        moment, seconds = _time(wanted), duration_seconds(wanted)
        if moment is not None:
            right = moment
        elif seconds is not None and left is not None:  # created>5m: created more than 5 min ago
            left, right = now - left, seconds
    elif right is None:
        right = duration_seconds(wanted)
    if left is None or right is None:
        return False
    return {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]


def _comparable(value: Any) -> float | None:
    if isinstance(value, datetime.datetime):
        return value.timestamp() if value == value else None
    if isinstance(value, str):
        found = number(value)
        return found if found is not None else duration_seconds(value)
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(result) else result


def as_text(value: Any) -> str:
    """Return a cell's value as the filter sees it: "" for nothing, true/false as JSON."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)
    except ValueError:
        return ""


def glob(text: str, pattern: str) -> bool:
    """Whether `text` fits `pattern`, where ``*`` stands for anything; linear time."""
    if "*" not in pattern:
        return text == pattern
    head, *middle, tail = pattern.split("*")
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def number(text: str) -> float | None:
    """Return the finite number in `text`, None if it is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def duration_seconds(text: str) -> float | None:
    """Return the seconds in a duration such as ``1h30m``, None if it is not one."""
    found = _DURATION.match(text)
    if not found or not text:
        return None
    return sum(
        float(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part
    )


def _time(text: str) -> float | None:
    moment = parse_moment(text)
    return None if moment is None else moment.timestamp()


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + ("…" if len(names) > 8 else "")
