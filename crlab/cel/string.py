"""CEL's functions on strings (some serve lists, too).

Thread: pure functions.
Source: google/cel-go:ext/{strings,formatting}.go.
"""

from __future__ import annotations

import re
from typing import Any

from crlab.cel.operator import show
from crlab.cel.pattern import PatternError, compile_pattern
from crlab.cel.value import CelError, is_equal, kind_of


def search(pattern: Any) -> re.Pattern[str]:
    """Compile a pattern given at run time."""
    try:
        return compile_pattern(pattern)
    except PatternError as error:
        raise CelError(str(error)) from None


def matches(text: str, pattern: str) -> bool:
    return search(pattern).search(text) is not None


def char_at(text: str, position: int) -> str:
    if not 0 <= position <= len(text):
        raise CelError(f"index out of range: {position}")
    return text[position : position + 1]


def index_of(text: Any, part: Any, start: int = 0) -> int:
    if isinstance(text, list):
        return next((at for at, item in enumerate(text) if is_equal(item, part)), -1)
    if not part:
        return start
    if not 0 <= start < max(1, len(text)):
        raise CelError(f"index out of range: {start}")
    return int(text.find(part, start))


def last_index_of(text: Any, part: Any, start: int | None = None) -> int:
    if isinstance(text, list):
        return max((at for at, item in enumerate(text) if is_equal(item, part)), default=-1)
    if start is not None and not 0 <= start < max(1, len(text)):
        raise CelError(f"index out of range: {start}")
    if not part:
        return len(text) if start is None else start
    end = None if start is None else start + len(part)
    return int(text.rfind(part, 0, end))


def substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    for position in (start, stop):
        if not 0 <= position <= len(text):
            raise CelError(f"index out of range: {position}")
    if start > stop:
        raise CelError(f"invalid substring range. start: {start}, end: {stop}")
    return text[start:stop]


def split_text(text: str, separator: str, limit: int = -1) -> list[str]:
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


def lower_ascii(text: str) -> str:
    return re.sub("[A-Z]+", lambda found: found[0].lower(), text)


def upper_ascii(text: str) -> str:
    return re.sub("[a-z]+", lambda found: found[0].upper(), text)


def quote_text(text: str) -> str:
    escapes = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
               "\v": "\\v", "\\": "\\\\", '"': '\\"'}  # fmt: skip
    return '"' + "".join(escapes.get(char, char) for char in text) + '"'


_MAX_PRECISION = 1000  # '%.999999999f' would be a text of a gigabyte


def format_text(text: str, values: list[Any]) -> str:
    rest = list(values)

    def fill(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        if not rest:
            raise CelError(f"index {len(values)} out of range")
        return _formatted(rest.pop(0), found[2], _precision(found[1]))

    return re.sub(r"%(?:%|(\.\d+)?([a-zA-Z]))", fill, text)


def _precision(text: str | None) -> int:
    precision = (text or ".6")[1:].lstrip("0") or "0"
    if len(precision) > 4 or int(precision) > _MAX_PRECISION:
        raise CelError(f"error during formatting: precision {precision[:20]} is out of range")
    return int(precision)


def _formatted(value: Any, verb: str, digits: int) -> str:
    if verb == "s":
        return _format_value(value)
    if verb == "d" and isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if verb == "f" and isinstance(value, int | float):
        return f"{float(value):.{digits}f}"
    if verb == "e" and isinstance(value, int | float):
        return _scientific(float(value), digits)
    if verb in "bo" and isinstance(value, int):
        return format(int(value), verb)
    if verb in "xX":
        return _hex(value, verb)
    raise CelError(f"error during formatting: {verb} clause cannot be used on {kind_of(value)}")


def _scientific(value: float, digits: int) -> str:
    """Return a number as ``%e`` prints it: 3.14×10⁰⁰."""
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    raised = exponent.lstrip("+").translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{raised}"


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
