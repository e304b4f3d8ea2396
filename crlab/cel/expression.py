"""The nodes of a CEL expression.

Macros are `Loop` and `Bind` nodes instead of CEL's general comprehension: evaluation and cost
estimation are simpler that way.

Thread: made by the parser, typed by the checker, then never changed.
Source: google/cel-go:common/ast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class UInt(int):
    """A CEL uint."""


@dataclass(slots=True)
class Expr:
    """A node; `type` is set by the checker."""

    offset: int
    type: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True)
class Const(Expr):
    """A literal."""

    value: Any


@dataclass(slots=True)
class Ident(Expr):
    """A variable or a type name."""

    name: str


@dataclass(slots=True)
class Select(Expr):
    """``operand.name``, ``operand.?name`` or ``has(operand.name)``."""

    operand: Expr
    name: str
    is_test: bool = False
    is_optional: bool = False


@dataclass(slots=True)
class FunctionCall(Expr):
    """A function, method or operator; `function` is its name as cel-go spells it."""

    function: str
    target: Expr | None
    args: list[Expr]
    overloads: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class ListExpr(Expr):
    """``[a, ?b]``; `optional` holds the indices of the optional elements.

    `is_mixed`: its elements may be of different types (the arguments of ``format``).
    """

    elements: list[Expr]
    optional: frozenset[int] = frozenset()
    is_mixed: bool = False


@dataclass(slots=True)
class MapExpr(Expr):
    """``{k: v}``."""

    entries: list[tuple[Expr, Expr, bool]]


@dataclass(slots=True)
class Loop(Expr):
    """A macro over a list or map.

    Attributes:
        kind: all, exists, exists_one, map, filter, transformMap or transformMapEntry.
        names: one variable (item or key) or two (index or key, value).
        condition: the predicate; None if the macro has none.
        body: what is collected; None for predicates.
    """

    kind: str
    source: Expr
    names: tuple[str, ...]
    condition: Expr | None
    body: Expr | None


@dataclass(slots=True)
class Bind(Expr):
    """``target.optMap(v, body)`` and ``optFlatMap``, and ``list.sortBy(v, key)``."""

    kind: str
    target: Expr
    name: str
    body: Expr
