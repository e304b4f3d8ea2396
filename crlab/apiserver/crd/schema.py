"""Rules for one ``openAPIV3Schema`` of a CRD: keywords, extensions, defaults, CEL rules, warnings.

Guarantees:
  1. Defaults and CEL rules are looked at only once the schema is structural.
  2. Every node is visited once; causes name it as kube-apiserver does.

Thread: one review at a time per `SchemaReview`.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
(ValidateCustomResourceDefinitionOpenAPISchema), pkg/apiserver/schema/defaulting/validation.go,
pkg/registry/customresourcedefinition/strategy.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crlab.apiserver.crd.list_type import check_list, typed
from crlab.apiserver.crd.printer_column import FieldPathError, field_path
from crlab.apiserver.crd.spec import Spec
from crlab.apiserver.crd.structure import structural_causes
from crlab.apiserver.schema.check import check
from crlab.apiserver.schema.invariant import check_embedded
from crlab.apiserver.schema.node import MISSING, Node
from crlab.apiserver.schema.reshape import META_FIELDS, clone, prune
from crlab.apiserver.schema.rule import compile_rules, review_rules
from crlab.apiserver.schema.structural import below
from crlab.apiserver.status import (
    INVALID,
    Cause,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from crlab.model.go_text import go_json
from crlab.model.string_format import is_recognized

if TYPE_CHECKING:
    from crlab.apiserver.crd.rule_review import RuleReview

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REASONS = (
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
)
_ROOT_KEYWORDS = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum",
    "ExclusiveMinimum", "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems",
    "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example",
    "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
_UNSUPPORTED = (
    ("id", "id is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("$ref", "$ref is not supported"),
)


def walk(schema: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and every schema inside it."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key in ("items", "not", "additionalProperties"):
        yield from walk(schema.get(key))
    for key in ("allOf", "anyOf", "oneOf"):
        for sub in schema.get(key) or ():
            yield from walk(sub)
    for sub in (schema.get("properties") or {}).values():
        yield from walk(sub)


@dataclass(frozen=True)
class _SchemaPlace:
    """What the way from the root says about a node."""

    no_defaults: str = ""
    is_in_metadata: bool = False
    uncorrelatable: str = ""


class SchemaReview:
    """Reviews the schemas of one CRD, lenient where the stored CRD was already wrong."""

    def __init__(self, old_spec: Mapping[str, Any]) -> None:
        self._old = {
            version.get("name"): (version.get("schema") or {}).get("openAPIV3Schema")
            for version in old_spec.get("versions") or ()
        }
        self._rules: RuleReview | None = None  # of the schema under review

    def review(
        self, schema: Mapping[str, Any], path: str, with_status: bool, version: str
    ) -> list[Cause]:
        """Return what is wrong with a version's schema."""
        old = self._old.get(version)
        out: list[Cause] = []
        if with_status:
            _check_root(schema, path, out)
        if schema.get("nullable"):
            out.append(forbidden_field(f"{path}.nullable", "nullable cannot be true at the root"))
        is_lenient = old is not None and bool(structural_causes(old, ""))
        structural = [] if is_lenient else structural_causes(schema, path)
        self._rules = None
        if structural:
            out.extend(structural)
        elif defaults := default_causes(schema, path):
            out.extend(defaults)
        else:
            self._rules = review_rules(schema, unchanged=old == schema)
        context = self._rules.root if self._rules is not None else None
        schema_errors, rule_errors = self._node(schema, path, _SchemaPlace(), context, root=True)
        out += schema_errors + rule_errors
        if self._rules is not None:
            out.extend(self._rules.total_causes(path))
        return out

    def _node(
        self,
        schema: Mapping[str, Any],
        path: str,
        place: _SchemaPlace,
        context: Any,
        *,
        root: bool = False,
    ) -> tuple[list[Cause], list[Cause]]:
        out: list[Cause] = []
        rules: list[Cause] = []
        _check_keywords(schema, path, place, out)
        for sub, sub_path, sub_place, sub_context in self._below(
            schema, path, place, context, root
        ):
            errors, rule_errors = self._node(sub, sub_path, sub_place, sub_context)
            out += errors
            rules += rule_errors
        _check_extensions(schema, path, out)
        check_list(schema, path, out)
        _check_rule_texts(schema, path, out)
        has_rules = bool(schema.get("x-kubernetes-validations"))
        if has_rules and not out and context is not None and self._rules is not None:
            rules += self._rules.causes(context, schema, path, place.uncorrelatable)
        return out, rules

    def _below(
        self, schema: Mapping[str, Any], path: str, place: _SchemaPlace, context: Any, root: bool
    ) -> Iterator[tuple[Mapping[str, Any], str, _SchemaPlace, Any]]:
        additional = schema.get("additionalProperties")
        if isinstance(additional, Mapping):
            under = place
            if place.is_in_metadata:
                why = "inside additionalProperties applying to object metadata"
                under = replace(place, no_defaults=why)
            step = None if context is None else context.additional(additional)
            yield additional, f"{path}.additionalProperties", under, step
        yield from self._properties(schema, path, place, context, root)
        if schema.get("not") is not None:
            yield schema["not"], f"{path}.not", place, None
        for junctor in ("allOf", "oneOf", "anyOf"):
            for at, sub in enumerate(schema.get(junctor) or ()):
                yield sub, f"{path}.{junctor}[{at}]", place, None
        items = schema.get("items")
        if isinstance(items, Mapping):
            under = place
            if schema.get("x-kubernetes-list-type") != "map" and not under.uncorrelatable:
                under = replace(under, uncorrelatable=path)
            step = None if context is None else context.items(items)
            yield items, f"{path}.items", under, step

    def _properties(
        self, schema: Mapping[str, Any], path: str, place: _SchemaPlace, context: Any, root: bool
    ) -> Iterator[tuple[Mapping[str, Any], str, _SchemaPlace, Any]]:
        is_atomic = schema.get("x-kubernetes-map-type") == "atomic"
        is_resource = root or bool(schema.get("x-kubernetes-embedded-resource"))
        for key, sub in (schema.get("properties") or {}).items():
            under = place
            if is_atomic and not under.uncorrelatable:
                under = replace(under, uncorrelatable=path)
            if is_resource and key in META_FIELDS:
                why = f"in top-level {key}" if root else under.no_defaults
                under = replace(under, is_in_metadata=True, no_defaults=why)
            step = None if context is None else context.field(key, sub)
            yield sub, f"{path}.properties[{key}]", under, step


def _check_root(schema: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    kind = schema.get("type")
    if kind and kind != "object":
        detail = (
            'only "object" is allowed as the type at the root of the schema if the status '
            "subresource is enabled"
        )
        out.append(invalid_value(f"{path}.type", kind, detail))
        return
    known = {name.lower() for name in _ROOT_KEYWORDS}
    for key, value in schema.items():
        name = key.replace("x-kubernetes-", "x").replace("-", "").lower()
        if value and name not in known:
            listed = " ".join(_ROOT_KEYWORDS)
            detail = (
                f"only [{listed}] fields are allowed at the root of the schema if the status "
                "subresource is enabled"
            )
            out.append(Cause(INVALID, f"Invalid value: {go_json(schema)}: {detail}", path))
            return


def _check_keywords(
    schema: Mapping[str, Any], path: str, place: _SchemaPlace, out: list[Cause]
) -> None:
    kind = schema.get("type") or ""
    if kind and kind not in _TYPES:
        out.append(unsupported(f"{path}.type", kind, _TYPES))
    if schema.get("default") is not None and place.no_defaults:
        detail = f"must not be set {place.no_defaults}"
        out.append(forbidden_field(f"{path}.default", detail))
    for key, detail in _UNSUPPORTED:
        if schema.get(key) is not None:
            out.append(forbidden_field(f"{path}.{key}", detail))
    if kind == "null":
        detail = "type cannot be set to null, use nullable as an alternative"
        out.append(forbidden_field(f"{path}.type", detail))
    if isinstance(schema.get("items"), list):
        detail = "items must be a schema object and not an array"
        out.append(forbidden_field(f"{path}.items", detail))
    if place.is_in_metadata and schema.get("x-kubernetes-embedded-resource"):
        detail = "must not be used inside of resource meta"
        out.append(forbidden_field(f"{path}.x-kubernetes-embedded-resource", detail))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        out.append(forbidden_field(f"{path}.uniqueItems", detail))
    additional = schema.get("additionalProperties")
    if additional is not None and additional is not True and schema.get("properties"):
        detail = "additionalProperties and properties are mutual exclusive"
        out.append(forbidden_field(f"{path}.additionalProperties", detail))


def _check_extensions(schema: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    kind = schema.get("type") or ""
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        field = f"{path}.x-kubernetes-preserve-unknown-fields"
        out.append(invalid_value(field, False, "must be true or undefined"))
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is not None and kind != "object":
        detail = "must be object if x-kubernetes-map-type is specified"
        out.append(typed(f"{path}.type", kind, detail))
    if map_type is not None and map_type not in ("atomic", "granular"):
        out.append(unsupported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular")))


def _check_rule_texts(schema: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    for at, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        base = f"{path}.x-kubernetes-validations[{at}]"
        text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
        if not text:
            out.append(required(f"{base}.rule", "rule is not specified"))
        elif message and not message.strip():
            out.append(invalid_value(f"{base}.message", message, "must be non-empty if specified"))
        elif _has_newline(message.strip()):
            out.append(invalid_value(f"{base}.message", message, "must not contain line breaks"))
        elif _has_newline(text) and not message.strip():
            detail = "message must be specified if rule contains line breaks"
            out.append(required(f"{base}.message", detail))
        expression = rule.get("messageExpression") or ""
        if expression and not expression.strip():
            detail = "messageExpression must be non-empty if specified"
            out.append(required(f"{base}.messageExpression", detail))
        reason = rule.get("reason")
        if reason is not None and reason not in _REASONS:
            out.append(unsupported(f"{base}.reason", reason, _REASONS))
        _check_rule_path(rule.get("fieldPath") or "", schema, f"{base}.fieldPath", out)


def _check_rule_path(where: str, schema: Mapping[str, Any], field: str, out: list[Cause]) -> None:
    if not where:
        return
    if not where.strip():
        out.append(invalid_value(field, where, "must be non-empty if specified"))
    if _has_newline(where):
        out.append(invalid_value(field, where, "must not contain line breaks"))
    try:
        field_path(where, schema)
    except FieldPathError:
        out.append(invalid_value(field, where, "must be a valid path"))


def _has_newline(text: str) -> bool:
    return "\n" in text or "\r" in text


def default_causes(schema: Mapping[str, Any], path: str) -> list[Cause]:
    """Return which defaults do not fit their own schema."""
    out: list[Cause] = []
    default = schema.get("default")
    if default is not None:
        _check_default(schema, default, f"{path}.default", out)
    if isinstance(schema.get("items"), Mapping):
        out += default_causes(schema["items"], f"{path}.items")
    for key, sub in (schema.get("properties") or {}).items():
        out += default_causes(sub, f"{path}.properties[{key}]")
    return out


def _check_default(schema: Mapping[str, Any], default: Any, field: str, out: list[Cause]) -> None:
    node = Node(schema)
    pruned = clone(default)
    prune(pruned, node, "", None)
    if pruned != default:
        shown = go_json(default)
        out.append(Cause(INVALID, f"Invalid value: {shown}: must not have unknown fields", field))
    found: list[Cause] = []
    check_embedded(node, default, field, found)
    if found:
        out.extend(found)
        return
    check(node, default, MISSING, "", "", found)
    if not found:
        rules = compile_rules(schema, root=False)
        if rules is not None:
            found.extend(rules.validate(default, None))
    out.extend(below(field, cause) for cause in found)


def crd_warnings(crd: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> list[str]:
    """Return the warnings a write of this CRD earns: unknown formats, sets of objects.

    On an update only those that the old CRD did not earn.
    """
    found = _warnings(crd)
    if old is None:
        return found
    known = set(_warnings(old))
    return [text for text in found if text not in known]


def _warnings(crd: Mapping[str, Any]) -> list[str]:
    spec = Spec(crd.get("spec") or {})
    formats: list[str] = []
    sets: set[str] = set()
    for schema, _, _ in spec.places("schema", "", ""):
        for node in walk((schema or {}).get("openAPIV3Schema")):
            name, kind = node.get("format") or "", node.get("type") or ""
            if name and not is_recognized(kind, name):
                formats.append(f'unrecognized format "{name}"')
            item_type = (node.get("items") or {}).get("type")
            is_set = node.get("x-kubernetes-list-type") == "set"
            if is_set and item_type in ("object", "array"):
                sets.add(
                    f'x-kubernetes-list-type: set for items of type "{item_type}" is not '
                    "supported by server-side apply or CEL validation rules"
                )
    return [*formats, *sorted(sets)]
