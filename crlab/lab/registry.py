"""Which labs are open, so that none is left behind.

A lab opened by a notebook cell replaces the one that the same cell opened before: a cell
run twenty times leaves one lab, not twenty. At exit all are closed.

Thread: any; `_lock` guards the labs, each `ByCell` its own. No lab is closed under a lock.
"""

from __future__ import annotations

import atexit
import itertools
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlab.lab.lab import Lab

_lock = threading.Lock()
_open: dict[int, Lab] = {}
_numbers = itertools.count(1)


class ByCell:
    """What each notebook cell has made, so that running the cell again replaces it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[str, list[Any]]] = {}

    def add(self, thing: Any) -> list[Any]:
        """Note a thing; return those that an earlier run of the same cell made."""
        cell, run = current_cell()
        if not cell:
            return []
        with self._lock:
            known_run, things = self._made.get(cell, (run, []))
            if known_run == run:
                self._made[cell] = (run, [*things, thing])
                return []
            self._made[cell] = (run, [thing])
            return things


_by_cell = ByCell()


def register(lab: Lab) -> int:
    """Note an open lab, close those an earlier run of this cell opened; return a number."""
    with _lock:
        number = next(_numbers)
        _open[number] = lab
    earlier = _by_cell.add(number)
    with _lock:
        previous = [_open[each] for each in earlier if each in _open]
    for each in previous:
        each.close()
    return number


def unregister(number: int) -> None:
    """Forget a closed lab."""
    with _lock:
        _open.pop(number, None)


def open_labs() -> list[Lab]:
    """Return the labs that are open, oldest first."""
    with _lock:
        return list(_open.values())


def close_all() -> int:
    """Close every open lab; return how many there were."""
    labs = open_labs()
    for lab in labs:
        lab.close()
    return len(labs)


def current_cell() -> tuple[str, str]:
    """Return the ids of the notebook cell being run and of this run, "" outside of one."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    get_parent = getattr(shell, "get_parent", None)
    if get_parent is None:
        return "", ""
    parent = get_parent()
    cell = str(parent.get("metadata", {}).get("cellId", ""))
    return cell, str(parent.get("header", {}).get("msg_id", ""))


atexit.register(close_all)
