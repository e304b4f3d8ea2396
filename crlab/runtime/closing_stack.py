"""What must be closed, in order, whatever happens meanwhile.

Guarantees:
  1. Every part gets its turn: the lowest rank first, in it the newest; a closer that raises
     keeps no other from its own, and its failure is told after all had theirs.
  2. An interrupt (whatever is no `Exception`) ends the waiting at once. The part it met and
     those behind it stay, and the next `close` begins there; a closer must allow being called
     again after it was cut short. What had its turn gets no second one.
  3. A part that comes after everything was closed is refused, so that nothing is left over.
  4. A forked child forgets its parent's parts and touches none.

Thread: any; one closes at a time, who comes meanwhile is told what is left. `_lock` guards
the parts; no closer runs under it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import msgspec

from crlab.errors import AlreadyStopped, StopTimeout, describe_error
from crlab.runtime import fork


class _Part(msgspec.Struct, eq=False):
    rank: int
    number: int
    name: str
    closer: Callable[[], Any]
    stop: Callable[[], Any] | None
    thing: Any
    born: int


class ClosingStack:
    """Parts, each with the function that closes it."""

    def __init__(self, what: str = "this") -> None:
        """Begin empty; `what` is closed, for the error of one that comes too late."""
        self._what = what
        self._lock = fork.lock()
        self._parts: list[_Part] = []
        self._numbers = 0
        self._owner = 0  # the thread that closes
        self._abandoned: list[str] = []
        self._failures: list[Exception] = []
        self.is_closing = False
        self.is_closed = False
        fork.in_child(self._in_child)

    def _in_child(self) -> None:
        self._owner = 0  # that thread is not here

    def push(
        self,
        name: str,
        closer: Callable[[], Any],
        *,
        rank: int = 0,
        stop: Callable[[], Any] | None = None,
        thing: object = None,
    ) -> Callable[[], None]:
        """Close by `closer`; return the undo.

        Args:
            closer: may return a list of names of threads that it had to leave.
            stop: called before anything is closed: asks to end, without waiting.
            thing: by which `remove` and `things` know it.

        Raises:
            AlreadyStopped: everything was closed already.
        """
        with self._lock:
            if self.is_closed:
                raise AlreadyStopped(f"{self._what} is closed; {name} was not added")
            self._numbers += 1
            part = _Part(rank, self._numbers, name, closer, stop, thing, fork.generation())
            self._parts.append(part)
        return lambda: self._drop(part)

    def remove(self, thing: object) -> None:
        """Forget what closed itself; None is nothing."""
        with self._lock:
            self._parts = [p for p in self._parts if p.thing is None or p.thing is not thing]

    def things(self, rank: int) -> list[Any]:
        """Return what is to be closed in a rank, oldest first."""
        with self._lock:
            return [part.thing for part in self._parts if part.rank == rank]

    @property
    def left(self) -> list[str]:
        """The names of the parts that were not closed yet, in the order of their turns."""
        return [part.name for part in self._in_order()]

    def close(self) -> list[str]:
        """Give every part its turn.

        Returns:
            Names of threads that were left since user code did not return; while another
            thread (or a closer, of its own stack) closes: of the parts that are left.

        Raises:
            Exception: the first failure of a closer, after all had their turn; its notes say
                whose it is, what else failed and which threads are left.
        """
        me, is_mine = threading.get_ident(), False
        try:
            with self._lock:
                # Set before anything can be interrupted, and undone whatever happens.
                is_mine = not self._owner
                self._owner = self._owner or me
                self.is_closing = True
            if not is_mine:
                return self.left
            self._close()
        finally:
            if is_mine:
                self._owner = 0
        abandoned, self._abandoned = list(dict.fromkeys(self._abandoned)), []
        failures, self._failures = self._failures, []
        if failures:
            raise _told(failures, abandoned)
        return abandoned

    def _close(self) -> None:
        # All are asked to end before any is waited for: they end side by side.
        for part in self._in_order():
            if part.stop is not None and part.born == fork.generation():
                self._call(part, part.stop)
        # Sorted again each time: a closer may add or remove parts.
        while parts := self._in_order():
            part = parts[0]
            if part.born == fork.generation():
                self._abandoned += self._call(part, part.closer)
            # After its turn: one that an interrupt cut short keeps its place.
            self._drop(part)
        with self._lock:
            self.is_closed = not self._parts
        if not self.is_closed:
            self._close()  # one came between

    def _call(self, part: _Part, function: Callable[[], Any]) -> list[str]:
        try:
            found = function()
        except StopTimeout as error:
            return list(error.threads)
        except Exception as error:  # noqa: BLE001 - told once all had their turn
            error.add_note(f"while closing {part.name}")
            self._failures.append(error)
            return []
        return list(found) if isinstance(found, list | tuple) else []

    def keep(self) -> None:
        """Forget every part: what was opened stays open."""
        with self._lock:
            self._parts = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        """Close what was pushed and not kept; what ended the block is what is raised."""
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"and {describe_error(failure)} when it was undone")

    def _in_order(self) -> list[_Part]:
        with self._lock:
            return sorted(self._parts, key=lambda part: (part.rank, -part.number))

    def _drop(self, part: _Part) -> None:
        with self._lock:
            self._parts = [each for each in self._parts if each is not part]


def _told(failures: list[Exception], abandoned: list[str]) -> Exception:
    """Return the first failure, with the others and what is left as its notes."""
    first = failures[0]
    for other in failures[1:]:
        notes = getattr(other, "__notes__", [])
        first.add_note(f"also: {describe_error(other)} ({notes[-1] if notes else ''})")
    if abandoned:
        first.add_note(f"threads that user code did not let go: {', '.join(abandoned)}")
    return first
