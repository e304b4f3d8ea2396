"""Literals that can never work: durations, timestamps and patterns written out in a rule.

Thread: pure functions.
Source: google/cel-go:cel/validator.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from crlab.cel.expression import Const, Expr, FunctionCall
from crlab.cel.operator import to_timestamp
from crlab.cel.pattern import PatternError, compile_pattern
from crlab.cel.value import CelError, parse_duration

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "duration": parse_duration,
    "timestamp": to_timestamp,
    "matches": compile_pattern,
}


def walk(node: Any) -> Iterator[Expr]:
    """Yield a node and every node below it."""
    if isinstance(node, Expr):
        yield node
        for kind in type(node).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if name != "type":
                    yield from walk(getattr(node, name))
    elif isinstance(node, list | tuple):
        for item in node:
            yield from walk(item)


def literal_errors(tree: Expr) -> list[tuple[int, str]]:
    """Return (offset, message) of each literal argument that its function refuses."""
    found = []
    for node in walk(tree):
        if not isinstance(node, FunctionCall) or node.function not in _CHECKS or not node.args:
            continue
        argument = node.args[-1]
        if not isinstance(argument, Const) or type(argument.value) not in (str, int):
            continue
        try:
            _CHECKS[node.function](argument.value)
        except (CelError, PatternError):
            found.append((argument.offset, f"invalid {node.function} argument"))
    return sorted(found)
