"""A lab's life: open, closing, closed; what ends with it, and in which order.

From: whatever the lab made, which asks to be closed with it. To: `Lab.close`, and everybody who
must not begin anything in a lab that is closed.

Guarantees:
  1. Every part gets its turn, whatever another one raises; see `ClosingStack`.
  2. A forked child ends nothing of its parent's, and is refused what runs there.

Thread: any.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Literal

from crlab.errors import AlreadyStopped
from crlab.model.argument import checked_function
from crlab.runtime import fork
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.closing_stack import ClosingStack
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import Driver

LabState = Literal["open", "closing", "closed"]

CLOSE_SECONDS = 1.0


class Rank(IntEnum):
    """In which order `close` ends the parts of a lab: who looks first, who serves last."""

    MADE = 0  # views, controllers, recorders, labs of other users
    INFORMER = 1
    WIDGET = 2
    BUILTIN = 3
    CLIENT = 4
    SERVER = 5
    CALLBACK = 6  # the user's
    RUNTIME = 7  # threads and timers whose maker was interrupted


class Life:
    """What ends with one lab, and whether it has ended."""

    def __init__(self) -> None:
        self._stack = ClosingStack("the lab")
        self._born = fork.generation()
        self._deadline: Deadline | None = None
        self._describe: Callable[[str], str] = lambda state: f"a lab, {state}"
        self._opener = "sandbox"

    def begin(self, describe: Callable[[str], str], opener: str) -> None:
        """Take how errors name the lab in a state, and the function that opens another one."""
        self._describe = describe
        self._opener = opener
        self.push("the widgets", self._close_widgets, rank=Rank.WIDGET)

    def own_runtime(self, driver: Driver, clock: Clock) -> None:
        """End the threads and timers too, last: they are this lab's alone."""
        self.push("the threads", driver.close, rank=Rank.RUNTIME)
        if isinstance(clock, RealClock):
            self.push("the timers", clock.close, rank=Rank.RUNTIME)

    @property
    def state(self) -> LabState:
        """Where it is: "closing" from the call of `close` until every part had its turn."""
        if self._stack.is_closed:
            return "closed"
        return "closing" if self._stack.is_closing else "open"

    @property
    def ended(self) -> str:
        """The sentence for whoever comes too late."""
        return f"{self._describe('closed')} is closed; open another one with crlab.{self._opener}()"

    def check_open(self, what: str) -> None:
        """Raise if the lab was closed; `what` was asked of it, as in "cannot <apply>".

        Raises:
            AlreadyStopped: it was; says how to open another one.
        """
        if self._stack.is_closing:
            raise AlreadyStopped(f"cannot {what}: {self.ended}")

    def check_here(self, what: str) -> None:
        """Raise in a forked child, which has requests of its own, and a copy of all the rest.

        Raises:
            LifecycleError: this process is a child of the one that opened the lab.
        """
        fork.check(self._born, f"cannot {what} in a forked child: {self._describe('')}")

    def push(self, name: str, closer: Callable[[], object], *, rank: Rank) -> Callable[[], None]:
        """Close by `closer` when it is its rank's turn; return the undo."""
        return self._stack.push(name, closer, rank=rank)

    def adopt(self, thing: Any, rank: Rank = Rank.MADE, name: str = "") -> None:
        """Close `thing` with the lab; what has a `stop` is asked to before anything is closed.

        Raises:
            AlreadyStopped: the lab was closed meanwhile.
        """
        name = name or _name_of(thing)
        stop = getattr(thing, "stop", None)
        try:
            self._stack.push(name, thing.close, rank=rank, stop=stop, thing=thing)
        except AlreadyStopped:
            raise AlreadyStopped(f"cannot add {name}: {self.ended}") from None

    def release(self, thing: object) -> None:
        """Forget something that has closed itself; None is nothing."""
        self._stack.remove(thing)

    def things(self, rank: Rank) -> list[Any]:
        """Return what was adopted in a rank and is not closed, oldest first."""
        return self._stack.things(rank)

    def close(self, clock: Clock, timeout_seconds: float) -> list[str]:
        """Give every part its turn; see `Lab.close`."""
        self._deadline = Deadline(clock, timeout_seconds)
        return self._stack.close()

    def patience_seconds(self) -> float:
        """Return how long the end of one part is waited for: a second, or what `close` has left."""
        deadline = self._deadline
        left = deadline.remaining_seconds() if deadline is not None else None
        return CLOSE_SECONDS if left is None else min(CLOSE_SECONDS, left)

    def on_close(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` at the end of `close`, once; return the undo. See `Lab.on_close`."""
        checked_function(callback, "what on_close() takes")
        name = f"on_close({getattr(callback, '__qualname__', type(callback).__name__)})"
        try:
            return self.push(name, lambda: callback() and None, rank=Rank.CALLBACK)
        except AlreadyStopped:
            return lambda: None  # a closed lab calls nothing more

    def _close_widgets(self) -> None:
        """Replace the lab's live views by static ones, if any were ever shown."""
        views = sys.modules.get("crlab.widgets.view")  # not imported: no view was made
        if views is not None:
            views.close_all(self)


def _name_of(thing: Any) -> str:
    """Return what a part of a lab is called where it is missed."""
    kind = type(thing).__name__
    name = getattr(thing, "name", "") or getattr(thing, "title", "")
    return f"{kind} {name}" if isinstance(name, str) and name else kind
