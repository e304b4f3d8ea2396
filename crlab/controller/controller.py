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

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crlab.client.dynamic import DynamicClient
from crlab.controller.breakpoint import Breakpoints
from crlab.controller.call import CallHook
from crlab.controller.context import Context
from crlab.controller.enqueue import (
    Mapper,
    Predicate,
)
from crlab.controller.environment import Environment
from crlab.controller.informer_like import InformerLike
from crlab.controller.overlay import MutationOverlay
from crlab.controller.reader import CacheReader
from crlab.controller.reconcile import Request
from crlab.controller.recorder import EventRecorder
from crlab.controller.runner import Runner
from crlab.controller.schema_help import SchemaNode, SchemaReader
from crlab.controller.source import Sources
from crlab.controller.step_record import StepRecord
from crlab.controller.stepper import Stepper
from crlab.controller.worker_pool import WorkerPool
from crlab.errors import (
    AlreadyStopped,
    ConfigError,
    CrlabError,
    LifecycleError,
    describe_error,
)
from crlab.model.argument import checked_function
from crlab.model.resource import ApiResource
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.dependency import note_read
from crlab.runtime.driver import Driver, ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from crlab.workqueue import (
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
        informer: InformerLike,
        owns: Sequence[InformerLike] = (),
        watches: Mapping[InformerLike, Mapper] | None = None,
        predicates: Sequence[Predicate] = (),
        client: DynamicClient,
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
        dry_run: bool = False,
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
            dry_run: whether `step` sends writes as dry runs by default.

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
        self._is_closed = False
        self._born = fork.generation()
        self.pool = WorkerPool(self, timeout_seconds, sync_timeout_seconds)
        reader = CacheReader(
            [informer, *owned, *mappers],
            MutationOverlay(clock),
            schema_of or SchemaReader(client).schema,
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
            is_stopping=lambda: self.pool.is_stopping,
        )
        self.runner = Runner(
            self.env,
            self.queue,
            reconcile,
            max_retries=max_retries,
            timeout_seconds=timeout_seconds,
        )
        self.stepper = Stepper(self, dry_run=dry_run)
        self.sources = Sources(
            name, self.resource, self.queue, self.env, informer, owned, mappers, predicates
        )
        self._note("made")
        try:
            self.sources.register()
        except CrlabError:
            self.close()  # a controller that cannot hear everything hears nothing
            raise

    # -- sources -------------------------------------------------------------------------

    def listens_to(self, group_resource: str) -> bool:
        """Whether changes of a resource ("plural.group") can trigger this controller."""
        return any(
            informer.resource.gvr.group_resource == group_resource for informer in self.informers
        )

    def enqueue(self, what: Any, *, delay_seconds: float = 0.0) -> None:
        """Add a key by hand: "namespace/name", a Request, a pair or an object.

        Raises:
            ConfigError: it names no object of this resource, or the delay is no number ≥ 0.
            AlreadyStopped: the controller was closed.
        """
        self._check_open(f"enqueue {what}")
        checked_seconds(delay_seconds, "delay_seconds")
        key = Request.of(what, self.resource).key
        self.queue.add_after(key, delay_seconds, trigger=Trigger("manual"))
        self.pool.nudge()

    @property
    def informers(self) -> list[InformerLike]:
        """The informers it listens to, its own resource's first."""
        return self.sources.informers

    @property
    def has_synced(self) -> bool:
        """Whether every source has delivered its first list to this controller."""
        return self.sources.has_synced

    @property
    def unsynced(self) -> list[str]:
        """The resources whose first list has not been delivered yet."""
        return self.sources.unsynced

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
        if self.is_running and not self.is_paused:
            raise LifecycleError(
                f"controller {self.name} is running; pause() or stop() it to step by hand"
            )
        self.pool.is_stopping = False

    def deliver(self) -> None:
        """With the manual driver, let everything but controllers' workers reach its end."""
        if isinstance(self.driver, ManualDriver):
            self.driver.settle(only=lambda stage: not getattr(stage, "is_worker", False))

    @property
    def history(self) -> list[StepRecord]:
        """The newest runs, oldest first, at most 200."""
        note_read(self._trace)
        return list(self.runner.history)

    @property
    def given_up(self) -> dict[str, str]:
        """Keys that failed too often or terminally, with their last error."""
        note_read(self._trace)
        return dict(self.runner.given_up)

    # -- running -------------------------------------------------------------------------

    def start(self, workers: int | None = None) -> Controller:
        """Start the workers; they begin once every source has synced.

        Raises:
            AlreadyStarted: they run.
            AlreadyStopped: the controller was closed.
        """
        self._check_open("start")
        self.error = None
        self._trace.failures.worked("thread", self.env.actor)
        self.pool.start(self.workers if workers is None else workers)
        self._note("started")
        return self

    def host(self, wake: Callable[[], None]) -> None:
        """Say that somebody else takes the keys and runs them; `wake` tells it of one."""
        self._check_open("start")
        self.pool.host(wake)
        self._note("started")

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

    def failed(self, error: BaseException) -> None:
        """Keep what ended a worker; `error` shows it."""
        self.error = error
        self.env.note("", "failed", 0, {"error": describe_error(error)})
        then = "it reconciles nothing more"
        self._trace.failures.failed("thread", self.env.actor, "", error, then=then)

    def pause(self) -> None:
        """Let workers finish what they have and take nothing more, until `resume`."""
        self.pool.is_paused = True

    def resume(self) -> None:
        """Let workers take keys again."""
        self.pool.resume()

    @property
    def is_paused(self) -> bool:
        """Whether workers take no keys for the time being."""
        return self.pool.is_paused

    @property
    def is_running(self) -> bool:
        """Whether workers were started and not stopped."""
        return self.pool.is_running

    @property
    def stuck(self) -> dict[str, float]:
        """Keys whose run does not return, with the seconds since it began."""
        return self.pool.stuck

    def stop(self) -> None:
        """Let the runs in hand end and the workers with them; returns at once, idempotent.

        What is queued stays queued: `start` or `step` go on with it.
        """
        was_running = self.is_running
        self.pool.stop()
        if was_running:
            self._note("stopped")

    def join(self, timeout_seconds: float | None = None) -> list[str]:
        """Wait for the threads to end.

        Returns:
            Names of those still alive: user code that does not return cannot be killed.
        """
        deadline = Deadline(self.clock, timeout_seconds)
        alive = self.pool.join(deadline)
        if self._is_closed:  # until then events may still come
            self.env.recorder.join(deadline.remaining_seconds())
        return alive

    def close(self) -> None:
        """Stop for good: remove the handlers, shut the queue down. Idempotent."""
        if self._born != fork.generation():
            return  # its workers and handlers are the parent's
        is_first = not self._is_closed
        self._is_closed = True  # said first; all that follows may be done twice
        self.stop()
        if is_first:
            self._note("closed")
        self.sources.remove()
        self.queue.shut_down()
        self.env.recorder.close()
        self._trace.failures.forget(self.env.actor)

    def _note(self, state: str) -> None:
        """Leave in the trace what became of this controller, for views of the past."""
        resources = tuple(each.resource.gvr.group_resource for each in self.informers)
        self.env.note("", "controller", 0, {"state": state, "resources": resources})

    def _check_open(self, what: str) -> None:
        fork.check(self._born, f"controller {self.name}")
        if self._is_closed:
            raise AlreadyStopped(
                f"cannot {what}: controller {self.name} is closed; make it again "
                "(a cell that is run again closes the one it made before)"
            )

    # -- the rest ----------------------------------------------------------------------------

    def twin(
        self, informer_for: Callable[[InformerLike], InformerLike], **parts: Any
    ) -> Controller:
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
        checked_function(hook.before, "before() of a hook", ("verb", "resource", "key", "is_write"))
        checked_function(hook.after, "after() of a hook", ("call",))
        self.env.hooks = (*self.env.hooks, hook)

        def remove() -> None:
            self.env.hooks = tuple(held for held in self.env.hooks if held is not hook)

        return remove

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "running" if self.is_running else "stopped"
        if self.is_running and self.is_paused:
            state = "paused"
        if self.error is not None and not self._is_closed:
            state = f"failed ({type(self.error).__name__})"
        return f"<Controller {self.name} of {self.resource.gvr.group_resource} {state}>"


def _checked_informer(informer: InformerLike, where: str) -> InformerLike:
    if not hasattr(informer, "add_event_handler") or not hasattr(informer, "resource"):
        raise ConfigError(
            f"{where} takes informers, not {informer!r}; lab.controller also takes their names"
        )
    return informer


def _check_arguments(
    name: str,
    reconcile: object,
    workers: int,
    max_retries: int | None,
    timeout_seconds: float | None,
    queue: str,
) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"a controller needs a name, not {name!r}")
    checked_function(reconcile, "reconcile", ("request", "ctx"))
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
    queue: RateLimitingQueue[str] = make(
        name, clock=clock, limiter=limiter, trace=trace, resource=resource.gvr.group_resource
    )
    queue.check = _key_check(resource)
    return queue


def _key_check(resource: ApiResource) -> Callable[[object], None]:
    """Return what refuses a key that no worker could reconcile, where it is added."""
    slashes = 1 if resource.is_namespaced else 0

    def check(item: object) -> None:
        if type(item) is str and item.count("/") == slashes and item.strip("/") == item != "":
            return
        request = Request.of(item, resource)
        if request.key != item:
            raise ConfigError(
                f"a workqueue holds keys, not {type(item).__name__}: add {request.key!r}, "
                "or use the controller's enqueue()"
            )

    return check
