"""Values and patterns as Go prints and reads them, where a message shows them.

Thread: pure functions.
Source: Go strconv, fmt and regexp/syntax; k8s.io/apimachinery unstructured accessors.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

_POSIX_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\t\n\v\f\r ",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "print": " -~",
    "graph": "!-~",
    "ascii": r"\x00-\x7f",
}


class PatternError(ValueError):
    """A regular expression that Go does not accept; str() is Go's sentence."""


def go_float(value: float) -> str:
    """Return a number as ``%v`` prints a float64: 100, 1.5, 1e+06."""
    number = float(value)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("+Inf" if number > 0 else "-Inf")
    sign, digit_tuple, exponent = Decimal(repr(number)).as_tuple()
    digits = "".join(map(str, digit_tuple)).rstrip("0") or "0"
    power = len(digit_tuple) + int(exponent) - 1 if any(digit_tuple) else 0
    minus = "-" if sign else ""
    if -4 <= power < 6 or number == 0:
        places = max(0, len(digits) - 1 - power)
        return f"{minus}{abs(number):.{places}f}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02d}"


def go_type(value: Any) -> str:
    """Return the Go type a decoded JSON value has."""
    if value is None:
        return "<nil>"
    names = {
        bool: "bool",
        int: "int64",
        float: "float64",
        str: "string",
        list: "[]interface {}",
        dict: "map[string]interface {}",
    }
    return names.get(type(value), "interface {}")


def go_value(value: Any) -> str:
    """Return a decoded JSON value as ``%v`` prints it: map[a:1], [x y]."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, dict):
        pairs = (f"{key}:{go_value(value[key])}" for key in sorted(value))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, list):
        return f"[{' '.join(go_value(item) for item in value)}]"
    return str(value)


_JSON_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def json_type(value: Any) -> str:
    """Return the JSON type name of a value, as type errors show it."""
    return _JSON_TYPES[type(value)]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a Go (RE2) pattern for `re`: ASCII classes, ``$`` only at the very end.

    Raises:
        PatternError: Go would refuse it too.
    """
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, OverflowError) as error:
        raise PatternError(f"error parsing regexp: {error}: `{pattern}`") from error


def _translated(pattern: str) -> str:
    out: list[str] = []
    at, is_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            text, at = _escape(pattern, at)
            out.append(text)
            continue
        if is_class and pattern.startswith("[:", at) and ":]" in pattern[at:]:
            end = pattern.index(":]", at)
            name = pattern[at + 2 : end]
            if name not in _POSIX_CLASSES:
                shown = pattern[at : end + 2]
                problem = "invalid character class range"
                raise PatternError(f"error parsing regexp: {problem}: `{shown}`")
            out.append(_POSIX_CLASSES[name])
            at = end + 2
            continue
        if is_class:
            is_class = char != "]"
            out.append("\\[" if char == "[" else char)
        elif char == "[":
            is_class = True
            out.append(char)
            if pattern[at + 1 : at + 2] == "^":
                out.append("^")
                at += 1
            if pattern[at + 1 : at + 2] == "]":
                out.append("\\]")
                at += 1
        elif char == "$":
            out.append(r"\Z")
        elif char == "(" and pattern.startswith("(?", at):
            out.append(_group(pattern, at))
        else:
            out.append(char)
        at += 1
    return "".join(out)


def _escape(pattern: str, at: int) -> tuple[str, int]:
    following = pattern[at + 1 : at + 2]
    if not following:
        raise PatternError("error parsing regexp: trailing backslash at end of expression: ``")
    if following == "z":
        return r"\Z", at + 2
    if following == "Q":
        end = pattern.find("\\E", at)
        end = len(pattern) if end < 0 else end
        return re.escape(pattern[at + 2 : end]), end + 2
    if following in "pP":
        return _unicode_class(pattern, at)
    if following == "x" and pattern[at + 2 : at + 3] == "{":
        end = pattern.index("}", at)
        return re.escape(chr(int(pattern[at + 3 : end], 16))), end + 1
    if (following.isdigit() and following != "0") or following in "ZEe":
        raise PatternError(f"error parsing regexp: invalid escape sequence: `\\{following}`")
    return pattern[at : at + 2], at + 2


def _unicode_class(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at + 2 : at + 3] == "{":
        end = pattern.find("}", at)
        name, stop = pattern[at + 3 : end], end + 1
    else:
        name, stop = pattern[at + 2 : at + 3], at + 3
    known = {"L": "^\\W\\d_", "N": "\\d", "Lu": "A-Z", "Ll": "a-z", "Nd": "\\d", "P": "!-/:-@"}
    if name not in known:
        raise PatternError(f"error parsing regexp: invalid character class range: `\\p{{{name}}}`")
    positive = pattern[at + 1] == "p"
    body = known[name]
    if name == "L":
        return f"(?u:[{body}])" if positive else r"(?u:[\W\d_])", stop
    return (f"[{body}]" if positive else f"[^{body}]"), stop


def _group(pattern: str, at: int) -> str:
    for opening in ("(?=", "(?!", "(?<=", "(?<!", "(?>", "(?#"):
        if pattern.startswith(opening, at):
            raise PatternError(
                f"error parsing regexp: invalid or unsupported Perl syntax: `{opening}`"
            )
    return "("


def go_json(value: Any) -> str:
    """Return a value as Go's json.Marshal prints it, keys in the order given."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
