"""Which notebook cell runs, and what it made: running it again replaces that.

From: IPython, where there is one. To: labs, controllers, handlers, views.

Thread: any; each `ByCell` has a lock of its own, under which nobody else's code runs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Generic, TypeVar

from crlab.runtime import fork

Made = TypeVar("Made")


class ByCell(Generic[Made]):
    """What each notebook cell has made, so that running the cell again replaces it."""

    def __init__(self) -> None:
        self._lock = fork.lock()
        self._made: dict[str, tuple[str, list[Made]]] = {}

    def add(self, thing: Made) -> list[Made]:
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


def running_shell() -> object | None:
    """Return the running IPython shell, None outside of one.

    IPython is looked for and never imported: who runs without it pays nothing.
    """
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_shell() if get_shell is not None else None


def current_cell() -> tuple[str, str]:
    """Return the ids of the notebook cell being run and of this run, "" outside of one.

    A front end that names no cell is as none: then nothing is replaced.
    """
    get_parent = getattr(running_shell(), "get_parent", None)
    parent = get_parent() if get_parent is not None else None
    if not isinstance(parent, Mapping):
        return "", ""
    cell = (parent.get("metadata") or {}).get("cellId", "")
    run = (parent.get("header") or {}).get("msg_id", "")
    return str(cell), str(run)
