"""Reads the schemas of a CRD as Go's decoder does: nulls mean nothing, types must fit.

The registry checks a CRD's fields by the types of the API; ``items`` and
``additionalProperties`` may hold one of several things there and are looked into only here.

Thread: pure functions; `clean_schema` changes the schema it is given.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/{types_jsonschema,marshal}.go.
"""

from __future__ import annotations

from typing import Any

from crlab.model.go_text import json_kind

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(
        ("type", "format", "title", "description", "pattern", "id", "$ref", "$schema",
         "x-kubernetes-list-type", "x-kubernetes-map-type"),
        ((str,), "string"),
    ),
    **dict.fromkeys(
        ("nullable", "exclusiveMaximum", "exclusiveMinimum", "uniqueItems",
         "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
         "x-kubernetes-int-or-string"),
        ((bool,), "bool"),
    ),
    **dict.fromkeys(
        ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"),
        ((int,), "int64"),
    ),
    **dict.fromkeys(("maximum", "minimum", "multipleOf"), ((int, float), "float64")),
    "enum": ((list,), "[]v1.JSON"),
}  # fmt: skip
_TEXTS = ("required", "x-kubernetes-list-map-keys")
_LISTS = ("allOf", "anyOf", "oneOf")
_MAPS = ("properties", "patternProperties", "definitions")
_RULES = "x-kubernetes-validations"
_RULE_TYPES: dict[str, tuple[type, str]] = {
    **dict.fromkeys(
        ("rule", "message", "messageExpression", "reason", "fieldPath"), (str, "string")
    ),
    "optionalOldSelf": (bool, "bool"),
}


class MalformedSchemaError(ValueError):
    """A keyword has a value of the wrong type; str() is Go's sentence."""


def _refuse(value: Any, path: str, wanted: str) -> MalformedSchemaError:
    field = f"JSONSchemaProps.{path}"
    return MalformedSchemaError(
        f"json: cannot unmarshal {json_kind(value)} into Go struct field {field} of type {wanted}"
    )


def clean_schema(schema: dict[str, Any], path: str = "") -> None:
    """Drop what is null, make null members empty schemas, in place.

    Raises:
        MalformedSchemaError: a keyword has a value of the wrong type.
    """
    prefix = f"{path}." if path else ""
    for key in list(schema):
        value, here = schema[key], f"{prefix}{key}"
        if value is None:
            del schema[key]
        else:
            _clean_keyword(schema, key, value, here)


def _clean_keyword(schema: dict[str, Any], key: str, value: Any, here: str) -> None:
    if key in _TYPES:
        wanted, name = _TYPES[key]
        if type(value) not in wanted:
            raise _refuse(value, here, name)
    elif key in _TEXTS:
        _texts(value, here)
    elif key in _LISTS or key in _MAPS:
        _members(schema, key, here)
    elif key == "not":
        _clean_member(value, here)
    elif key == _RULES:
        _rules(value, here)
    elif key == "additionalProperties":
        _either(value, here)
    elif key == "items":
        _items(schema, here)


def _clean_member(value: Any, path: str) -> None:
    if type(value) is not dict:
        raise _refuse(value, path, "v1.JSONSchemaProps")
    clean_schema(value, path)


def _texts(value: Any, path: str) -> None:
    if type(value) is not list:
        raise _refuse(value, path, "[]string")
    for item in value:
        if type(item) is not str:
            raise _refuse(item, path, "string")


def _members(schema: dict[str, Any], key: str, path: str) -> None:
    members = schema[key]
    is_map = key in _MAPS
    if type(members) is not (dict if is_map else list):
        kind = "map[string]" if is_map else "[]"
        raise _refuse(members, path, f"{kind}v1.JSONSchemaProps")
    for place in list(members) if is_map else range(len(members)):
        if members[place] is None:
            members[place] = {}
        _clean_member(members[place], path)


def _rules(value: Any, path: str) -> None:
    if type(value) is not list:
        raise _refuse(value, path, "v1.ValidationRules")
    for rule in value:
        if type(rule) is not dict:
            raise _refuse(rule, path, "v1.ValidationRule")
        for key in list(rule):
            wanted, name = _RULE_TYPES.get(key, (object, ""))
            if rule[key] is None:
                del rule[key]
            elif name and type(rule[key]) is not wanted:
                raise _refuse(rule[key], f"{path}.{key}", name)


def _either(value: Any, path: str) -> None:
    if type(value) is dict:
        clean_schema(value, path)
    elif type(value) is not bool:
        raise MalformedSchemaError("boolean or JSON schema expected")


def _items(schema: dict[str, Any], path: str) -> None:
    value = schema["items"]
    if type(value) is dict:
        clean_schema(value, path)
    elif type(value) is not list:
        del schema["items"]  # Go reads anything else as "no schema"
