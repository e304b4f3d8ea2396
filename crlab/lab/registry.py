"""Which labs are open, so that none is left behind.

A lab opened by a notebook cell replaces the one that the same cell opened before: a cell
run twenty times leaves one lab, not twenty. At exit all are closed.

Thread: any; `_lock` guards the two maps. No lab is closed while it is held.
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
_by_cell: dict[str, int] = {}
_numbers = itertools.count(1)


def register(lab: Lab) -> int:
    """Note an open lab and close the one its notebook cell opened before; return a number."""
    cell = current_cell()
    with _lock:
        number = next(_numbers)
        _open[number] = lab
        previous = _open.get(_by_cell.get(cell, 0)) if cell else None
        if cell:
            _by_cell[cell] = number
    if previous is not None:
        previous.close()
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


def current_cell() -> str:
    """Return the id of the notebook cell being run, "" outside of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    parent = getattr(shell, "get_parent", None)
    if parent is None:
        return ""
    metadata = parent().get("metadata", {})
    return str(metadata.get("cellId", ""))


atexit.register(close_all)
