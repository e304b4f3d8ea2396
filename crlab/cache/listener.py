"""One handler with its backlog and its thread.

From: the processor, which only appends. To: the user's three functions.

Guarantees:
  1. Calls come one at a time, in the order of the store's changes per key.
  2. A slow or raising handler holds nobody up; any exception is recorded, even one that
     would end a thread, and the next notification follows.
  3. The backlog holds `max_backlog` notifications; above that, those of one key are
     merged and counted in `coalesced`: at most two more wait per key. Newest wins; each
     delete of what was told is told, and of lives that nobody was told of the last, whole.
  4. `has_synced` once the replayed or listed objects have all been offered.

Differs from client-go: its ring is unbounded; there is no pause after an exception (there
1 s, and only where crashes are survived at all, rule 52).

Thread: ``crlab-listener-<resource>-<n>`` calls the handler; `_cond` guards the backlog.
Source: kubernetes/client-go:tools/cache/shared_informer.go (processorListener),
synctrack/synctrack.go (rules 47-54).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.model.object import KubeObject
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.trace.cause import caused_by, now_caused_by
from crlab.trace.record import Trace, TraceStage

MAX_ERRORS = 100


class NotificationType(StrEnum):
    """Which function is called."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"


class Notification(msgspec.Struct, gc=False):
    """One change, for one or more handlers; a backlog merges copies, never a shared one.

    Attributes:
        obj: the new state; for a delete the last state or a tombstone.
        old: the state before, for an update.
        is_sync: old and new have the same resourceVersion (a resync or a relist).
    """

    type: NotificationType
    key: str
    obj: KubeObject | DeletedFinalStateUnknown
    old: KubeObject | None = None
    is_in_initial_list: bool = False
    is_sync: bool = False
    cause: int = 0
    at: float = 0.0


class Handler(msgspec.Struct, frozen=True):
    """The user's functions; None ignores a type."""

    on_add: Callable[[KubeObject, bool], Any] | None = None
    on_update: Callable[[KubeObject, KubeObject], Any] | None = None
    on_delete: Callable[[KubeObject | DeletedFinalStateUnknown], Any] | None = None


class Listener:
    """A `Stage`: the backlog of one handler, and whoever calls it."""

    def __init__(
        self,
        name: str,
        handler_name: str,
        handler: Handler,
        *,
        resource: str,
        clock: Clock,
        trace: Trace,
        max_backlog: int = 10_000,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self.handler_name = handler_name
        self.handler = handler
        self.resource = resource
        self.max_backlog = max_backlog
        self._clock = clock
        self._trace = trace
        self._cond = threading.Condition()
        self._backlog: deque[Notification] = deque()
        self._newest: dict[str, Notification] = {}
        self._merged: dict[int, Notification] = {}
        self._initial = 0
        self._is_woken = False
        self._is_closed = False
        self._actor = f"handler/{handler_name}"
        self._calling: Notification | None = None
        self._caller = 0
        self._on_progress = on_progress
        self._on_drained: Callable[[], None] | None = None
        self.has_joined = False
        self.is_syncing = True
        self.delivered = 0
        self.coalesced = 0
        self.error_count = 0
        self.errors: deque[BaseException] = deque(maxlen=MAX_ERRORS)

    @property
    def name(self) -> str:
        return self._name

    # Producing ---------------------------------------------------------------------------

    def push(self, notifications: Sequence[Notification]) -> None:
        """Append to the backlog; merge per key where it is full. Never waits."""
        with self._cond:
            if self._is_closed:
                return
            for note in notifications:
                if note.is_sync and not self.is_syncing:
                    continue
                if len(self._backlog) >= self.max_backlog and self._merge_locked(note):
                    continue
                if note.is_in_initial_list:
                    self._initial += 1
                self._backlog.append(note)
                self._newest[note.key] = note
            self._cond.notify_all()

    def _merge_locked(self, note: Notification) -> bool:
        """Fold `note` into the waiting one of its key; False if it needs a place of its own."""
        place = self._newest.get(note.key)
        if place is None:
            return False
        waiting = self._merged.get(id(place), place)
        if waiting.type is NotificationType.DELETE:
            # What was added in this place is gone before it was told: the next life takes
            # the place over. Any other delete keeps its own.
            if note.type is not NotificationType.ADD or place.type is not NotificationType.ADD:
                return False
        elif note.type is NotificationType.ADD:
            return False
        merged = Notification(
            waiting.type if note.type is NotificationType.UPDATE else note.type,
            note.key,
            note.obj,
            old=waiting.old,
            is_in_initial_list=waiting.is_in_initial_list,
            is_sync=waiting.is_sync and note.is_sync,
            cause=note.cause,
            at=waiting.at,
        )
        if place.type is NotificationType.ADD:
            is_end = note.type is NotificationType.DELETE
            merged.old = waiting.obj if is_end and isinstance(waiting.obj, KubeObject) else None
        self._merged[id(place)] = merged  # `place` keeps its turn, and its id while it waits
        self.coalesced += 1
        return True

    def _take_locked(self) -> Notification:
        place = self._backlog.popleft()
        note = self._merged.pop(id(place), place) if self._merged else place
        is_newest = self._newest.get(place.key) is place
        if is_newest:
            del self._newest[place.key]
        if place.type is not NotificationType.ADD or note.type is not NotificationType.DELETE:
            return note
        # A whole life was merged: tell its beginning, its end comes next.
        assert note.old is not None
        add = Notification(
            NotificationType.ADD,
            note.key,
            note.old,
            is_in_initial_list=note.is_in_initial_list,
            cause=note.cause,
            at=note.at,
        )
        note.is_in_initial_list = False  # counted once
        self._backlog.appendleft(note)
        if is_newest:
            self._newest[note.key] = note
        return add

    def joined(self) -> None:
        """Say that the store's present objects have all been pushed."""
        with self._cond:
            self.has_joined = True
            self._cond.notify_all()

    # Consuming ---------------------------------------------------------------------------

    def step(self, limit: int) -> int:
        if not self._backlog:
            return 0
        done = 0
        with caused_by((), self._actor):
            while (note := self._next(done < limit)) is not None:
                self._call(note)
                done += 1
        return done

    def _next(self, is_wanted: bool) -> Notification | None:
        """Note that the last call returned; take the next notification, if one is wanted."""
        callbacks: list[Callable[[], None]] = []
        note = None
        with self._cond:
            last, self._calling = self._calling, None
            if last is not None:
                self._finish_locked(last, callbacks)
            if is_wanted and self._backlog:
                note = self._calling = self._take_locked()
                self._caller = threading.get_ident()
            elif last is not None:
                callbacks.append(self._on_progress)
        for callback in callbacks:
            callback()
        return note

    def _finish_locked(self, last: Notification, callbacks: list[Callable[[], None]]) -> None:
        self.delivered += 1
        if last.is_in_initial_list:
            self._initial -= 1
            if self._initial == 0:
                callbacks.append(self._on_progress)  # synced, whatever follows
        if self._is_closed:
            self._cond.notify_all()
            if self._on_drained is not None and not self._backlog:
                callbacks.append(self._on_drained)

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Run `callback` once nothing waits and no call runs; now, if so already."""
        with self._cond:
            self._on_drained = callback
            if self._backlog or self._calling is not None:
                return
        callback()

    def _call(self, note: Notification) -> None:
        seq = self._trace.append(
            TraceStage.HANDLER,
            "notified",
            resource=self.resource,
            key=note.key,
            resource_version=note.obj.resource_version if isinstance(note.obj, KubeObject) else "",
            causes=(note.cause,) if note.cause else (),
            data={
                "handler": self.handler_name,
                "type": note.type.value,
                "lag_seconds": self._clock.monotonic() - note.at,
            },
        )
        now_caused_by((seq,) if seq else ())
        try:
            self._dispatch(note)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a handler ends no thread
            self._failed(error, note, seq)

    def _dispatch(self, note: Notification) -> None:
        handler = self.handler
        if note.type is NotificationType.ADD and handler.on_add is not None:
            assert isinstance(note.obj, KubeObject)
            handler.on_add(note.obj, note.is_in_initial_list)
        elif note.type is NotificationType.UPDATE and handler.on_update is not None:
            assert isinstance(note.obj, KubeObject)
            assert note.old is not None
            handler.on_update(note.old, note.obj)
        elif note.type is NotificationType.DELETE and handler.on_delete is not None:
            handler.on_delete(note.obj)

    def _failed(self, error: BaseException, note: Notification, seq: int) -> None:
        self.error_count += 1
        self.errors.append(error)
        self._trace.append(
            TraceStage.HANDLER,
            "error",
            resource=self.resource,
            key=note.key,
            causes=(seq,) if seq else (),
            data={"handler": self.handler_name, "error": f"{type(error).__name__}: {error}"},
        )

    def wait(self) -> None:
        with self._cond:
            while not self._is_woken and not self._backlog:
                if self._is_closed:
                    return
                self._clock.wait(self._cond, None)
            self._is_woken = False

    def wake(self) -> None:
        with self._cond:
            self._is_woken = True
            self._cond.notify_all()

    # Ending ------------------------------------------------------------------------------

    def close(self, *, is_discarding: bool) -> None:
        """Take nothing more; drop what waits, or let it be delivered. Idempotent."""
        with self._cond:
            self._is_closed = True
            if is_discarding:
                self._backlog.clear()
                self._newest.clear()
                self._merged.clear()
            self._cond.notify_all()

    def drained(self, timeout_seconds: float | None) -> bool:
        """Wait until nothing waits and no call runs; False on time-out or inside a call."""
        deadline = Deadline(self._clock, timeout_seconds)
        with self._cond:
            while self._backlog or self._calling is not None:
                is_own = self._calling is not None and self._caller == threading.get_ident()
                if is_own or deadline.is_over():
                    return False
                self._clock.wait(self._cond, deadline.remaining_seconds())
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no call runs."""
        with self._cond:
            return not self._backlog and self._calling is None

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def backlog(self) -> int:
        """How many notifications wait."""
        return len(self._backlog)

    @property
    def initial_left(self) -> int:
        """How many objects of the initial list have not been offered yet."""
        return self._initial
