"""Which labs are open, so that none is left behind.

A lab opened by a notebook cell replaces the one that the same cell opened before: a cell
run twenty times leaves one lab, not twenty. At exit all are closed.

Thread: any; `_lock` guards the labs. No lab is closed under a lock.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import logging
import os
from typing import Protocol, Self

from crlab.errors import describe_error
from crlab.runtime import fork
from crlab.runtime.closing_stack import ClosingStack
from crlab.runtime.notebook_cell import ByCell

_log = logging.getLogger("crlab.lab")


class Closable(Protocol):
    """A lab, as far as it is registered."""

    def close(self) -> list[str]: ...


_lock = fork.lock()
_open: dict[int, Closable] = {}
_openings: set[Opening] = set()  # begun, and neither done nor undone
_numbers = itertools.count(1)


class Opening(ClosingStack):
    """What is open while a lab is being made; a ``with`` block undoes what was not kept.

    One whose undoing was interrupted is finished by `close_all`.
    """

    def __enter__(self) -> Self:
        with _lock:
            _openings.add(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        try:
            super().__exit__(kind, error, tb)
        finally:
            if self.is_closed:
                with _lock:
                    _openings.discard(self)


_by_cell: ByCell[int] = ByCell()


def register(lab: Closable) -> int:
    """Note an open lab, close those an earlier run of this cell opened; return a number."""
    with _lock:
        number = next(_numbers)
        _open[number] = lab
    earlier = _by_cell.add(number)
    with _lock:
        previous = [_open[each] for each in earlier if each in _open]
    for each in previous:
        try:
            each.close()
        except Exception as error:  # noqa: BLE001 - the old lab's; the new one opens all the same
            _log.warning("the lab that this cell opened before: %s", describe_error(error))
    return number


def unregister(number: int) -> None:
    """Forget a closed lab."""
    with _lock:
        _open.pop(number, None)


def opened() -> list[Closable]:
    """Return the labs that are open, oldest first."""
    with _lock:
        return list(_open.values())


def close_all() -> int:
    """Close every open lab; return how many there were.

    An interrupt is raised at once; the next call goes on with what is left.

    Raises:
        Exception: the first failure, after all labs had their turn; its notes name the others.
    """
    labs = opened()
    with _lock:
        begun = list(_openings)
    every = ClosingStack("everything")
    for opening in begun:
        every.push(
            "a lab that was being opened",
            functools.partial(opening.__exit__, None, None, None),
            rank=1,
        )
    for lab in reversed(labs):
        every.push(repr(lab), lab.close)
    every.close()
    return len(labs)


def _in_child() -> None:
    """Leave the parent's labs to the parent."""
    _open.clear()
    _openings.clear()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
