"""What a reconcile prints, kept with its run and still shown.

While a run goes on, ``sys.stdout`` is a proxy that hands everything on to where it would
have gone (a notebook's cell, a terminal, pytest's capture) and keeps a copy for the run it
comes from.

Guarantees:
  1. Runs on several threads at once each keep their own: by context variable.
  2. At most `MAX_CHARS` characters of a run are kept; the rest is counted.
  3. After the last run ``sys.stdout`` is what it was, unless somebody replaced it meanwhile.

What threads print that a reconcile starts by itself is shown, and not kept.

Thread: any; `_lock` guards the count of runs and the exchange of ``sys.stdout``.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from crlab.model.plural import counted

MAX_CHARS = 16 * 1024

_lock = threading.Lock()
_runs = 0


class Printed:
    """What one run has printed."""

    __slots__ = ("_left", "_more", "_parts")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = MAX_CHARS
        self._more = 0

    def add(self, text: str) -> None:
        """Keep a text, or as much of it as there is room for."""
        kept = text[: self._left]
        if kept:
            self._parts.append(kept)
            self._left -= len(kept)
        self._more += len(text) - len(kept)

    @property
    def text(self) -> str:
        """What was printed."""
        return "\n".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The same line by line, and what is not among them counted."""
        if not self._parts:
            return ()
        more = [f"… and {counted(self._more, 'characters')} more"] if self._more else []
        return (*"".join(self._parts).splitlines(), *more)


_printed: ContextVar[Printed | None] = ContextVar("crlab_printed", default=None)


class _Proxy:
    """Writes to the stream below, and keeps a copy for the run it comes from."""

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> object:
        run = _printed.get()
        if run is not None and isinstance(text, str):
            run.add(text)
        return self.below.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.below)


# `print` holds no reference to the sys.stdout that it writes to (CPython 3.11): freed by one
# thread when its run ends, it would crash another that is inside `print`. So a proxy outlives
# its run; of the streams that notebooks and tests put there in turn, the newest few do.
_proxies: deque[_Proxy] = deque(maxlen=16)


@contextmanager
def keeping_prints() -> Iterator[Printed]:
    """Keep what is printed inside the block, by this thread."""
    run = Printed()
    _begin()
    token = _printed.set(run)
    try:
        yield run
    finally:
        _printed.reset(token)
        _end()


def _begin() -> None:
    global _runs
    with _lock:
        _runs += 1
        # One proxy for all runs: whose print it is, the context variable says.
        if sys.stdout is not None and not isinstance(sys.stdout, _Proxy):
            sys.stdout = _proxy_of(sys.stdout)


def _proxy_of(stream: TextIO) -> _Proxy:
    """Return the proxy of a stream; the same one while it is kept. Under `_lock`."""
    for known in _proxies:
        if known.below is stream:
            return known
    _proxies.append(_Proxy(stream))
    return _proxies[-1]


def _end() -> None:
    global _runs
    with _lock:
        _runs -= 1
        # Whoever has put another stream there meanwhile keeps it.
        if _runs == 0 and isinstance(sys.stdout, _Proxy):
            sys.stdout = sys.stdout.below
