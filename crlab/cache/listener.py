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
from itertools import takewhile
from typing import Any

import msgspec

from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.errors import describe_error
from crlab.model.argument import checked_answer
from crlab.model.object import KubeObject
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.trace.cause import caused_by, now_caused_by
from crlab.trace.record import Trace, TraceStage

MAX_ERRORS = 100
_SHARE = 100  # of the longest backlog is taken out at a time
_HANDLER = TraceStage.HANDLER


class NotificationType(StrEnum):
    """Which function is called."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"


#: Looked up once: a member of an enum costs as much as a call.
ADD, UPDATE, DELETE = NotificationType
_NAMES = {kind: kind.value for kind in NotificationType}


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
        source: str = "",
        max_backlog: int,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self.handler_name = handler_name
        self.handler = handler
        self.resource = resource
        self.max_backlog = max_backlog
        self._clock = clock
        self._trace = trace
        self._failures = trace.failures
        self._source = source or resource  # the informer: two may have a handler of one name
        self._cond = threading.Condition()
        self._backlog: deque[Notification] = deque()
        self._newest: dict[str, Notification] | None = None  # by key, once it was full
        self._merged: dict[int, Notification] = {}
        self._initial = 0  # of the initial list: pushed, and (by the listener's thread) done
        self._initial_done = 0
        self._is_woken = False
        self._is_closed = False
        self._is_discarding = False
        self._actor = f"handler/{handler_name}"
        self._taken: list[Notification] = []  # out of the backlog, and being offered
        self._taken_done = 0
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
            # Chosen here and not at delivery: the flag says whom the present resync is for, and
            # may have changed by the time a slow handler comes to these.
            if not self.is_syncing:
                notifications = [note for note in notifications if not note.is_sync]
            room = max(0, self.max_backlog - len(self._backlog))
            self._append_locked(notifications[:room])
            if len(notifications) > room:
                self._append_full_locked(notifications[room:])
            self._cond.notify_all()

    def _append_locked(self, notes: Sequence[Notification]) -> None:
        assert fork.held(self._cond)
        self._backlog.extend(notes)
        self._initial += sum([note.is_in_initial_list for note in notes])
        if self._newest is not None:
            self._newest.update((note.key, note) for note in notes)

    def _append_full_locked(self, notes: Sequence[Notification]) -> None:
        assert fork.held(self._cond)
        newest = self._newest
        if newest is None:  # nothing was merged yet, so an add has nothing to merge with
            adds = list(takewhile(lambda note: note.type is ADD, notes))
            self._append_locked(adds)
            notes = notes[len(adds) :]
            if not notes:
                return
            newest = self._newest = {waiting.key: waiting for waiting in self._backlog}
        for note in notes:
            place = newest.get(note.key)
            if place is None or not self._merge_locked(place, note):
                self._backlog.append(note)
                self._initial += note.is_in_initial_list
                newest[note.key] = note

    def _merge_locked(self, place: Notification, note: Notification) -> bool:
        """Fold `note` into the one that waits in `place`; False if it needs its own."""
        assert fork.held(self._cond)
        # The waiting notification is shared with the other handlers' backlogs: it is never
        # changed, a copy of its own is kept beside it.
        waiting = self._merged.get(id(place), place)
        if waiting.type is DELETE:
            # What was added in this place is gone before it was told: the next life takes
            # the place over. Any other delete keeps its own.
            if note.type is not ADD or place.type is not ADD:
                return False
        elif note.type is ADD:
            return False
        merged = Notification(
            waiting.type if note.type is UPDATE else note.type,
            note.key,
            note.obj,
            old=waiting.old,
            is_in_initial_list=waiting.is_in_initial_list,
            is_sync=waiting.is_sync and note.is_sync,
            cause=note.cause,
            at=waiting.at,
        )
        if place.type is ADD:
            is_end = note.type is DELETE
            merged.old = waiting.obj if is_end and isinstance(waiting.obj, KubeObject) else None
        self._merged[id(place)] = merged  # `place` keeps its turn, and its id while it waits
        self.coalesced += 1
        return True

    def _take_locked(self, most: int) -> list[Notification]:
        """Take the oldest, a small part of what may wait: what was taken merges no more."""
        assert fork.held(self._cond)
        backlog = self._backlog
        # What is taken is out of reach of merging: a large batch for a slow handler would make
        # it hear old states while newer ones pile up behind.
        most = min(most, max(1, self.max_backlog // _SHARE))
        if self._newest is None:
            return [backlog.popleft() for _ in range(min(most, len(backlog)))]
        taken: list[Notification] = []
        while backlog and len(taken) < most:
            taken.append(self._take_merged_locked(self._newest))
        if not backlog:
            self._newest = None  # until it is full again
        return taken

    def _take_merged_locked(self, newest: dict[str, Notification]) -> Notification:
        assert fork.held(self._cond)
        place = self._backlog.popleft()
        note = self._merged.pop(id(place), place)
        is_newest = newest.get(place.key) is place
        if is_newest:
            del newest[place.key]
        if place.type is not ADD or note.type is not DELETE:
            return note
        # A whole life was merged: tell its beginning, its end comes next.
        assert note.old is not None
        add = Notification(
            ADD,
            note.key,
            note.old,
            is_in_initial_list=note.is_in_initial_list,
            cause=note.cause,
            at=note.at,
        )
        note.is_in_initial_list = False  # counted once
        self._backlog.appendleft(note)
        if is_newest:
            newest[note.key] = note
        return add

    def joined(self) -> None:
        """Say that the store's present objects have all been pushed."""
        with self._cond:
            self.has_joined = True
            self._cond.notify_all()

    # Consuming ---------------------------------------------------------------------------

    def step(self, limit: int) -> int:
        done = 0
        with caused_by((), self._actor):
            while done < limit and self._take(limit - done):
                for note in self._taken:
                    if self._is_discarding:
                        break
                    self._call(note)
                    done += 1
                self._finish()
        return done

    def _take(self, most: int) -> bool:
        # Without the lock: a push after this look is found by `wait`, which has it.
        if not self._backlog:
            return False
        with self._cond:
            if self._backlog:
                self._taken = self._take_locked(most)
                self._caller = threading.get_ident()
        return bool(self._taken)

    def _finish(self) -> None:
        """Note that what was taken has been offered."""
        with self._cond:
            self._taken = []
            self._taken_done = 0
            is_over = not self._backlog
            callback = self._on_drained if is_over and self._is_closed else None
            if self._is_closed:
                self._cond.notify_all()
        if is_over:
            self._on_progress()
        # Outside the condition: it stops this stage, which comes back here to wake it.
        if callback is not None:
            callback()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Run `callback` once nothing waits and no call runs; now, if so already."""
        with self._cond:
            self._on_drained = callback
            # `_finish` looks for the callback under the same lock, so one of the two runs it.
            if self._backlog or self._taken:
                return
        callback()

    def _call(self, note: Notification) -> None:
        obj: Any = note.obj
        old: Any = note.old
        seq = self._trace.append(
            _HANDLER,
            "notified",
            resource=self.resource,
            key=note.key,
            resource_version=obj.resource_version if isinstance(obj, KubeObject) else "",
            causes=(note.cause,) if note.cause else (),
            data={
                "handler": self.handler_name,
                "type": _NAMES[note.type],
                "lag_seconds": self._clock.monotonic() - note.at,
                "source": self._source,
            },
        )
        now_caused_by((seq,) if seq else ())
        handler, answer = self.handler, None
        try:
            if note.type is ADD:
                if handler.on_add is not None:
                    answer = handler.on_add(obj, note.is_in_initial_list)
            elif note.type is UPDATE:
                if handler.on_update is not None:
                    answer = handler.on_update(old, obj)
            elif handler.on_delete is not None:
                answer = handler.on_delete(obj)
            if answer is not None:
                checked_answer(answer, f"on_{_NAMES[note.type]}", used=False)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a handler ends no thread
            self._failed(error, note, seq)
        else:
            if self._failures.present and getattr(handler, f"on_{_NAMES[note.type]}") is not None:
                self._failures.worked("handler", self._actor, note.key, scope=self._source)
        self.delivered += 1
        self._taken_done += 1
        if note.is_in_initial_list:
            self._initial_done += 1
            if self._initial_done == self._initial:
                self._on_progress()  # synced, whatever follows

    def _failed(self, error: BaseException, note: Notification, seq: int) -> None:
        self.error_count += 1
        self.errors.append(error)
        self._trace.append(
            TraceStage.HANDLER,
            "error",
            resource=self.resource,
            key=note.key,
            causes=(seq,) if seq else (),
            data={"handler": self.handler_name, "error": describe_error(error)},
        )
        is_present = not self._is_closed  # what was removed is nobody's problem any more
        self._failures.failed(
            "handler", self._actor, note.key, error, scope=self._source, present=is_present
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

    def close(self, *, discarding: bool) -> None:
        """Take nothing more; drop what waits, or let it be delivered. Idempotent."""
        with self._cond:
            self._is_closed = True
            if discarding:
                self._is_discarding = True
                self._backlog.clear()
                self._newest = None
                self._merged.clear()
            self._cond.notify_all()
        self._failures.forget(self._actor, scope=self._source)

    def drained(self, timeout_seconds: float | None) -> bool:
        """Wait until nothing waits and no call runs; False on time-out or inside a call."""
        deadline = Deadline(self._clock, timeout_seconds)
        with self._cond:
            while self._backlog or self._taken:
                # From inside its own handler it would wait for itself.
                is_own = bool(self._taken) and self._caller == threading.get_ident()
                if is_own or deadline.is_over():
                    return False
                self._clock.wait(self._cond, deadline.remaining_seconds())
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no call runs."""
        with self._cond:
            return not self._backlog and not self._taken

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def backlog(self) -> int:
        """How many notifications wait."""
        waiting = len(self._taken) - self._taken_done - 1  # one of them is being offered
        return len(self._backlog) + max(0, waiting)

    @property
    def initial_left(self) -> int:
        """How many objects of the initial list have not been offered yet."""
        return self._initial - self._initial_done
