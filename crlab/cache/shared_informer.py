"""SharedInformer: reflector → queue → processor → indexer → handlers, as one thing.

From: a `ListerWatcher`. To: whoever reads `indexer` or registers a handler.

Guarantees (reliability C1-C11):
  1. After faults clear, the cache becomes what the server holds.
  2. Every change of the cache is offered to every handler, per key in order, after the
     cache changed; a deletion that was only inferred comes as a tombstone.
  3. `status` is present tense; `has_synced` is not.
  4. `stop` returns at once whatever handlers or sockets do; `join` and `close` keep their
     limit and name the threads they had to abandon.
  5. It starts once. A forked child cannot use it (`LifecycleError`), nor hang on it.

The contract, of which more is told in docs/rules.md:

The cache holds a state that the server had, on its way to the one it has. It may lag by any
time; once changes end and the server answers, it becomes what the server holds. Of each object
it shows a subsequence of the server's states, in the server's order: a relist may skip some,
so work from what is there, not from the number of notifications. Two objects have no order
between them. A reader may be ahead of the handlers, never behind: the cache changes first.

A relist asks the server and tells what differs, and equal states as updates; a resync asks
nobody and tells a handler again what the cache holds. A deletion that was missed is inferred
from a list and comes as a `DeletedFinalStateUnknown`, whose last known state may be old. A key
is no identity: an object made again may come as one update with two uids.

A handler is called one notification after another; handlers do not wait for each other. A
handler neither works for long nor relies on another having run. Nobody changes an object it
was given: it is everybody's. After `stop` a backlog is not delivered, and the cache stays
readable as it was last.

Thread: any, for every method. Threads it owns: ``crlab-reflector-<res>``,
``crlab-processor-<res>``, one ``crlab-listener-<res>-<n>`` per handler, and
``crlab-auditor-<res>`` if audits were asked for. `_lock` guards the handles and the
life-cycle fields; `_cond` is notified when sync or state may have changed.
Source: kubernetes/client-go:tools/cache/shared_informer.go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from crlab.cache import revision
from crlab.cache.audit import Audit, AuditRow, compare, listed_at, together
from crlab.cache.auditor import Auditor
from crlab.cache.fifo import Queue
from crlab.cache.handler import MAX_BACKLOG, HandlerRegistration
from crlab.cache.index import IndexFunc
from crlab.cache.indexer import Indexer
from crlab.cache.informer_status import InformerState, InformerStatus, combined, status_of
from crlab.cache.listener import Handler, Listener
from crlab.cache.lister import Lister
from crlab.cache.listing import kept
from crlab.cache.memory import Memory, measure
from crlab.cache.processor import Processor
from crlab.cache.queue_kind import QueueKind, make_queue
from crlab.cache.reflector import Reflector, Timing
from crlab.cache.reflector_message import Health, Policy
from crlab.cache.resync import ResyncPlan
from crlab.cache.selection import Selection
from crlab.cache.trouble import Trouble
from crlab.client.list_watch import ListerWatcher
from crlab.client.object_decoder import PARTIAL_API_VERSION, PARTIAL_KIND
from crlab.errors import (
    AlreadyStarted,
    AlreadyStopped,
    ConfigError,
    NoThread,
    SyncTimeout,
    describe_error,
)
from crlab.model.argument import (
    checked_answer,
    checked_function,
    checked_interval,
    checked_optional,
)
from crlab.model.object import KubeObject
from crlab.model.plural import counted
from crlab.runtime import fork
from crlab.runtime.backoff import BackoffReset
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import Driver, Stage, StageHandle
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace, TraceStage

ListMode = Literal["auto", "watchlist", "list"]

_TOLD = {
    "on_add": ("obj", "is_in_initial_list"),
    "on_update": ("old", "new"),
    "on_delete": ("obj",),
}


class SharedInformer:
    """One cached, watched collection, shared by everybody who asks for it."""

    def __init__(
        self,
        lister_watcher: ListerWatcher | Sequence[ListerWatcher],
        *,
        driver: Driver,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        indexers: Mapping[str, IndexFunc] | None = None,
        resync_seconds: float = 0.0,
        queue: QueueKind = "real",
        list_mode: ListMode = "auto",
        transform: Callable[[KubeObject], Any] | None = None,
        redact: Callable[[KubeObject], KubeObject] | None = None,
        backoff_reset: BackoffReset | str = BackoffReset.IDLE,
        idle_timeout_seconds: float = 75.0,
        page_size: int | None = None,
        bookmarks: bool = True,
        internal_retry_seconds: float = 0.0,
        poll_seconds: float | None = None,
        audit_seconds: float | None = None,
        max_backlog: int = MAX_BACKLOG,
        watch_error_handler: Callable[[BaseException | str], None] | None = None,
        timing: Timing | None = None,
        name: str | None = None,
    ) -> None:
        """Make it; nothing runs before `start`.

        Args:
            lister_watcher: several, each of another namespace of one resource, make a
                multi-namespace informer: one cache, one reflector per namespace.
            resync_seconds: how often handlers are shown everything again; 0 never.
            queue: "real" (in order, atomic replace), "real-per-item" (in order, a relist
                item by item) or "delta" (the classic DeltaFIFO).
            list_mode: "auto" and "watchlist" stream the first list where the server can,
                with pages as the fall-back; "list" always asks for pages.
            transform: what to keep of an object, before it is queued; must be idempotent, and
                keep name and namespace.
            redact: applied before `transform`, for kinds made for secrets.
            page_size: 500 unless set; setting it forces paging.
            poll_seconds: if the server allows list but not watch, list so often instead, and
                try the watch again once a minute; None: then the state is "failed".
            audit_seconds: compare the cache with an exact list so often, and list again if they
                differ; None: only when `audit` is called.
            max_backlog: notifications per handler before those of one key are merged.
            timing: every limit of the reflector; `idle_timeout_seconds` and
                `backoff_reset` are its most used two.
        """
        checked_optional(transform, "transform", ("obj",))
        checked_optional(watch_error_handler, "watch_error_handler", ("error",))
        sources = (
            tuple(lister_watcher) if isinstance(lister_watcher, Sequence) else (lister_watcher,)
        )
        self.lister_watchers: tuple[ListerWatcher, ...] = sources
        self.resource = sources[0].resource
        self.namespace = sources[0].namespace if len(sources) == 1 else None
        self.driver = driver
        self.clock = clock
        self.trace = trace
        self.name = name or name_of(sources)
        self.source = source_of(self.name, sources[0])
        self._group_resource = self.resource.gvr.group_resource
        self._max_backlog = max_backlog
        self._watch_error_handler = watch_error_handler
        self._transform = transform
        self._redact = redact
        self._lock = fork.lock()
        self._cond = fork.condition()
        self._is_started = False
        self._is_stopped = False
        self._has_synced = False
        self._handles: list[StageHandle] = []
        self._registered = 0
        self._failure: BaseException | None = None
        self._born = fork.generation()
        self.abandoned: tuple[str, ...] = ()
        self._resync = ResyncPlan(clock, resync_seconds)
        self.selection = Selection(sources)
        where = f"informer/{self.source}"
        self._where = where
        self.indexer = Indexer(indexers, failures=trace.failures, where=where)
        self._trouble = Trouble(where, trace.failures, clock)
        self.queue: Queue = make_queue(queue, clock, self.indexer)
        self._processor = Processor(
            f"processor-{self.name}",
            self.queue,
            self.indexer,
            resource=self._group_resource,
            clock=clock,
            trace=trace,
            on_processed=self._changed,
        )
        timing = timing or Timing(
            idle_seconds=idle_timeout_seconds, backoff_reset=BackoffReset(backoff_reset)
        )
        policy = Policy(
            is_streaming=list_mode != "list"
            and all(getattr(x, "supports_watch_list", True) for x in sources),
            page_size=page_size or 500,
            is_page_size_forced=page_size is not None,
            has_bookmarks=bookmarks,
            internal_retry_seconds=internal_retry_seconds,
            poll_seconds=checked_interval(poll_seconds, "poll_seconds"),
        )
        self._reflectors = tuple(
            self._make_reflector(x, ids, policy, timing, only=len(sources) == 1) for x in sources
        )

        audit_seconds = checked_interval(audit_seconds, "audit_seconds")
        self._auditor: Auditor | None = None
        if audit_seconds is not None:
            self._auditor = self._make_auditor(audit_seconds, timing)

    def _make_auditor(self, interval_seconds: float, timing: Timing) -> Auditor:
        return Auditor(
            f"auditor-{self.name}",
            self.audit,
            interval_seconds=interval_seconds,
            least_seconds=1 / timing.max_requests_per_second,
            is_ready=lambda: self.status.is_live and not len(self.queue),
            on_drift=self._drifted,
            resource=self._group_resource,
            source=self.source,
            clock=self.clock,
            trace=self.trace,
        )

    def _make_reflector(
        self,
        lister_watcher: ListerWatcher,
        ids: Ids,
        policy: Policy,
        timing: Timing,
        *,
        only: bool,
    ) -> Reflector:
        namespace = lister_watcher.namespace
        if not only and not namespace:
            raise ConfigError("each part of a multi-namespace informer needs a namespace")
        name = self.name if only else f"{self.resource.gvr.resource}/{namespace}"
        return Reflector(
            f"reflector-{name}",
            lister_watcher,
            self.queue,
            clock=self.clock,
            ids=ids.fork(f"reflector-{name}"),
            trace=self.trace,
            policy=policy,
            timing=timing,
            transform=self._ingest(),
            should_resync=self._should_resync,
            on_error=self._watch_failed,
            on_state=self._state_changed,
            process_now=None if self.driver.is_manual else self._process_now,
            scheduling=self.driver.is_manual,
            scope="" if only else namespace or "",
            source=self.source,
        )

    # Life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to list and watch.

        Raises:
            AlreadyStarted: it runs.
            AlreadyStopped: it was stopped; make a new one.
            NoThread: one of its threads could not be started; it is stopped.
        """
        fork.check(self._born, f"informer {self.name}")
        try:
            self._start_stages()
        except NoThread:
            self.stop()
            raise

    def _start_stages(self) -> None:
        with self._lock:
            if self._is_stopped:
                raise AlreadyStopped(f"informer {self.name} was stopped; make a new one")
            if self._is_started:
                raise AlreadyStarted(f"informer {self.name} runs already")
            self._is_started = True
            self._reflectors[0].resync_seconds = self._resync.check_seconds  # one timer is enough
            stages: list[Stage] = [
                *self._reflectors,
                self._processor,
                *self._processor.listeners(),
                *([self._auditor] if self._auditor is not None else []),
            ]
            for stage in stages:
                self._handles.append(self.driver.add(stage, on_error=self._stage_failed))

    def stop(self) -> None:
        """Ask everything to end. Idempotent, never waits; any thread, handlers included."""
        if fork.generation() != self._born:
            return  # the parent's threads and sockets are not ours to end
        with self._lock:
            self._is_stopped = True  # said first; all that follows may be done twice
            handles = list(self._handles)
        # Outside the lock: each of these takes locks of its own, and a stage that fails meanwhile
        # comes for this one.
        for reflector in self._reflectors:
            reflector.stop()
        self.queue.close()
        for listener in self._processor.listeners():
            listener.close(discarding=True)
        for handle in handles:
            handle.stop()
        self.trace.failures.forget(self._where)
        self._changed()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the threads to end after `stop`.

        Returns:
            True once all ended; False when the limit was over (`abandoned` names those
            still alive) or when called from one of them (it is not waited for).
        """
        with self._lock:
            handles = list(self._handles)
        deadline = Deadline(self.clock, timeout_seconds)
        for handle in handles:
            handle.join(deadline.remaining_seconds())
        self.abandoned = tuple(h.thread_name for h in handles if h.is_alive)
        return not self.abandoned

    def close(self, timeout_seconds: float = 1.0) -> tuple[str, ...]:
        """`stop`, then `join`; return the names of threads it had to abandon, () if none.

        Idempotent; any thread, handlers included.
        """
        self.stop()
        self.join(timeout_seconds)
        return self.abandoned

    def __enter__(self) -> SharedInformer:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Sync and status ---------------------------------------------------------------------

    @property
    def is_redacted(self) -> bool:
        """Whether objects are masked before they are cached: kinds made for secrets are."""
        return self._redact is not None

    @property
    def is_metadata_only(self) -> bool:
        """Whether it asks for the objects' metadata alone."""
        return bool(getattr(self.lister_watchers[0], "is_metadata_only", False))

    @property
    def is_started(self) -> bool:
        return self._is_started

    @property
    def is_stopped(self) -> bool:
        """Whether it reads no more: stopped, or its parent process' (this is a forked child)."""
        return self._is_stopped or fork.generation() != self._born

    @property
    def has_synced(self) -> bool:
        """Whether the first whole list was put into the cache. Never turns back.

        Of a multi-namespace informer: of each namespace that the server does not refuse.
        """
        if self._has_synced:
            return True
        if not self.queue.has_synced:
            return False
        self._has_synced = len(self._reflectors) == 1 or all(
            self.queue.has_applied(x.scope) or x.state.health is Health.FAILED
            for x in self._reflectors
        )
        return self._has_synced

    @property
    def condition(self) -> threading.Condition:
        """Notified whenever `has_synced`, `status.state` or the cache may have changed."""
        return self._cond

    def wait_for_sync(self, timeout_seconds: float | None = 30.0) -> None:
        """Return once the cache and the handlers registered by now have synced.

        Raises:
            SyncTimeout: the limit was over, or it was stopped; says what was missing.
        """
        fork.check(self._born, f"informer {self.name}")
        listeners = self._processor.listeners()

        def is_over() -> bool:
            if self._is_stopped:
                return True
            return self.has_synced and all(
                x.is_closed or (x.has_joined and x.initial_left == 0) for x in listeners
            )

        self.driver.wait_until(self._cond, is_over, timeout_seconds)
        missing = self.unsynced(listeners)
        if missing:
            raise SyncTimeout(missing, timeout_seconds=timeout_seconds or 0.0)

    def unsynced(self, listeners: Sequence[Listener] | None = None) -> list[str]:
        """Return what has not synced yet, one sentence each."""
        if not self.has_synced:
            return [f"{self.name}: {self.status}"]
        return [
            f"{self.name}: handler {x.handler_name} has {counted(x.initial_left, 'objects')} to see"
            for x in (self._processor.listeners() if listeners is None else listeners)
            if not x.is_closed and not (x.has_joined and x.initial_left == 0)
        ]

    @property
    def last_sync_resource_version(self) -> str:
        """The resourceVersion the cache has reached: nothing up to it is still to come.

        Of a multi-namespace informer: the oldest of its namespaces; "" before it has synced.
        """
        return self.indexer.resource_version if self.has_synced else ""

    def resource_version_in(self, namespace: str) -> str:
        """Return the resourceVersion the cache has reached for the objects of a namespace."""
        if len(self._reflectors) > 1 and any(x.scope == namespace for x in self._reflectors):
            return self.indexer.versions.get(namespace, "")
        return self.last_sync_resource_version

    def as_cached(self, obj: KubeObject) -> KubeObject | None:
        """Return what this cache holds of an object once it has it; None: it never will.

        Raises:
            Exception: what the transform raised.
        """
        if not self.selection.matches(obj):
            return None
        if self.is_metadata_only:
            head = {"kind": PARTIAL_KIND, "apiVersion": PARTIAL_API_VERSION}
            obj = KubeObject.of({**head, "metadata": obj["metadata"]})
        ingest = self._ingest()
        return obj if ingest is None else ingest(obj)

    @property
    def received_resource_version(self) -> str:
        """The newest version of a list, event or bookmark that came; the cache may be behind."""
        newest = ""
        for reflector in self._reflectors:
            newest = revision.newest(newest, reflector.state.last_version)
        return newest

    @property
    def status(self) -> InformerStatus:
        """What it can say of itself now."""
        now = self.clock.monotonic()
        is_only = len(self._reflectors) == 1
        whole = combined(
            [
                status_of(
                    reflector,
                    resource=self._group_resource,
                    namespace=source.namespace,
                    now=now,
                    applied=self.queue.has_synced
                    if is_only
                    else self.queue.has_applied(reflector.scope),
                    resource_version=self.indexer.versions.get(reflector.scope, ""),
                )
                for reflector, source in zip(self._reflectors, self.lister_watchers, strict=True)
            ]
        )
        state, cause = whole.state, whole.cause
        if self._failure is not None:
            state = InformerState.FAILED
            cause = describe_error(self._failure)
        elif self._is_stopped:
            state, cause = InformerState.STOPPED, "stopped"
        elif not self._is_started:
            cause = "not started: call start()"
        if fork.generation() != self._born:
            state, cause = InformerState.STOPPED, fork.NOT_HERE
        return replace(
            whole,
            state=state,
            cause=cause,
            phase="stopped" if self.is_stopped else whole.phase,
            retry_in_seconds=None if self.is_stopped else whole.retry_in_seconds,
            resource_version=self.last_sync_resource_version,
            objects=len(self.indexer),
            queued=len(self.queue),
            ignored_older=self._processor.ignored_older,
            ignored_repeated=self._processor.ignored_repeated,
            audits=self._auditor.audits if self._auditor is not None else 0,
            drifted=self._auditor.drifted if self._auditor is not None else 0,
        )

    @property
    def trouble_since(self) -> float | None:
        """Wall time since when its state is a problem, None while it is none."""
        has_failed = self.error is not None
        if not self._is_started or not self._trouble.is_troubled(self.status, failed=has_failed):
            return None
        return self._trouble.since or self.clock.now()

    def tell_trouble(self) -> None:
        """Log that it is not live, if that has to be said now."""
        self._trouble.look(self.status)

    @property
    def error(self) -> BaseException | str | None:
        """What last went wrong with list or watch, or what ended a stage; None if nothing."""
        return self._failure or next((x.error for x in self._reflectors if x.error), None)

    @property
    def is_settled(self) -> bool:
        """Whether everything received so far is in the cache and was offered to all handlers."""
        return (
            len(self.queue) == 0
            and self._processor.is_idle
            and all(
                x.is_idle and (x.has_joined or x.is_closed or not self._is_started)
                for x in self._processor.listeners()
            )
        )

    # Looking inside ----------------------------------------------------------------------

    def audit(self) -> Audit:
        """Compare the cache with a list at exactly its revision.

        Raises:
            ApiError, TransportError, DecodeError: the list failed.

        Thread: any; one request per namespace.
        """
        snapshot = self.indexer.read()
        audits = []
        for source, reflector in zip(self.lister_watchers, self._reflectors, strict=True):
            version = snapshot.versions.get(reflector.scope, "")
            served, served_version, is_exact = listed_at(source, version)
            audits.append(
                compare(
                    {k: o for k, o in snapshot.rows.items() if reflector.covers(k)},
                    served,
                    cache_version=version,
                    server_version=served_version,
                    exact=is_exact,
                    with_content=self._transform is None and self._redact is None,
                )
            )
        return together(audits)

    @property
    def last_audit(self) -> Audit | None:
        """What the newest audit of `audit_seconds` found; None if there was none."""
        return None if self._auditor is None else self._auditor.last

    def memory(self, transform: Callable[[KubeObject], Any] | None = None) -> Memory:
        """Weigh the cache, field by field, and what a transform would save."""
        return measure(self.resource.kind, self.indexer.list(), transform=transform)

    @property
    def lister(self) -> Lister:
        """The cache read by name and namespace."""
        return Lister(self.indexer, self.resource)

    # Handlers ----------------------------------------------------------------------------

    def add_event_handler(
        self,
        *,
        on_add: Callable[..., Any] | None = None,
        on_update: Callable[[KubeObject, KubeObject], Any] | None = None,
        on_delete: Callable[[Any], Any] | None = None,
        resync_seconds: float | None = None,
        name: str | None = None,
    ) -> HandlerRegistration:
        """Call functions for each change of the cache, on a thread of their own.

        A handler added late is first shown what is cached, as adds of the initial list.

        Args:
            on_add: called with (obj, is_in_initial_list).
            on_update: called with (old, new).
            on_delete: called with the last state, or a `DeletedFinalStateUnknown`.
            resync_seconds: how often to show everything again; None is the informer's.

        Raises:
            ConfigError: one that is no function, cannot be called so, or would not run.
            AlreadyStopped: the informer was stopped.
            NoThread: there is no thread for it; it is not registered.
        """
        fork.check(self._born, f"informer {self.name}")
        given = {"on_add": on_add, "on_update": on_update, "on_delete": on_delete}
        for what, function in given.items():
            checked_optional(function, what, _TOLD[what])
        with self._lock:
            if self._is_stopped:
                raise AlreadyStopped(f"informer {self.name} was stopped; it tells nobody more")
            self._registered += 1
            number = self._registered
            listener = Listener(
                f"listener-{self.name}-{number}",
                name or f"{self.name}-{number}",
                Handler(on_add, on_update, on_delete),
                resource=self._group_resource,
                clock=self.clock,
                trace=self.trace,
                source=self.source,
                max_backlog=self._max_backlog,
                on_progress=self._changed,
            )
            # The thread first: if it cannot be had, nothing is registered.
            if self._is_started:
                self._handles.append(self.driver.add(listener, on_error=self._stage_failed))
            self._resync.add(listener, resync_seconds, started=self._is_started)
            self._note_handler("added", listener)  # first: from here on it may be told things
            self._processor.add_listener(listener)
        return self._registration(listener)

    def _note_handler(self, kind: str, listener: Listener) -> None:
        data = {"handler": listener.handler_name, "source": self.source}
        self.trace.append(TraceStage.HANDLER, kind, resource=self._group_resource, data=data)

    def _registration(self, listener: Listener) -> HandlerRegistration:
        return HandlerRegistration(listener, lambda: self.has_synced, self._detach)

    @property
    def registrations(self) -> list[HandlerRegistration]:
        """The handlers registered now, in the order of their registration."""
        return [self._registration(listener) for listener in self._processor.listeners()]

    def _detach(self, listener: Listener, discarding: bool) -> None:
        if listener in self._processor.listeners():  # a second removal changes nothing
            self._note_handler("removed", listener)
        self._processor.remove_listener(listener)
        self._resync.remove(listener)
        listener.close(discarding=discarding)
        with self._lock:
            handle = next((h for h in self._handles if h.stage is listener), None)
            self._handles = [h for h in self._handles if h.is_alive or not h.is_stopping]
        # Not at once: a stopped stage would not deliver what waits.
        if handle is not None:
            listener.when_drained(handle.stop)

    def add_indexers(self, indexers: Mapping[str, IndexFunc]) -> None:
        """Add indices, before or after the start.

        Raises:
            AlreadyStopped: the informer was stopped.
            IndexerConflict: an index of that name exists.
        """
        if self._is_stopped:
            raise AlreadyStopped(f"informer {self.name} was stopped; its indices are final")
        self.indexer.add_indexers(indexers)

    def set_transform(self, transform: Callable[[KubeObject], Any] | None) -> None:
        """Choose what to keep of an object.

        Raises:
            AlreadyStarted: objects may have been cached untransformed.
        """
        checked_optional(transform, "transform", ("obj",))
        with self._lock:
            if self._is_started:
                raise AlreadyStarted(f"informer {self.name} runs; set the transform before")
            self._transform = transform
            for reflector in self._reflectors:
                reflector.set_transform(self._ingest())

    def set_watch_error_handler(self, handler: Callable[[BaseException | str], None]) -> None:
        """Choose who is told of list and watch failures.

        Raises:
            AlreadyStarted: it runs.
        """
        checked_function(handler, "watch_error_handler", ("error",))
        with self._lock:
            if self._is_started:
                raise AlreadyStarted(f"informer {self.name} runs; set the handler before")
            self._watch_error_handler = handler

    # Inside ------------------------------------------------------------------------------

    def _ingest(self) -> Callable[[KubeObject], KubeObject] | None:
        """Return what is done to each object before it is queued: redact, then transform."""
        redact, transform = self._redact, self._transform
        if transform is None:
            return redact
        if redact is None:
            return lambda obj: kept(transform, obj)
        return lambda obj: kept(transform, redact(obj))

    def _process_now(self) -> None:
        """Process on the reflector's thread; what fails there fails the processor."""
        try:
            self._processor.process_now()
        except BaseException as error:  # noqa: BLE001 - kept and reported by `failed`
            with self._lock:
                handle = next(h for h in self._handles if h.stage is self._processor)
            handle.failed(error)
            handle.stop()

    def _should_resync(self) -> bool:
        return self._resync.should_resync()

    def _watch_failed(self, error: BaseException | str) -> None:
        if self._watch_error_handler is not None:
            try:
                answer = self._watch_error_handler(error)
                checked_answer(answer, "watch_error_handler", used=False)
                self.trace.failures.worked("watch error handler", self._where)
            except Exception as raised:  # noqa: BLE001 - a user's function never ends the reader
                self.trace.failures.failed("watch error handler", self._where, "", raised)

    def _drifted(self, rows: Sequence[AuditRow], reason: str) -> None:
        for reflector in self._reflectors:
            if any(reflector.covers(row.key) for row in rows):
                reflector.outside.distrust(reason)
                reflector.wake()

    def _stage_failed(self, error: BaseException) -> None:
        self._failure = error
        self._changed()
        self._trouble.look(self.status, error)

    def _state_changed(self) -> None:
        self._changed()
        self.tell_trouble()

    def _changed(self) -> None:
        with self._cond:
            self._cond.notify_all()

    def __repr__(self) -> str:
        return f"<informer {self.name}: {counted(len(self.indexer), 'objects')}, {self.status}>"


def source_of(name: str, lister_watcher: ListerWatcher) -> str:
    """What the trace calls an informer: its name, and its selectors if it has any."""
    selectors = [
        f"{word}={value}"
        for word in ("label_selector", "field_selector")
        if (value := getattr(lister_watcher, word, ""))
    ]
    return "?".join([name, *selectors])


def name_of(sources: Sequence[ListerWatcher]) -> str:
    plural = sources[0].resource.gvr.resource
    namespace = sources[0].namespace
    return f"{plural}/{namespace}" if namespace and len(sources) == 1 else plural
