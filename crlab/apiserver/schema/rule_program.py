"""One x-kubernetes-validations rule as programs: the rule and its messageExpression.

From: a rule of a schema. To: `rule_check.py`, which runs it, and `crd/rule_review.py`, which
judges what it may cost when the CRD is written.

Thread: immutable once compiled.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crlab.apiserver.crd.printer_column import FieldPathError, field_path
from crlab.cel.compile import CelCompileError, compile_expression
from crlab.cel.cost import Coster
from crlab.cel.eval import compile_tree
from crlab.cel.evaluation import Program
from crlab.cel.expression import Expr, Ident
from crlab.cel.literal import walk
from crlab.cel.type import BOOL, STRING, Decl, Type


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, ready to run."""

    text: str
    program: Program
    message: str
    message_program: Program | None
    reason: str
    field_path: str
    uses_old_self: bool
    is_optional_old_self: bool


@dataclass(slots=True)
class Compilation:
    """What became of one rule: its program, or what is wrong with it, and its costs."""

    rule: CompiledRule | None = None
    problem: str = ""
    message_problem: str = ""
    cost: int = 0
    message_cost: int = 0
    uses_old_self: bool = False


def _uses_old_self(tree: Expr) -> bool:
    return any(isinstance(node, Ident) and node.name == "oldSelf" for node in walk(tree))


def compile_rule(rule: Mapping[str, Any], schema: Mapping[str, Any], decl: Decl) -> Compilation:
    found = Compilation()
    is_optional = bool(rule.get("optionalOldSelf"))
    old: Type = ("optional_type", decl.type) if is_optional else decl.type
    variables = {"self": decl.type, "oldSelf": old}
    text = rule.get("rule") or ""
    try:
        tree = compile_expression(text, variables)
    except CelCompileError as error:
        found.problem = f"compilation failed: {error}"
        return found
    if tree.type != BOOL:
        found.problem = "cel expression must evaluate to a bool"
        return found
    found.uses_old_self = _uses_old_self(tree)
    found.cost = Coster(decl).cost(tree)
    message_program = _compile_message(rule, variables, decl, found)
    if found.message_problem:
        return found
    found.rule = CompiledRule(
        text.strip(),
        compile_tree(tree),
        (rule.get("message") or "").strip(),
        message_program,
        rule.get("reason") or "",
        _normal_path(rule.get("fieldPath") or "", schema),
        found.uses_old_self,
        is_optional,
    )
    return found


def _compile_message(
    rule: Mapping[str, Any], variables: Mapping[str, Type], decl: Decl, found: Compilation
) -> Program | None:
    text = rule.get("messageExpression") or ""
    if not text:
        return None
    try:
        tree = compile_expression(text, variables)
    except CelCompileError as error:
        found.message_problem = f"messageExpression compilation failed: {error}"
        return None
    if tree.type != STRING:
        found.message_problem = "messageExpression must evaluate to a string"
        return None
    found.message_cost = Coster(decl).cost(tree)
    return compile_tree(tree)


def _normal_path(path: str, schema: Mapping[str, Any]) -> str:
    if not path:
        return ""
    try:
        return field_path(path, schema)[0]
    except FieldPathError:
        return ""
