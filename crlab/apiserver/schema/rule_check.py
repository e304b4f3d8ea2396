"""The x-kubernetes-validations of a schema: checked when a CRD is written, run on its objects.

From: `structural` (`compile_rules`); a new CRD is reviewed in `crd/rule_review.py`. To: causes
worded as kube-apiserver words them.

Guarantees:
  1. A rule that does not compile, or may cost too much, is refused with the CRD.
  2. Rules about `oldSelf` run only where an old value can be found, unless they say
     optionalOldSelf; errors of other rules are dropped where the value did not change.
  3. A failed messageExpression falls back to the message, as the real server does.

Thread: compiled rules are immutable; a review belongs to one request.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/{compilation,validation}.go,
pkg/apis/apiextensions/validation/cel_validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crlab.apiserver.schema.node import MISSING
from crlab.apiserver.schema.rule import RULES, has_rules
from crlab.apiserver.schema.rule_program import CompiledRule, compile_rule
from crlab.apiserver.status import (
    DUPLICATE,
    INVALID,
    Cause,
    forbidden_field,
    invalid_value,
    required,
)
from crlab.cel.evaluation import OVER_LIMIT, evaluate
from crlab.cel.type import (
    Decl,
    escape,
    schema_decl,
    with_object_meta,
)
from crlab.cel.value import (
    NO_OVERLOAD,
    NONE,
    CelError,
    Converter,
    Optional,
    converter,
)
from crlab.model.go_text import go_float

_MESSAGE_LIMIT = 5 * 1024


class RuleNode:
    """The rules of a schema node and of all below it."""

    __slots__ = ("additional", "convert", "is_keyed", "items", "keys", "kind",
                 "properties", "rules")  # fmt: skip

    def __init__(self, schema: Mapping[str, Any], decl: Decl | None, *, of_resource: bool) -> None:
        self.kind = str(schema.get("type") or "")
        full = with_object_meta(schema) if of_resource else schema
        self.rules = _compiled(schema, full, decl)
        self.convert: Converter | None = converter(full) if self.rules else None
        self.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        is_map_list = schema.get("x-kubernetes-list-type") == "map" and bool(self.keys)
        is_granular = schema.get("x-kubernetes-map-type") != "atomic"
        self.is_keyed = is_map_list if self.kind == "array" else is_granular
        self.items = _below(schema.get("items"), decl.element if decl else None)
        self.additional = _below(schema.get("additionalProperties"), decl.element if decl else None)
        self.properties: dict[str, RuleNode] = {}
        for key, sub in (schema.get("properties") or {}).items():
            child = _below(sub, decl.fields.get(escape(key) or "") if decl else None)
            if child is not None:
                self.properties[key] = child

    @property
    def has_rules(self) -> bool:
        """Whether there is anything to run here or below."""
        below = self.items or self.additional or self.properties
        return bool(self.rules or below)


def _compiled(
    schema: Mapping[str, Any], full: Mapping[str, Any], decl: Decl | None
) -> list[CompiledRule]:
    if decl is None:
        return []
    compiled = [compile_rule(rule, full, decl).rule for rule in schema.get(RULES) or ()]
    return [rule for rule in compiled if rule is not None]


def _below(schema: Any, decl: Decl | None) -> RuleNode | None:
    if not isinstance(schema, Mapping):
        return None
    is_resource = bool(schema.get("x-kubernetes-embedded-resource"))
    if decl is None:
        decl = schema_decl(schema, "object", of_resource=is_resource)
    found = RuleNode(schema, decl, of_resource=is_resource)
    return found if found.has_rules else None


def compile_rules(schema: Mapping[str, Any], *, root: bool) -> CompiledRules | None:
    """Compile all rules of a schema; None if it has none."""
    if not has_rules(schema):
        return None
    is_resource = root or bool(schema.get("x-kubernetes-embedded-resource"))
    decl = schema_decl(schema, "selfType", of_resource=is_resource)
    return CompiledRules(RuleNode(schema, decl, of_resource=is_resource))


@dataclass(slots=True)
class _RulePlace:
    """A value, its path, its old value for `oldSelf`, and what ratcheting compares."""

    path: str
    value: Any
    old: Any
    pair: tuple[Any, Any] | None
    parent: tuple[Any, Any] | None

    @property
    def is_unchanged(self) -> bool:
        pair = self.pair or self.parent
        return pair is not None and pair[1] is not MISSING and bool(pair[0] == pair[1])


class CompiledRules:
    """All rules of a schema."""

    def __init__(self, root: RuleNode) -> None:
        self._root = root

    def validate(self, obj: Any, old: Any) -> list[Cause]:
        """Return the causes of every rule that does not hold; `old` is None on create."""
        out: list[Cause] = []
        pair = (obj, old) if old is not None else None
        self._node(self._root, _RulePlace("", obj, old, pair, None), out)
        return out

    def _node(self, node: RuleNode, place: _RulePlace, out: list[Cause]) -> None:
        if place.value is None:
            return
        if node.rules:
            _run_rules(node, place, out)
        if type(place.value) is list and node.items is not None:
            self._items(node, place, out)
        elif type(place.value) is dict:
            self._fields(node, place, out)

    def _fields(self, node: RuleNode, place: _RulePlace, out: list[Cause]) -> None:
        olds = place.old if node.is_keyed and type(place.old) is dict else {}
        for key, value in place.value.items():
            child = node.properties.get(key)
            path = f"{place.path}.{key}" if place.path else key
            if child is None:
                child = node.additional
                path = f"{place.path}[{key}]"
            if child is None or not child.has_rules:
                continue
            self._node(child, _child(place, path, value, olds.get(key), key in olds), out)

    def _items(self, node: RuleNode, place: _RulePlace, out: list[Cause]) -> None:
        assert node.items is not None
        olds: dict[Any, Any] = {}
        if node.is_keyed and type(place.old) is list:
            olds = {_key(node, item): item for item in place.old}
        for at, value in enumerate(place.value):
            key = _key(node, value) if olds else None
            path = f"{place.path}[{at}]"
            self._node(node.items, _child(place, path, value, olds.get(key), key in olds), out)


def _key(node: RuleNode, item: Any) -> Any:
    return tuple(repr(item.get(name)) for name in node.keys) if type(item) is dict else None


def _child(place: _RulePlace, path: str, value: Any, old: Any, with_old: bool) -> _RulePlace:
    pair = (value, old) if with_old and place.pair is not None else None
    return _RulePlace(path, value, old, pair, place.pair or place.parent)


def _run_rules(node: RuleNode, place: _RulePlace, out: list[Cause]) -> None:
    field = place.path or "<nil>"
    try:
        convert = node.convert
        value = place.value if convert is None else convert(place.value)
        old = place.old if convert is None or place.old is None else convert(place.old)
    except CelError as error:
        out.append(invalid_value(field, node.kind, str(error)))
        return
    for rule in node.rules:
        if rule.uses_old_self and old is None and not rule.is_optional_old_self:
            continue
        bound: Any = old
        if rule.is_optional_old_self:
            bound = NONE if old is None else Optional(True, old)
        variables = {"self": value, "oldSelf": bound}
        try:
            if evaluate(rule.program, variables) is True:
                continue
        except CelError as error:
            out.append(invalid_value(field, node.kind, _failure(str(error), rule)))
            continue
        if rule.uses_old_self or not place.is_unchanged:
            out.append(_broken(node, rule, place, variables))


def _failure(problem: str, rule: CompiledRule) -> str:
    shown = rule.message or rule.text
    if problem.startswith(NO_OVERLOAD):
        return (
            f"'{problem}': call arguments did not match a supported operator, function or macro "
            f"signature for rule: {shown}"
        )
    if problem == OVER_LIMIT:
        return (
            f"'{problem}': no further validation rules will be run due to call cost exceeds limit "
            f"for rule: {shown}"
        )
    return f"{problem} evaluating rule: {shown}"


def _broken(
    node: RuleNode, rule: CompiledRule, place: _RulePlace, variables: Mapping[str, Any]
) -> Cause:
    detail = _message(rule, variables) or rule.message or f"failed rule: {rule.text}"
    field = place.path
    if rule.field_path:
        joint = "." if field and not rule.field_path.startswith("[") else ""
        field = f"{field}{joint}{rule.field_path}"
    field = field or "<nil>"
    is_container = node.kind in ("object", "array")
    if rule.reason == "FieldValueForbidden":
        return forbidden_field(field, detail)
    if rule.reason == "FieldValueRequired":
        return required(field, detail)
    shown = "" if is_container else f": {_shown(place.value)}"
    if rule.reason == "FieldValueDuplicate":
        return Cause(DUPLICATE, f"Duplicate value{shown}", field)
    return Cause(INVALID, f"Invalid value{shown}: {detail}", field)


def _shown(value: Any) -> str:
    return (
        go_float(value) if isinstance(value, float) else invalid_value("", value, "").message[15:-2]
    )


def _message(rule: CompiledRule, variables: Mapping[str, Any]) -> str:
    if rule.message_program is None:
        return ""
    try:
        found = evaluate(rule.message_program, variables)
    except CelError:
        return ""
    text = found.strip() if isinstance(found, str) else ""
    if "\n" in text or len(text.encode()) > _MESSAGE_LIMIT:
        return ""
    return text
