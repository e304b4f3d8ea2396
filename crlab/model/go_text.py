"""Values as Go prints them, where a message shows them.

Thread: pure functions.
Source: Go strconv and fmt; k8s.io/apimachinery unstructured accessors.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any


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


def go_value(value: Any, *, syntax: bool = False) -> str:
    """Return a decoded JSON value as ``%v`` prints it: map[a:1], [x y]; `syntax`: ``%#v``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if syntax:
        return _go_syntax(value)
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        pairs = (f"{key}:{go_value(value[key])}" for key in sorted(value))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, list):
        return f"[{' '.join(go_value(item) for item in value)}]"
    return str(value)


def _go_syntax(value: Any) -> str:
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(go_value(v, syntax=True) for v in value) + "}"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k)}:{go_value(value[k], syntax=True)}" for k in sorted(value))
        return "map[string]interface {}{" + ", ".join(pairs) + "}"
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
    """Return the JSON type name of a value, as schemas name it: integer, boolean."""
    return _JSON_TYPES[type(value)]


def json_kind(value: Any) -> str:
    """Return the JSON type name of a value, as errors of Go's decoder show it: number, bool."""
    name = json_type(value)
    return {"integer": "number", "boolean": "bool"}.get(name, name)


def go_json(value: Any) -> str:
    """Return a value as Go's json.Marshal prints it, keys in the order given."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
