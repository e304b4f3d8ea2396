"""What a forked child may still use of its parent's: locks, and whoever asks to be told.

Threads do not survive a fork, sockets are shared with the parent, and a lock may be held for
ever. A counter that the fork itself raises makes "is this mine?" one integer comparison.

Guarantees:
  1. A lock made by `lock` or `condition` is free in a child, whoever held it at the fork.
  2. What was registered with `in_child` is called there before any other code runs.

Thread: any.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from crlab.errors import LifecycleError

NOT_HERE = "this is a forked child: it runs in the parent process, not here"

_generation = 0
_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_told: dict[int, weakref.WeakMethod[Callable[[], None]]] = {}
_numbers = itertools.count()


def _forked() -> None:
    global _generation
    _generation += 1
    for each in list(_locks):
        each._at_fork_reinit()  # noqa: SLF001 - what threading itself calls after a fork
    for reference in list(_told.values()):
        method = reference()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def generation() -> int:
    """Return how many forks lie between this process and the first import."""
    return _generation


def check(born: int, what: str) -> None:
    """Raise `LifecycleError` if `what` belongs to a parent process."""
    if born != _generation:
        raise LifecycleError(
            f"{what} was made by the parent of this forked process; its threads and sockets "
            "are not here: make a new one"
        )


def lock() -> threading.Lock:
    """Return a lock that is free in a forked child."""
    made = threading.Lock()
    _locks.add(made)
    return made


def condition() -> threading.Condition:
    """Return a condition that is free, and waited for by nobody, in a forked child."""
    made = threading.Condition()
    _locks.add(made)
    return made


def held(condition: threading.Condition) -> bool:
    """Whether the calling thread holds a condition; for assertions in `_locked` functions.

    A plain `threading.Lock` does not know its owner: its own `locked` says only that
    somebody has it.
    """
    return condition._is_owned()  # type: ignore[attr-defined,no-any-return] # noqa: SLF001 - nothing public says it


def in_child(method: Callable[[], None]) -> None:
    """Call a bound method in each forked child, while its object lives here."""
    number = next(_numbers)
    _told[number] = weakref.WeakMethod(method, lambda _: _told.pop(number, None) and None)
