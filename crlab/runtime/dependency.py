"""What an expression reads while it is worked out, so that it can be followed.

From: whatever can be read and changes (the indexer, the trace, frames, rates): each notes
itself where all its reads pass. To: `frame.live`, which listens to what was noted.

Guarantees:
  1. A source is noted with the version it had before it was read: a change meanwhile is seen.
  2. Nobody is being worked out: a note costs one look at a context variable.
  3. What a stage or a thread of crlab does meanwhile is not what the expression reads.

Thread: a context variable, so each thread has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from crlab.errors import NotFollowed
from crlab.runtime.clock import Clock


class Readable(Protocol):
    """Something an expression can read and follow."""

    def live_version(self) -> object:
        """Return a value that differs after a change."""

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (quick, any thread) on a change; return the undo."""


class Reading:
    """What one evaluation read.

    Attributes:
        sources: id → what was read, and its version before.
        refused: why it cannot be followed; "" if it can.
    """

    def __init__(self) -> None:
        self.sources: dict[int, tuple[Readable, object]] = {}
        self.refused = ""


class Seconds:
    """Time itself, to the second: for what ages without anything happening."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def live_version(self) -> object:
        """Return the second."""
        return int(self._clock.now())

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Nobody is told that time goes on; who asks finds out."""
        del listener
        return lambda: None


_current: ContextVar[Reading | None] = ContextVar("crlab_reading", default=None)


def note_read(source: Readable, version: object = None) -> None:
    """Tell the expression that is being worked out, if one is, that it reads `source`.

    Args:
        version: what is read, where it is not the present one.
    """
    reading = _current.get()
    if reading is not None and id(source) not in reading.sources:
        with unread():
            version = source.live_version() if version is None else version
        reading.sources[id(source)] = source, version


def refuse_read(what: str) -> None:
    """Tell the expression that is being worked out, if one is, that it cannot follow this.

    Raises:
        NotFollowed: one is; `what` was tried, as in "get pods default/web".
    """
    reading = _current.get()
    if reading is not None:
        reading.refused = (
            f"{what}: asks the server, which a live expression cannot follow; read an informer "
            "(its frame, events, objects), or ask before and outside the expression"
        )
        raise NotFollowed(reading.refused)


@contextmanager
def reading() -> Iterator[Reading]:
    """Collect what is read inside the block."""
    found = Reading()
    token = _current.set(found)
    try:
        yield found
    finally:
        _current.reset(token)


@contextmanager
def unread() -> Iterator[None]:
    """Note nothing inside the block: it is crlab's own reading, or another's work."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
