"""JSON values as Go prints them, for messages that quote them.

Source: package fmt (%v, %#v, %T), strconv.
"""

from __future__ import annotations

import json
from typing import Any


def go_type(value: Any) -> str:
    """Return the type Go decodes a JSON value into."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"


def json_type(value: Any) -> str:
    """Return what Go's JSON errors call a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    return "array" if isinstance(value, list) else "object"


def go_text(value: Any, *, syntax: bool = False) -> str:
    """Return a value as %v prints it (`syntax`: %#v)."""
    if value is None:
        return "interface {}(nil)" if syntax else "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if syntax else value
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    if syntax:
        return _syntax(value)
    if isinstance(value, list):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    return "map[" + " ".join(f"{k}:{go_text(value[k])}" for k in sorted(value)) + "]"


def _syntax(value: Any) -> str:
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(go_text(v, syntax=True) for v in value) + "}"
    pairs = ", ".join(f"{json.dumps(k)}:{go_text(value[k], syntax=True)}" for k in sorted(value))
    return "map[string]interface {}{" + pairs + "}"


def _float(value: float) -> str:
    """Return %v of a float64: shortest form, exponent from 21 digits on."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e21:
        text = repr(value)
        if "e" in text:
            text = f"{value:.0f}"
        return text.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        mantissa, _, exponent = f"{value:e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
    power = int(exponent)
    return f"{mantissa.removesuffix('.0')}e{'-' if power < 0 else '+'}{abs(power):02d}"
