"""Compiles a CEL expression: parse, type, and report errors as cel-go prints them.

The CEL library (extra ``crlab[cel]``) is asked for its words about syntax errors, because it
knows the grammar's expectations at every token. It cannot do the rest for Kubernetes'
dialect: object types from a schema, two-variable macros, opaque values, cost limits.

Thread: pure functions.
Source: google/cel-go:common/{errors,source}.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from crlab.cel.checker import Checker
from crlab.cel.expression import Expr
from crlab.cel.literal import literal_errors
from crlab.cel.parser import parse
from crlab.cel.token import CelSyntaxError
from crlab.cel.type import Type


class CelCompileError(ValueError):
    """The expression cannot be compiled; str() is cel-go's report."""


def compile_expression(text: str, variables: Mapping[str, Type]) -> Expr:
    """Parse and type an expression.

    Raises:
        CelCompileError: it is not CEL, or its types do not fit.
    """
    try:
        tree = parse(text)
    except CelSyntaxError as error:
        report = syntax_report(text) or _report(text, [(error.offset, str(error))])
        raise CelCompileError(report) from error
    checker = Checker(variables)
    checker.check(tree)
    if checker.errors:
        raise CelCompileError(_report(text, sorted(checker.errors, key=lambda found: found[0])))
    checker.settle(tree)
    if problems := literal_errors(tree):
        raise CelCompileError(_report(text, problems))
    return tree


def syntax_report(text: str) -> str:
    """Return the CEL library's own words for a syntax error, "" if it has none to offer.

    The library (extra ``crlab[cel]``) knows the grammar's expectations at every token.
    """
    try:
        from cel_expr_python import cel
    except ImportError:
        return ""
    try:
        cel.NewEnv().compile(text, disable_check=True)
    except RuntimeError as error:
        found = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
        return found if found.startswith("ERROR: <input>") else ""
    return ""


def _report(text: str, errors: list[tuple[int, str]]) -> str:
    lines = text.split("\n")
    blocks = []
    for offset, message in errors:
        before = text[:offset]
        row = before.count("\n")
        column = offset - (before.rfind("\n") + 1)
        dots = "." * column
        blocks.append(
            f"ERROR: <input>:{row + 1}:{column + 1}: {message}\n | {lines[row]}\n | {dots}^"
        )
    return "\n".join(blocks)
