"""Performs the reflector's state machine: asks the server, reads the stream, fills the queue.

From: a `ListerWatcher`. To: the queue, as its only producer.

Guarantees:
  1. All decisions are `reflector_state.advance`'s; this file only does and reports.
  2. One unit of `step` is one transition or one watch event; nothing in it waits except a
     request that is under way. `wait` waits for the stream or the back-off.
  3. The server is asked at most as `RequestBudget` allows, whatever the decisions are.
  4. `stop` returns at once, from any thread: it ends the request or stream under way.

Thread: ``crlab-reflector-<resource>``; fields are its own, except what `stop` and the
status read: `_state`, `contact_at` (replaced whole), `_is_stopping`.
Source: kubernetes/client-go:tools/cache/reflector.go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from crlab.cache import reflector_state as machine
from crlab.cache.queue import Delta, DeltaType, Queue
from crlab.cache.reflector_state import Input, Phase, Policy, State
from crlab.cache.request_budget import RequestBudget
from crlab.cache.watch_verdict import QUEUED_AS, Verdict, judge
from crlab.client.list_watch import EndOfStream, ListerWatcher, WatchEvent, WatchStream
from crlab.errors import ApiError, CrlabError, DecodeError, api_error
from crlab.model.object import KubeObject
from crlab.runtime.backoff import Backoff, BackoffReset
from crlab.runtime.clock import Clock, Timer
from crlab.runtime.ids import Ids
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace, TraceStage

Transform = Callable[[KubeObject], KubeObject]
_MAX_READ_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Every limit the reflector keeps; tests shrink them.

    Attributes:
        idle_seconds: a stream without a whole event for so long is dead.
        min_watch_seconds: the server ends a watch after once to twice this (at least 300).
        stream_deadline_seconds: for the initial events of a streamed list.
        max_requests_per_second, request_burst: what a failing server may see.
    """

    idle_seconds: float = 75.0
    min_watch_seconds: float = 300.0
    stream_deadline_seconds: float = 60.0
    stream_warning_seconds: float = 10.0
    backoff_first_seconds: float = 0.8
    backoff_cap_seconds: float = 30.0
    backoff_reset_seconds: float = 120.0
    backoff_reset: BackoffReset = BackoffReset.IDLE
    max_requests_per_second: float = 1.0
    request_burst: int = 5
    max_list_bytes: int = 1 << 30


class Reflector:
    """A `Stage`: the only part that talks to the server."""

    def __init__(
        self,
        name: str,
        lister_watcher: ListerWatcher,
        queue: Queue,
        *,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        policy: Policy,
        timing: Timing,
        transform: Transform | None = None,
        resync_seconds: float = 0.0,
        should_resync: Callable[[], bool] = lambda: True,
        on_error: Callable[[BaseException | str], None] = lambda error: None,
        on_state: Callable[[], None] = lambda: None,
        is_scheduling: bool = False,
    ) -> None:
        """Prepare; nothing is asked before the first step.

        Args:
            is_scheduling: put due times on the clock, so that whoever advances it by hand
                can see them.
        """
        self._name = name
        self._lister_watcher = lister_watcher
        self._queue = queue
        self._clock = clock
        self._ids = ids
        self._trace = trace
        self.policy = policy
        self.timing = timing
        self.transform = transform
        self.resync_seconds = resync_seconds
        self._should_resync = should_resync
        self._on_error = on_error
        self._on_state = on_state
        self._resource = lister_watcher.resource.gvr.group_resource
        self._actor = f"informer/{self._resource}"
        self._cond = threading.Condition()
        self._state = State()
        self._due: deque[machine.Action] = deque()
        self._stream: WatchStream | None = None
        self._events: deque[WatchEvent] = deque()
        self._stream_error: BaseException | None = None
        self._items: list[KubeObject] = []
        self._fresh: dict[str, KubeObject] = {}
        self._page_items: list[KubeObject] = []
        self._page_count = 0
        self._list_bytes = 0
        self._opened_at = 0.0
        self._event_at = 0.0
        self._warned_at = 0.0
        self._stream_events = 0
        self._has_given_back = False
        self._ready_at: float | None = None
        self._resync_at: float | None = None
        self._last_seq = 0
        self._watch_seconds = 0.0
        self._is_scheduling = is_scheduling
        self._timer: Timer | None = None
        self._is_stopping = False
        self.contact_at: float | None = None
        self.violations = 0
        self.requests = 0
        self.error: BaseException | str | None = None
        self._budget = RequestBudget(
            clock, per_second=timing.max_requests_per_second, burst=timing.request_burst
        )
        self._backoff = Backoff(
            clock,
            ids,
            first_seconds=timing.backoff_first_seconds,
            cap_seconds=timing.backoff_cap_seconds,
            reset_seconds=timing.backoff_reset_seconds,
            reset=timing.backoff_reset,
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> State:
        """The present state; an immutable value."""
        return self._state

    @property
    def retry_in_seconds(self) -> float | None:
        """How long until the next try; None when not waiting."""
        ready = self._ready_at
        return None if ready is None else max(0.0, ready - self._clock.monotonic())

    # Stage -------------------------------------------------------------------------------

    def step(self, limit: int) -> int:
        done = 0
        while done < limit and not self._is_stopping:
            if self._resync_if_due():
                done += 1
                continue
            moved = self._advance_once(limit - done)
            if not moved:
                break
            done += moved
            if self._state.phase is not Phase.WATCHING:
                break  # let a driver look between two requests
        return done

    def _advance_once(self, limit: int) -> int:
        if self._due:
            return self._perform_due()
        phase = self._state.phase
        if phase is Phase.IDLE:
            self._feed(machine.Begin())
            return 1
        if phase is Phase.BACKING_OFF:
            if self._ready_at is None or self._clock.monotonic() < self._ready_at:
                return 0
            self._ready_at = None
            self._feed(machine.Begin())
            return 1
        if phase in (Phase.WATCHING, Phase.STREAMING_LIST):
            return self._read(limit)
        return 0

    def wait(self) -> None:
        if self._is_stopping:
            return
        stream = self._stream
        if stream is not None and not self._due and not self._events:
            self._fetch(min(_MAX_READ_SECONDS, self._seconds_to_timer()))
            return
        with self._cond:
            if not self._is_stopping:
                self._clock.wait(self._cond, self._seconds_to_timer())

    def wake(self) -> None:
        with self._cond:
            self._cond.notify_all()

    def stop(self) -> None:
        """End the call or stream under way and do nothing more. Idempotent; any thread."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._lister_watcher.abort()
        stream, timer = self._stream, self._timer
        if stream is not None:
            stream.close()
        if timer is not None:
            timer.cancel()
        before = self._state
        self._trace_state(before, replace(before, phase=Phase.STOPPED), "stopped")
        self.wake()

    def _seconds_to_timer(self) -> float:
        """Return how long until something is due by the clock alone."""
        now = self._clock.monotonic()
        due = [at for at in (self._ready_at, self._resync_at) if at is not None]
        if self._stream is not None:
            due.append(self._idle_limit_at())
        return max(0.0, min(due) - now) if due else _MAX_READ_SECONDS

    # Machine -----------------------------------------------------------------------------

    def _feed(self, happened: Input) -> None:
        before = self._state
        self._state, actions = machine.advance(before, happened, self.policy)
        self._due.extend(actions)
        after = self._state
        if after.phase is before.phase and after.health is before.health:
            return
        if after.phase is not Phase.BACKING_OFF:  # a wait reports itself, with its delay
            self._trace_state(before, after, after.cause)
        self._on_state()

    def _trace_state(
        self, before: State, after: State, reason: str, delay_seconds: float | None = None
    ) -> None:
        self._last_seq = self._trace.append(
            TraceStage.REFLECTOR,
            "state",
            resource=self._resource,
            resource_version=after.last_version,
            data={
                "state": after.phase.value,
                "previous": before.phase.value,
                "reason": reason,
                "delay_seconds": delay_seconds,
                "health": after.health.value,
            },
        )

    def _perform_due(self) -> int:
        """Perform actions up to and including the next request; 0 if it must wait."""
        while self._due:
            action = self._due[0]
            is_request = isinstance(action, machine.List | machine.Watch)
            if is_request and not self._may_ask(action):
                return 0
            self._due.popleft()
            self._perform(action)
            if is_request:
                return 1
        return 1

    def _may_ask(self, action: machine.Action) -> bool:
        """Whether the budget allows a request now; a following page is always allowed."""
        if isinstance(action, machine.List) and action.options.continue_token:
            return True
        delay = self._budget.delay_seconds()
        if delay > 0:
            self._ready_in(delay)
            return False
        self._ready_at = None
        self._budget.take()
        return True

    def _perform(self, action: machine.Action) -> None:
        match action:
            case machine.List():
                self._list(action)
            case machine.Watch():
                self._watch(action)
            case machine.Wait():
                self._wait(action)
            case machine.Collect():
                self._collect()
            case machine.Replace():
                self._replace(action.resource_version, action.is_new_epoch)
            case machine.Empty():
                self._queue_replace((), self._state.last_version, is_new_epoch=True)
            case machine.Discard():
                self._discard()
            case machine.Close():
                self._close_stream()
            case machine.Renew():
                renew = getattr(self._lister_watcher, "invalidate_credentials", None)
                if renew is not None:
                    renew()
            case machine.Report():
                self._report(action.error)

    def _wait(self, action: machine.Wait) -> None:
        if action.exactly_seconds is not None:
            delay = action.exactly_seconds
        else:
            delay = max(self._backoff.next_seconds(), action.at_least_seconds)
        self._ready_in(delay)
        self._trace_state(self._state, self._state, action.reason, delay)

    def _ready_in(self, delay_seconds: float) -> None:
        self._ready_at = self._clock.monotonic() + delay_seconds
        if self._is_scheduling:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._clock.call_at(self._ready_at, self.wake)

    def _report(self, error: BaseException | str) -> None:
        self.error = error
        if isinstance(error, str):
            self.violations += 1
        self._trace.append(
            TraceStage.REFLECTOR,
            "error",
            resource=self._resource,
            data={"error": str(error), "type": type(error).__name__},
        )
        self._on_error(error)

    # Requests ----------------------------------------------------------------------------

    def _list(self, action: machine.List) -> None:
        self.requests += 1
        try:
            with caused_by((self._last_seq,) if self._last_seq else (), self._actor):
                page = self._lister_watcher.list(action.options)
        except Exception as error:  # noqa: BLE001 - whatever fails, the machine decides
            if not self._is_stopping:
                self._feed(machine.Failed(error, at=self._clock.monotonic()))
            return
        self.contact_at = self._clock.monotonic()
        try:
            self._page_items = self._transformed(page.items)
        except CrlabError as error:
            self._feed(machine.Failed(error))
            return
        self._list_bytes += page.size_bytes
        if self._list_bytes > self.timing.max_list_bytes:
            self._feed(machine.Failed(self._too_big(len(page.items))))
            return
        self._feed(machine.PageRead(page.resource_version, page.continue_token))

    def _too_big(self, more: int) -> DecodeError:
        count, total = len(self._items) + len(self._fresh) + more, self._list_bytes
        return DecodeError(
            f"the list of {self._resource} is over {self.timing.max_list_bytes} bytes "
            f"({count} objects, {total} bytes read so far); narrow it with a selector or a "
            "namespace, or use a metadata-only informer"
        )

    def _watch(self, action: machine.Watch) -> None:
        self.requests += 1
        shortest = max(300.0, self.timing.min_watch_seconds)
        options = replace(
            action.options,
            timeout_seconds=int(self._ids.uniform(shortest, 2 * shortest)),
            allow_watch_bookmarks=action.options.allow_watch_bookmarks
            and self.policy.has_bookmarks,
        )
        self._watch_seconds = float(options.timeout_seconds or shortest)
        now = self._clock.monotonic()
        try:
            with caused_by((self._last_seq,) if self._last_seq else (), self._actor):
                self._stream = self._lister_watcher.watch(options)
        except Exception as error:  # noqa: BLE001 - whatever fails, the machine decides
            if not self._is_stopping:
                self._feed(machine.Failed(error, at=self._clock.monotonic()))
            return
        if self._is_stopping:
            self._stream.close()  # `stop` came while it was being opened
            return
        self._opened_at, self._event_at, self._warned_at = now, self._clock.monotonic(), now
        self._stream_events = 0
        self._has_given_back = False
        if self._state.silent == 0:
            self.contact_at = self._event_at
        if self._resync_at is None and self.resync_seconds > 0:
            self._resync_at = self._event_at + self.resync_seconds
        self._feed(machine.Opened())

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._events.clear()
        self._stream_error = None
        if stream is not None:
            stream.close()

    # Lists -------------------------------------------------------------------------------

    def _collect(self) -> None:
        self._items.extend(self._page_items)
        self._page_items = []
        self._page_count += 1

    def _discard(self) -> None:
        self._page_items = []
        self._list_bytes = 0
        self._items = []
        self._fresh = {}
        self._page_count = 0

    def _replace(self, version: str, is_new_epoch: bool) -> None:
        items = [*self._items, *self._fresh.values()]
        pages = self._page_count
        self._discard()
        self.contact_at = self._clock.monotonic()
        self._queue_replace(items, version, is_new_epoch=is_new_epoch, pages=pages)

    def _queue_replace(
        self,
        items: list[KubeObject] | tuple[KubeObject, ...],
        version: str,
        *,
        is_new_epoch: bool,
        pages: int = 0,
    ) -> None:
        seq = self._trace.append(
            TraceStage.REFLECTOR,
            "listed",
            resource=self._resource,
            resource_version=version,
            causes=(self._last_seq,) if self._last_seq else (),
            data={"count": len(items), "pages": pages, "objects": tuple(items)},
            payload_bytes=sum([len(obj.raw) for obj in items]),
        )
        self._queue.replace(
            Delta(
                DeltaType.REPLACED_ALL,
                items=items,
                resource_version=version,
                cause=seq,
                is_new_epoch=is_new_epoch,
            )
        )

    def _transformed(self, items: list[KubeObject]) -> list[KubeObject]:
        """Return the items as the user wants them kept.

        Raises:
            CrlabError: the transform raised; the whole list fails (rule 32).
        """
        transform = self.transform
        if transform is None:
            return items
        try:
            return [transform(obj) for obj in items]
        except Exception as error:
            raise CrlabError(
                f"the transform raised on the list of {self._resource}: "
                f"{type(error).__name__}: {error}"
            ) from error

    # Events ------------------------------------------------------------------------------

    def _fetch(self, timeout_seconds: float) -> None:
        """Read what the stream has into `_events`."""
        stream = self._stream
        if stream is None or self._stream_error is not None:
            return
        try:
            events = stream.read(timeout_seconds)
        except Exception as error:  # noqa: BLE001 - whatever fails, the machine decides
            self._stream_error = error
            return
        if events:
            self._events.extend(events)
            self._event_at = self._clock.monotonic()

    def _read(self, limit: int) -> int:
        """Hand on up to `limit` events; or say that the stream ended or is silent."""
        if not self._events:
            self._fetch(0)
        if self._events:
            return self._take(limit)
        if self._stream_error is not None:
            self._stream_over(self._stream_error)
            return 1
        return self._check_silence()

    def _stream_over(self, error: BaseException) -> None:
        if self._is_stopping:
            return
        if isinstance(error, DecodeError):
            self._feed(machine.Distrusted(str(error)))
            return
        if isinstance(error, ApiError):
            self._feed(machine.Failed(error, is_in_stream=True, at=self._clock.monotonic()))
            return
        lasted = self._clock.monotonic() - self._opened_at
        cut = None if isinstance(error, EndOfStream) else error
        self._feed(machine.Ended(self._stream_events, lasted, cut))

    @property
    def idle_seconds(self) -> float:
        """How long a stream may be silent; without bookmarks, until the server ends it."""
        if self.policy.has_bookmarks:
            return self.timing.idle_seconds
        return self._watch_seconds + 5.0

    def _idle_limit_at(self) -> float:
        if self._state.phase is Phase.STREAMING_LIST:
            return self._opened_at + self.timing.stream_deadline_seconds
        return self._event_at + self.idle_seconds

    def _check_silence(self) -> int:
        now = self._clock.monotonic()
        if now >= self._idle_limit_at():
            if self._state.phase is Phase.STREAMING_LIST:
                reason = (
                    f"the initial events did not end within "
                    f"{self.timing.stream_deadline_seconds:g} s"
                )
            else:
                reason = f"no event or bookmark for {now - self._event_at:.0f} s"
            self._feed(machine.Silent(reason))
            return 1
        is_initial = self._state.phase is Phase.STREAMING_LIST
        if is_initial and now - self._warned_at >= self.timing.stream_warning_seconds:
            self._warned_at = now
            self._report("still waiting for the bookmark that ends the initial events")
        return 0

    def _take(self, limit: int) -> int:
        """Judge events in order; those that are good go to the queue together."""
        good: list[WatchEvent] = []
        taken = 0
        while self._events and taken < limit:
            event = self._events.popleft()
            taken += 1
            verdict = judge(event, self._state.last_version)
            if verdict is Verdict.APPLY:
                good.append(event)
                continue
            self._hand_on(good)
            good = []
            self._special(event, verdict)
            if verdict is not Verdict.BOOKMARK:
                return taken
        self._hand_on(good)
        return taken

    def _special(self, event: WatchEvent, verdict: Verdict) -> None:
        self._stream_events += 1
        match verdict:
            case Verdict.BOOKMARK:
                self._bookmark(event.resource_version)
            case Verdict.INITIAL_END if self._state.phase is Phase.STREAMING_LIST:
                self._progress()
                self._feed(machine.InitialEnd(event.resource_version))
            case Verdict.INITIAL_END:
                self._bookmark(event.resource_version)
            case Verdict.ERROR:
                status = event.status or {}
                code = status.get("code")
                error = api_error(
                    code if isinstance(code, int) else 0,
                    status,
                    tried=f"watch {self._resource}",
                    retry_after_seconds=_status_retry_after(status),
                )
                self._feed(machine.Failed(error, is_in_stream=True, at=self._clock.monotonic()))
            case _:
                self._feed(machine.Distrusted(verdict.value))

    def _bookmark(self, version: str) -> None:
        self._progress()
        if self._state.phase is Phase.STREAMING_LIST:
            return
        self._see([("BOOKMARK", version)])
        seq = self._trace.append(
            TraceStage.REFLECTOR,
            "bookmark",
            resource=self._resource,
            resource_version=version,
        )
        self._queue.bookmark(version, seq)

    def _progress(self, *, is_new: bool = False) -> None:
        """A whole event came: the stream is alive, and if it was new, worth its request."""
        self.contact_at = self._clock.monotonic()
        if is_new and not self._has_given_back:
            self._has_given_back = True
            self._budget.give_back()

    def _hand_on(self, good: list[WatchEvent]) -> None:
        if not good:
            return
        self._stream_events += len(good)
        if self._state.phase is Phase.STREAMING_LIST:
            self._keep(good)
            return
        deltas = [delta for event in good if (delta := self._delta(event)) is not None]
        before = self._state.last_version
        self._see([(event.type, event.resource_version) for event in good])
        self._queue.add(deltas)
        self._progress(is_new=self._state.last_version != before)

    def _see(self, seen: list[tuple[str, str]]) -> None:
        """Move the resourceVersion over what was handed on."""
        before = self._state
        self._state = machine.with_events(before, seen)
        if self._state.health is not before.health:
            self._trace_state(before, self._state, "the stream is alive again")
            self._on_state()

    def _delta(self, event: WatchEvent) -> Delta | None:
        obj = event.object
        assert obj is not None
        if self.transform is not None:
            try:
                obj = self.transform(obj)
            except Exception as error:  # noqa: BLE001 - a user's function; reported (rule 32)
                self._report(f"the transform raised on {obj.key}: {type(error).__name__}: {error}")
                return None
        version = event.resource_version
        write = self._trace.write_seq(self._resource, version)
        seq = self._trace.append(
            TraceStage.REFLECTOR,
            "watch_event",
            resource=self._resource,
            key=obj.key,
            resource_version=version,
            causes=(write,) if write else (),
            data={"type": event.type, "object": obj},
            payload_bytes=len(obj.raw),
        )
        kind = QUEUED_AS[event.type]
        queued = self._trace.append(
            TraceStage.QUEUE,
            "queued",
            resource=self._resource,
            key=obj.key,
            resource_version=version,
            causes=(seq,) if seq else (),
            data={"type": kind.value},
        )
        return Delta(kind, obj.key, obj, resource_version=version, cause=queued)

    def _keep(self, events: list[WatchEvent]) -> None:
        """Collect initial events in the temporary store (rule 21)."""
        for event in events:
            obj = event.object
            assert obj is not None
            if event.type == "DELETED":
                self._fresh.pop(obj.key, None)
            else:
                self._fresh[obj.key] = obj

    # Resync ------------------------------------------------------------------------------

    def _resync_if_due(self) -> bool:
        at = self._resync_at
        if at is None or self._clock.monotonic() < at:
            return False
        self._resync_at = self._clock.monotonic() + self.resync_seconds
        if not self._should_resync():
            return False
        seq = self._trace.append(TraceStage.QUEUE, "resync", resource=self._resource)
        self._queue.resync(seq)
        return True


def _status_retry_after(status: dict[str, object]) -> float | None:
    details = status.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else None
