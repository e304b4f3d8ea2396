"""Checks a value against a schema node and words each error as kube-apiserver does.

Each error names its field by the path from where the check began; `Finding.field` is None
for errors that kube-openapi reports without a path (anyOf, oneOf, number ranges).

Guarantees:
  1. Every error of a value is found, not only the first; order is the schema's.
  2. With an old value, errors below an unchanged subtree are dropped (ratcheting).
  3. A valid object costs one walk and no strings.

Thread: pure functions.
Source: k8s.io/kube-openapi/pkg/validation/{validate,errors},
k8s.io/apiextensions-apiserver/pkg/apiserver/validation/{validation,ratcheting}.go.
"""

from __future__ import annotations

import json
import math
from typing import Any

from crlab.apiserver.schema.node import INT64_MAX, INT64_MIN, MISSING, Node
from crlab.apiserver.status import INVALID, NOT_SUPPORTED, REQUIRED, TOO_LONG, TYPE_INVALID, Cause
from crlab.apiserver.status import show as show_value
from crlab.model.go_text import go_float, json_type

TOO_MANY = "FieldValueTooMany"
_IS_EXACTLY = {"object": dict, "array": list, "string": str, "boolean": bool}


def check(node: Node, value: Any, old: Any, prefix: str, key: str, out: list[Cause]) -> None:
    """Append the errors of one value; its path is `prefix` + `key`."""
    fast = node.fast
    if fast is not None and fast(value):
        return
    if value is None:
        _check_null(node, prefix + key, out)
        return
    if node.types and not (len(node.types) == 1 and _IS_EXACTLY.get(node.types[0]) is type(value)):
        _check_type(node, value, prefix + key, out)
    if node.has_junctors:
        _check_junctors(node, value, prefix + key, out)
    kind = type(value)
    if kind is str:
        _check_string(node, value, prefix + key, out)
    elif kind is int or kind is float:
        _check_number(node, value, prefix + key, out)
    elif kind is list:
        _check_array(node, value, old, prefix + key, out)
    if node.enum is not None and not _is_in_enum(value, node.enum):
        out.append(_not_supported(prefix + key, value, node.enum))
    if kind is dict:
        _check_object(node, value, old, prefix + key, out)


def _check_null(node: Node, name: str, out: list[Cause]) -> None:
    if node.types and not node.is_nullable:
        out.append(_type_error(name, ",".join(node.types), "null"))
    if node.enum is not None and None not in node.enum:
        out.append(_not_supported(name, None, node.enum))


def _type_error(name: str, wanted: str, shown: str) -> Cause:
    text = show_value(shown)
    message = f"Invalid value: {text}: {name} in body must be of type {wanted}: {text}"
    return Cause(TYPE_INVALID, message, name)


def _invalid(name: str, value: Any, sentence: str) -> Cause:
    return Cause(INVALID, f"Invalid value: {show_value(value)}: {name} in body {sentence}", name)


def _unplaced(message: str) -> Cause:
    return Cause(INVALID, f'Invalid value: "": {message}', "<nil>")


def _not_supported(name: str, value: Any, enum: list[Any]) -> Cause:
    texts = [item if isinstance(item, str) else json.dumps(item) for item in enum]
    listed = ", ".join(show_value(text) for text in texts)
    message = f"Unsupported value: {show_value(value)}: supported values: {listed}"
    return Cause(NOT_SUPPORTED, message, name)


def _is_in_enum(value: Any, enum: list[Any]) -> bool:
    kind = type(value)
    for item in enum:
        if item == value and (type(item) is kind or {type(item), kind} == {int, float}):
            return True
    return False


def _check_type(node: Node, value: Any, name: str, out: list[Cause]) -> None:
    types, found = node.types, json_type(value)
    if found == "integer" and not INT64_MIN <= value <= INT64_MAX:
        found = "number"
    if found in types or (found == "integer" and "number" in types):
        return
    if found == "number" and "integer" in types and _is_json_integer(value):
        return
    is_numeric = "number" in types or "integer" in types
    if not is_numeric and node.format and found in ("string", "array"):
        return  # the format check speaks for it
    if types:
        out.append(_type_error(name, ",".join(types), found))


def _is_json_integer(value: float) -> bool:
    return float(value).is_integer() and abs(value) < 2**53


def _check_string(node: Node, value: str, name: str, out: list[Cause]) -> None:
    length = len(value)
    if node.max_length is not None and length > node.max_length:
        message = f"Too long: may not be more than {node.max_length} bytes"
        out.append(Cause(TOO_LONG, message, name))
    elif node.min_length is not None and length < node.min_length:
        sentence = f"should be at least {node.min_length} chars long"
        out.append(_invalid(name, value, sentence))
    elif node.pattern is not None and not node.pattern.search(value):
        out.append(_invalid(name, value, f"should match '{node.pattern_text}'"))
    if node.format_check is not None and not node.format_check(value):
        out.append(_type_error(name, node.format, value))


def _check_number(node: Node, value: float, name: str, out: list[Cause]) -> None:
    if len(node.types) == 1:
        _check_range(node, value, name, out)
    multiple = node.multiple_of
    if multiple is not None and not _is_multiple(value, multiple):
        out.append(_invalid(name, value, f"should be a multiple of {go_float(multiple)}"))
    low, high = node.minimum, node.maximum
    if low is not None and (value <= low if node.is_exclusive_minimum else value < low):
        than = "greater than" if node.is_exclusive_minimum else "greater than or equal to"
        out.append(_invalid(name, value, f"should be {than} {go_float(low)}"))
    if high is not None and (value >= high if node.is_exclusive_maximum else value > high):
        than = "less than" if node.is_exclusive_maximum else "less than or equal to"
        out.append(_invalid(name, value, f"should be {than} {go_float(high)}"))


def _is_multiple(value: float, multiple: float) -> bool:
    if isinstance(value, int) and float(multiple).is_integer():
        return value % int(multiple) == 0
    quotient = value / multiple
    return math.isfinite(quotient) and quotient == math.trunc(quotient)


def _check_range(node: Node, value: float, name: str, out: list[Cause]) -> None:
    kind, form = node.types[0], node.format
    if kind == "integer":
        low, high = (-(2**31), 2**31 - 1) if form == "int32" else (INT64_MIN, INT64_MAX)
        is_good = float(value).is_integer() and low <= value <= high
    else:
        is_good = form != "float" or abs(value) <= 3.4028234663852886e38
    if not is_good:
        suffix = f"with format {form}" if form else "(default format)"
        out.append(_unplaced(f"Checked value must be of type {kind} {suffix} in {name}"))


def _check_array(node: Node, value: list[Any], old: Any, name: str, out: list[Cause]) -> None:
    size = len(value)
    if node.items is not None:
        olds = _correlated(node, old) if type(old) is list else None
        fast = node.items.fast
        for at, item in enumerate(value):
            if fast is not None and fast(item):
                continue
            mark = len(out)
            was = MISSING if olds is None else olds.get(_item_key(node, item), MISSING)
            check(node.items, item, was, name, f"[{at}]", out)
            if len(out) > mark and was is not MISSING and was == item:
                del out[mark:]
    if node.min_items is not None and size < node.min_items:
        out.append(_invalid(name, size, f"should have at least {node.min_items} items"))
    if node.max_items is not None and size > node.max_items:
        out.append(_too_many(name, size, node.max_items))


def _too_many(name: str, size: int, limit: int) -> Cause:
    unit = "item" if limit == 1 else "items"
    return Cause(TOO_MANY, f"Too many: {size}: must have at most {limit} {unit}", name)


def _correlated(node: Node, old: list[Any]) -> dict[Any, Any] | None:
    if node.list_type != "map" or not node.list_keys:
        return None
    return {_item_key(node, item): item for item in old}


def _item_key(node: Node, item: Any) -> Any:
    if type(item) is not dict:
        return None
    return tuple(
        repr(item[key]) if key in item else repr(_default_of(node, key)) for key in node.list_keys
    )


def _default_of(node: Node, key: str) -> Any:
    found = node.items.properties.get(key) if node.items is not None else None
    return found.default if found is not None else None


def _check_object(node: Node, value: dict[str, Any], old: Any, name: str, out: list[Cause]) -> None:
    _check_property_count(node, len(value), name, out)
    prefix = f"{name}." if name else ""
    properties, additional = node.properties, node.additional
    olds = old if type(old) is dict else None
    for key, item in value.items():
        child = properties.get(key)
        if child is None:
            if additional is False:
                out.append(_forbidden_property(name, key))
            if not isinstance(additional, Node):
                continue
            child = additional
        fast = child.fast
        if fast is not None and fast(item):
            continue
        mark = len(out)
        was = MISSING if olds is None else olds.get(key, MISSING)
        check(child, item, was, prefix, key, out)
        if len(out) > mark and was is not MISSING and was == item:
            del out[mark:]
    for key in node.required:
        if key not in value:
            out.append(Cause(REQUIRED, "Required value", f"{prefix}{key}"))


def _check_property_count(node: Node, size: int, name: str, out: list[Cause]) -> None:
    if node.min_properties is not None and size < node.min_properties:
        sentence = f"should have at least {node.min_properties} properties"
        out.append(_invalid(name, size, sentence))
    if node.max_properties is not None and size > node.max_properties:
        out.append(_too_many(name, size, node.max_properties))


def _forbidden_property(name: str, key: str) -> Cause:
    message = f'Invalid value: "": {name}.{key} in body is a forbidden property'
    return Cause(INVALID, message, f"{name}.{key}" if name else key)


def _errors(node: Node, value: Any, name: str) -> list[Cause]:
    found: list[Cause] = []
    check(node, value, MISSING, name, "", found)
    return found


def _check_junctors(node: Node, value: Any, name: str, out: list[Cause]) -> None:
    shown = show_value(name)
    if node.any_of:
        failures = [_errors(sub, value, name) for sub in node.any_of]
        if all(failures):
            out.append(_unplaced(f"{shown} must validate at least one schema (anyOf)"))
            out.extend(failures[0])
    if node.one_of:
        failures = [_errors(sub, value, name) for sub in node.one_of]
        good = sum(1 for found in failures if not found)
        if good != 1:
            how = f"Found {good} valid alternatives" if good else "Found none valid"
            out.append(_unplaced(f"{shown} must validate one and only one schema (oneOf). {how}"))
            if not good:
                out.extend(failures[0])
    if node.all_of:
        failures = [_errors(sub, value, name) for sub in node.all_of]
        for found in failures:
            out.extend(found)
        if any(failures):
            how = ". None validated" if all(failures) else ""
            out.append(_unplaced(f"{shown} must validate all the schemas (allOf){how}"))
    if node.not_ is not None and not _errors(node.not_, value, name):
        out.append(_unplaced(f"{shown} must not validate the schema (not)"))
