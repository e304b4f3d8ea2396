"""Many similar events become few: aggregation, counting and the spam filter.

  aggregate  more than 10 messages of one reason about one object within 600 s become one
             event "(combined from similar events): …"
  count      the same event again is a patch of the one that exists: count + 1
  filter     per object 25 at once, then one per 300 s

Thread: one owner (the recorder, under its lock).
Source: kubernetes/client-go:tools/record/events_cache.go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from crlab.model.timestamp import timestamp
from crlab.runtime.clock import Clock

MAX_SIMILAR = 10
SIMILAR_SECONDS = 600.0
SPAM_BURST = 25
SPAM_PER_SECOND = 1.0 / 300.0
MAX_REMEMBERED = 4096
COMBINED = "(combined from similar events): "

V = TypeVar("V")


class _Lru(Generic[V]):
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Any, V] = OrderedDict()

    def get(self, key: Any, make: Callable[[], V]) -> V:
        """Return the entry of `key`, made if it is missing, and note its use."""
        value = self._entries.get(key)
        if value is None:
            self._entries[key] = value = make()
            if len(self._entries) > self._limit:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return value

    def __len__(self) -> int:
        return len(self._entries)


class Observed:
    """What was sent under one event key."""

    __slots__ = ("count", "first_at", "name")

    def __init__(self) -> None:
        self.count = 0
        self.first_at = 0.0
        self.name = ""


class _Similar:
    __slots__ = ("last_at", "messages")

    def __init__(self) -> None:
        self.messages: set[str] = set()
        self.last_at = float("-inf")


class EventCorrelator:
    """Decides what an event becomes; its memory holds 4096 keys of each sort."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._similar: _Lru[_Similar] = _Lru(MAX_REMEMBERED)
        self._observed: _Lru[Observed] = _Lru(MAX_REMEMBERED)
        self._spam: _Lru[_SpamBucket] = _Lru(MAX_REMEMBERED)

    def correlate(self, event: dict[str, Any]) -> tuple[dict[str, Any], Observed] | None:
        """Return the event as it is to be written with its memory; None: filtered.

        A count above 1 means that the event of that name is to be patched.
        """
        about = tuple(sorted(event["involvedObject"].items()))
        source = event["source"]["component"]
        reason_key = (source, about, event["type"], event["reason"])
        message, key = self._aggregated(event["message"], reason_key)
        now = self._clock.now()
        observed = self._observed.get(key, Observed)
        if observed.count == 0:
            observed.name, observed.first_at = event["metadata"]["name"], now
        observed.count += 1
        if not self._spam.get((source, about), self._bucket).take():
            return None
        metadata = event["metadata"] | {"name": observed.name}
        written = event | {
            "metadata": metadata,
            "message": message,
            "count": observed.count,
            "firstTimestamp": timestamp(observed.first_at),
            "lastTimestamp": timestamp(now),
        }
        return written, observed

    def _aggregated(self, message: str, reason_key: tuple[Any, ...]) -> tuple[str, Any]:
        similar = self._similar.get(reason_key, _Similar)
        now = self._clock.monotonic()
        if now - similar.last_at > SIMILAR_SECONDS:
            similar.messages.clear()
        similar.last_at = now
        similar.messages.add(message)
        if len(similar.messages) < MAX_SIMILAR:
            return message, (*reason_key, message)
        similar.messages.pop()  # the set grows no further
        return COMBINED + message, reason_key

    def _bucket(self) -> _SpamBucket:
        return _SpamBucket(self._clock)


class _SpamBucket:
    """A bucket that refuses instead of making wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = float(SPAM_BURST)
        self._last_at = clock.monotonic()

    def take(self) -> bool:
        """Take a token; False if there is none."""
        now = self._clock.monotonic()
        grown = self._tokens + (now - self._last_at) * SPAM_PER_SECOND
        self._tokens, self._last_at = min(float(SPAM_BURST), grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
