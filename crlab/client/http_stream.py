"""An answer over HTTP that is read as it comes: the `ByteStream` of a watch.

Thread: one reader; `close` from any thread. `_lock` guards who closes the descriptor: the
reader if one is inside `read`, else the closer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crlab.client.connection import Answer
from crlab.client.wire import Wire
from crlab.errors import TransportError
from crlab.runtime import fork


class HttpStream:
    """An answer that is read as it comes."""

    def __init__(self, answer: Answer, wire: Wire, forget: Callable[[Wire], None]) -> None:
        self._answer = answer
        self._wire = wire
        self._forget = forget
        self._lock = fork.lock()
        self._is_reading = False
        self._is_closed = False
        self.status = answer.head.status
        self.headers: Mapping[str, str] = answer.head.headers

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return what is available; see `transport.ByteStream`."""
        with self._lock:
            if self._is_closed:
                raise TransportError("the stream was closed here", phase="watch")
            self._is_reading = True
        try:
            data = self._answer.read(timeout_seconds)
        except TransportError as error:
            raise TransportError(str(error), phase="watch") from None
        finally:
            with self._lock:
                self._is_reading = False
                must_close = self._is_closed
            if must_close:
                self._wire.close()
        if not data:
            self.close()
        return data

    def close(self) -> None:
        """End the stream and wake a blocked reader. Idempotent; any thread."""
        with self._lock:
            is_first = not self._is_closed
            self._is_closed = True
            is_reading = self._is_reading
        if is_first:
            self._wire.abort()
            self._forget(self._wire)
            if not is_reading:
                self._wire.close()
