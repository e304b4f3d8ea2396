"""What the proxy saw and did, in order: every connection, request and fault."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `kind` is "connect", "request", "fault" or "end"."""

    at_seconds: float
    connection: int
    kind: str
    what: str
    detail: str = ""


class Journal:
    """An append-only list, of everything or (`keep`) of the newest; any thread."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()

    def keep(self, newest: int) -> None:
        """Forget older entries from now on."""
        with self._lock:
            self._entries = deque(self._entries, maxlen=newest)

    def note(self, connection: int, kind: str, what: str, detail: str = "") -> None:
        with self._lock:
            at = time.monotonic() - self._began
            self._entries.append(Entry(at, connection, kind, what, detail))

    @property
    def now_seconds(self) -> float:
        """The present moment on the entries' scale."""
        return time.monotonic() - self._began

    def entries(self, kind: str = "", what: str = "", since_seconds: float = 0.0) -> list[Entry]:
        """Return entries, of one kind and name if told."""
        with self._lock:
            return [
                entry
                for entry in self._entries
                if kind in ("", entry.kind)
                and what in ("", entry.what)
                and entry.at_seconds >= since_seconds
            ]

    def count(self, kind: str = "", what: str = "", since_seconds: float = 0.0) -> int:
        """Return how many there are."""
        return len(self.entries(kind, what, since_seconds))

    def happened(self, fault: str) -> bool:
        """Whether a fault really acted."""
        return self.count("fault", fault) > 0

    def peak_requests(self, since_seconds: float, window_seconds: float) -> int:
        """Return the most requests and connections that one window saw."""
        at = [e.at_seconds for e in self.entries("request", since_seconds=since_seconds)]
        return max((sum(a <= b < a + window_seconds for b in at) for a in at), default=0)

    def __str__(self) -> str:
        """The last thirty lines."""
        return "\n".join(
            f"{e.at_seconds:7.3f} #{e.connection} {e.kind} {e.what} {e.detail}"
            for e in self.entries()[-30:]
        )
