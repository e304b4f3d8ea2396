"""What a user holds: one API server, one trace, one driver, and all that looks at it.

A lab is the shared informer factory: the same resource, namespace and selectors give the
same informer. It owns everything it made and `close` ends all of it, downstream last:
views, controllers, informers, the built-in controllers, the transport, the server.

Guarantees:
  1. After `close` no thread of this lab is left, except user code that does not return;
     its thread is named in the returned list.
  2. A call after `close` raises `AlreadyStopped`; `close` itself may be repeated.
  3. Nothing here prints.

Thread: any thread may call any method; `close` may be called from anywhere, a handler
included.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from crlab.errors import AlreadyStopped, ConfigError, CrlabError, SyncTimeout
from crlab.lab import registry
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock, FakeClock
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import Driver, ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace, TraceRecord

if TYPE_CHECKING:
    from crlab.apiserver import ApiServer
    from crlab.client import DynamicClient
    from crlab.client.transport import Transport
    from crlab.lab.informer import Informer

LabKind = Literal["sandbox", "cluster", "envtest", "replay"]


class Lab:
    """One API server and everything that looks at it. Made by `crlab.sandbox()` and others.

    Attributes:
        kind: "sandbox", "cluster", "envtest" or "replay".
        client: the dynamic client; `lab.client.create(...)`.
        trace: the log of what happened here.
        clock, ids, driver: time, chance, and who performs the stages.
        server: the embedded `ApiServer`, None on a real cluster.
    """

    def __init__(
        self,
        *,
        kind: LabKind,
        transport: Transport,
        client: DynamicClient,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        driver: Driver,
        server: ApiServer | None = None,
        name: str = "",
        closers: Sequence[Callable[[], Sequence[str] | None]] = (),
    ) -> None:
        self.kind: LabKind = kind
        self.name = name or kind
        self.client = client
        self.clock = clock
        self.ids = ids
        self.trace = trace
        self.driver = driver
        self.server = server
        self._transport = transport
        self._closers = list(closers)
        self._lock = threading.Lock()
        self._informers: dict[tuple[Any, ...], Informer] = {}
        self._closables: list[Any] = []
        self._is_closed = False
        self._number = registry.register(self)

    # -- the cluster -------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    @property
    def is_writable(self) -> bool:
        """Whether this lab may write anywhere."""
        return bool(self.client.allow_writes)

    def resource(self, name: str | ApiResource) -> ApiResource:
        """Return what discovery knows of a name: plural, kind, short name, "plural.group"...

        Raises:
            UnknownResource: nothing is served under that name; the nearest are named.
        """
        self._check_open("look up a resource")
        return self.client.resolve(name)

    def _check_open(self, what: str) -> None:
        if self._is_closed:
            raise AlreadyStopped(
                f"cannot {what}: {self!r} is closed; open another one with crlab.{self.opener}()"
            )

    @property
    def opener(self) -> str:
        """The function that makes a lab of this kind."""
        return {"sandbox": "sandbox", "cluster": "connect"}.get(self.kind, self.kind)

    # -- time ----------------------------------------------------------------------------

    def step(self) -> TraceRecord | None:
        """Perform one transition anywhere in the pipeline (manual driver).

        Returns:
            The last record it wrote to the trace; None if nothing was left to do.

        Raises:
            ConfigError: this lab runs in threads; open it with ``driver="manual"``.
        """
        driver = self._manual("step")
        before = self.trace.last_seq
        while driver.step() is not None:
            if self.trace.last_seq > before:
                return self.trace.get(self.trace.last_seq)
        return None

    def settle(self, timeout_seconds: float = 10.0) -> int:
        """Let everything that is under way reach its end.

        With the manual driver this performs every transition there is, on this thread.
        With threads it waits until the informers hold the server's present revision and
        nothing is queued.

        Returns:
            How many transitions were performed (manual), else 0.

        Raises:
            SyncTimeout: threads did not come to rest in time; says what had not.
        """
        self._check_open("settle")
        if isinstance(self.driver, ManualDriver):
            return self.driver.settle()
        self.wait_until(lambda: not self._unsettled(), timeout_seconds, what=self._unsettled)
        return 0

    def advance(self, seconds: float) -> None:
        """Move a manual lab's clock on, letting timers, back-offs and deadlines fire.

        Raises:
            ConfigError: the clock of this lab is the machine's.
        """
        if not isinstance(self.clock, FakeClock):
            raise ConfigError(
                "this lab runs on the machine's clock; "
                'crlab.sandbox(driver="manual") has one that can be advanced'
            )
        self.clock.advance(seconds)

    def wait_until(
        self,
        predicate: Callable[[], object],
        timeout_seconds: float = 10.0,
        *,
        what: Callable[[], Sequence[str]] | str = "the condition",
    ) -> None:
        """Return once `predicate()` is true; it is looked at after each thing that happens.

        Args:
            timeout_seconds: on the lab's clock; the manual driver gives up as soon as
                nothing moves any more.
            what: for the error: what was awaited.

        Raises:
            SyncTimeout: it did not become true in time.
        """
        self._check_open("wait")
        happened = threading.Condition()

        def notify(record: TraceRecord) -> None:
            del record
            with happened:
                happened.notify_all()

        untap = self.trace.tap(notify)
        try:
            if self.driver.wait_until(happened, lambda: bool(predicate()), 0):
                return
            deadline = Deadline(self.clock, timeout_seconds)
            while not deadline.is_over():
                # Not every change leaves a record (a backlog that drains): look again soon.
                slice_seconds = min(0.05, deadline.remaining_seconds() or 0.0)
                if self.driver.wait_until(happened, lambda: bool(predicate()), slice_seconds):
                    return
                if self.driver.is_manual:
                    break
        finally:
            untap()
        missing = [what] if isinstance(what, str) else list(what())
        raise SyncTimeout(missing or ["the condition"], timeout_seconds=timeout_seconds)

    def _manual(self, verb: str) -> ManualDriver:
        self._check_open(verb)
        if not isinstance(self.driver, ManualDriver):
            raise ConfigError(
                f"cannot {verb}: this lab runs in threads; "
                'crlab.sandbox(driver="manual") moves only when told'
            )
        return self.driver

    def _unsettled(self) -> list[str]:
        found: list[str] = []
        revision = self.server.storage.revision if self.server is not None else None
        for informer in self.informers:
            found += informer.unsettled(revision)
        for closable in self._closables:
            unsettled = getattr(closable, "unsettled", None)
            if unsettled is not None:
                found += unsettled()
        return found

    # -- informers -----------------------------------------------------------------------

    @property
    def informers(self) -> list[Informer]:
        """The informers of this lab, in the order they were made."""
        with self._lock:
            return list(self._informers.values())

    def adopt(self, closable: Any) -> None:
        """Close `closable` with this lab (views, controllers, recorders call this)."""
        with self._lock:
            self._closables.append(closable)

    def release(self, closable: Any) -> None:
        """Forget something that has closed itself."""
        with self._lock:
            if closable in self._closables:
                self._closables.remove(closable)

    # -- the end -------------------------------------------------------------------------

    def close(self, timeout_seconds: float = 5.0) -> list[str]:
        """End everything this lab made. Idempotent, any thread.

        Returns:
            Names of threads that were abandoned because user code did not return, [] if
            none was.
        """
        with self._lock:
            if self._is_closed:
                return []
            self._is_closed = True
            closables = self._closables[::-1]
            informers = list(self._informers.values())[::-1]
        abandoned: list[str] = []
        deadline = Deadline(self.clock, timeout_seconds)
        for item in [*closables, *informers]:
            stop = getattr(item, "stop", None)
            if stop is not None:
                stop()
        for item in [*closables, *informers]:
            abandoned += _close(item, deadline)
        for closer in self._closers:
            abandoned += closer() or ()
        registry.unregister(self._number)
        return abandoned

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._informers)} informers"
        rights = "writable" if self.is_writable else "read-only"
        return f"Lab({self.name}, {rights}, {state})"


def _close(item: Any, deadline: Deadline) -> list[str]:
    """Close one thing within what is left of the time; return the threads it left."""
    try:
        return list(item.close() or ())
    except CrlabError as error:
        return list(getattr(error, "threads", ()))


__all__ = ["Lab", "LabKind", "Mapping"]
