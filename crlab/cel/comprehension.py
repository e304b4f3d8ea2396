"""Evaluates CEL's macros: quantifiers, map, filter, transforms, optMap, sortBy.

Thread: programs are immutable.
Source: google/cel-go:parser/macro.go, ext/comprehensions.go.
"""

from __future__ import annotations

from typing import Any

from crlab.cel.evaluation import OVER_LIMIT, Evaluation, Program, as_bool
from crlab.cel.expression import Bind, Loop
from crlab.cel.function import sort_by
from crlab.cel.value import NO_OVERLOAD, NONE, CelError, Optional


def insert_entry(found: dict[Any, Any], key: Any, value: Any) -> None:
    if key in found:
        raise CelError(f"insert failed: key {key} already exists")
    found[key] = value


def compile_loop(
    node: Loop, source: Program, condition: Program | None, body: Program | None
) -> Program:
    """Return a macro over a list or map as a program, given those of its parts."""
    makers = {"all": _quantifier, "exists": _quantifier, "exists_one": _one}
    maker = makers.get(node.kind)
    if maker is not None and condition is not None:
        return maker(node, source, condition)
    return _collector(node, source, condition, body)


def loop_turns(run: Evaluation, names: tuple[str, ...], source: Any) -> Any:
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

    def quantify(run: Evaluation) -> bool:
        failure: CelError | None = None
        for _ in (turns := loop_turns(run, names, source(run))):
            try:
                if as_bool(condition(run)) is decides:
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
    return lambda run: (
        sum(as_bool(condition(run)) for _ in loop_turns(run, names, source(run))) == 1
    )


def _collector(
    node: Loop, source: Program, condition: Program | None, body: Program | None
) -> Program:
    kind, names = node.kind, node.names
    is_map = kind in ("transformMap", "transformMapEntry")

    def collect(run: Evaluation) -> Any:
        items: list[Any] = []
        entries: dict[Any, Any] = {}
        for first, _ in loop_turns(run, names, source(run)):
            if condition is not None and not as_bool(condition(run)):
                continue
            value = body(run) if body is not None else first
            if kind == "transformMap":
                insert_entry(entries, first, value)
            elif kind == "transformMapEntry":
                for key, item in value.items():
                    insert_entry(entries, key, item)
            else:
                items.append(value)
        return entries if is_map else items

    return collect


def compile_bind(node: Bind, target: Program, body: Program) -> Program:
    """Return optMap, optFlatMap or sortBy as a program."""
    names = (node.name,)
    if node.kind == "sortBy":

        def sort(run: Evaluation) -> list[Any]:
            items = target(run)
            return sort_by(items, [body(run) for _ in loop_turns(run, names, items)])

        return sort

    def bind(run: Evaluation) -> Optional:
        found = target(run)
        if not isinstance(found, Optional):
            raise CelError(NO_OVERLOAD)
        if not found.has:
            return NONE
        (value,) = [body(run) for _ in loop_turns(run, names, [found.value])]
        if node.kind == "optMap":
            return Optional(True, value)
        if not isinstance(value, Optional):
            raise CelError(NO_OVERLOAD)
        return value

    return bind
