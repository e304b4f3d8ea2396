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

from collections.abc import Callable, Mapping
from typing import Any

from crlab.apiserver.schema import cel_library
from crlab.apiserver.schema.cel_check import TYPE_NAMES
from crlab.apiserver.schema.cel_declaration import Overload
from crlab.apiserver.schema.cel_function import ERRORS_OF_TYPE, FUNCTIONS, sort_by
from crlab.apiserver.schema.cel_syntax import (
    Bind,
    Call,
    Const,
    Expr,
    Ident,
    ListExpr,
    Loop,
    MapExpr,
    Select,
)
from crlab.apiserver.schema.cel_type import Type, unescape
from crlab.apiserver.schema.cel_value import (
    NO_OVERLOAD,
    NONE,
    CelError,
    Optional,
    TypeValue,
    is_equal,
    kind_of,
)

assert cel_library  # its import adds Kubernetes' functions

STEP_LIMIT = 200_000
OVER_LIMIT = "operation cancelled: actual cost limit exceeded"


class Run:
    """One evaluation: the variables in scope and the steps taken."""

    __slots__ = ("steps", "variables")

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = dict(variables)
        self.steps = 0

    def step(self) -> None:
        """Count one turn of a loop."""
        self.steps += 1
        if self.steps > STEP_LIMIT:
            raise CelError(OVER_LIMIT)


Program = Callable[[Run], Any]


def compile_tree(node: Expr) -> Program:
    """Return a checked tree as a function of a `Run`."""
    makers: dict[type, Callable[[Any], Program]] = {
        Const: _const,
        Ident: _ident,
        Select: _select,
        Call: _call,
        ListExpr: _list,
        MapExpr: _map,
        Loop: _loop,
        Bind: _bind,
    }
    return makers[type(node)](node)


def evaluate(program: Program, variables: Mapping[str, Any]) -> Any:
    """Run a program.

    Raises:
        CelError: it failed.
    """
    try:
        return program(Run(variables))
    except RecursionError:
        raise CelError("expression nests too deeply") from None


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
    if node.type[0] == "type":
        name = {"timestamp": "Timestamp", "duration": "Duration"}.get(node.type[1][0], node.name)
        found = TypeValue(f"google.protobuf.{name}")
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

    def select(run: Run) -> Any:
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


def _call(node: Call) -> Program:
    args = [*([node.target] if node.target is not None else []), *node.args]
    programs = [compile_tree(arg) for arg in args]
    if node.function in ("_&&_", "_||_"):
        return _logic(programs[0], programs[1], decides=node.function == "_||_")
    if node.function == "_?_:_":
        return _conditional(*programs)
    if node.function in ("or", "orValue"):
        return _or(programs[0], programs[1], is_value=node.function == "orValue")
    function = FUNCTIONS[node.function]
    if node.function in ("_==_", "_!=_"):
        return _equality(programs[0], programs[1], is_equality=node.function == "_==_")
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


def _equality(left: Program, right: Program, *, is_equality: bool) -> Program:
    return lambda run: is_equal(left(run), right(run)) is is_equality


def _guarded(
    function: Callable[..., Any], programs: list[Program], overloads: list[Overload]
) -> Program:
    def call(run: Run) -> Any:
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


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise CelError(NO_OVERLOAD)


def _logic(left: Program, right: Program, *, decides: bool) -> Program:
    def logic(run: Run) -> bool:
        try:
            if _bool(left(run)) is decides:
                return decides
        except CelError:
            if _bool(right(run)) is decides:
                return decides
            raise
        return _bool(right(run))

    return logic


def _conditional(test: Program, yes: Program, no: Program) -> Program:
    return lambda run: yes(run) if _bool(test(run)) else no(run)


def _or(left: Program, right: Program, *, is_value: bool) -> Program:
    def result(run: Run) -> Any:
        found = left(run)
        if not isinstance(found, Optional):
            raise CelError(NO_OVERLOAD)
        if not found.has:
            return right(run)
        return found.value if is_value else found

    return result


def _list(node: ListExpr) -> Program:
    programs = [compile_tree(element) for element in node.elements]
    optional = node.optional
    if not optional:
        return lambda run: [program(run) for program in programs]

    def build(run: Run) -> list[Any]:
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

    def build(run: Run) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_program, program, is_optional in entries:
            key, value = key_program(run), program(run)
            if is_optional:
                if not value.has:
                    continue
                value = value.value
            _insert(found, key, value)
        return found

    return build


def _insert(found: dict[Any, Any], key: Any, value: Any) -> None:
    if key in found:
        raise CelError(f"insert failed: key {key} already exists")
    found[key] = value


def _loop(node: Loop) -> Program:
    source = compile_tree(node.source)
    condition = compile_tree(node.condition) if node.condition is not None else None
    body = compile_tree(node.body) if node.body is not None else None
    makers = {"all": _quantifier, "exists": _quantifier, "exists_one": _one}
    maker = makers.get(node.kind)
    if maker is not None and condition is not None:
        return maker(node, source, condition)
    return _collector(node, source, condition, body)


def _turns(run: Run, names: tuple[str, ...], source: Any) -> Any:
    """Bind the loop's variables for each turn, and put back what they hid."""
    if isinstance(source, dict):
        pairs: Any = list(source.items())
    elif isinstance(source, list):
        pairs = list(enumerate(source)) if len(names) == 2 else [(item, None) for item in source]
    else:
        raise CelError(NO_OVERLOAD)
    variables = run.variables
    hidden = {name: variables[name] for name in names if name in variables}
    try:
        for first, second in pairs:
            run.step()
            variables[names[0]] = first
            if len(names) == 2:
                variables[names[1]] = second
            yield first, second
    finally:
        for name in names:
            variables.pop(name, None)
        variables.update(hidden)


def _quantifier(node: Loop, source: Program, condition: Program) -> Program:
    decides, names = node.kind == "exists", node.names

    def quantify(run: Run) -> bool:
        failure: CelError | None = None
        for _ in (turns := _turns(run, names, source(run))):
            try:
                if _bool(condition(run)) is decides:
                    turns.close()
                    return decides
            except CelError as error:
                if str(error) == OVER_LIMIT:
                    raise
                failure = error
        if failure is not None:
            raise failure
        return not decides

    return quantify


def _one(node: Loop, source: Program, condition: Program) -> Program:
    names = node.names
    return lambda run: sum(_bool(condition(run)) for _ in _turns(run, names, source(run))) == 1


def _collector(
    node: Loop, source: Program, condition: Program | None, body: Program | None
) -> Program:
    kind, names = node.kind, node.names
    is_map = kind in ("transformMap", "transformMapEntry")

    def collect(run: Run) -> Any:
        items: list[Any] = []
        entries: dict[Any, Any] = {}
        for first, _ in _turns(run, names, source(run)):
            if condition is not None and not _bool(condition(run)):
                continue
            value = body(run) if body is not None else first
            if kind == "transformMap":
                _insert(entries, first, value)
            elif kind == "transformMapEntry":
                for key, item in value.items():
                    _insert(entries, key, item)
            else:
                items.append(value)
        return entries if is_map else items

    return collect


def _bind(node: Bind) -> Program:
    target, body, names = compile_tree(node.target), compile_tree(node.body), (node.name,)
    if node.kind == "sortBy":

        def sort(run: Run) -> list[Any]:
            items = target(run)
            return sort_by(items, [body(run) for _ in _turns(run, names, items)])

        return sort

    def bind(run: Run) -> Optional:
        found = target(run)
        if not isinstance(found, Optional):
            raise CelError(NO_OVERLOAD)
        if not found.has:
            return NONE
        (value,) = [body(run) for _ in _turns(run, names, [found.value])]
        if node.kind == "optMap":
            return Optional(True, value)
        if not isinstance(value, Optional):
            raise CelError(NO_OVERLOAD)
        return value

    return bind
