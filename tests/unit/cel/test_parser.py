"""CEL's grammar, and what it refuses."""

from __future__ import annotations

import pytest

from crlab.cel.expression import Const, FunctionCall, Loop, Select
from crlab.cel.parser import parse
from crlab.cel.token import CelSyntaxError


def test_operators_bind_as_in_the_specification() -> None:
    """Product before sum before relation before and before or before conditional."""
    tree = parse("a || b && c == d + e * f ? 1 : 2")

    assert isinstance(tree, FunctionCall)
    assert tree.function == "_?_:_"
    disjunction = tree.args[0]
    assert isinstance(disjunction, FunctionCall)
    assert disjunction.function == "_||_"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-9223372036854775808", -(2**63)),
        ("0x10", 16),
        ("1e3", 1000.0),
        (".5", 0.5),
        (r"'a\n\x41\u00e9\101'", "a\nAéA"),
        (r"r'\d'", r"\d"),
        ('"""a"b"""', 'a"b'),
        (r"b'\xff'", b"\xff"),
        ("'a' // comment", "a"),
    ],
)
def test_literals(text: str, value: object) -> None:
    """Every form."""
    tree = parse(text)

    assert isinstance(tree, Const)
    assert tree.value == value


def test_has_is_a_presence_test_and_macros_are_loops() -> None:
    """They are no calls."""
    tested = parse("has(a.b)")
    assert isinstance(tested, Select)
    assert tested.is_test

    assert isinstance(parse("a.exists_one(x, x > 1)"), Loop)
    assert isinstance(parse("a.all(k, v, v == k)"), Loop)
    assert isinstance(parse("a.all(1)"), FunctionCall)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a +", 3),
        ("a b", 2),
        ("(a", 2),
        ("9223372036854775808", 0),
        ("has(a)", 3),
        ("[1].map(x.y, 1)", 9),
        ("for", 0),
        ("'open", 0),
        ("a #", 2),
    ],
)
def test_bad_text_is_refused_where_it_goes_wrong(text: str, offset: int) -> None:
    """The offset is the column of the report."""
    with pytest.raises(CelSyntaxError) as found:
        parse(text)

    assert found.value.offset == offset


def test_endless_nesting_is_refused() -> None:
    """Not a crash."""
    with pytest.raises(CelSyntaxError, match="recursion limit"):
        parse("(" * 5000 + "1" + ")" * 5000)
