"""Rules for a CRD's printer columns, scale paths and selectable fields.

Thread: pure functions that append what they find.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go,
pkg/apiserver/schema/cel/validation.go (ValidFieldPath).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crlab.apiserver.schema.check import TOO_MANY
from crlab.apiserver.status import Cause, duplicate, invalid_value, required

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = (
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
)
_MAX_SELECTABLE = 8
_SELECTABLE_TEXT = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings "
    "with formats are allowed."
)
_TOKEN = re.compile(r"[.\[\]]|'(?:[^'\\]|\\.)*'|[^.\[\]]+")


class FieldPathError(ValueError):
    """A path does not lead to a field of the schema."""


def validate_columns(columns: Iterable[Mapping[str, Any]], path: str, out: list[Cause]) -> None:
    """Check additionalPrinterColumns."""
    for at, column in enumerate(columns):
        base = f"{path}[{at}]"
        if not column.get("name"):
            out.append(required(f"{base}.name"))
        kind, must = column.get("type") or "", f"must be one of {','.join(_COLUMN_TYPES)}"
        if not kind:
            out.append(required(f"{base}.type", must))
        elif kind not in _COLUMN_TYPES:
            out.append(invalid_value(f"{base}.type", kind, must))
        form = column.get("format") or ""
        if form and form not in _COLUMN_FORMATS:
            detail = f"must be one of {','.join(_COLUMN_FORMATS)}"
            out.append(invalid_value(f"{base}.format", form, detail))
        json_path = column.get("jsonPath") or ""
        if not json_path:
            out.append(required(f"{base}.JSONPath"))
        elif not json_path.startswith("."):
            out.append(_not_simple(f"{base}.JSONPath", json_path))


def _not_simple(field: str, path: str) -> Cause:
    return invalid_value(field, path, "must be a simple json path starting with .")


def validate_scale(scale: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    """Check the three paths of the scale subresource."""
    rules = (
        ("specReplicasPath", (".spec.",), "should be a json path under .spec"),
        ("statusReplicasPath", (".status.",), "should be a json path under .status"),
        (
            "labelSelectorPath",
            (".spec.", ".status."),
            "should be a json path under either .spec or .status",
        ),
    )
    for key, roots, detail in rules:
        field, value = f"{path}.scale.{key}", scale.get(key) or ""
        if not value:
            if key != "labelSelectorPath":
                out.append(required(field))
        elif not value.startswith("."):
            out.append(_not_simple(field, value))
        elif not value.startswith(roots):
            out.append(invalid_value(field, value, detail))


def field_path(
    path: str, schema: Mapping[str, Any], *, array_notation: bool = True
) -> tuple[str, Mapping[str, Any]]:
    """Follow a path such as ``.spec.names['a.b']`` through a schema.

    Returns:
        The path as causes spell it ("spec.names[a.b]") and the schema it leads to.

    Raises:
        FieldPathError: the path is malformed or leads to no field.
    """
    tokens = _TOKEN.findall(path)
    normal, at = "", 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token == "[":
            if not array_notation:
                raise FieldPathError("array notation is not allowed")
            quoted, closing = (*tokens[at : at + 2], "", "")[:2]
            at += 2
            if not quoted:
                raise FieldPathError("unexpected end of JSON path")
            if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'":
                raise FieldPathError(f"expected single quoted string but got {quoted}")
            if closing != "]":
                shown = (
                    f"expected ] but got {closing}" if closing else "unexpected end of JSON path"
                )
                raise FieldPathError(shown)
            name = re.sub(r"\\(.)", r"\1", quoted[1:-1])
        elif token == ".":
            if at >= len(tokens):
                raise FieldPathError("unexpected end of JSON path")
            name = tokens[at]
            at += 1
        else:
            raise FieldPathError(f"expected [ or . but got: {token}")
        normal, schema = _step(normal, name, schema)
    return normal, schema


def _step(normal: str, name: str, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        if name not in properties:
            raise FieldPathError("does not refer to a valid field")
        return (f"{normal}.{name}" if normal else name), properties[name]
    if isinstance(additional, Mapping):
        return f"{normal}[{name}]", additional
    raise FieldPathError("does not refer to a valid field")


def validate_selectable_fields(
    fields: Sequence[Mapping[str, Any]],
    schema: Mapping[str, Any] | None,
    path: str,
    out: list[Cause],
) -> None:
    """Check that each field is a leaf of the schema and is listed once."""
    if not fields:
        return
    if schema is None:
        detail = "may only be set when validations.schema is included"
        out.append(invalid_value(path, "", detail))
        return
    seen: set[str] = set()
    for at, field in enumerate(fields):
        where, json_path = f"{path}[{at}].jsonPath", field.get("jsonPath") or ""
        if not json_path:
            out.append(required(where))
            continue
        try:
            normal, found = field_path(json_path, schema, array_notation=False)
        except FieldPathError as error:
            out.append(invalid_value(where, json_path, f"is an invalid path: {error}"))
            continue
        if normal.partition(".")[0] == "metadata":
            out.append(invalid_value(where, json_path, "must not point to fields in metadata"))
        if found.get("type") not in ("string", "boolean", "integer"):
            out.append(invalid_value(where, json_path, _SELECTABLE_TEXT))
        if normal in seen:
            out.append(duplicate(where, json_path))
        seen.add(normal)
    if len(seen) > _MAX_SELECTABLE:
        message = f"Too many: {len(seen)}: must have at most {_MAX_SELECTABLE} items"
        out.append(Cause(TOO_MANY, message, path))
