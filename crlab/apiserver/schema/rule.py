"""The door to CEL, opened only for schemas that have rules: loading it takes a while.

Thread: pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlab.apiserver.crd.rule_review import RuleReview
    from crlab.apiserver.schema.rule_check import CompiledRules

RULES = "x-kubernetes-validations"


def has_rules(schema: Any) -> bool:
    """Tell whether a schema or anything in it has rules."""
    if isinstance(schema, Mapping):
        return bool(schema.get(RULES)) or any(has_rules(sub) for sub in schema.values())
    return isinstance(schema, list) and any(has_rules(sub) for sub in schema)


def compile_rules(schema: Mapping[str, Any], *, root: bool) -> CompiledRules | None:
    """Compile all rules of a schema; None if it has none."""
    if not has_rules(schema):
        return None
    from crlab.apiserver.schema import rule_check

    return rule_check.compile_rules(schema, root=root)


def review_rules(schema: Mapping[str, Any], *, unchanged: bool) -> RuleReview | None:
    """Return a review of a schema's rules; None if it has none."""
    if not has_rules(schema):
        return None
    from crlab.apiserver.crd.rule_review import RuleReview

    return RuleReview(schema, unchanged=unchanged)
