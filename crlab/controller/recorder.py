"""Kubernetes Events about what a controller did, sent in the background.

From: `ctx.event`. To: the API server (core/v1 Events), after the correlator.

Guarantees:
  1. Recording never blocks and never fails a reconcile; what does not fit into the backlog
     of 1000 is dropped and counted.
  2. A connection that fails is tried 12 times, 10 s apart; a refusal is not retried
     (rule 67).

Thread: `event` from any thread; sending on the stage ``crlab-<controller>-events``, which
is made with the first event. `_lock` guards the backlog and the correlator.
Source: kubernetes/client-go:tools/record/event.go.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from crlab.client.dynamic import DynamicClient
from crlab.controller.event_correlator import EventCorrelator, Observed
from crlab.errors import AlreadyExists, ConfigError, CrlabError, NotFound, TransportError
from crlab.model.mask import MASK, VALUE_MASK
from crlab.runtime.clock import Clock
from crlab.runtime.driver import Driver, StageHandle
from crlab.runtime.ids import Ids
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace, TraceStage

EVENT_BACKLOG = 1000
MAX_TRIES = 12
RETRY_SECONDS = 10.0
TYPES = ("Normal", "Warning")


class _Pending:
    __slots__ = ("causes", "due_at", "event", "is_dry_run", "observed", "tries")

    def __init__(
        self,
        event: dict[str, Any],
        observed: Observed,
        dry_run: bool,
        causes: tuple[int, ...],
    ) -> None:
        self.event = event
        self.observed = observed
        self.is_dry_run = dry_run
        self.causes = causes
        self.tries = 0
        self.due_at = 0.0


class EventRecorder:
    """Writes Events for one component."""

    is_worker = False

    def __init__(
        self,
        component: str,
        *,
        client: DynamicClient,
        driver: Driver,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        actor: str = "",
    ) -> None:
        self.component = component
        self.name = f"{component}-events"
        self._actor = actor or component
        self._client = client
        self._driver = driver
        self._clock = clock
        self._ids = ids
        self._trace = trace
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._backlog: deque[_Pending] = deque()
        self._correlator = EventCorrelator(clock)
        self._handle: StageHandle | None = None
        self._wakes = 0
        self._seen_wakes = 0  # a wake between `step` and `wait` is not lost
        self._is_closed = False
        self.sent = 0
        self.filtered = 0
        self.dropped = 0
        self.failed = 0

    def event(
        self,
        regarding: Mapping[str, Any],
        type: str,
        reason: str,
        message: str,
        *,
        dry_run: bool = False,
        causes: tuple[int, ...] = (),
    ) -> None:
        """Record that something happened to `regarding`.

        Args:
            type: "Normal" or "Warning".
            reason: why, one CamelCase word.

        Raises:
            ConfigError: a type or reason that the API does not take.
        """
        if type not in TYPES:
            raise ConfigError(f"an event's type is Normal or Warning, not {type!r}")
        if not isinstance(reason, str) or not reason:
            raise ConfigError(f"an event's reason is one CamelCase word, not {reason!r}")
        text = VALUE_MASK.sub(MASK, str(message)).encode("utf-8", "replace").decode()
        made = self._made(regarding, type, reason, text)
        with self._lock:
            if self._is_closed:
                return
            # What a dry run says was never said: the next of its kind is the first one.
            memory = EventCorrelator(self._clock) if dry_run else self._correlator
            written = memory.correlate(made)
            if written is None:
                self.filtered += 1
                return
            if len(self._backlog) >= EVENT_BACKLOG:
                self.dropped += 1
                return
            self._backlog.append(_Pending(*written, dry_run, causes))
            self._news.notify_all()
            is_first = self._handle is None
            if is_first:
                self._handle = StageHandle(self, None)  # holds the place until it is added
        if is_first:
            self._handle = self._driver.add(self, on_error=self._died)
            if self._is_closed:
                self._handle.stop()

    def _made(
        self, regarding: Mapping[str, Any], type_: str, reason: str, message: str
    ) -> dict[str, Any]:
        metadata = regarding.get("metadata") or {}
        name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
        about = {
            "apiVersion": regarding.get("apiVersion"),
            "kind": regarding.get("kind"),
            "namespace": namespace,
            "name": name,
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{name}.{self._ids.suffix(16)}",
                "namespace": namespace or "default",
            },
            "involvedObject": {
                field: value
                for field, value in about.items()
                if value and field != "resourceVersion"
            },
            "reason": reason,
            "message": message[:1024],
            "type": type_,
            "source": {"component": self.component},
            "reportingComponent": self.component,
            "reportingInstance": "",
        }

    # -- the stage ---------------------------------------------------------------------

    def step(self, limit: int) -> int:
        """Send what is due, one at a time."""
        count = 0
        while count < limit and (pending := self._take()) is not None:
            self._send(pending)
            count += 1
        return count

    def wait(self) -> None:
        """Wait for an event, or for the time of a retry."""
        with self._lock:
            if self._wakes == self._seen_wakes and not self._is_due_locked():
                due = self._backlog[0].due_at - self._clock.monotonic() if self._backlog else None
                self._clock.wait(self._news, due)
            self._seen_wakes = self._wakes

    def wake(self) -> None:
        """Make `wait` return."""
        with self._lock:
            self._wakes += 1
            self._news.notify_all()

    def _is_due_locked(self) -> bool:
        assert self._lock.locked()
        return bool(self._backlog) and self._backlog[0].due_at <= self._clock.monotonic()

    def _take(self) -> _Pending | None:
        with self._lock:
            return self._backlog.popleft() if self._is_due_locked() else None

    def _send(self, pending: _Pending) -> None:
        try:
            with caused_by(pending.causes, self._actor):
                self._write(pending)
            self.sent += 1
            self._trace.failures.worked("event", self._actor)
        except TransportError as error:
            pending.tries += 1
            if pending.tries >= MAX_TRIES:
                self._gave_up(pending, error)
                return
            pending.due_at = self._clock.monotonic() + RETRY_SECONDS
            with self._lock:
                # To the front again: an object's Events are written in their order.
                self._backlog.appendleft(pending)
        except CrlabError as error:
            self._gave_up(pending, error)

    def _write(self, pending: _Pending) -> None:
        event = pending.event
        namespace = event["metadata"]["namespace"]
        options = {"namespace": namespace, "dry_run": pending.is_dry_run}
        if event["count"] > 1:
            patch = {name: event[name] for name in ("count", "lastTimestamp", "message")}
            try:
                self._client.patch("events", event["metadata"]["name"], patch, **options)
                return
            except NotFound:
                pass  # it expired: write it again
        try:
            self._client.create("events", event, **options)
        except AlreadyExists:
            pass  # the first try arrived after all

    def _gave_up(self, pending: _Pending, error: CrlabError) -> None:
        self.failed += 1
        self._trace.append(
            TraceStage.RECONCILE,
            "event_lost",
            causes=pending.causes,
            data={"controller": self.component, "error": type(error).__name__},
        )
        self._trace.failures.failed("event", self._actor, "", error)

    def _died(self, error: BaseException) -> None:
        then = "no more Events are written"
        self._trace.failures.failed("thread", f"{self._actor}/events", "", error, then=then)

    def close(self) -> None:
        """Drop what is not sent and end the stage."""
        with self._lock:
            self._is_closed = True
            self._backlog.clear()
            handle = self._handle
        if handle is not None:
            handle.stop()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the stage's thread; False if it is still alive."""
        return self._handle is None or self._handle.join(timeout_seconds)

    @property
    def backlog(self) -> int:
        """How many events wait to be sent."""
        return len(self._backlog)
