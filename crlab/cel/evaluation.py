"""One evaluation of a CEL program: variables in scope, steps taken, strictness of booleans.

Thread: a `Evaluation` belongs to one evaluation.
Source: google/cel-go:interpreter (cost limits).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crlab.cel.value import NO_OVERLOAD, CelError

STEP_LIMIT = 200_000


OVER_LIMIT = "operation cancelled: actual cost limit exceeded"


class Evaluation:
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


Program = Callable[[Evaluation], Any]


def evaluate(program: Program, variables: Mapping[str, Any]) -> Any:
    """Run a program.

    Raises:
        CelError: it failed.
    """
    try:
        return program(Evaluation(variables))
    except RecursionError:
        raise CelError("expression nests too deeply") from None


def as_bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise CelError(NO_OVERLOAD)
