"""Why a key is in the queue: every add that was collapsed into it.

A queue keeps one entry per key however often it is added. The ledger beside it keeps the
reasons, so that "7 events became 1 reconcile" can be told with the seven.

Thread: not locked; a ledger belongs to a queue and is touched under that queue's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """One reason for a run of a key.

    Attributes:
        reason: "created", "updated", "deleted", "resync", "retry", "requeue", "manual".
        source: resource ("plural.group") of the object that changed, "" if none did.
        key: key of the object that changed, "" if none did; for owned objects it differs
            from the key in the queue.
        resource_version: of that object, "" if unknown.
        seq: trace record of this add, 0 without a trace.
        at: wall time, seconds since the epoch.
        causes: seqs of the trace records that led to the add.
    """

    reason: str
    source: str = ""
    key: str = ""
    resource_version: str = ""
    seq: int = 0
    at: float = 0.0
    causes: tuple[int, ...] = ()

    def __str__(self) -> str:
        what = f"{self.source} {self.key}".strip()
        version = f" rv={self.resource_version}" if self.resource_version else ""
        return f"{self.reason} {what}{version}".rstrip()


MANUAL = Trigger("manual")


class TriggerLedger(Generic[K]):
    """The reasons of the next run of each key, and of the run in hand.

    At most `keep` reasons are held per key, the newest; `count` still tells them all.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._next: dict[K, deque[Trigger]] = {}
        self._counts: dict[K, int] = {}
        self._running: dict[K, tuple[tuple[Trigger, ...], int]] = {}

    def note(self, key: K, trigger: Trigger) -> None:
        """Add a reason to the next run of `key`."""
        held = self._next.get(key)
        if held is None:
            self._next[key] = held = deque(maxlen=self._keep)
            self._counts[key] = 0
        held.append(trigger)
        self._counts[key] += 1

    def begin(self, key: K) -> None:
        """The run starts: its reasons become those in hand."""
        held = self._next.pop(key, None)
        if held is not None:
            self._running[key] = tuple(held), self._counts.pop(key)

    def finish(self, key: K) -> None:
        """The run ended: its reasons are no longer needed."""
        self._running.pop(key, None)

    def waiting(self, key: K) -> tuple[Trigger, ...]:
        """Return the reasons of the next run, oldest first."""
        return tuple(self._next.get(key, ()))

    def running(self, key: K) -> tuple[Trigger, ...]:
        """Return the reasons of the run in hand, oldest first."""
        held = self._running.get(key)
        return () if held is None else held[0]

    def count(self, key: K) -> int:
        """Return how many adds the next run (else the run in hand) stands for."""
        if key in self._counts:
            return self._counts[key]
        held = self._running.get(key)
        return 0 if held is None else held[1]

    def count_running(self, key: K) -> int:
        """Return how many adds the run in hand stands for."""
        held = self._running.get(key)
        return 0 if held is None else held[1]
