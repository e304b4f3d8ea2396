"""The only place that makes threads.

A `StageThread` is a named daemon, started in a copy of the caller's context (ipykernel
7.0 drops widget messages from threads without one), that keeps the first exception of
its body and tells somebody. Names start with ``crlab-`` so that
``threading.enumerate()`` teaches.

Thread: `start`, `join` and the properties may be used from any thread.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from crlab.errors import AlreadyStarted, NoThread
from crlab.runtime.dependency import unread
from crlab.runtime.dry_run import dry_run
from crlab.runtime.teller import tell_of_end

PREFIX = "crlab-"


class StageThread:
    """A thread that runs one body once and never dies unseen."""

    def __init__(
        self,
        name: str,
        body: Callable[[], None],
        *,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Prepare, without starting; `on_error` runs on the thread with what ended it.

        Without it the end is logged.
        """
        self.name = name if name.startswith(PREFIX) else PREFIX + name
        self._body = body
        self._on_error = on_error
        self.error: BaseException | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name=self.name, daemon=True
        )
        self._has_started = False

    def start(self) -> None:
        """Start the body.

        Raises:
            AlreadyStarted: it was started before.
            NoThread: there are too many threads, or too little memory for one more.
        """
        if self._has_started:
            raise AlreadyStarted(f"thread {self.name} was started before")
        self._has_started = True
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            self._has_started = False
            raise NoThread(f"thread {self.name} could not be started: {error}") from error

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the end; False if it is still alive. From itself: False at once."""
        if not self._has_started or self.is_current:
            return not self._has_started
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether the body is running."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the caller is this thread."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            with dry_run(False), unread():  # one that made this thread ends before it does
                self._body()
        except BaseException as error:  # noqa: BLE001 - nothing may end a stage unseen
            self.error = error
            if self._on_error is not None:
                self._on_error(error)
            else:
                tell_of_end(self.name, error)
