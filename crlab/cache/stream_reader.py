"""One open watch: the events that came, when, and what ended it.

From: a `WatchStream`. To: the reflector, which takes events as it likes.

Thread: the reflector's; `close` from any thread.
"""

from __future__ import annotations

from collections import deque

from crlab.client.list_watch import WatchEvent, WatchStream
from crlab.errors import let_go
from crlab.runtime.clock import Clock


class StreamReader:
    """A stream and its unread events.

    Attributes:
        opened_at: when it was asked for (a proxy may hold the answer back).
        event_at: when the last whole event came, or it was opened.
        warned_at: when the missing end of the initial events was last mentioned.
        seen: events handed on.
        error: what ended it, None while it is open.
        is_worth_it: whether it brought something new (see `RequestBudget`).
    """

    def __init__(self, stream: WatchStream, clock: Clock, opened_at: float) -> None:
        self._stream = stream
        self._clock = clock
        self.opened_at = opened_at
        self.event_at = clock.monotonic()
        self.warned_at = opened_at
        self.events: deque[WatchEvent] = deque()
        self.seen = 0
        self.error: BaseException | None = None
        self.is_worth_it = False

    def fetch(self, timeout_seconds: float) -> None:
        """Take in what came, waiting for it up to `timeout_seconds` (0: not at all)."""
        if self.error is not None:
            return
        try:
            events = self._stream.read(timeout_seconds)
        except Exception as error:  # noqa: BLE001 - whatever fails, the machine decides
            let_go(error)  # or it would hold this reader, which holds it
            self.error = error
            return
        if events:
            self.events.extend(events)
            self.event_at = self._clock.monotonic()

    @property
    def lasted_seconds(self) -> float:
        """How long it has been open."""
        return self._clock.monotonic() - self.opened_at

    def close(self) -> None:
        """End it and wake a blocked `fetch`. Idempotent; any thread."""
        self._stream.close()
