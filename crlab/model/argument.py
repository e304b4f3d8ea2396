"""What a caller gave, checked where it comes in: one sentence instead of a TypeError inside.

Each returns what it was given. `what` names the argument as the caller wrote it:
"lab.explain(key)".

Thread: pure functions.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from math import isinf
from typing import Any

from crlab.errors import ConfigError

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict, set})


def checked_text(value: Any, what: str, example: str = "") -> str:
    """Return a text.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str):
        hint = f", such as {example}" if example else ""
        raise ConfigError(f"{what} is a text{hint}, not {_shown(value)}")
    return value


def checked_key(value: Any, what: str) -> str:
    """Return what may be a key.

    Raises:
        ConfigError: it is no text.
    """
    return checked_text(value, what, '"default/web" (or "web", if cluster-scoped)')


def checked_texts(value: Any, what: str) -> tuple[str, ...]:
    """Return several texts; one alone is not several letters.

    Raises:
        ConfigError: it is something else.
    """
    is_many = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    found = tuple(value) if is_many else (None,)
    if not all(isinstance(each, str) for each in found):
        raise ConfigError(f"{what} is a list of texts, not {_shown(value)}")
    return found


def checked_list(value: Any, what: str, of: str) -> Collection[Any]:
    """Return a list, a tuple or a set.

    Raises:
        ConfigError: it is something else, a text for instance.
    """
    if not isinstance(value, Sequence | Set) or isinstance(value, str | bytes):
        raise ConfigError(f"{what} is a list of {of}, not {_shown(value)}")
    return value


def checked_number(value: Any, what: str, *, least: float = 0.0, unit: str = "seconds") -> float:
    """Return a number of something; infinitely many may be.

    Raises:
        ConfigError: it is something else, or less than `least`.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not value >= least:
        raise ConfigError(f"{what} is a number of {unit} >= {least:g}, not {_shown(value)}")
    return float(value)


def checked_interval(value: Any, what: str) -> float | None:
    """Return how often something is done: a number of seconds, or None for never.

    Raises:
        ConfigError: it is neither None nor a positive, finite number.
    """
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not value > 0 or isinf(value):
        raise ConfigError(f"{what} is a positive number of seconds, or None, not {value!r}")
    seconds: float = value
    return seconds


def checked_timeout(value: Any, what: str = "timeout_seconds") -> float | None:
    """Return a limit of a wait: a number of seconds, or None for none.

    Raises:
        ConfigError: it is something else.
    """
    return None if value is None else checked_number(value, what)


def checked_count(value: Any, what: str, *, least: int = 0) -> int:
    """Return a whole number.

    Raises:
        ConfigError: it is something else, or less than `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{what} is a whole number >= {least}, not {_shown(value)}")
    return value


def checked_path(value: Any, what: str) -> str | os.PathLike[str]:
    """Return what names a file.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str | os.PathLike) or value == "":
        raise ConfigError(f"{what} is a path, not {_shown(value)}")
    return value


def checked_function(
    value: Any, what: str, parameters: Sequence[str] = (), *, may_yield: bool = False
) -> Callable[..., Any]:
    """Return a function that can be called with these parameters, and then runs.

    Args:
        may_yield: whether its answer is gone through, so that a generator runs as well.

    Raises:
        ConfigError: it is no function, takes others, or only makes something to await.
    """
    takes = f"({', '.join(parameters)})" if parameters else "without arguments"
    if not callable(value):
        raise ConfigError(f"{what} is a function {takes}, not {_shown(value)}")
    function: Callable[..., Any] = value
    _check_runs(function, what, may_yield=may_yield)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return function
    try:
        signature.bind(*parameters)
    except TypeError as error:
        raise ConfigError(
            f"{what} is called {takes}, and {_name_of(value)}{signature}: {error}"
        ) from None
    return function


def checked_optional(value: Any, what: str, parameters: Sequence[str] = ()) -> Any:
    """Return a function as `checked_function` does, or None."""
    return None if value is None else checked_function(value, what, parameters)


def _check_runs(function: Callable[..., Any], what: str, *, may_yield: bool) -> None:
    """Refuse what a plain call would not run: `async def`, and a generator nobody goes through."""
    body: Any = function
    while isinstance(body, functools.partial):
        body = body.func
    if not inspect.isroutine(body) and not isinstance(body, type):
        body = type(body).__call__
    if inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body):
        raise ConfigError(
            f"{what} must be a plain function; {_name_of(function)} is async def, which is not "
            "supported: nothing awaits it"
        )
    if inspect.isgeneratorfunction(body) and not may_yield:
        raise ConfigError(
            f"{what} must be a plain function; {_name_of(function)} yields, and nothing goes "
            "through what it yields: return instead"
        )


def checked_answer(answer: Any, what: str, *, used: bool = True) -> Any:
    """Return what a function answered, unless that must be awaited first.

    Args:
        used: whether the answer matters; a task that runs by itself is none.

    Raises:
        ConfigError: it is a coroutine (then closed) or anything else to await: it would pass
            for true, and never run.
    """
    if type(answer) in _PLAIN:  # nearly all are; a frame asks once per cell
        return answer
    if not used and hasattr(answer, "add_done_callback"):
        return answer
    if inspect.isawaitable(answer) or inspect.isasyncgen(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise ConfigError(f"{what} returned {_shown(answer)}, which nothing awaits: return a value")
    return answer


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _shown(value: Any) -> str:
    """Return a value as an error may show it: short, and of texts and numbers only."""
    if value is None or isinstance(value, bool | int | float | str):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return f"a {type(value).__name__}"


def checked_name(name: object, what: str = "a name") -> str:
    """Return the name of an object or namespace, as it may stand in a path.

    Raises:
        ConfigError: it is no text, empty, or would be another path.
    """
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{what} is a text that is not empty, not {name!r}")
    if name in (".", "..") or "/" in name or "%" in name:
        raise ConfigError(f'{what} may not be "." or "..", or hold "/" or "%": {name!r}')
    return str.__str__(name)  # of an Enum's or numpy's text, what it stands for
