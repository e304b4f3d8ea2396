"""What can never work is refused when the CRD is written, in cel-go's words."""

# ruff: noqa: E501 - the sentences are the server's

from __future__ import annotations

import pytest

from crlab.cel.compile import CelCompileError, compile_expression
from crlab.cel.type import schema_decl, show_type

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "f": {"type": "number"},
        "s": {"type": "string"},
        "when": {"type": "string", "format": "date-time"},
        "either": {"x-kubernetes-int-or-string": True},
        "list": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "a-b": {"type": "integer"},
        "namespace": {"type": "string"},
        "hidden": {"x-kubernetes-preserve-unknown-fields": True},
    },
}


def compiled(text: str) -> str:
    decl = schema_decl(SCHEMA, "T", of_resource=False)
    assert decl is not None
    return show_type(compile_expression(text, {"self": decl.type, "oldSelf": decl.type}).type)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("self.n + 1", "int"),
        ("self.n < self.f", "bool"),
        ("self.when.getFullYear()", "int"),
        ("self.either == 5 || self.either == 'x'", "bool"),
        ("self.list.map(x, x.size())", "list(int)"),
        ("self.map.transformList(k, v, k)", "list(string)"),
        ("self.?s.orValue('')", "string"),
        ("self.map[?'a']", "optional_type(int)"),
        ("self.a__dash__b + size(self.__namespace__)", "int"),
        ("[]", "list(dyn)"),
        ("quantity('1').add(2).isGreaterThan(quantity('1'))", "bool"),
        ("[1, 2].sum() == 3 ? 'a' : 'b'", "string"),
        ("optional.none().or(optional.of(1)).hasValue()", "bool"),
        ("url('https://x').getQuery()", "map(string, list(string))"),
        ("type(self.n) == int", "bool"),
        ("duration('1h') + self.when", "timestamp"),
    ],
)
def test_types_follow_from_the_schema(text: str, kind: str) -> None:
    """Formats, escapes, macros and libraries included."""
    assert compiled(text) == kind


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("self.y", "1:5: undefined field 'y'"),
        ("self.hidden", "1:5: undefined field 'hidden'"),
        ("self.n + self.s", "1:8: found no matching overload for '_+_' applied to '(int, string)'"),
        ("self.s.size(1)", "1:12: found no matching overload for 'size' applied to 'string.(int)'"),
        ("self.n.x", "1:7: type 'int' does not support field selection"),
        ("nope", "1:1: undeclared reference to 'nope' (in container '')"),
        ("self.n.all(x, true)", "1:5: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"),
        ("[1, 'a']", "1:5: expected type 'int' but found 'string'"),
        ("self.list == ['a'] && self.map == {'a': 'b'}", "1:32: found no matching overload for '_==_' applied to '(map(string, int), map(string, string))'"),
        ("math.abs(1)", "1:1: undeclared reference to 'math' (in container '')"),
        ("duration('1d') > duration('1h')", "1:10: invalid duration argument"),
        ("timestamp('2024-13-01T00:00:00Z') == self.when", "1:11: invalid timestamp argument"),
        ("self.s.matches('(?=a)')", "1:16: invalid matches argument"),
        ("x.y(", "1:5: Syntax error: mismatched input '<EOF>'"),
    ],
)  # fmt: skip
def test_errors_are_placed_and_worded_as_cel_go_does(text: str, report: str) -> None:
    """Line, column, sentence."""
    with pytest.raises(CelCompileError) as found:
        compiled(text)

    assert str(found.value).startswith(f"ERROR: <input>:{report}")


def test_each_error_shows_its_line() -> None:
    """Several lines, several errors."""
    with pytest.raises(CelCompileError) as found:
        compiled("self.n > 1 &&\n  self.y && nope")

    assert str(found.value) == (
        "ERROR: <input>:2:7: undefined field 'y'\n |   self.y && nope\n | ......^\n"
        "ERROR: <input>:2:13: undeclared reference to 'nope' (in container '')\n"
        " |   self.y && nope\n | ............^"
    )
