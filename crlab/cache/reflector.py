"""Performs the reflector's state machine: asks the server, reads the stream, fills the queue.

From: a `ListerWatcher`. To: the queue, as its only producer.

Guarantees:
  1. All decisions are `reflector_state.advance`'s; this file only does and reports.
  2. One unit of `step` is one request, one transition or one watch event; nothing in it
     waits except a request under way. `wait` waits for the stream or the back-off.
  3. The server is asked at most as `RequestBudget` allows, whatever the decisions are.
  4. `stop` returns at once, from any thread: it ends the request or stream under way.

Thread: ``crlab-reflector-<resource>``; fields are its own, except what `stop` and the
status read: `state`, `contact_at` (replaced whole), `_is_stopping`, `_reader`.
Source: kubernetes/client-go:tools/cache/reflector.go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from msgspec import structs

from crlab.cache import polling
from crlab.cache import reflector_message as message
from crlab.cache import reflector_state as machine
from crlab.cache.fifo import Delta, DeltaType, Queue, is_in_scope
from crlab.cache.listing import Listing, Transform
from crlab.cache.outside import Outside
from crlab.cache.reflector_log import ReflectorLog
from crlab.cache.reflector_message import RESTING, Health, Phase, Policy, State
from crlab.cache.request_budget import RequestBudget
from crlab.cache.stream_reader import StreamReader
from crlab.cache.watch_error import served_as, status_error
from crlab.cache.watch_verdict import Verdict, judge, usual_count
from crlab.client.list_watch import EndOfStream, ListerWatcher, WatchEvent
from crlab.errors import ApiError, CrlabError, DecodeError, describe_error, let_go
from crlab.model.object import KubeObject
from crlab.runtime.backoff import Backoff, BackoffReset
from crlab.runtime.clock import Clock, Timer
from crlab.runtime.ids import Ids
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace

_MAX_WAIT_SECONDS = 1.0  # so that a sleep of the machine is noticed within it
_MIN_WATCH_SECONDS = 300.0
DIRECT = 8  # so few events are processed by the thread that read them


@dataclass(frozen=True, slots=True)
class Timing:
    """Every limit the reflector keeps; tests shrink them.

    Attributes:
        idle_seconds: a stream without a whole event for so long is dead.
        min_watch_seconds: the server ends a watch after once to twice this (at least 300).
        stream_deadline_seconds: for the initial events of a streamed list.
        stream_warning_seconds: how often their missing end is reported.
        max_requests_per_second, request_burst: what a failing server may see.
        max_list_bytes: a longer list is refused.
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
        process_now: Callable[[], None] | None = None,
        scheduling: bool = False,
        scope: str = "",
        source: str = "",
    ) -> None:
        """Prepare; nothing is asked before the first step.

        Args:
            process_now: does what was queued on the caller's thread; spares an event that
                comes alone a change of threads.
            scope: the namespace its lists replace, where others share the queue.
            source: what the trace calls the informer; its name and selectors.
            scheduling: put due times on the clock, so that whoever advances it by hand
                can see them.
        """
        self._name = name
        self.scope = scope
        self._lister_watcher = lister_watcher
        self._queue = queue
        self._clock = clock
        self._ids = ids
        self.policy = policy
        self.timing = timing
        self.resync_seconds = resync_seconds
        self._should_resync = should_resync
        self._on_error = on_error
        self._on_state = on_state
        self._process_now = process_now
        self._resource = lister_watcher.resource.gvr.group_resource
        self._actor = f"informer/{self._resource}"
        self._where = f"informer/{source or name}"
        self._log = ReflectorLog(trace, self._resource, source=source or name, namespace=scope)
        self._cond = threading.Condition()
        self.state = State()
        self._left = self.state  # what it was in before the wait it is in
        self._due: deque[message.Action] = deque()
        self._reader: StreamReader | None = None
        self._failures = trace.failures
        self._listing = Listing(
            self._resource, transform, timing.max_list_bytes, on_transform=self._transform_went
        )
        self._watch_seconds = timing.min_watch_seconds
        self._ready_at: float | None = None
        self._resync_at: float | None = None
        self._is_scheduling = scheduling
        self._timer: Timer | None = None
        self._is_stopping = False
        self.contact_at: float | None = None
        self.violations = 0
        self.requests = 0
        self.error: BaseException | str | None = None
        self.outside = Outside(clock)
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
    def retry_in_seconds(self) -> float | None:
        """How long until the next try; None when not waiting."""
        ready = self._ready_at
        return None if ready is None else max(0.0, ready - self._clock.monotonic())

    @property
    def idle_seconds(self) -> float:
        """How long a stream may be silent; without bookmarks, until the server ends it.

        Without a stream, while it polls: how long ago the last list may be.
        """
        if self.state.is_polling:
            return polling.limit_seconds(self.policy)
        return self.timing.idle_seconds if self.policy.has_bookmarks else self._watch_seconds + 5

    def covers(self, key: str) -> bool:
        """Whether its lists decide about a key."""
        return is_in_scope(key, self.scope)

    def set_transform(self, transform: Transform | None) -> None:
        """Choose what to keep of an object; before the first step."""
        self._listing.transform = transform

    # Stage -------------------------------------------------------------------------------

    def step(self, limit: int) -> int:
        if self.state.health is not Health.LIVE:
            self._on_state()  # how long it has not been live is a state too
        done = int(self._heard_from_outside())
        while done < limit and not self._is_stopping:
            if self._resync_if_due():
                done += 1
                continue
            moved = self._step_once(limit - done)
            done += moved
            if not moved or self.state.phase is not Phase.WATCHING:
                break  # nothing to do, or between two requests: let the driver look
        return done

    def _step_once(self, limit: int) -> int:
        if self._due:
            return self._perform_due()
        match self.state.phase:
            case Phase.IDLE:
                self._feed(message.Begin())
                return 1
            case Phase.BACKING_OFF | Phase.POLLING:
                if self._ready_at is None or self._clock.monotonic() < self._ready_at:
                    return 0
                self._ready_at = None
                self._feed(message.Begin())
                return 1
            case Phase.WATCHING | Phase.STREAMING_LIST if self._reader is not None:
                return self._read(self._reader, limit)
            case _:
                return 0

    def wait(self) -> None:
        if self._is_stopping:
            return
        # An open stream is waited for at its socket, which `wake` does not reach; only closing the
        # reader ends that wait. So it is cut short, or a sleep of the machine, an audit's finding
        # or a timer would be noticed late.
        reader = self._reader
        if reader is not None and not self._due and not reader.events:
            reader.fetch(min(_MAX_WAIT_SECONDS, self._seconds_to_timer()))
            return
        with self._cond:
            # Asked again under the lock: a `stop` since the first look has notified already, and
            # does so only once.
            if not self._is_stopping:
                self._clock.wait(self._cond, min(_MAX_WAIT_SECONDS, self._seconds_to_timer()))

    def wake(self) -> None:
        with self._cond:
            self._cond.notify_all()

    def stop(self) -> None:
        """End the call or stream under way and do nothing more. Idempotent; any thread."""
        if self._is_stopping:
            return
        # The flag before the abort: a call that ends by it must not be taken for a failure.
        self._is_stopping = True
        self._lister_watcher.abort()
        reader, timer = self._reader, self._timer
        if reader is not None:
            reader.close()
        if timer is not None:
            timer.cancel()
        self._log.state(self.state, structs.replace(self.state, phase=Phase.STOPPED), "stopped")
        self.wake()

    def _seconds_to_timer(self) -> float:
        """Return how long until something is due by the clock alone."""
        due = [at for at in (self._ready_at, self._resync_at) if at is not None]
        if self._reader is not None:
            due.append(self._silence_at(self._reader))
        return max(0.0, min(due) - self._clock.monotonic()) if due else _MAX_WAIT_SECONDS

    def _heard_from_outside(self) -> bool:
        """Take in that the machine slept, or what an audit found."""
        happened = self.outside.take(asking=bool(self._due))
        if happened is None or self._is_stopping:
            return False
        if isinstance(happened, message.Slept):
            self._backoff.restart()
            if self.contact_at is not None:
                self.contact_at -= happened.seconds  # the age counts the sleep
        self._feed(happened)
        return True

    # Machine -----------------------------------------------------------------------------

    def _feed(self, happened: message.Input) -> None:
        """Show the machine what happened; take its next state and what is to be done."""
        before = self.state
        after, actions = machine.advance(before, happened, self.policy)
        self.state = after
        self._due.extend(actions)
        if after.phase is before.phase and after.health is before.health:
            return
        if after.phase not in RESTING:
            self._log.state(before, after, after.cause)
        else:
            self._left = before  # the wait reports itself, with its delay
        self._on_state()

    def _perform_due(self) -> int:
        """Perform actions up to and including the next request; 0 if that must wait."""
        while self._due:
            action = self._due[0]
            is_request = isinstance(action, message.List | message.Watch)
            if is_request and not self._may_ask(action):
                return 0
            self._due.popleft()
            self._perform(action)
            # One request a step: between two, a stop is seen, and a manual driver can halt.
            if is_request:
                break
        return 1

    def _may_ask(self, action: message.Action) -> bool:
        """Whether the budget allows a request now; a page after a full one always is."""
        # The budget is spent here only, so that no way through the machine (a watch that ends at
        # once, a 410 after every list) becomes a storm of requests. A further page belongs to a
        # list that was paid for; but empty pages could go on without end, so they pay.
        is_page = isinstance(action, message.List) and action.options.continue_token
        if is_page and not self._listing.was_empty:
            return True
        delay = self._budget.delay_seconds()
        if delay > 0:
            self._ready_in(delay)
            return False
        self._ready_at = None
        self._budget.take()
        return True

    def _perform(self, action: message.Action) -> None:
        match action:
            case message.List():
                self._list(action)
            case message.Watch():
                self._watch(action)
            case message.Wait():
                self._wait(action)
            case message.Collect():
                self._listing.collect()
            case message.Replace():
                self._replace(action)
            case message.Empty():
                self._queue_replace([], self.state.last_version, new_epoch=False)
            case message.Discard():
                self._listing.discard()
            case message.Close():
                self._close()
            case message.Renew():
                renew = getattr(self._lister_watcher, "invalidate_credentials", None)
                if renew is not None:
                    renew()
            case message.Report():
                self._report(action.error)

    def _wait(self, action: message.Wait) -> None:
        delay = action.exactly_seconds
        if delay is None:
            delay = max(self._backoff.next_seconds(), action.at_least_seconds)
        self._ready_in(delay)
        before, self._left = self._left, self.state
        self._log.state(before, self.state, action.reason, delay)

    def _ready_in(self, delay_seconds: float) -> None:
        self._ready_at = self._clock.monotonic() + delay_seconds
        # Who advances a clock by hand goes from timer to timer: this wait has to be one.
        if self._is_scheduling:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._clock.call_at(self._ready_at, self.wake)

    def _report(self, error: BaseException | str) -> None:
        self.error = error
        self.violations += isinstance(error, str | DecodeError)
        self._log.error(error)
        self._on_error(error)

    # Requests ----------------------------------------------------------------------------

    def _list(self, action: message.List) -> None:
        self.requests += 1
        try:
            with caused_by(self._log.causes, self._actor):
                page = self._lister_watcher.list(action.options)
            self._listing.read(page)
        except Exception as error:  # noqa: BLE001 - whatever fails, the machine decides
            let_go(error)
            self._failed(error)
            return
        self.contact_at = self._clock.monotonic()
        self._feed(message.PageRead(page.resource_version, page.continue_token))

    def _watch(self, action: message.Watch) -> None:
        self.requests += 1
        shortest = max(_MIN_WATCH_SECONDS, self.timing.min_watch_seconds)
        # As client-go: between one and two times the least, so that watches that began together do
        # not all end together.
        self._watch_seconds = int(self._ids.uniform(shortest, 2 * shortest))
        options = replace(
            action.options,
            timeout_seconds=self._watch_seconds,
            allow_watch_bookmarks=self.policy.has_bookmarks,
        )
        asked_at = self._clock.monotonic()
        try:
            with caused_by(self._log.causes, self._actor):
                stream = self._lister_watcher.watch(options)
        except Exception as error:  # noqa: BLE001 - whatever fails, the machine decides
            let_go(error)
            self._failed(error)
            return
        self._reader = StreamReader(stream, self._clock, asked_at)
        if self._is_stopping:  # `stop` came while it was being opened and did not see it
            stream.close()
            return
        # After a stream that stayed silent an answer proves nothing yet (a proxy may give it): the
        # age goes on until an event comes.
        if self.state.silent == 0:
            self.contact_at = self._clock.monotonic()
        if self._resync_at is None and self.resync_seconds > 0:
            self._resync_at = self._clock.monotonic() + self.resync_seconds
        self._feed(message.Opened())

    def _failed(self, error: BaseException, *, in_stream: bool = False) -> None:
        # What `stop` aborted is no failure.
        if not self._is_stopping:
            now = self._clock.monotonic()
            served = served_as(self._lister_watcher, error, self._budget.take)
            self._feed(message.Failed(error, in_stream, at=now, served_as=served))

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    # Lists -------------------------------------------------------------------------------

    def _replace(self, action: message.Replace) -> None:
        pages = self._listing.pages
        self.contact_at = self._clock.monotonic()
        self._queue_replace(
            self._listing.take(),
            action.resource_version,
            new_epoch=action.is_new_epoch,
            pages=pages,
        )

    def _queue_replace(
        self, items: Sequence[KubeObject], version: str, *, new_epoch: bool, pages: int = 0
    ) -> None:
        seq = self._log.listed(items, version, pages)
        self._queue.replace(
            Delta(
                DeltaType.REPLACED_ALL,
                items=items,
                resource_version=version,
                cause=seq,
                is_new_epoch=new_epoch,
                scope=self.scope,
            )
        )

    # Events ------------------------------------------------------------------------------

    def _read(self, reader: StreamReader, limit: int) -> int:
        """Hand on up to `limit` events; or say that the stream ended or is silent."""
        if not reader.events and self._is_scheduling:
            reader.fetch(0)  # on a thread of its own, `wait` fetches
        if reader.events:
            return self._take(reader, limit)
        if reader.error is not None:
            self._stream_over(reader, reader.error)
            return 1
        return self._check_silence(reader)

    def _stream_over(self, reader: StreamReader, error: BaseException) -> None:
        if self._is_stopping:
            return
        if isinstance(error, DecodeError):
            self._feed(message.Distrusted(str(error)))
        elif isinstance(error, ApiError):
            self._failed(error, in_stream=True)
        else:
            cut = None if isinstance(error, EndOfStream) else error
            self._feed(message.Ended(reader.seen, reader.lasted_seconds, cut))

    def _silence_at(self, reader: StreamReader) -> float:
        if self.state.phase is Phase.STREAMING_LIST:
            return reader.opened_at + self.timing.stream_deadline_seconds
        return reader.event_at + self.idle_seconds

    def _check_silence(self, reader: StreamReader) -> int:
        now = self._clock.monotonic()
        is_initial = self.state.phase is Phase.STREAMING_LIST
        if now >= self._silence_at(reader):
            self._feed(
                message.Silent(
                    f"the initial events did not end within "
                    f"{self.timing.stream_deadline_seconds:g} s"
                    if is_initial
                    else f"no event or bookmark for {now - reader.event_at:.0f} s"
                )
            )
            return 1
        if is_initial and now - reader.warned_at >= self.timing.stream_warning_seconds:
            reader.warned_at = now
            self._on_error("still waiting for the bookmark that ends the initial events")
        return 0

    def _take(self, reader: StreamReader, limit: int) -> int:
        """Judge events in order; those that are good go to the queue together."""
        events = reader.events
        # Nearly all events are good: one tight loop counts them before any is judged alone.
        taken = usual_count(islice(events, limit), self.state.last_version)
        good = [events.popleft() for _ in range(taken)]
        while events and taken < limit:
            event = events.popleft()
            taken += 1
            verdict = judge(event, self.state.last_version)
            if verdict is Verdict.APPLY:
                good.append(event)
                continue
            reader.seen += taken
            if self._hand_on(reader, good):
                self._special(reader, event, verdict)
            return taken
        reader.seen += taken
        self._hand_on(reader, good)
        return taken

    def _special(self, reader: StreamReader, event: WatchEvent, verdict: Verdict) -> None:
        is_initial = self.state.phase is Phase.STREAMING_LIST
        match verdict:
            case Verdict.INITIAL_END if is_initial:
                self._end_initial(event.resource_version)
            case Verdict.BOOKMARK | Verdict.INITIAL_END:
                self.contact_at = self._clock.monotonic()
                if not is_initial:
                    self._bookmark(event.resource_version)
            case Verdict.ERROR:
                self._failed(status_error(event.status, self._resource), in_stream=True)
            case _:
                self._feed(message.Distrusted(verdict.value))

    def _end_initial(self, version: str) -> None:
        self.contact_at = self._clock.monotonic()
        self._listing.finish_kept()
        self._feed(message.InitialEnd(version))

    def _bookmark(self, version: str) -> None:
        self._see([("BOOKMARK", version)])
        self._queue.bookmark(version, self._log.bookmark(version), self.scope)

    def _hand_on(self, reader: StreamReader, good: list[WatchEvent]) -> bool:
        """Queue good events; False if they could not be kept and the stream is given up."""
        if not good:
            return True
        self.contact_at = self._clock.monotonic()
        if self.state.phase is Phase.STREAMING_LIST:
            try:
                self._listing.keep(good)
            except CrlabError as error:
                let_go(error)
                self._failed(error)
                return False
            return True
        deltas = self._log.deltas(self._transformed(good))
        before, was_unordered = self.state.last_version, self.state.is_unordered
        self._see([(event.type, event.resource_version) for event in good])
        if was_unordered:
            deltas = _without_order(deltas)
        # Few events reach their handlers sooner if they are processed here; of many, the processor
        # works one part while this thread reads the next.
        is_direct = self._process_now is not None and len(deltas) <= DIRECT
        self._queue.add(deltas, waking=not is_direct)
        version = self.state.last_version
        if version != before and (not deltas or deltas[-1].resource_version != version):
            self._queue.bookmark(version, scope=self.scope)  # the last was refused, or was old
        if is_direct and self._process_now is not None:
            self._process_now()
        # A watch that brought something was worth its request; only those that bring nothing use
        # the budget up.
        if not reader.is_worth_it and self.state.last_version != before:
            reader.is_worth_it = True
            self._budget.give_back()
        return True

    def _see(self, seen: list[tuple[str, str]]) -> None:
        """Move the resourceVersion over what was handed on."""
        before = self.state
        self.state = machine.with_events(before, seen)
        if self.state.health is not before.health:
            self._log.state(before, self.state, "the stream is alive again")
            self._on_state()

    def _transformed(self, events: Sequence[WatchEvent]) -> list[tuple[WatchEvent, KubeObject]]:
        """Return each event with what to keep of its object, without those refused."""
        transform = self._listing.transform
        found = []
        for event in events:
            obj = event.object
            assert obj is not None
            try:
                found.append((event, obj if transform is None else transform(obj)))
                self._transform_went(obj.key, None)
            except Exception as error:  # noqa: BLE001 - a user's function; reported (rule 32)
                self._transform_went(obj.key, error)
                text = f"the transform raised on {obj.key}: {describe_error(error)}"
                self._report(CrlabError(text))
        return found

    def _transform_went(self, key: str, error: BaseException | None) -> None:
        """Keep and log that the transform failed on an object ("": in a list), or worked."""
        if error is not None:
            self._failures.failed("transform", self._where, key, error)
        elif self._failures.present:
            if key:
                self._failures.worked("transform", self._where, key)
            else:  # a list that went well has brought what an event could not
                self._failures.keep("transform", self._where)

    # Resync ------------------------------------------------------------------------------

    def _resync_if_due(self) -> bool:
        """Queue a resync when its time has come and a handler wants it (rule 19)."""
        at = self._resync_at
        if at is None or self._clock.monotonic() < at:
            return False
        # As client-go: the period goes on whether or not a handler wants this one.
        self._resync_at = self._clock.monotonic() + self.resync_seconds
        if not self._should_resync():
            return False
        self._queue.resync(self._log.resync())
        return True


def _without_order(deltas: list[Delta]) -> list[Delta]:
    """Return deltas whose first ADDEDs, in no order, do not bring the store to their version."""
    first = next((n for n, x in enumerate(deltas) if x.type is not DeltaType.ADDED), len(deltas))
    return [structs.replace(x, resource_version="") for x in deltas[:first]] + deltas[first:]
