"""What happened, in order: one bounded log that every stage appends to.

From: every floor above. To: frames, charts, explain, time travel, recordings, derived
RBAC and tests, which all read this log and nothing else.

Guarantees:
  1. `seq` grows by one per record; records are never reordered or changed.
  2. The log is bounded by count and by bytes of object payload; what fell off the old
     end is counted in `dropped`, and `first_seq` says where the log begins.
  3. `append` does not block on readers. What taps it is called after the lock is given back, on
     the thread that appends: a tap sets a flag, and waits for nothing.

Causes link records: watch event → delta → stored → notification → trigger → reconcile →
request → watch event.

Thread: any thread may append and read; `_lock` guards the deque and the counters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any

import msgspec

from crlab.model.argument import checked_function
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.dependency import note_read
from crlab.trace.failure import Failures


class TraceStage(StrEnum):
    """Which box of the pipeline wrote a record."""

    SERVER = "server"
    CLIENT = "client"
    REFLECTOR = "reflector"
    QUEUE = "queue"
    INDEXER = "indexer"
    HANDLER = "handler"
    WORKQUEUE = "workqueue"
    RECONCILE = "reconcile"
    FAULT = "fault"
    LAB = "lab"


class TraceRecord(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened.

    Attributes:
        seq: place in the log, from 1.
        at: wall time, seconds since the epoch, on the lab's clock.
        stage: who wrote it.
        kind: what it was, in the stage's vocabulary, e.g. "watch_event", "replaced",
            "stored", "notified", "added", "done", "request", "state".
        resource: "plural.group" (core: plural), "" if none.
        key: "namespace/name" or "name", "" if none.
        resource_version: of the object concerned, "" if none.
        causes: seqs of the records that led to this one, oldest first.
        data: what else is to know; values are immutable (bytes, str, numbers, tuples,
            KubeObject) or never changed after the append.
    """

    seq: int
    at: float
    stage: str
    kind: str
    resource: str = ""
    key: str = ""
    resource_version: str = ""
    causes: tuple[int, ...] = ()
    data: Mapping[str, Any] | None = None

    def get(self, name: str, default: Any = None) -> Any:
        """Return `data[name]`, or `default`."""
        return default if self.data is None else self.data.get(name, default)


#: The causes of a draft that follows from the one before it.
PREVIOUS: tuple[int, ...] = (-1,)

#: A record to be: stage, kind, resource, key, resource_version, causes, data and
#: payload_bytes, as `Trace.append` has them.
Draft = tuple[str, str, str, str, str, tuple[int, ...], Mapping[str, Any] | None, int]


class Trace:
    """The log of one lab.

    Attributes:
        failures: what fails now; see `trace.failure`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_records: int = 200_000,
        max_payload_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._clock = clock
        self.failures = Failures(clock)
        self._lock = fork.lock()
        self._records: deque[TraceRecord] = deque()
        self._sizes: deque[int] = deque()
        self._seq = 0
        self._payload_bytes = 0
        self.max_records = max_records
        self.max_payload_bytes = max_payload_bytes
        self.dropped = 0
        self.is_enabled = True
        self._listeners: tuple[Callable[[TraceRecord], None], ...] = ()
        self._writes: dict[tuple[str, str], int] = {}
        fork.in_child(self._in_child)

    def _in_child(self) -> None:
        self._listeners = ()  # they are the parent's: its recorders, waits and views

    def append(
        self,
        stage: str,
        kind: str,
        *,
        resource: str = "",
        key: str = "",
        resource_version: str = "",
        causes: tuple[int, ...] = (),
        data: Mapping[str, Any] | None = None,
        payload_bytes: int = 0,
    ) -> int:
        """Add a record and return its seq (0 if the trace is switched off).

        Args:
            payload_bytes: size of object bytes that `data` keeps alive, for the bound.
        """
        if not self.is_enabled:  # `append_many` of one, written out: every notification passes
            return 0
        at = self._clock.now()
        with self._lock:
            self._seq = seq = self._seq + 1
            record = TraceRecord(
                seq, at, stage, kind, resource, key, resource_version, causes, data
            )
            self._records.append(record)
            self._sizes.append(payload_bytes)
            self._payload_bytes += payload_bytes
            if seq - self.dropped > self.max_records or payload_bytes:
                self._trim_locked()
        # Outside the lock: a listener may read the trace, or append to it. So two threads may tell
        # their records in another order than that of the numbers.
        for listener in self._listeners:
            listener(record)
        return seq

    def append_many(self, drafts: Sequence[Draft]) -> int:
        """Add records one after the other and return the seq of the first.

        They are of one moment, and their seqs follow each other; 0 if the trace is switched
        off or there are none.
        """
        if not self.is_enabled or not drafts:
            return 0
        at = self._clock.now()
        made = []
        with self._lock:
            seq = self._seq
            for stage, kind, resource, key, version, causes, data, payload_bytes in drafts:
                if causes is PREVIOUS:
                    causes = (seq,)
                seq += 1
                made.append(TraceRecord(seq, at, stage, kind, resource, key, version, causes, data))
                self._sizes.append(payload_bytes)
                self._payload_bytes += payload_bytes
            first, self._seq = self._seq + 1, seq
            self._records.extend(made)
            self._trim_locked()
        for listener in self._listeners:
            for record in made:
                listener(record)
        return first

    def note_write(self, resource: str, resource_version: str, seq: int) -> None:
        """Remember that request `seq` made `resource_version`, to link its watch event.

        A write that changed nothing is answered with the version of an older one, which
        keeps its link. Holds the newest 10,000 writes.
        """
        with self._lock:
            self._writes.setdefault((resource, resource_version), seq)
            if len(self._writes) > 10_000:
                del self._writes[next(iter(self._writes))]

    def write_seq(self, resource: str, resource_version: str) -> int | None:
        """Return the seq of the request that made `resource_version`, None if not ours."""
        return self._writes.get((resource, resource_version))

    def _trim_locked(self) -> None:
        assert self._lock.locked()
        while self._records and (
            len(self._records) > self.max_records or self._payload_bytes > self.max_payload_bytes
        ):
            self._records.popleft()
            self._payload_bytes -= self._sizes.popleft()
            self.dropped += 1

    @property
    def last_seq(self) -> int:
        """The seq of the newest record, 0 if there is none."""
        note_read(self)
        return self._seq

    @property
    def first_seq(self) -> int:
        """The seq of the oldest record still held; `last_seq` + 1 if none is."""
        return self.dropped + 1

    def __len__(self) -> int:
        note_read(self)
        return len(self._records)

    def records(self, after: int = 0, until: int | None = None) -> list[TraceRecord]:
        """Return the records with after < seq <= until, oldest first."""
        note_read(self)
        with self._lock:
            # The numbers have no gaps, so a record's place follows from its own.
            first = self.dropped + 1
            start = max(0, after + 1 - first)
            stop = len(self._records) if until is None else max(0, until + 1 - first)
            if start * 2 > len(self._records):  # near the end: walk from there
                tail = islice(reversed(self._records), len(self._records) - start)
                return [r for r in reversed(list(tail)) if until is None or r.seq <= until]
            return list(islice(self._records, start, stop))

    def linked(self, after: int = 0) -> list[TraceRecord]:
        """Return the records with the causes that became known after they were written.

        A watch event can overtake the answer to the write it comes from; its record then
        has no cause, and gets it here. An event from before the request was sent has
        another cause: the write changed nothing and was answered with that version.
        """
        found = self.records(after)
        for place, record in enumerate(found):
            if record.kind == "watch_event" and not record.causes:
                seq = self.write_seq(record.resource, record.resource_version)
                write = None if seq is None else self.get(seq)
                if write is not None and record.at > _sent_at(write):
                    found[place] = msgspec.structs.replace(record, causes=(write.seq,))
        return found

    def get(self, seq: int) -> TraceRecord | None:
        """Return one record, None if it fell off or is not there yet."""
        found = self.records(after=seq - 1, until=seq)
        return found[0] if found else None

    def __iter__(self) -> Iterator[TraceRecord]:
        return iter(self.records())

    def live_version(self) -> object:
        """Return what tells a live expression that something happened."""
        return self._seq

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each record (quick, on the appending thread); return the undo."""
        return self.tap(lambda record: listener())

    def tap(self, listener: Callable[[TraceRecord], None]) -> Callable[[], None]:
        """Call `listener` with each new record, on the appending thread; return the undo.

        A listener must not block, raise or append; it marks something dirty or writes a
        line. It runs outside the log's lock, so two records may reach it out of order;
        `seq` tells.

        Raises:
            ConfigError: it is no function of a record.
        """
        checked_function(listener, "what tap() takes", ("record",))
        checked_function(listener, "what tap() takes", ("record",))
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def untap() -> None:
            with self._lock:
                self._listeners = tuple(x for x in self._listeners if x is not listener)

        return untap


def _sent_at(request: TraceRecord) -> float:
    """Return when a request was sent; its record is written when it was answered."""
    duration: float = request.get("duration_seconds", 0.0)
    return request.at - duration
