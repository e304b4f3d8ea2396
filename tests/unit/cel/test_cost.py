"""Cost estimates: what bounds a rule, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from crlab.cel.compile import compile_expression
from crlab.cel.cost import UNKNOWN, Coster
from crlab.cel.type import schema_decl


def cost(text: str, **properties: Any) -> int:
    decl = schema_decl({"type": "object", "properties": properties}, "T", of_resource=False)
    assert decl is not None
    return Coster(decl).cost(compile_expression(text, {"self": decl.type}))


LIST = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 5}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", 0),
        ("self.n > 1", 3),
        ("has(self.n)", 1),
        ("self.s == 'abc'", 3),
        ("self.l.all(x, true)", 2 + 1 + 10 * 3),
        ("self.l.exists(x, x == 'abc')", 2 + 1 + 10 * (4 + 1 + 1)),
        ("self.l.all(a, self.l.all(b, a == b))", 2 + 1 + 10 * (3 + 2 + 1 + 10 * (3 + 2 + 2))),
        ("self.s.matches('^a')", 2 + 3 * 1),
        ("self.l.map(x, x.size()).sum() > 1", 2 + 11 + 10 * (12 + 2) + 10 + 1),
        ("[1, 2].size() == 2", 10 + 1 + 1),
        ("self.n > 1 || self.n < 0 ? 'a' == 'b' : false", 3 + 3 + 1),
    ],
)
def test_costs_are_counted_as_cel_go_counts(text: str, expected: int) -> None:
    """By hand, from cel-go's rules."""
    assert (
        cost(text, n={"type": "integer"}, s={"type": "string", "maxLength": 5}, l=LIST) == expected
    )


def test_without_limits_the_request_size_is_the_limit() -> None:
    """Three MiB of shortest items."""
    unbounded = {"type": "array", "items": {"type": "string"}}
    triple = "self.l.all(a, self.l.all(b, self.l.all(c, a == b)))"

    assert cost("self.l.all(x, true)", l=unbounded) == 3 + 3 * ((3 * 2**20 - 2) // 3)
    assert cost(triple, l=unbounded) > 10**17
    assert cost(triple, l=LIST) < 10**5


def test_costs_never_exceed_64_bits() -> None:
    """They saturate."""
    unbounded = {"type": "array", "items": {"type": "string"}}
    nested = "true"
    for name in "abcdefgh":
        nested = f"self.l.all({name}, {nested})"

    assert cost(nested, l=unbounded) == UNKNOWN
