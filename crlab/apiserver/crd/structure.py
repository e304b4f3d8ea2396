"""Is a schema structural? Every node typed, logic only about values, metadata left alone.

Thread: pure functions.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.apiserver.status import Cause, forbidden_field, invalid_value, required
from crlab.cel.pattern import PatternError, compile_pattern

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_LEVELS = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_EMBEDDED = "if x-kubernetes-embedded-resource is true"
_METADATA_TEXT = (
    "must not specify anything other than name and generateName, but metadata is implicitly "
    "specified"
)
_NESTED_RULES = (
    ("type", "must be empty to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def structural_causes(schema: Mapping[str, Any], path: str) -> list[Cause]:
    """Return what keeps a schema from being structural, sorted by text."""
    out: list[Cause] = []
    _check_node(schema, "root", path, out)
    _check_complete(schema, schema, path, out)
    return sorted(out, key=str)


def _check_node(schema: Mapping[str, Any], level: str, path: str, out: list[Cause]) -> None:
    kind, items = schema.get("type") or "", schema.get("items")
    if kind == "array" and items is None:
        out.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, Mapping):
        _check_node(items, "item", f"{path}.items", out)
    for key, sub in (schema.get("properties") or {}).items():
        _check_node(sub, "field", f"{path}.properties[{key}]", out)
    additional = schema.get("additionalProperties")
    if additional is not None:
        if level == "root":
            out.append(
                forbidden_field(f"{path}.additionalProperties", "must not be used at the root")
            )
        if isinstance(additional, Mapping):
            _check_node(additional, "field", f"{path}.additionalProperties", out)
    _check_extensions(schema, path, out)
    _check_values(schema, level, path, out)
    _check_type(schema, level, path, out)
    _check_meta(schema, level, path, out)


def _check_extensions(schema: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    if not schema.get("x-kubernetes-int-or-string"):
        return
    for key in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
        if schema.get(key):
            detail = "must be false if x-kubernetes-int-or-string is true"
            out.append(invalid_value(f"{path}.{key}", True, detail))


def _check_type(schema: Mapping[str, Any], level: str, path: str, out: list[Cause]) -> None:
    kind, field = schema.get("type") or "", f"{path}.type"
    is_embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    is_free = schema.get("x-kubernetes-int-or-string") or schema.get(
        "x-kubernetes-preserve-unknown-fields"
    )
    if is_embedded and kind != "object":
        detail = f"must be object {_EMBEDDED}"
        out.append(invalid_value(field, kind, detail) if kind else required(field, detail))
    elif not kind and not is_free:
        out.append(required(field, _LEVELS[level]))
    if is_embedded and schema.get("additionalProperties") is not None:
        detail = "must not be used if x-kubernetes-embedded-resource is set"
        out.append(forbidden_field(f"{path}.additionalProperties", detail))
    if level == "root" and kind and kind != "object":
        out.append(invalid_value(field, kind, "must be object at the root"))


def _check_meta(schema: Mapping[str, Any], level: str, path: str, out: list[Cause]) -> None:
    properties = schema.get("properties") or {}
    is_embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    is_resource = level == "root" or is_embedded
    for key in ("kind", "apiVersion"):
        if is_resource and key in properties and properties[key].get("type") != "string":
            found = properties[key].get("type") or ""
            out.append(invalid_value(f"{path}.properties[{key}].type", found, "must be string"))
    if "metadata" in properties and is_resource:
        _check_metadata(properties["metadata"], level, f"{path}.properties[metadata]", out)
    is_open = schema.get("x-kubernetes-preserve-unknown-fields")
    if is_embedded and not is_open and not properties:
        without = "without x-kubernetes-preserve-unknown-fields"
        out.append(required(f"{path}.properties", f"must not be empty {_EMBEDDED} {without}"))


def _check_metadata(metadata: Mapping[str, Any], level: str, path: str, out: list[Cause]) -> None:
    kind = metadata.get("type") or ""
    if kind != "object":
        out.append(invalid_value(f"{path}.type", kind, "must be object"))
    if level != "root":
        return
    extra = set(metadata.get("properties") or {}) - {"name", "generateName"}
    other = {key for key, found in metadata.items() if found} - {"type", "properties", "default"}
    if extra or other:
        out.append(forbidden_field(path, _METADATA_TEXT))


def _check_values(schema: Mapping[str, Any], level: str, path: str, out: list[Cause]) -> None:
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if any_of != _INT_OR_STRING or not schema.get("x-kubernetes-int-or-string"):
        for at, sub in enumerate(any_of):
            _check_nested(sub, False, f"{path}.anyOf[{at}]", out)
    for at, sub in enumerate(all_of):
        is_pattern = at == 0 and (sub.get("anyOf") or []) == _INT_OR_STRING
        _check_nested(sub, is_pattern, f"{path}.allOf[{at}]", out)
    for at, sub in enumerate(schema.get("oneOf") or []):
        _check_nested(sub, False, f"{path}.oneOf[{at}]", out)
    if schema.get("not") is not None:
        _check_nested(schema["not"], False, f"{path}.not", out)
    pattern = schema.get("pattern")
    if pattern:
        try:
            compile_pattern(pattern)
        except PatternError as error:
            detail = f"must be a valid regular expression, but isn't: {error}"
            out.append(invalid_value(f"{path}.pattern", pattern, detail))


def _check_nested(schema: Mapping[str, Any], pattern: bool, path: str, out: list[Cause]) -> None:
    if pattern:
        _check_values({**schema, "anyOf": []}, "field", path, out)
    else:
        _check_values(schema, "field", path, out)
    if isinstance(schema.get("items"), Mapping):
        _check_nested(schema["items"], False, f"{path}.items", out)
    properties = schema.get("properties") or {}
    for key, sub in properties.items():
        _check_nested(sub, False, f"{path}.properties[{key}]", out)
    if schema.get("additionalProperties"):
        detail = "must be undefined to be structural"
        out.append(forbidden_field(f"{path}.additionalProperties", detail))
    for key, detail in _NESTED_RULES:
        if schema.get(key) or (key == "default" and schema.get(key) is not None):
            out.append(forbidden_field(f"{path}.{key}", detail))
    if "metadata" in properties:
        detail = "must not be specified in a nested context"
        out.append(forbidden_field(f"{path}.properties[metadata]", detail))


def _check_complete(
    spine: Mapping[str, Any], schema: Mapping[str, Any], path: str, out: list[Cause]
) -> None:
    """Every field that logic speaks about must be specified outside of it, too."""
    for key in ("allOf", "anyOf", "oneOf"):
        for at, sub in enumerate(schema.get(key) or []):
            _check_covered(spine, sub, path, f"{path}.{key}[{at}]", out)
    if schema.get("not") is not None:
        _check_covered(spine, schema["not"], path, f"{path}.not", out)
    for key, sub in (spine.get("properties") or {}).items():
        _check_complete(sub, sub, f"{path}.properties[{key}]", out)
    if isinstance(spine.get("items"), Mapping):
        _check_complete(spine["items"], spine["items"], f"{path}.items", out)
    if isinstance(spine.get("additionalProperties"), Mapping):
        below = spine["additionalProperties"]
        _check_complete(below, below, f"{path}.additionalProperties", out)


def _check_covered(
    spine: Mapping[str, Any] | None,
    nested: Mapping[str, Any],
    spine_path: str,
    path: str,
    out: list[Cause],
) -> None:
    if spine is None:
        out.append(required(spine_path, f"because it is defined in {path}"))
        return
    properties = spine.get("properties") or {}
    for key, sub in (nested.get("properties") or {}).items():
        found, where = properties.get(key), f"{spine_path}.properties[{key}]"
        _check_covered(found, sub, where, f"{path}.properties[{key}]", out)
    if isinstance(nested.get("items"), Mapping):
        items = spine.get("items")
        found = items if isinstance(items, Mapping) else None
        _check_covered(found, nested["items"], f"{spine_path}.items", f"{path}.items", out)
    for key in ("allOf", "anyOf", "oneOf"):
        for at, sub in enumerate(nested.get(key) or []):
            _check_covered(spine, sub, spine_path, f"{path}.{key}[{at}]", out)
    if nested.get("not") is not None:
        _check_covered(spine, nested["not"], spine_path, f"{path}.not", out)
