"""An expression over live frames that is worked out again when what it reads has changed.

``live(lambda: pods.df.groupby("phase").size())``: the frames read while the function runs
are its sources; a change of one of them makes it dirty. It runs on whoever asks for
`value`, at most once per interval, and never on a thread of its own.

Guarantees:
  1. A function that raises keeps the last good value; `error` has the exception.
  2. Nothing changed: the function is not called, and `value` is the same object.

Thread: any; `_lock` guards the value. Change listeners only set a flag.
Source: docs/architecture.md, decision 9 (dirty flags, no queues of payloads).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from crlab.model.argument import checked_answer, checked_function
from crlab.runtime.clock import Clock, RealClock


class LiveSource(Protocol):
    """Something a live expression can read."""

    def live_version(self) -> object:
        """Return a value that differs after a change."""

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (quick, any thread) on a change; return the undo."""


_reading: ContextVar[dict[int, LiveSource] | None] = ContextVar("crlab_reading", default=None)


def note_read(source: LiveSource) -> None:
    """Tell the expression that is being worked out, if one is, that it reads `source`."""
    found = _reading.get()
    if found is not None:
        found[id(source)] = source


class LiveExpression:
    """A value that follows its sources."""

    def __init__(
        self,
        function: Callable[[], Any],
        *,
        clock: Clock | None = None,
        min_interval_seconds: float = 0.5,
        name: str = "",
    ) -> None:
        """Wrap a function; it is not called before `value`.

        Args:
            function: returns a DataFrame, a Series, a figure, or anything else.
            min_interval_seconds: between two evaluations; changes meanwhile are put together.

        Raises:
            ConfigError: it is no function without arguments that runs when called.
        """
        self._function = checked_function(function, "what live() takes, as lambda: pods.df,")
        self._clock = clock or RealClock()
        self._interval = min_interval_seconds
        self._name = name or getattr(function, "__name__", "expression")
        self._lock = threading.RLock()
        self._sources: dict[int, LiveSource] = {}
        self._versions: dict[int, object] = {}
        self._undo: dict[int, Callable[[], None]] = {}
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._value: Any = None
        self._evaluated_at: float | None = None
        self.evaluations = 0
        self.error: Exception | None = None

    @property
    def value(self) -> Any:
        """The value, worked out anew if a source changed and the interval has passed.

        Raises:
            Exception: what the function raised, if it has never succeeded.
        """
        with self._lock:
            if self.is_due():
                self._evaluate()
            if self.error is not None and self.evaluations == 0:
                raise self.error
            return self._value

    @property
    def df(self) -> Any:
        """The same as `value`."""
        return self.value

    def refresh(self) -> Any:
        """Work it out now, changed or not, and return it."""
        with self._lock:
            self._evaluate()
        return self.value

    @property
    def is_dirty(self) -> bool:
        """Whether a source has changed since the last evaluation."""
        if self._evaluated_at is None:
            return True
        return any(s.live_version() != self._versions[k] for k, s in self._sources.items())

    def is_due(self) -> bool:
        """Whether the next `value` will work it out anew."""
        if self._evaluated_at is None:
            return True
        is_early = self._clock.monotonic() - self._evaluated_at < self._interval
        return not is_early and self.is_dirty

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when a source changed (quick, any thread); return the undo."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def undo() -> None:
            with self._lock:
                self._listeners = tuple(x for x in self._listeners if x is not listener)

        return undo

    def close(self) -> None:
        """Listen to nothing more; the last value stays."""
        with self._lock:
            for undo in self._undo.values():
                undo()
            self._undo = {}
            self._listeners = ()

    def __repr__(self) -> str:
        return f"LiveExpression({self._name})"

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()

    def _evaluate(self) -> None:
        found: dict[int, LiveSource] = {}
        token = _reading.set(found)
        before = {key: source.live_version() for key, source in self._sources.items()}
        try:
            self._value = checked_answer(self._function(), self._name)
            self.error = None
            self.evaluations += 1
        except Exception as error:  # noqa: BLE001 - a user's function; kept in `error`
            self.error = error
        finally:
            _reading.reset(token)
        self._evaluated_at = self._clock.monotonic()
        if self.error is not None and not found:
            found = self._sources
        self._versions = {k: before.get(k, s.live_version()) for k, s in found.items()}
        self._follow(found)

    def _follow(self, found: dict[int, LiveSource]) -> None:
        for key in self._undo.keys() - found.keys():
            self._undo.pop(key)()
        for key in found.keys() - self._undo.keys():
            self._undo[key] = found[key].on_live_change(self._changed)
        self._sources = found


def live(function: Callable[[], Any], **options: Any) -> LiveExpression:
    """Return a live expression; options as `LiveExpression`."""
    return LiveExpression(function, **options)
