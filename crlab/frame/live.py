"""An expression over live frames that is worked out again when what it reads has changed.

``live(lambda: pods.df.groupby("phase").size())``: whatever of a lab is read while the
function runs is a source (`runtime.reading`); a change of one of them makes it dirty. It
runs on whoever asks for `value`, at most once per interval, and never on a thread of its own.

Guarantees:
  1. A function that raises keeps the last good value; `error` has the exception, `failed_at`
     since when, `good_at` of when the value is.
  2. Nothing changed: the function is not called, and `value` is the same object.
  3. A function that reads what cannot be followed (the server), or nothing at all, fails
     with `NotFollowed`: it is never shown as live.

Thread: any; `_lock` guards the value. Change listeners only set a flag.
Source: docs/architecture.md, decision 9 (dirty flags, no queues of payloads).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from crlab.errors import NotFollowed, let_go
from crlab.model.argument import checked_answer, checked_function
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.dependency import Readable, note_read, reading


class LiveExpression:
    """A value that follows its sources.

    Attributes:
        evaluations: how often it was worked out well.
        error: why it could not be, the last time; None if it could.
        failed_at, good_at: wall times: since when `error` holds, and of when the value is;
            None if never.
    """

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
        self._sources: dict[int, tuple[Readable, object]] = {}
        self._undo: dict[int, Callable[[], None]] = {}
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._value: Any = None
        self._evaluated_at: float | None = None
        self.evaluations = 0
        self.error: Exception | None = None
        self.failed_at: float | None = None
        self.good_at: float | None = None

    @property
    def value(self) -> Any:
        """The value, worked out anew if a source changed and the interval has passed.

        While the function fails it is the last good one; `error` says so.

        Raises:
            NotFollowed: the function reads the server, or nothing that can be followed.
            Exception: what the function raised, if it has never succeeded.
        """
        with self._lock:
            if self.is_due():
                self._evaluate()
            note_read(self, tuple(version for _, version in self._sources.values()))
            if self.error is not None and self.evaluations == 0:
                raise self.error
            return self._value

    @property
    def df(self) -> Any:
        """The same as `value`."""
        return self.value

    @property
    def sources(self) -> list[Readable]:
        """What it read the last time."""
        return [source for source, _ in self._sources.values()]

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
        return any(source.live_version() != seen for source, seen in self._sources.values())

    def is_due(self) -> bool:
        """Whether the next `value` will work it out anew."""
        if self._evaluated_at is None:
            return True
        is_early = self._clock.monotonic() - self._evaluated_at < self._interval
        return not is_early and self.is_dirty

    def live_version(self) -> object:
        """Return what tells another expression that what this one reads changed."""
        return tuple(source.live_version() for source, _ in self._sources.values())

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
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
        before = {key: (s, s.live_version()) for key, (s, _) in self._sources.items()}
        error: Exception | None = None
        with reading() as read:
            try:
                value = checked_answer(self._function(), self._name)
            except Exception as raised:  # noqa: BLE001 - a user's function; kept in `error`
                error = raised
        found = read.sources
        if read.refused and not isinstance(error, NotFollowed):
            error = NotFollowed(read.refused)  # somebody between caught it
        elif error is None and not found and not before:
            error = NotFollowed(
                f"{self._name} reads nothing of a lab that can be followed: read inside the "
                "function (lambda: pods.df), not before it"
            )
        now = self._clock.now()
        if error is None:
            self._value, self.good_at, self.failed_at = value, now, None
            self.evaluations += 1
        else:
            let_go(error)
            self.failed_at = now if self.error is None else self.failed_at
        self.error = error
        self._evaluated_at = self._clock.monotonic()
        self._follow(found or before)

    def _follow(self, found: dict[int, tuple[Readable, object]]) -> None:
        for key in self._undo.keys() - found.keys():
            self._undo.pop(key)()
        for key in found.keys() - self._undo.keys():
            self._undo[key] = found[key][0].on_live_change(self._changed)
        self._sources = found


def live(function: Callable[[], Any], **options: Any) -> LiveExpression:
    """Return a live expression; options as `LiveExpression`."""
    return LiveExpression(function, **options)
