"""Reads CEL: text to a tree, macros included.

The tree keeps macros as `Loop` nodes instead of CEL's general comprehension, because both
evaluation and cost estimation are simpler that way.

Guarantees:
  1. Text that CEL's grammar does not accept raises `CelSyntaxError`; nothing is guessed.
  2. Every node knows the offset that cel-go would name in an error about it.

Thread: pure functions.
Source: the CEL language definition (google/cel-spec:doc/langdef.md).
"""

from __future__ import annotations

import math

from crlab.cel.expression import (
    Bind,
    Const,
    Expr,
    FunctionCall,
    Ident,
    ListExpr,
    Loop,
    MapExpr,
    Select,
    UInt,
)
from crlab.cel.token import RESERVED, CelSyntaxError, literal, tokens

_EXPECTED = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
    "STRING, BYTES, IDENTIFIER}"
)
_LIMIT = 250


def parse(text: str) -> Expr:
    """Return the tree of an expression.

    Raises:
        CelSyntaxError: it is not CEL.
    """
    parser = _CelParser(text)
    try:
        found = parser.expression()
    except RecursionError:
        raise CelSyntaxError(0, "expression recursion limit exceeded: 250") from None
    parser.end()
    return found


class _CelParser:
    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0

    @property
    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, *texts: str) -> bool:
        kind, text, _ = self._peek
        return kind == "op" and text in texts

    def _take(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> int:
        if not self._is(text):
            self._fail(f"'{text}'")
        return self._next()[2]

    def _fail(self, expected: str) -> None:
        _, text, offset = self._peek
        shown = text or "<EOF>"
        if expected == _EXPECTED and text in RESERVED:
            raise CelSyntaxError(offset, f"reserved identifier: {text}")
        message = f"Syntax error: mismatched input '{shown}' expecting {expected}"
        raise CelSyntaxError(offset, message)

    def end(self) -> None:
        """Refuse what stands after the expression."""
        if self._peek[0] != "end":
            shown = self._peek[1]
            message = f"Syntax error: extraneous input '{shown}' expecting <EOF>"
            raise CelSyntaxError(self._peek[2], message)

    def expression(self) -> Expr:
        """Read an expression, down to the conditional."""
        self._depth += 1
        if self._depth > _LIMIT:
            raise CelSyntaxError(self._peek[2], "expression recursion limit exceeded: 250")
        found = self._or()
        if self._is("?"):
            offset = self._next()[2]
            yes = self._or()
            self._expect(":")
            found = FunctionCall(offset, "_?_:_", None, [found, yes, self.expression()])
        self._depth -= 1
        return found

    def _or(self) -> Expr:
        found = self._and()
        while self._is("||"):
            offset = self._next()[2]
            found = FunctionCall(offset, "_||_", None, [found, self._and()])
        return found

    def _and(self) -> Expr:
        found = self._relation()
        while self._is("&&"):
            offset = self._next()[2]
            found = FunctionCall(offset, "_&&_", None, [found, self._relation()])
        return found

    def _relation(self) -> Expr:
        found = self._sum()
        while self._is("<", "<=", ">", ">=", "==", "!=") or self._peek[:2] == ("name", "in"):
            _, text, offset = self._next()
            name = "@in" if text == "in" else f"_{text}_"
            found = FunctionCall(offset, name, None, [found, self._sum()])
        return found

    def _sum(self) -> Expr:
        found = self._product()
        while self._is("+", "-"):
            _, text, offset = self._next()
            found = FunctionCall(offset, f"_{text}_", None, [found, self._product()])
        return found

    def _product(self) -> Expr:
        found = self._unary()
        while self._is("*", "/", "%"):
            _, text, offset = self._next()
            found = FunctionCall(offset, f"_{text}_", None, [found, self._unary()])
        return found

    def _unary(self) -> Expr:
        if not self._is("!", "-"):
            return self._member()
        _, text, offset = self._next()
        if text == "-" and self._peek[0] in ("int", "float"):
            return self._postfix(self._number(offset, "-"))
        count = 1
        while self._is(text):
            self._next()
            count += 1
        operand = self._member()
        return FunctionCall(offset, f"{text}_", None, [operand]) if count % 2 else operand

    def _member(self) -> Expr:
        return self._postfix(self._primary())

    def _postfix(self, found: Expr) -> Expr:
        while True:
            if self._is("."):
                dot = self._next()[2]
                is_optional = self._take("?")
                name = self._name()
                if self._is("(") and not is_optional:
                    offset = self._next()[2]
                    found = _expand(FunctionCall(offset, name, found, self._args(")")))
                else:
                    found = Select(dot, found, name, is_optional=is_optional)
            elif self._is("["):
                offset = self._next()[2]
                function = "_[?_]" if self._take("?") else "_[_]"
                found = FunctionCall(offset, function, None, [found, self.expression()])
                self._expect("]")
            else:
                return found

    def _name(self) -> str:
        kind, text, _ = self._peek
        if kind != "name":
            self._fail("IDENTIFIER")
        self._at += 1
        return text.strip("`")

    def _args(self, closing: str) -> list[Expr]:
        found: list[Expr] = []
        if not self._is(closing):
            found.append(self.expression())
            while self._take(","):
                found.append(self.expression())
        self._expect(closing)
        return found

    def _primary(self) -> Expr:
        kind, text, offset = self._peek
        if kind in ("int", "float"):
            return self._number(offset, "")
        if kind == "text":
            self._next()
            return Const(offset, literal(text, offset))
        if kind == "op" and text in ("(", "[", "{", "."):
            return self._group(text, offset)
        if kind != "name" or text in RESERVED or text == "in":
            self._fail(_EXPECTED)
        self._next()
        if text in ("true", "false", "null"):
            return Const(offset, {"true": True, "false": False, "null": None}[text])
        if self._is("("):
            opening = self._next()[2]
            return _expand(FunctionCall(opening, text, None, self._args(")")))
        return Ident(offset, text)

    def _group(self, text: str, offset: int) -> Expr:
        self._next()
        if text == "(":
            found = self.expression()
            self._expect(")")
            return found
        if text == "[":
            return self._list(offset)
        if text == "{":
            return self._map(offset)
        return self._primary()  # a leading dot: the root scope

    def _list(self, offset: int) -> Expr:
        elements: list[Expr] = []
        optional: set[int] = set()
        while not self._is("]"):
            if self._take("?"):
                optional.add(len(elements))
            elements.append(self.expression())
            if not self._take(","):
                break
        self._expect("]")
        return ListExpr(offset, elements, frozenset(optional))

    def _map(self, offset: int) -> Expr:
        entries: list[tuple[Expr, Expr, bool]] = []
        while not self._is("}"):
            is_optional = self._take("?")
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression(), is_optional))
            if not self._take(","):
                break
        self._expect("}")
        return MapExpr(offset, entries)

    def _number(self, offset: int, sign: str) -> Expr:
        kind, text, _ = self._next()
        if kind == "float":
            decimal = float(sign + text)
            if math.isinf(decimal):
                raise CelSyntaxError(offset, "invalid double literal")
            return Const(offset, decimal)
        is_unsigned = text[-1] in "uU"
        digits = text[:-1] if is_unsigned else text
        base = 16 if digits.startswith("0x") else 10
        # The length first: Python refuses to read more than 4300 digits.
        number = int(sign + digits, base) if len(digits.lstrip("0x")) <= 20 else 2**64
        if is_unsigned:
            if sign or number >= 2**64:
                raise CelSyntaxError(offset, "invalid uint literal")
            return Const(offset, UInt(number))
        if not -(2**63) <= number < 2**63:
            raise CelSyntaxError(offset, "invalid int literal")
        return Const(offset, number)


_PREDICATES = {
    "all": "all",
    "exists": "exists",
    "exists_one": "exists_one",
    "existsOne": "exists_one",
}


def _expand(call: FunctionCall) -> Expr:
    """Turn a call of a macro into what it stands for."""
    target, args, count = call.target, call.args, len(call.args)
    if target is None:
        if call.function == "has" and count == 1:
            return _has(call)
        return call
    name = call.function
    if name in _PREDICATES and count in (2, 3):
        names = _variables(args[:-1])
        return Loop(call.offset, _PREDICATES[name], target, names, args[-1], None)
    if name == "map" and count in (2, 3):
        condition = args[1] if count == 3 else None
        return Loop(call.offset, "map", target, _variables(args[:1]), condition, args[-1])
    if name == "filter" and count == 2:
        names = _variables(args[:1])
        return Loop(call.offset, "filter", target, names, args[1], None)
    if name in ("transformList", "transformMap", "transformMapEntry") and count in (3, 4):
        condition = args[2] if count == 4 else None
        kind = "map" if name == "transformList" else name
        return Loop(call.offset, kind, target, _variables(args[:2]), condition, args[-1])
    if name in ("optMap", "optFlatMap", "sortBy") and count == 2:
        return Bind(call.offset, name, target, _variables(args[:1])[0], args[1])
    return call


def _has(call: FunctionCall) -> Expr:
    found = call.args[0]
    if isinstance(found, Select) and not found.is_test:
        return Select(call.offset, found.operand, found.name, is_test=True)
    raise CelSyntaxError(call.offset, "invalid argument to has() macro")


def _variables(args: list[Expr]) -> tuple[str, ...]:
    for arg in args:
        if not isinstance(arg, Ident):
            raise CelSyntaxError(arg.offset, "argument must be a simple name")
    return tuple(arg.name for arg in args if isinstance(arg, Ident))
