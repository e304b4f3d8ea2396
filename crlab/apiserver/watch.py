"""A watch: a cursor over the revision log, turned into lines.

From: `storage.py` (what was committed after the cursor). To: the HTTP stream or an
in-process reader, who calls `poll` whenever it likes and is told by `on_ready` when that
may be worth it. A watch buffers nothing but its initial events.

Guarantees:
  1. Snapshot and cursor are taken in one critical section: nothing is missed or doubled.
  2. Lines come in order of revision; equal views of equal entries share their bytes.
  3. An object that starts or stops matching a selector is ADDED or DELETED; the DELETED
     line carries the state before, under the new revision.
  4. A reader that falls behind what the log holds is cut off with a clean end, never
     given a gap. Too old a start: one ERROR line with 410 Expired, then the end.
  5. A bookmark's revision is never above what was sent or could have been, and never
     goes back.

Thread: `poll` by one reader at a time; everything else from any thread.
Source: k8s.io/apiserver/pkg/storage/cacher (cache_watcher.go), endpoints/handlers/watch.go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlab.apiserver.alarm import Alarm, Appointment
from crlab.apiserver.representation import Representation, error_line, event_line
from crlab.apiserver.status import StatusError, expired, future_revision
from crlab.apiserver.storage import ADDED, DELETED, Commit, Compacted, Storage, Stored
from crlab.model.selector import FieldSelector, LabelSelector

if TYPE_CHECKING:
    from crlab.apiserver.audit_log import AuditRecord
    from crlab.apiserver.fault.watch_fault import WatchFaults

BOOKMARK_SECONDS = 60.0
BOOKMARK_BEFORE_END_SECONDS = 2.0
POLL_ENTRIES = 500


EVERYTHING = LabelSelector()
EVERY_FIELD = FieldSelector()


@dataclass(frozen=True, slots=True)
class WatchSelection:
    """Which objects of a resource a list or watch is about."""

    view: Representation
    namespace: str = ""
    labels: LabelSelector = EVERYTHING
    fields: FieldSelector = EVERY_FIELD

    def holds(self, key: str, stored: Stored) -> bool:
        """Whether an object is selected."""
        if self.namespace and not key.startswith(f"{self.namespace}/"):
            return False
        if not self.labels.matches(stored.labels):
            return False
        if self.fields.is_everything:
            return True
        name = self.fields.exact("metadata.name")
        if name is not None and key.rpartition("/")[2] != name:
            return False
        tree = self.view.resource.tree(self.view.version, stored)
        return self.fields.matches(self.view.resource.field_values(self.view.version, tree))

    @property
    def is_filtered(self) -> bool:
        """Whether a selector is at work (a namespace is none)."""
        return not (self.labels.is_everything and self.fields.is_everything)


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What a watch request asks for.

    Attributes:
        revision: where to start; None sends the present state first.
        must_reach: initial events wait until the store is at this revision.
        ends_initial: whether the end of initial events is marked by a bookmark.
        timeout_seconds: until the clean end.
        wait_seconds: patience for `must_reach`.
    """

    revision: int | None
    timeout_seconds: float
    allows_bookmarks: bool = False
    ends_initial: bool = False
    must_reach: int = 0
    wait_seconds: float = 3.0


class WatchResponse:
    """An open watch; see the module's guarantees."""

    status = 200

    def __init__(
        self,
        storage: Storage,
        alarm: Alarm,
        selection: WatchSelection,
        plan: WatchPlan,
        *,
        headers: list[tuple[str, str]] | None = None,
        faults: WatchFaults | None = None,
    ) -> None:
        """Take the snapshot and the cursor; lines are ready at once."""
        self.headers = headers or [("Content-Type", "application/json")]
        self.lines_sent = 0
        self.bytes_sent = 0
        self.audit: AuditRecord | None = None  # told what is sent
        self._storage = storage
        self._alarm = alarm
        self._selection = selection
        self._view = selection.view
        self._plan = plan
        self._faults = faults
        self._resource = selection.view.resource.storage_name
        self._ready = threading.Condition()
        self._has_signal = True
        self._on_ready: Callable[[], None] | None = None
        self._pending: deque[bytes] = deque()
        self._is_first = True
        self._is_ended = False
        self.is_cut = False  # a fault: the end is a broken connection, not the end of the stream
        self._is_over = False  # ends once what is ready was read
        self._bookmark_due = False
        self._on_close: Callable[[], None] | None = None
        self._appointments: list[Appointment] = []
        with storage.lock:
            self._epoch = storage.epoch(self._resource)
            storage.listen(self._resource, self, self._signal)
            self._cursor = storage.revision
            self._begin()
        self._schedule()

    # --- reading -----------------------------------------------------------------------------

    def poll(self) -> bytes:
        """Return the lines that are ready, b"" if none is; never waits."""
        with self._ready:
            self._has_signal = False
        with self._storage.lock:
            if self._is_ended:
                return b""
            lines = list(self._pending)
            self._pending.clear()
            if not self._is_over:
                self._read(lines)
            faults = self._faults
            if faults is not None:
                lines = faults.shape(lines)
                self.is_cut = faults.ending == "cut"
            if (self._is_over and not self._pending and not (faults and faults.is_stalled)) or (
                faults and faults.ending
            ):
                self._close_locked()
        data = b"".join(lines)
        self.lines_sent += len(lines)
        self.bytes_sent += len(data)
        if self.audit is not None:
            self.audit.response_bytes = self.bytes_sent
        return data

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until `poll` may have something or the watch ended; False on time-out."""
        with self._ready:
            while not self._has_signal and not self._is_ended:
                if not self._alarm.clock.wait(self._ready, timeout_seconds):
                    return self._has_signal or self._is_ended
            return True

    def on_ready(self, callback: Callable[[], None] | None) -> None:
        """Call back, from any thread, when `poll` may have something; only signal in it."""
        self._on_ready = callback
        if callback is not None and (self._has_signal or self._is_ended):
            callback()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call back once when the watch is over."""
        self._on_close = callback

    def nudge(self) -> None:
        """Make the reader poll, from any thread."""
        self._signal()

    @property
    def is_ended(self) -> bool:
        """Whether the stream is over; everything ready was polled."""
        return self._is_ended

    def close(self) -> None:
        """End it at once, from any thread; a waiting reader wakes."""
        with self._storage.lock:
            self._close_locked()

    # --- inside ------------------------------------------------------------------------------

    def _signal(self) -> None:
        if self._has_signal:
            return
        with self._ready:
            self._has_signal = True
            self._ready.notify_all()
        callback = self._on_ready
        if callback is not None:
            callback()

    def _begin(self) -> None:
        plan = self._plan
        if plan.revision is None:
            if plan.must_reach <= self._storage.revision:
                self._send_initial()
            return
        self._cursor = plan.revision
        if plan.revision < self._storage.horizon(self._resource):
            horizon = self._storage.horizon(self._resource)
            message = f"too old resource version: {plan.revision} ({horizon})"
            self._fail(expired(message))

    def _send_initial(self) -> None:
        self._cursor = self._storage.revision
        for key, stored in self._storage.items(self._resource, self._selection.namespace):
            if self._selection.holds(key, stored):
                self._pending.append(self._line(ADDED, stored, None))
        if self._plan.ends_initial and self._plan.allows_bookmarks:
            mark = self._view.bookmark(self._cursor, ends_initial=True)
            self._pending.append(event_line("BOOKMARK", mark))
        self._signal()

    def _is_waiting(self) -> bool:
        return self._plan.revision is None and self._plan.must_reach > self._storage.revision

    def _fail(self, error: StatusError) -> None:
        self._pending.append(error_line(error.to_dict()))
        self._is_over = True
        self._signal()

    def _read(self, lines: list[bytes]) -> None:
        plan = self._plan
        if plan.revision is None and plan.must_reach > self._cursor:
            self._read_initial(lines)
            return
        entries: list[Commit] = []
        try:
            if self._cursor < self._storage.revision:
                entries = self._storage.entries_after(self._resource, self._cursor)
        except Compacted:
            # It fell behind what is held, or the storage was rebuilt: no bookmark may cover
            # what was never sent, or its reader would resume beyond it.
            self._is_over = True
            return
        for entry in entries[:POLL_ENTRIES]:
            line = self._line_of(entry)
            if line is not None:
                lines.append(line)
        if len(entries) > POLL_ENTRIES:
            self._cursor = entries[POLL_ENTRIES - 1].revision
            self._signal()
            return
        self._cursor = max(self._cursor, self._storage.revision)
        if self._bookmark_due:
            self._bookmark_due = False
            mark = self._view.bookmark(self._cursor, ends_initial=False)
            lines.append(event_line("BOOKMARK", mark))
        if self._storage.epoch(self._resource) != self._epoch:
            self._is_over = True

    def _read_initial(self, lines: list[bytes]) -> None:
        if not self._is_waiting():
            self._send_initial()
            lines.extend(self._pending)
            self._pending.clear()
        elif self._storage.epoch(self._resource) != self._epoch:
            self._is_over = True

    def _line_of(self, entry: Commit) -> bytes | None:
        holds = self._selection.holds
        now = entry.type != DELETED and holds(entry.key, entry.stored)
        before = entry.previous is not None and holds(entry.key, entry.previous)
        if not now and not before:
            return None
        if now:
            kind = "MODIFIED" if before else ADDED
            return self._line(kind, entry.stored, entry)
        return self._line(DELETED, entry.departed(), entry)

    def _line(self, kind: str, stored: Stored, entry: Commit | None) -> bytes:
        view = self._view
        is_first, self._is_first = self._is_first, False
        if entry is None or not view.is_cacheable:
            return event_line(kind, view.event_object(stored, first=is_first))
        if entry.lines is None:
            entry.lines = {}
        key = (kind, *view.key)
        line = entry.lines.get(key)
        if line is None:
            line = event_line(kind, view.event_object(stored, first=is_first))
            entry.lines[key] = line
        return line

    # --- moments -----------------------------------------------------------------------------

    def _schedule(self) -> None:
        plan, alarm = self._plan, self._alarm
        if self._is_waiting():
            self._appointments.append(alarm.call_in(plan.wait_seconds, self._give_up))
        if plan.timeout_seconds > 0:
            self._appointments.append(alarm.call_in(plan.timeout_seconds, self._expire))
        if plan.allows_bookmarks:
            before_end = plan.timeout_seconds - BOOKMARK_BEFORE_END_SECONDS
            if before_end >= BOOKMARK_BEFORE_END_SECONDS:
                self._appointments.append(alarm.call_in(before_end, self._mark))
            self._appointments.append(alarm.call_in(BOOKMARK_SECONDS, self._mark_again))

    def _mark(self) -> None:
        self._bookmark_due = True
        self._signal()

    def _mark_again(self) -> None:
        with self._storage.lock:
            if self._is_ended:
                return
            self._appointments.append(self._alarm.call_in(BOOKMARK_SECONDS, self._mark_again))
        self._mark()

    def _give_up(self) -> None:
        with self._storage.lock:
            if self._is_waiting() and not self._is_over:
                self._fail(future_revision(self._plan.must_reach, self._storage.revision))

    def _expire(self) -> None:
        with self._storage.lock:
            if self._is_ended:
                return
            lines: list[bytes] = []
            self._read(lines)
            self._pending.extend(lines)
            self._is_over = True
        self._signal()

    def _close_locked(self) -> None:
        # The store's lock is held: no commit comes between the last poll and the end.
        if self._is_ended:
            return
        self._is_ended = True
        self._storage.listen(self._resource, self, None)
        for appointment in self._appointments:
            appointment.cancel()
        if self._on_close is not None:
            self._on_close()
        with self._ready:
            self._has_signal = True
            self._ready.notify_all()
        if self._on_ready is not None:
            self._on_ready()
