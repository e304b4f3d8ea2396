"""Evaluates a checked CEL tree: compiled once into closures, run per object.

Guarantees:
  1. Logical operators and quantifiers forgive an error that the other operand decides.
  2. Where static types are known no run-time check is made; where they are dyn, arguments
     that fit no overload fail with "no such overload".
  3. A run that loops too long ends with an error, never with a hung server.

Thread: a program is immutable; any thread may run it.
Source: google/cel-go:interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crlab.cel.checker import TYPE_NAMES
from crlab.cel.comprehension import compile_bind, compile_loop, insert_entry
from crlab.cel.declaration import Overload
from crlab.cel.evaluation import Evaluation, Program, as_bool
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
)
from crlab.cel.function import ERRORS_OF_TYPE, FUNCTIONS
from crlab.cel.library import LIBRARY
from crlab.cel.operator import type_name
from crlab.cel.type import Type, unescape
from crlab.cel.value import (
    NO_OVERLOAD,
    NONE,
    CelError,
    Optional,
    TypeValue,
    is_equal,
    kind_of,
)

_FUNCTIONS = {**FUNCTIONS, **LIBRARY}


def compile_tree(node: Expr) -> Program:
    """Return a checked tree as a function of a `Evaluation`."""
    makers: dict[type, Callable[[Any], Program]] = {
        Const: _const,
        Ident: _ident,
        Select: _select,
        FunctionCall: _call,
        ListExpr: _list,
        MapExpr: _map,
        Loop: _loop,
        Bind: _bind,
    }
    return makers[type(node)](node)


def _const(node: Const) -> Program:
    value = node.value
    return lambda run: value


def _ident(node: Ident) -> Program:
    name = node.name
    kind: Type = node.type
    if kind[0] == "type" and name in TYPE_NAMES:
        found = TypeValue(name)
        return lambda run: run.variables.get(name, found)
    return lambda run: run.variables[name]


def _select(node: Select) -> Program:
    if node.type[0] == "type" and node.operand.type is None:
        kind: Type = node.type[1]
        name = str(kind[1].name) if kind[0] == "object" else str(kind[0])
        found = TypeValue(type_name(name))
        return lambda run: found
    operand = compile_tree(node.operand)
    target: Type = node.operand.type
    if target[0] == "optional_type":
        target = target[1]
    key = unescape(node.name) if target[0] == "object" else node.name
    if node.is_test:
        return lambda run: _has(operand(run), key)
    if node.is_optional or node.operand.type[0] == "optional_type":
        return lambda run: _optional_field(operand(run), key)

    def select(run: Evaluation) -> Any:
        found = operand(run)
        try:
            return found[key]
        except (KeyError, TypeError):
            pass
        if type(found) is dict:
            raise CelError(f"no such key: {key}")
        if isinstance(found, Optional):
            return _optional_field(found, key)
        raise CelError(NO_OVERLOAD)

    return select


def _has(found: Any, key: str) -> bool:
    if isinstance(found, Optional):
        return found.has and _has(found.value, key)
    if type(found) is not dict:
        raise CelError(NO_OVERLOAD)
    return key in found


def _optional_field(found: Any, key: str) -> Optional:
    if isinstance(found, Optional):
        if not found.has:
            return NONE
        found = found.value
    if type(found) is not dict:
        raise CelError(NO_OVERLOAD)
    return Optional(True, found[key]) if key in found else NONE


def _call(node: FunctionCall) -> Program:
    args = [*([node.target] if node.target is not None else []), *node.args]
    programs = [compile_tree(arg) for arg in args]
    if node.function in ("_&&_", "_||_"):
        return _logic(programs[0], programs[1], decides=node.function == "_||_")
    if node.function == "_?_:_":
        return _conditional(*programs)
    if node.function in ("or", "orValue"):
        return _or(programs[0], programs[1], answer=node.function == "orValue")
    function = _FUNCTIONS[node.function]
    if node.function in ("_==_", "_!=_"):
        return _equality(programs[0], programs[1], equal=node.function == "_==_")
    if any(_is_dynamic(arg.type) for arg in args):
        return _guarded(function, programs, node.overloads)
    if len(programs) == 1:
        one = programs[0]
        return lambda run: function(one(run))
    if len(programs) == 2:
        left, right = programs
        return lambda run: function(left(run), right(run))
    return lambda run: function(*[program(run) for program in programs])


def _is_dynamic(found: Type) -> bool:
    if found[0] in ("dyn", "null"):
        return True
    return found[0] != "object" and any(_is_dynamic(part) for part in found[1:])


def _equality(left: Program, right: Program, *, equal: bool) -> Program:
    return lambda run: is_equal(left(run), right(run)) is equal


def _guarded(
    function: Callable[..., Any], programs: list[Program], overloads: list[Overload]
) -> Program:
    def call(run: Evaluation) -> Any:
        values = [program(run) for program in programs]
        if not any(_accepts(overload, values) for overload in overloads):
            raise CelError(NO_OVERLOAD)
        try:
            return function(*values)
        except ERRORS_OF_TYPE as error:
            raise CelError(NO_OVERLOAD) from error

    return call


def _accepts(overload: Overload, values: list[Any]) -> bool:
    for wanted, value in zip(overload.args, values, strict=True):
        name = wanted[1].name if wanted[0] == "object" else wanted[0]
        if name not in ("param", "dyn") and name != kind_of(value):
            return False
    return True


def _logic(left: Program, right: Program, *, decides: bool) -> Program:
    def logic(run: Evaluation) -> bool:
        try:
            if as_bool(left(run)) is decides:
                return decides
        except CelError:
            if as_bool(right(run)) is decides:
                return decides
            raise
        return as_bool(right(run))

    return logic


def _conditional(test: Program, yes: Program, no: Program) -> Program:
    return lambda run: yes(run) if as_bool(test(run)) else no(run)


def _or(left: Program, right: Program, *, answer: bool) -> Program:
    def result(run: Evaluation) -> Any:
        found = left(run)
        if not isinstance(found, Optional):
            raise CelError(NO_OVERLOAD)
        if not found.has:
            return right(run)
        return found.value if answer else found

    return result


def _list(node: ListExpr) -> Program:
    programs = [compile_tree(element) for element in node.elements]
    optional = node.optional
    if not optional:
        return lambda run: [program(run) for program in programs]

    def build(run: Evaluation) -> list[Any]:
        found = []
        for at, program in enumerate(programs):
            value = program(run)
            if at not in optional:
                found.append(value)
            elif value.has:
                found.append(value.value)
        return found

    return build


def _map(node: MapExpr) -> Program:
    entries = [(compile_tree(key), compile_tree(value), opt) for key, value, opt in node.entries]

    def build(run: Evaluation) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_program, program, is_optional in entries:
            key, value = key_program(run), program(run)
            if is_optional:
                if not value.has:
                    continue
                value = value.value
            insert_entry(found, key, value)
        return found

    return build


def _loop(node: Loop) -> Program:
    condition = compile_tree(node.condition) if node.condition is not None else None
    body = compile_tree(node.body) if node.body is not None else None
    return compile_loop(node, compile_tree(node.source), condition, body)


def _bind(node: Bind) -> Program:
    return compile_bind(node, compile_tree(node.target), compile_tree(node.body))
