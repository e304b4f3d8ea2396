"""The workqueue: each key once, never twice at a time, however often it is added.

From: event handlers (`add`) and workers (`add_after`, `add_rate_limited`). To: workers
(`get` … `done`).

Three sets under one condition (rule 57):
  dirty       keys that need a run; a FIFO list orders those that may start.
  processing  keys taken and not yet done; such a key can be dirty but is not in the list.
  delayed     keys with a time at which they become dirty (rule 59).

Guarantees:
  1. Fair: keys that may start are taken in the order they became dirty.
  2. Stingy: N adds before the run are one run; adds during the run are one more.
  3. A key is never in two workers' hands.
  4. `shut_down` refuses new adds, lets what is queued be taken, then `get` returns None.
  5. Nothing of a key is held once it is done, forgotten and not added again.
  6. Every add that was collapsed is kept as a `Trigger` until the run it led to is done.
  7. `hold` keeps a key from takers without taking it: after `release` its place, reasons
     and times are what they were, with what was added meanwhile.

Thread: every method from any thread. `_lock` (re-entrant, so that a trace listener may
look) guards everything; `_ready` wakes takers, `_drained` those who wait for a drain.
Source: kubernetes/client-go:util/workqueue/queue.go, delaying_queue.go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from itertools import takewhile
from typing import Any, Generic, Protocol, TypeVar

from crlab.errors import ConfigError
from crlab.model.argument import checked_optional
from crlab.runtime import fork
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.deadline import Deadline
from crlab.runtime.dependency import note_read
from crlab.trace.cause import current_causes
from crlab.trace.record import Trace, TraceStage
from crlab.workqueue.delay import Delayed, DelayedKeys, check_delay
from crlab.workqueue.metrics import QueueMetrics
from crlab.workqueue.snapshot import KeyState, QueueSnapshot
from crlab.workqueue.trigger import MANUAL, Trigger, TriggerLedger

K = TypeVar("K", bound=Hashable)


class KeyOrder(Protocol[K]):
    """The keys that may start, in order of their turn."""

    def append(self, item: K, /) -> None: ...
    def popleft(self) -> K: ...
    def remove(self, item: K, /) -> None: ...
    def insert(self, index: int, item: K, /) -> None: ...
    def __iter__(self) -> Iterator[K]: ...
    def __len__(self) -> int: ...


def require_item(item: object) -> None:
    """Refuse None, which stands for no key.

    Raises:
        ConfigError: it is None.
    """
    if item is None:
        raise ConfigError("None cannot be queued; add a key")


class WorkQueue(Generic[K]):
    """The plain and the delaying queue in one.

    Attributes:
        check: called with what is about to be added; raises what is wrong with it.
    """

    def __init__(
        self,
        name: str = "",
        *,
        clock: Clock | None = None,
        trace: Trace | None = None,
        resource: str = "",
        touch: Callable[[K], None] | None = None,
        keep_triggers: int = 1000,
    ) -> None:
        """Make an empty queue.

        Args:
            name: for metrics and the trace.
            clock: None is the machine's.
            resource: "plural.group" of the keys, for the trace.
            touch: called, under the lock, when a key already waiting is added again.
            keep_triggers: how many reasons are kept per key (the newest).
        """
        self.name = name
        self.check: Callable[[object], None] = require_item
        self._clock = clock or RealClock()
        self._trace = trace
        self._resource = resource
        self._touch = checked_optional(touch, "touch", ("item",))
        self._lock = threading.RLock()
        self._ready = threading.Condition(self._lock)
        self._drained = threading.Condition(self._lock)
        self._queue: KeyOrder[K] = deque()
        self._dirty: dict[K, float] = {}  # key → when it became dirty
        self._processing: dict[K, float] = {}  # key → when it was taken
        self._held: dict[K, Any] = {}  # of these: not taken; their place, None without one
        self._delayed: DelayedKeys[K] = DelayedKeys()
        self._waiters = 0
        self._is_draining = False
        self._is_shutting_down = False
        self._ledger: TriggerLedger[K] = TriggerLedger(keep_triggers)
        self._has_reasons = False  # until the first one the ledger is not asked
        self._metrics = QueueMetrics()

    # -- putting in ------------------------------------------------------------------

    def add(self, item: K, *, trigger: Trigger | None = None) -> None:
        """Ask for a run of `item`; collapsed into a run that waits already."""
        self.check(item)
        with self._lock:
            if not self._is_shutting_down:
                self._add_locked(item, trigger, None)

    def add_after(self, item: K, delay_seconds: float, *, trigger: Trigger | None = None) -> None:
        """Add `item` once `delay_seconds` have passed; ≤ 0 adds it now.

        A key that is delayed already keeps the earlier time. A plain `add` meanwhile does
        not cancel the delayed one: both lead to a run.

        Raises:
            ConfigError: the delay is not a number.
        """
        self.check(item)
        check_delay(delay_seconds)
        with self._lock:
            if self._is_shutting_down:
                return
            self._metrics.retries += 1
            if delay_seconds <= 0:
                self._add_locked(item, trigger, None)
                return
            self._delay_locked(item, delay_seconds, trigger)

    def _add_locked(self, item: K, trigger: Trigger | None, causes: tuple[int, ...] | None) -> None:
        # No assertion of the lock here nor in the other steps of add, get and done: it costs them
        # 4 to 17 %.
        # client-go forgets an add that collapses; here its reason is kept, so that a run can
        # say of all that asked for it. The counts and the reason change under one lock: a
        # taker sees the key with the reasons it has by then, never without.
        is_collapsed = item in self._dirty
        if is_collapsed:
            self._metrics.collapsed += 1
            if self._touch is not None and item not in self._processing:
                self._touch(item)
        else:
            self._dirty[item] = self._clock.monotonic()
            self._metrics.adds += 1
            # A key in a worker's hands only becomes dirty: `done` queues it, so that no two
            # workers ever have it at once.
            if item not in self._processing:
                self._queue.append(item)
                if self._waiters:
                    self._ready.notify()
        if trigger is not None or self._trace is not None:
            self._note_locked(item, trigger or MANUAL, is_collapsed, causes)

    def _note_locked(
        self, item: K, trigger: Trigger, collapsed: bool, causes: tuple[int, ...] | None
    ) -> None:
        causes = current_causes() if causes is None else causes
        self._has_reasons = True
        seq = self._record(
            "added",
            item,
            resource_version="" if trigger.key else trigger.resource_version,
            causes=causes,
            data={"queue": self.name, "collapsed": collapsed, "trigger": trigger},
        )
        self._ledger.note(
            item,
            Trigger(
                trigger.reason,
                trigger.source,
                trigger.key,
                trigger.resource_version,
                seq,
                self._clock.now(),
                causes,
            ),
        )

    def _delay_locked(self, item: K, delay_seconds: float, trigger: Trigger | None) -> None:
        assert fork.held(self._ready)
        now = self._clock.monotonic()
        entry, is_first = self._delayed.put(item, now, now + delay_seconds)
        if is_first and self._waiters:
            self._ready.notify()  # somebody must wait for the new, earlier time
        if not entry.is_full:
            data = {
                "queue": self.name,
                "delay_seconds": delay_seconds,
                "attempt": self._attempts(item),
            }
            seq = self._record("requeued", item, causes=current_causes(), data=data)
            entry.note(trigger or MANUAL, seq)

    def _promote_locked(self) -> None:
        """Make what is due dirty."""
        for item, entry in self._delayed.pop_due(self._clock.monotonic()):
            for trigger, causes in entry.reasons():
                self._add_locked(item, trigger, causes)

    # -- taking out ------------------------------------------------------------------

    def get(self, timeout_seconds: float | None = None) -> K | None:
        """Wait for a key and take it; it is the caller's until `done`.

        Returns:
            The key; None when the queue was shut down and is empty, or when
            `timeout_seconds` passed.
        """
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            if self._queue:
                return self._take_locked()
            deadline = Deadline(self._clock, timeout_seconds)
            while self._wait_locked(deadline):
                # Looked at after every wait: another taker may have been faster.
                if self._queue:
                    return self._take_locked()
            return None

    def try_get(self) -> K | None:
        """Take a key if one is ready, else return None at once."""
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            return self._take_locked() if self._queue else None

    def take(self, item: K) -> bool:
        """Take this very key out of its turn; False if it is not ready."""
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            if item not in self._dirty or item in self._processing:
                return False
            self._queue.remove(item)
            self._begin_locked(item)
            return True

    def wait(
        self,
        timeout_seconds: float | None = None,
        *,
        until: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Block until a key is ready, a shut-down or the time-out; True if one is ready.

        Args:
            until: read under the queue's lock at every `wake`; ends the wait when true.
        """
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            deadline = Deadline(self._clock, timeout_seconds)
            while not self._queue and not until() and self._wait_locked(deadline):
                pass
            return bool(self._queue)

    def wake(self) -> None:
        """Make every `wait` look at its `until`; `get` goes on waiting."""
        with self._lock:
            self._ready.notify_all()

    def _wait_locked(self, deadline: Deadline) -> bool:
        """Wait once for news; False when there is no more to wait for."""
        assert fork.held(self._ready)
        if self._is_shutting_down or deadline.is_over():
            return False
        timeout = deadline.remaining_seconds()
        # No thread moves delayed keys, as one does in client-go: whoever waits sleeps until
        # the earliest of them is due, and makes it ready itself.
        first_at = self._delayed.first_at()
        if first_at is not None:
            due = max(0.0, first_at - self._clock.monotonic())
            timeout = due if timeout is None else min(due, timeout)
        self._waiters += 1
        try:
            self._clock.wait(self._ready, timeout)
        finally:
            self._waiters -= 1
        if self._delayed.heap:
            self._promote_locked()
        return True

    def _take_locked(self) -> K:
        item = self._queue.popleft()
        self._begin_locked(item)
        return item

    def _begin_locked(self, item: K) -> None:
        now = self._clock.monotonic()
        self._metrics.queue_latency.observe(now - self._dirty.pop(item))
        self._processing[item] = now
        if self._has_reasons:
            self._ledger.begin(item)
        if self._waiters and (self._queue or self._delayed.heap):
            self._ready.notify()  # another taker watches over the rest
        if self._trace is not None:
            self._record(
                "got", item, causes=tuple(t.seq for t in self._ledger.running(item) if t.seq)
            )

    def done(self, item: K) -> None:
        """Give back a taken key; it is queued again if it was added meanwhile."""
        with self._lock:
            since = self._processing.pop(item, None)
            if since is None:
                return
            self._metrics.work_duration.observe(self._clock.monotonic() - since)
            if self._has_reasons:
                self._ledger.finish(item)
            if self._trace is not None:
                self._record("done", item, causes=current_causes())
            if item in self._dirty:
                self._queue.append(item)
                if self._waiters:
                    self._ready.notify()
            # As upstream: a key that is dirty again wakes a taker, not whoever drains.
            elif not self._processing and self._is_draining:
                self._drained.notify_all()

    def hold(self, item: K) -> bool:
        """Keep a key, queued or not, from takers until `release`; False if one has it."""
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            if item in self._processing:
                return False
            self._held[item] = None
            if item in self._dirty:
                self._held[item] = self._place_locked(item)
                self._queue.remove(item)
            # To everybody else it is in processing: an add only marks it dirty, as during a run.
            self._processing[item] = self._clock.monotonic()
            return True

    def release(self, item: K) -> None:
        """Put a held key back where it was."""
        with self._lock:
            place = self._held.pop(item)
            del self._processing[item]
            if place is not None:
                self._rejoin_locked(item, place)
            elif item in self._dirty:
                self._queue.append(item)
            if item in self._dirty and self._waiters:
                self._ready.notify()
            if not self._processing and self._is_draining:
                self._drained.notify_all()

    def _place_locked(self, item: K) -> frozenset[K] | int:
        """Return the place of a key in the line: who is before it."""
        assert fork.held(self._ready)
        return frozenset(takewhile(lambda other: other != item, self._queue))

    def _rejoin_locked(self, item: K, place: frozenset[K] | int) -> None:
        """Put a key back to a place, whoever was taken meanwhile."""
        assert fork.held(self._ready)
        assert isinstance(place, frozenset)
        self._queue.insert(sum(1 for _ in takewhile(place.__contains__, self._queue)), item)

    def __repr__(self) -> str:
        with self._lock:
            sizes = len(self._queue), len(self._processing), len(self._delayed.entries)
        name = f"{self.name}: " if self.name else ""
        return "<{}{} {} queued, {} processing, {} delayed>".format(
            name, type(self).__name__, *sizes
        )

    # -- ending ----------------------------------------------------------------------

    def shut_down(self) -> None:
        """Refuse new adds and drop delayed ones; takers empty the queue and then get None."""
        with self._lock:
            self._is_draining = False
            self._shut_down_locked()

    def shut_down_with_drain(
        self, timeout_seconds: float | None = None, *, strict: bool = False
    ) -> bool:
        """Shut down, then wait until no key is in processing.

        As in client-go only keys in processing are waited for, not queued ones, and a
        worker that never calls `done` holds it up until somebody calls `shut_down`.

        Args:
            timeout_seconds: None waits without limit.
            strict: wait until the queue is empty as well.

        Returns:
            Whether the queue was drained (False: time-out, or `shut_down` came between).
        """
        with self._lock:
            self._is_draining = True
            self._shut_down_locked()
            deadline = Deadline(self._clock, timeout_seconds)
            while self._processing or (strict and self._queue):
                if not self._is_draining or deadline.is_over():
                    return False
                self._clock.wait(self._drained, deadline.remaining_seconds())
            return True

    def _shut_down_locked(self) -> None:
        assert fork.held(self._ready)
        self._is_shutting_down = True
        # As client-go, whose delaying loop ends with the queue: what was delayed is lost.
        self._delayed.clear()
        self._ready.notify_all()
        self._drained.notify_all()

    @property
    def is_shutting_down(self) -> bool:
        """Whether `shut_down` was called."""
        return self._is_shutting_down

    # -- looking in ------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many keys are ready; delayed and processing ones do not count."""
        if self._trace is not None:
            note_read(self._trace)
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            return len(self._queue)

    def peek(self) -> K | None:
        """Return the key that `try_get` would take, None if none is ready."""
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            return next(iter(self._queue), None)

    def next_due_seconds(self) -> float | None:
        """Return how long until the next delayed key is ready; None without one."""
        with self._lock:
            due = self._delayed.next_at()
            return None if due is None else max(0.0, due - self._clock.monotonic())

    def running_triggers(self, item: K) -> tuple[Trigger, ...]:
        """Return why the run of `item` in hand was asked for, oldest first."""
        with self._lock:
            held = item in self._held
            return self._ledger.waiting(item) if held else self._ledger.running(item)

    def snapshot(self) -> QueueSnapshot:
        """Return everything the queue holds at this moment."""
        if self._trace is not None:
            note_read(self._trace)
        with self._lock:
            if self._delayed.heap:
                self._promote_locked()
            now = self._clock.monotonic()
            queued = tuple(self._state("queued", k, now - self._dirty[k]) for k in self._queue)
            processing = tuple(
                self._state("processing", k, now - since) for k, since in self._processing.items()
            )
            delayed = tuple(
                self._delayed_state(k, entry, now) for k, entry in self._delayed.by_time()
            )
            metrics = self._metrics.frozen(len(self._queue), list(self._processing.values()), now)
            return QueueSnapshot(
                self.name, queued, processing, delayed, self._is_shutting_down, metrics
            )

    def _state(self, state: str, item: K, since_seconds: float) -> KeyState:
        is_running = state == "processing" and item not in self._held
        ledger = self._ledger
        return KeyState(
            key=str(item),
            state=state,
            attempts=self._attempts(item),
            is_dirty=is_running and item in self._dirty,
            since_seconds=since_seconds,
            triggers=ledger.running(item) if is_running else ledger.waiting(item),
            collapsed=ledger.count_running(item) if is_running else ledger.count(item),
            priority=self._priority_now(state, item),
        )

    def _delayed_state(self, item: K, entry: Delayed, now: float) -> KeyState:
        return KeyState(
            key=str(item),
            state="delayed",
            attempts=self._attempts(item),
            due_in_seconds=max(0.0, entry.ready_at - now),
            since_seconds=now - entry.since,
            triggers=tuple(entry.triggers),
            collapsed=len(entry.triggers),
            priority=self._priority_now("delayed", item),
        )

    @property
    def metrics(self) -> QueueMetrics:
        """The numbers of this moment."""
        return self.snapshot().metrics

    def _attempts(self, item: K) -> int:
        del item
        return 0

    def _priority_now(self, state: str, item: K) -> int:
        del state, item
        return 0

    def _record(self, kind: str, item: K, **fields: Any) -> int:  # noqa: ANN401 - the record's
        if self._trace is None:
            return 0
        fields.setdefault("data", {"queue": self.name})
        return self._trace.append(
            TraceStage.WORKQUEUE, kind, resource=self._resource, key=str(item), **fields
        )
