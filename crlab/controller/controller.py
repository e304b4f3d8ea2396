"""A controller: sources fill a queue, workers reconcile its keys.

From: informers (by handlers), `Result` and errors (by the queue). To: the user's reconcile.

Guarantees:
  1. A key is never reconciled twice at a time, by workers and `step` together.
  2. Nothing is reconciled before every source has synced; that takes at most
     `sync_timeout_seconds`, then the controller fails with `SyncTimeout` (rules 64, 66).
  3. An error is retried with back-off `max_retries` times, then the key is forgotten and
     reported; `TerminalError` is not retried; anything but None or `Result` is an error
     (rules 62, 63).
  4. `stop` returns at once; the run in hand ends, the rest stays queued. `close` also
     removes the handlers and shuts the queue down.

Thread: every method from any thread; see `worker.py` for the threads.
Source: kubernetes-sigs/controller-runtime:pkg/internal/controller/controller.go,
kubernetes/client-go:examples/workqueue/main.go.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crlab.controller.breakpoint import Breakpoints
from crlab.controller.call import CallHook
from crlab.controller.context import Context
from crlab.controller.environment import Environment
from crlab.controller.explain import Explanation, explain
from crlab.controller.overlay import MutationOverlay
from crlab.controller.reader import Reader
from crlab.controller.recorder import EventRecorder
from crlab.controller.request import Request
from crlab.controller.runner import Runner
from crlab.controller.schema_help import NO_SCHEMA, SchemaNode, crd_schema
from crlab.controller.step import StepRecord, describe_error
from crlab.controller.stepper import Stepper
from crlab.controller.trigger import (
    Event,
    EventSource,
    KeysOf,
    Mapper,
    Predicate,
    mapped_keys,
    own_key,
    owner_keys,
)
from crlab.controller.worker import Watchdog, Worker
from crlab.errors import (
    AlreadyStarted,
    AlreadyStopped,
    ConfigError,
    CrlabError,
    LifecycleError,
    SyncTimeout,
)
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import Driver, ManualDriver, StageHandle
from crlab.runtime.ids import Ids
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace
from crlab.workqueue import (
    LOW_PRIORITY,
    PriorityQueue,
    RateLimiter,
    RateLimitingQueue,
    Trigger,
)
from crlab.workqueue.rate_limiter import checked_seconds

Reconcile = Callable[[Request, Context], Any]


class Controller:
    """Sources, a queue, workers and the user's reconcile.

    Attributes:
        name: for threads, the trace, the field manager and events.
        resource: the resource whose keys are reconciled.
        queue: the workqueue; `queue.snapshot()` shows it.
        error: what ended the controller, None while it is well.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        *,
        informer: Any,
        owns: Sequence[Any] = (),
        watches: Mapping[Any, Mapper] | None = None,
        predicates: Sequence[Predicate] = (),
        client: Any,
        driver: Driver,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        workers: int = 1,
        max_retries: int | None = 5,
        timeout_seconds: float | None = None,
        sync_timeout_seconds: float = 120.0,
        limiter: RateLimiter | None = None,
        queue: str = "fifo",
        is_dry_run: bool = False,
        schema_of: Callable[[ApiResource], SchemaNode] | None = None,
    ) -> None:
        """Take the parts and register with the informers; nothing is reconciled yet.

        Args:
            informer: a shared informer of the controller's own resource.
            owns: informers of what it creates; events go to the owner's key.
            watches: informer → function from an object to keys or Requests.
            predicates: which events of its own resource trigger; all must agree.
            workers: how many keys at a time, for `start`.
            max_retries: tries after the first; None has no limit.
            timeout_seconds: a run over it is marked stuck; None has no limit.
            queue: "fifo" or "priority" (rule 65).
            is_dry_run: whether `step` sends writes as dry runs by default.

        Raises:
            ConfigError: a part that cannot work, said which.
        """
        _check_arguments(name, reconcile, workers, max_retries, timeout_seconds, queue)
        owned = [_checked_informer(each, "owns") for each in owns]
        mappers = {_checked_informer(each, "watches"): m for each, m in (watches or {}).items()}
        _checked_informer(informer, "informer")
        self._settings: dict[str, Any] = {
            "predicates": tuple(predicates),
            "workers": workers,
            "max_retries": max_retries,
            "timeout_seconds": timeout_seconds,
            "queue": queue,
        }
        self._owned, self._mappers = owned, mappers
        self.name = name
        self.resource: ApiResource = informer.resource
        self.driver = driver
        self.clock = clock
        self.workers = workers
        self.timeout_seconds = timeout_seconds
        self.error: BaseException | None = None
        self.reconcile = reconcile
        self.queue = _make_queue(queue, name, clock, limiter, trace, self.resource)
        self._trace = trace
        self._client = client
        self._sync_timeout_seconds = sync_timeout_seconds
        self._sync_deadline: Deadline | None = None
        self._has_synced_once = False
        self._schemas: dict[str, SchemaNode] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._slots: list[Worker] = []
        self._retired: list[Worker] = []
        self._handles: list[StageHandle] = []
        self._numbers = 0
        self._is_running = False
        self._is_stopping = False
        self._is_closed = False
        self.is_paused = False
        reader = Reader(
            [informer, *owned, *mappers], MutationOverlay(clock), schema_of or self._schema
        )
        recorder = EventRecorder(
            name,
            client=client,
            driver=driver,
            clock=clock,
            ids=ids,
            trace=trace,
            actor=f"controller/{name}",
        )
        self.env = Environment(
            name,
            self.resource,
            client=client,
            reader=reader,
            recorder=recorder,
            driver=driver,
            clock=clock,
            ids=ids,
            trace=trace,
            is_stopping=lambda: self._is_stopping,
        )
        self.runner = Runner(
            self.env,
            self.queue,
            reconcile,
            max_retries=max_retries,
            timeout_seconds=timeout_seconds,
        )
        self.stepper = Stepper(self, is_dry_run=is_dry_run)
        self._sources = self._make_sources(informer, owned, mappers, predicates)
        self._registrations: list[Any] = []
        try:
            for pair in self._sources:
                self._registrations.append(self._register(*pair))
        except CrlabError:
            self.close()  # a controller that cannot hear everything hears nothing
            raise

    # -- sources -------------------------------------------------------------------------

    def _make_sources(
        self,
        informer: Any,
        owned: list[Any],
        mappers: dict[Any, Mapper],
        predicates: Sequence[Predicate],
    ) -> list[tuple[Any, EventSource]]:
        for each in predicates:
            if not callable(each):
                raise ConfigError(f"a predicate is a function of an event, not {each!r}")

        def source(each: Any, keys_of: KeysOf, only: Sequence[Predicate] = ()) -> Any:
            return each, EventSource(each.resource, keys_of, self._put, self._report, only)

        made = [source(informer, own_key, predicates)]
        for each in owned:
            if self.resource.is_namespaced and not each.resource.is_namespaced:
                raise ConfigError(
                    f"{each.resource.gvr.group_resource} are cluster-scoped and cannot be "
                    f"owned by {self.resource.gvr.group_resource}, which are namespaced; "
                    "use watches with a mapper"
                )
            made.append(source(each, owner_keys(self.resource)))
        for each, mapper in mappers.items():
            if not callable(mapper):
                raise ConfigError(f"watches maps an informer to a function, not {mapper!r}")
            made.append(source(each, mapped_keys(mapper, self.resource)))
        return made

    def listens_to(self, group_resource: str) -> bool:
        """Whether changes of a resource ("plural.group") can trigger this controller."""
        return any(
            informer.resource.gvr.group_resource == group_resource for informer, _ in self._sources
        )

    def _register(self, informer: Any, source: EventSource) -> Any:
        return informer.add_event_handler(
            on_add=source.on_add,
            on_update=source.on_update,
            on_delete=source.on_delete,
            name=f"controller/{self.name}",
        )

    def _put(self, request: Request, trigger: Trigger, event: Event) -> None:
        if isinstance(self.queue, PriorityQueue):
            is_quiet = trigger.reason == "resync" or (event.is_initial and event.old is None)
            priority = LOW_PRIORITY if is_quiet else 0
            self.queue.add(request.key, trigger=trigger, priority=priority)
        else:
            self.queue.add(request.key, trigger=trigger)

    def _report(self, what: str, key: str, error: BaseException) -> None:
        self.env.note(key, f"{what}_failed", 0, {"error": describe_error(error)})

    def enqueue(self, what: Any, *, delay_seconds: float = 0.0) -> None:
        """Add a key by hand: "namespace/name", a Request, a pair or an object.

        Raises:
            ConfigError: it names no object of this resource, or the delay is no number ≥ 0.
        """
        checked_seconds(delay_seconds, "delay_seconds")
        key = Request.of(what, self.resource).key
        self.queue.add_after(key, delay_seconds, trigger=Trigger("manual"))

    @property
    def informers(self) -> list[Any]:
        """The informers it listens to, its own resource's first."""
        return [informer for informer, _ in self._sources]

    @property
    def has_synced(self) -> bool:
        """Whether every source has delivered its first list to this controller."""
        if not self._has_synced_once:
            self._has_synced_once = not self._is_closed and all(
                each.has_synced for each in self._registrations
            )
        return self._has_synced_once

    @property
    def unsynced(self) -> list[str]:
        """The resources whose first list has not been delivered yet."""
        return [
            informer.resource.gvr.group_resource
            for (informer, _), registration in zip(self._sources, self._registrations, strict=True)
            if not registration.has_synced
        ]

    # -- by hand -------------------------------------------------------------------------

    def step(self, what: Any = None, **options: Any) -> StepRecord | None:
        """Take one key through its reconcile and return what happened; see `Stepper.step`."""
        return self.stepper.step(what, **options)

    @property
    def breakpoints(self) -> Breakpoints:
        """Where `stepper.run`, and running workers, stop."""
        return self.stepper.breakpoints

    def check_steppable(self) -> None:
        """Raise unless keys may be taken by hand."""
        self._check_open("step")
        if self._is_running and not self.is_paused:
            raise LifecycleError(
                f"controller {self.name} is running; pause() or stop() it to step by hand"
            )
        self._is_stopping = False

    def deliver(self) -> None:
        """With the manual driver, let everything but controllers' workers reach its end."""
        if isinstance(self.driver, ManualDriver):
            self.driver.settle(only=lambda stage: not getattr(stage, "is_worker", False))

    @property
    def history(self) -> list[StepRecord]:
        """The newest runs, oldest first, at most 200."""
        return list(self.runner.history)

    @property
    def given_up(self) -> dict[str, str]:
        """Keys that failed too often or terminally, with their last error."""
        return dict(self.runner.given_up)

    def explain(self, key: str) -> Explanation:
        """Tell one object's way through this controller, as sentences and rows."""
        return explain(self._trace, Request.of(key, self.resource).key, controller=self.name)

    # -- running -------------------------------------------------------------------------

    def start(self, workers: int | None = None) -> Controller:
        """Start the workers; they begin once every source has synced.

        Raises:
            AlreadyStarted: they run.
            AlreadyStopped: the controller was closed.
        """
        count = self.workers if workers is None else workers
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"workers is a whole number ≥ 1, not {workers!r}")
        with self._lock:
            self._check_open("start")
            if self._is_running:
                raise AlreadyStarted(f"controller {self.name} is running already")
            self._is_running, self._is_stopping, self.is_paused = True, False, False
            self.error = None
            self._sync_deadline = Deadline(self.clock, self._sync_timeout_seconds)
            for _ in range(count):
                self._add_worker_locked()
            if self.timeout_seconds is not None and not self.driver.is_manual:
                self._handles.append(self.driver.add(Watchdog(self), on_error=self._failed))
        return self

    def host(self) -> None:
        """Say that somebody else takes the keys and runs them (the built-in controllers)."""
        with self._lock:
            self._check_open("start")
            self._is_running, self._is_stopping = True, False

    def _add_worker_locked(self) -> None:
        worker = Worker(self, self._numbers)
        self._numbers += 1
        self._slots.append(worker)
        worker.handle = self.driver.add(worker, on_error=self._failed)
        self._handles.append(worker.handle)

    def _failed(self, error: BaseException) -> None:
        self.error = error
        self.env.note("", "failed", 0, {"error": describe_error(error)})

    def is_ready_to_work(self) -> bool:
        """Whether a worker may take a key now.

        Raises:
            SyncTimeout: the sources did not sync in time; it ends the worker.
        """
        if self.is_paused or self._is_stopping:
            return False
        if self.has_synced:
            return True
        deadline = self._sync_deadline
        if deadline is not None and deadline.is_over():
            raise SyncTimeout(self.unsynced, timeout_seconds=self._sync_timeout_seconds)
        return False

    def take_for_worker(self) -> str | None:
        """Return the next key, taken; None if none is ready or a breakpoint stops here."""
        if not len(self.breakpoints):
            return self.queue.try_get()
        key = self.queue.peek()
        if key is None:
            return None
        if self.stepper.next_breakpoint() is not None:
            self.pause()
            self.env.note(key, "breakpoint", 0, {"breakpoints": str(self.breakpoints)})
            return None
        return key if self.queue.take(key) else None

    def pause(self) -> None:
        """Let workers finish what they have and take nothing more, until `resume`."""
        self.is_paused = True

    def resume(self) -> None:
        """Let workers take keys again."""
        self.is_paused = False
        for worker in list(self._slots):
            worker.wake()

    @property
    def is_running(self) -> bool:
        """Whether workers were started and not stopped."""
        return self._is_running

    def stop(self) -> None:
        """Let the runs in hand end and the workers with them; returns at once, idempotent.

        What is queued stays queued: `start` or `step` go on with it.
        """
        with self._lock:
            self._is_running = False
            self._is_stopping = True
            handles, self._slots = list(self._handles), []
        for handle in handles:
            handle.stop()

    def join(self, timeout_seconds: float | None = None) -> list[str]:
        """Wait for the threads to end.

        Returns:
            Names of those still alive: user code that does not return cannot be killed.
        """
        deadline = Deadline(self.clock, timeout_seconds)
        for handle in list(self._handles):
            handle.join(deadline.remaining_seconds())
        if self._is_closed:  # until then events may still come
            self.env.recorder.join(deadline.remaining_seconds())
        alive = [handle.thread_name for handle in self._handles if handle.is_alive]
        self._handles = [handle for handle in self._handles if handle.is_alive]
        return alive

    def close(self) -> None:
        """Stop for good: remove the handlers, shut the queue down. Idempotent."""
        self.stop()
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        for registration in self._registrations:
            registration.remove()
        self.queue.shut_down()
        self.env.recorder.close()

    def _check_open(self, what: str) -> None:
        if self._is_closed:
            raise AlreadyStopped(f"cannot {what}: controller {self.name} is closed")

    # -- runs over their time ----------------------------------------------------------------

    def mark_stuck(self) -> int:
        """Replace the workers whose run is over its time; return how many."""
        now = self.clock.monotonic()
        marked = []
        with self._lock:
            for worker in list(self._slots):
                if worker.is_over(now, self.timeout_seconds):
                    self._slots.remove(worker)
                    self._retired.append(worker)
                    marked.append(worker)
                    if self._is_running:
                        self._add_worker_locked()
        for worker in marked:
            if worker.handle is not None:
                worker.handle.stop()
            self.env.note(worker.key or "", "stuck", 0, {"timeout_seconds": self.timeout_seconds})
        return len(marked)

    def next_stuck_seconds(self) -> float | None:
        """Return when the next run can be over its time."""
        if self.timeout_seconds is None:
            return None
        now = self.clock.monotonic()
        left = [
            worker.started_at + self.timeout_seconds - now
            for worker in list(self._slots)
            if worker.key is not None
        ]
        return max(0.001, min(left, default=self.timeout_seconds))

    @property
    def stuck(self) -> dict[str, float]:
        """Keys whose run does not return, with the seconds since it began."""
        now = self.clock.monotonic()
        self._retired = [worker for worker in self._retired if worker.key is not None]
        return {str(worker.key): now - worker.started_at for worker in self._retired}

    def wait_idle(self, timeout_seconds: float | None, until: Callable[[], bool]) -> None:
        """Wait for `wake_idle`; not at all if `until` holds."""
        with self._idle:
            if not until():
                self.clock.wait(self._idle, timeout_seconds)

    def wake_idle(self) -> None:
        """End every `wait_idle`."""
        with self._idle:
            self._idle.notify_all()

    # -- the rest ----------------------------------------------------------------------------

    def twin(self, informer_for: Callable[[Any], Any], **parts: Any) -> Controller:
        """Return a controller like this one over other informers.

        Args:
            informer_for: takes an informer of this one, returns the twin's.
            parts: client, driver, clock, ids and trace.
        """
        return Controller(
            self.name,
            self.reconcile,
            informer=informer_for(self.informers[0]),
            owns=[informer_for(each) for each in self._owned],
            watches={informer_for(each): mapper for each, mapper in self._mappers.items()},
            **self._settings,
            **parts,
        )

    def add_hook(self, hook: CallHook) -> Callable[[], None]:
        """Put `hook` between reconciles and their calls; returns the undo."""
        self.env.hooks = (*self.env.hooks, hook)

        def remove() -> None:
            self.env.hooks = tuple(held for held in self.env.hooks if held is not hook)

        return remove

    def _schema(self, resource: ApiResource) -> SchemaNode:
        plural = resource.gvr.group_resource
        known = self._schemas.get(plural)
        if known is None:
            known = NO_SCHEMA
            if "." in resource.gvr.group and not resource.gvr.group.endswith(".k8s.io"):
                known = self._read_schema(resource)
            self._schemas[plural] = known
        return known

    def _read_schema(self, resource: ApiResource) -> SchemaNode:
        name = "customresourcedefinitions.apiextensions.k8s.io"
        try:
            with caused_by((), "lab"):
                crd = self._client.get(name, resource.gvr.group_resource)
        except CrlabError:  # no CRD, or none that we may read: no help, no harm
            return NO_SCHEMA
        return crd_schema(crd, resource.gvr.version)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "running" if self._is_running else "stopped"
        if self._is_running and self.is_paused:
            state = "paused"
        return f"<Controller {self.name} of {self.resource.gvr.group_resource} {state}>"


def _checked_informer(informer: Any, where: str) -> Any:
    if not hasattr(informer, "add_event_handler") or not hasattr(informer, "resource"):
        raise ConfigError(
            f"{where} takes informers, not {informer!r}; lab.controller also takes their names"
        )
    return informer


def _check_arguments(
    name: str,
    reconcile: Any,
    workers: int,
    max_retries: int | None,
    timeout_seconds: float | None,
    queue: str,
) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"a controller needs a name, not {name!r}")
    if not callable(reconcile):
        raise ConfigError(f"reconcile must be a function, not {type(reconcile).__name__}")
    if inspect.iscoroutinefunction(reconcile):
        raise ConfigError("reconcile must be a plain function; async def is not supported")
    try:
        inspect.signature(reconcile).bind(object(), object())
    except TypeError as error:
        raise ConfigError(
            f"{getattr(reconcile, '__name__', 'reconcile')}{inspect.signature(reconcile)} "
            f"cannot be called as reconcile(request, ctx): {error}"
        ) from None
    except ValueError:  # a builtin without a signature
        pass
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigError(f"workers is a whole number ≥ 1, not {workers!r}")
    if max_retries is not None and (
        not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0
    ):
        raise ConfigError(f"max_retries is a whole number ≥ 0 or None, not {max_retries!r}")
    if timeout_seconds is not None and checked_seconds(timeout_seconds, "timeout_seconds") == 0:
        raise ConfigError("timeout_seconds must be more than 0; None has no limit")
    if queue not in ("fifo", "priority"):
        raise ConfigError(f'queue is "fifo" or "priority", not {queue!r}')


def _make_queue(
    sort: str,
    name: str,
    clock: Clock,
    limiter: RateLimiter | None,
    trace: Trace,
    resource: ApiResource,
) -> RateLimitingQueue[str]:
    make = PriorityQueue if sort == "priority" else RateLimitingQueue
    return make(
        name, clock=clock, limiter=limiter, trace=trace, resource=resource.gvr.group_resource
    )
