"""Reviews the rules of a CRD's schema: do they compile, and what may they cost?

Guarantees:
  1. A rule that does not compile, or may cost too much, is refused with the CRD.
  2. Limits are those of kube-apiserver: per rule, and for all rules of a schema together.

Thread: a review belongs to one request.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/cel_validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.apiserver.schema.rule import RULES
from crlab.apiserver.schema.rule_program import Compilation, compile_rule
from crlab.apiserver.status import INVALID, Cause, forbidden_field, invalid_value
from crlab.cel.cost import UNKNOWN
from crlab.cel.type import (
    MAX_REQUEST_BYTES,
    Decl,
    escape,
    schema_decl,
    with_object_meta,
)
from crlab.model.go_text import go_json

PER_RULE_LIMIT = 10_000_000


PER_CRD_LIMIT = 100_000_000


_ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
    "maps, and strings are declared)"
)


class RuleContext:
    """A schema node as rules see it while a CRD is reviewed.

    Attributes:
        cardinality: how often the node can occur in an object; None if nothing bounds it.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        decl: Decl | None,
        cardinality: int | None,
        *,
        of_resource: bool,
    ) -> None:
        self.schema = schema
        self.cardinality = cardinality
        self.is_resource = of_resource
        self._decl = decl

    @property
    def decl(self) -> Decl | None:
        """The declaration of `self`, None if CEL cannot see the node."""
        if self._decl is None:
            self._decl = schema_decl(self.schema, "selfType", of_resource=self.is_resource)
        return self._decl

    def _below(
        self, schema: Mapping[str, Any], decl: Decl | None, factor: int | None
    ) -> RuleContext:
        count = None
        if self.cardinality is not None and factor is not None:
            count = min(UNKNOWN, self.cardinality * factor)
        is_resource = bool(schema.get("x-kubernetes-embedded-resource"))
        return RuleContext(schema, decl, count, of_resource=is_resource)

    def field(self, key: str, schema: Mapping[str, Any]) -> RuleContext:
        """Return the context of a property."""
        decl = self.decl
        known = decl.fields.get(escape(key) or "") if decl is not None else None
        factor = 1 if self.schema.get("additionalProperties") is None else None
        return self._below(schema, known, factor)

    def items(self, schema: Mapping[str, Any]) -> RuleContext:
        """Return the context of the items."""
        decl = self.decl
        return self._below(schema, decl.element if decl else None, self.schema.get("maxItems"))

    def additional(self, schema: Mapping[str, Any]) -> RuleContext:
        """Return the context of the additional properties."""
        decl = self.decl
        limit = self.schema.get("maxProperties")
        return self._below(schema, decl.element if decl else None, limit)


class RuleReview:
    """Compiles every rule of one schema and adds up what they may cost."""

    def __init__(self, schema: Mapping[str, Any], *, unchanged: bool) -> None:
        self.root = RuleContext(schema, None, 1, of_resource=True)
        self._is_unchanged = unchanged
        self._total = 0
        self._expensive: list[tuple[int, str]] = []

    def causes(
        self, context: RuleContext, schema: Mapping[str, Any], path: str, uncorrelatable: str
    ) -> list[Cause]:
        """Return what is wrong with the rules of one node."""
        decl = context.decl
        if decl is None:
            problem = (
                "Internal error: internal error: failed to construct type information for "
                "x-kubernetes-validations rules: unable to convert structural schema to CEL "
                "declarations"
            )
            return [Cause("InternalError", problem, f"{path}.{RULES}")]
        full = with_object_meta(schema) if context.is_resource else schema
        out: list[Cause] = []
        for at, rule in enumerate(schema.get(RULES) or ()):
            found = compile_rule(rule, full, decl)
            self._rule_causes(found, rule, f"{path}.{RULES}[{at}]", context, decl, out)
            if found.uses_old_self and uncorrelatable:
                detail = (
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within "
                    f"{uncorrelatable}"
                )
                out.append(invalid_value(f"{path}.{RULES}[{at}].rule", rule["rule"], detail))
            elif not found.uses_old_self and rule.get("optionalOldSelf") is not None:
                field = f"{path}.{RULES}[{at}].optionalOldSelf"
                detail = "may not be set if oldSelf is not used in rule"
                out.append(invalid_value(field, bool(rule["optionalOldSelf"]), detail))
        return out

    def _rule_causes(
        self,
        found: Compilation,
        rule: Mapping[str, Any],
        path: str,
        context: RuleContext,
        decl: Decl,
        out: list[Cause],
    ) -> None:
        count = context.cardinality
        if count is None:
            count = MAX_REQUEST_BYTES // (decl.min_size + 1)
        cost = min(UNKNOWN, found.cost * count)
        self._observe(cost, f"{path}.rule")
        if cost > PER_RULE_LIMIT and not self._is_unchanged:
            detail = _over_budget("estimated rule cost", cost, PER_RULE_LIMIT)
            out.append(forbidden_field(f"{path}.rule", detail))
        if found.problem:
            out.append(_bad_rule(f"{path}.rule", rule, found.problem))
        if found.message_problem:
            out.append(_bad_rule(f"{path}.messageExpression", rule, found.message_problem))
        elif rule.get("messageExpression"):
            self._observe(found.message_cost, f"{path}.messageExpression")
            if found.message_cost > PER_RULE_LIMIT and not self._is_unchanged:
                name = "estimated messageExpression cost"
                detail = _over_budget(name, found.message_cost, PER_RULE_LIMIT)
                out.append(forbidden_field(f"{path}.messageExpression", detail))

    def _observe(self, cost: int, field: str) -> None:
        self._total = min(UNKNOWN, self._total + cost)
        if cost >= PER_CRD_LIMIT // 100:
            self._expensive.append((cost, field))
            self._expensive.sort(key=lambda found: -found[0])
            del self._expensive[4:]

    def total_causes(self, path: str) -> list[Cause]:
        """Return the causes of the schema's rules costing too much together."""
        if self._total <= PER_CRD_LIMIT:
            return []
        share = (
            "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 "
            "schema"
        )
        out = [forbidden_field(field, share) for _, field in self._expensive]
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        out.append(forbidden_field(path, _over_budget(name, self._total, PER_CRD_LIMIT)))
        return out


def _bad_rule(field: str, rule: Mapping[str, Any], problem: str) -> Cause:
    shown = {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    return Cause(INVALID, f"Invalid value: {go_json(shown)}: {problem}", field)


def _over_budget(name: str, cost: int, limit: int) -> str:
    factor = cost / limit
    if factor > 100:
        shown = "more than 100x"
    else:
        shown = f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{name} exceeds budget by factor of {shown} {_ADVICE}"
