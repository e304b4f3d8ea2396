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

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from crlab.apiserver import ADMIN
from crlab.client import ListOptions, ResourceListerWatcher
from crlab.errors import AlreadyStopped, ConfigError, ResourceExpired, SyncTimeout
from crlab.lab import open_lab as registry
from crlab.lab.parts import LabKind, Parts
from crlab.lab.question import check_question, check_resource, check_sources
from crlab.lab.wait_text import activity, advice_for, check_wait, name_of_predicate
from crlab.model.argument import (
    checked_answer,
    checked_function,
    checked_key,
    checked_list,
    checked_number,
    checked_path,
    checked_text,
    checked_texts,
    checked_timeout,
)
from crlab.model.resource import ApiResource
from crlab.report.transition import Transition
from crlab.runtime import fork
from crlab.runtime.clock import FakeClock, RealClock
from crlab.runtime.closing_stack import ClosingStack
from crlab.runtime.deadline import Deadline
from crlab.runtime.dependency import refuse_read
from crlab.runtime.driver import ManualDriver, Stage
from crlab.trace.record import Trace, TraceRecord

if TYPE_CHECKING:
    import pandas as pd

    from crlab.apiserver import ApiServer
    from crlab.cache import SharedInformer
    from crlab.client import Applied
    from crlab.client.endpoint import Endpoint
    from crlab.client.list_watch import ListerWatcher
    from crlab.lab.builtin_controller import BuiltinControllers
    from crlab.lab.fault import LabFaults
    from crlab.lab.informer import Informer
    from crlab.lab.lab_controller import LabController
    from crlab.lab.live import Live
    from crlab.report.explanation import Explanation
    from crlab.report.judgement import Stress
    from crlab.report.owner_tree import OwnerTree
    from crlab.report.problem import Problems
    from crlab.report.rbac import Rbac
    from crlab.trace.recording import Recorder
    from crlab.widgets.pipeline import PipelineView
    from crlab.widgets.time_slider import TimeSliderView

LabState = Literal["open", "closing", "closed"]

CLOSE_SECONDS = 1.0


class Rank(IntEnum):
    """In which order `close` ends the parts of a lab: who looks first, who serves last."""

    MADE = 0  # views, controllers, recorders, labs of other users
    INFORMER = 1
    WIDGET = 2
    BUILTIN = 3
    CLIENT = 4
    SERVER = 5
    CALLBACK = 6  # the user's
    RUNTIME = 7  # threads and timers whose maker was interrupted


OWNED = (
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "pods",
    "services",
    "configmaps",
    "secrets",
)


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
        parts: Parts,
        *,
        owns_driver: bool = True,
    ) -> None:
        clock, driver, server = parts.clock, parts.driver, parts.server
        client, transport = parts.client, parts.transport
        self._parts = parts
        self.kind: LabKind = parts.kind
        self.name = parts.name
        self.client = client
        self.clock = clock
        self.ids = parts.ids
        self.trace = parts.trace
        self.driver = driver
        self.server = server
        self._lock = fork.lock()
        self._informers: dict[tuple[Any, ...], Informer] = {}
        self._controllers: list[LabController] = []
        self._builtin: BuiltinControllers | None = None
        self._closing = ClosingStack("the lab")
        self._made_by_cell = registry.ByCell()
        self._faults: LabFaults | None = None
        self._deadline: Deadline | None = None
        if owns_driver:
            self._closing.push("the threads", driver.close, rank=Rank.RUNTIME)
            if isinstance(clock, RealClock):
                self._closing.push("the timers", clock.close, rank=Rank.RUNTIME)
        if server is not None:
            self._closing.push("the server", server.close, rank=Rank.SERVER)
        self._closing.push("the client", lambda: client.close(self._ended), rank=Rank.CLIENT)
        self._closing.push("the connections", transport.close, rank=Rank.CLIENT)
        self._closing.push("the widgets", self._close_widgets, rank=Rank.WIDGET)
        self._born = fork.generation()
        self._number = registry.register(self)

    # -- the cluster -------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the API server listens; "" for a sandbox that is on no socket.

        The URL of a sandbox holds its secret: who has it is its administrator.
        """
        if self.server is not None:
            return self.server.url if self.server.is_serving else ""
        return self._parts.url

    @property
    def title(self) -> str:
        """Kind and name: "sandbox seed=0"."""
        return self._parts.title

    @property
    def builtin_names(self) -> tuple[str, ...]:
        """Which of the embedded server's own controllers run: "namespace", "gc", …"""
        return self._builtin.names if self._builtin is not None else ()

    @property
    def is_recording(self) -> bool:
        """Whether `record` writes this lab's trace to a file now."""
        return any(recorder.is_recording for recorder in self.recorders)

    @property
    def recorders(self) -> list[Recorder]:
        """What `record` returned and was not closed; `error` says why one has stopped."""
        return [x for x in self._closing.things(Rank.MADE) if hasattr(x, "is_recording")]

    @property
    def is_seeded(self) -> bool:
        """Whether this lab gives the same outputs on every run."""
        return self._parts.is_seeded

    @property
    def allow_writes(self) -> tuple[str, ...]:
        """Where this lab may write: () nowhere, ("*",) everywhere, else namespaces."""
        return self.client.allow_writes

    @property
    def connection(self) -> tuple[Endpoint | None, str]:
        """Where requests go (None: nowhere, the server is in this process) and how they
        authenticate: "token", "exec /usr/bin/plugin", "none"."""
        endpoint: Endpoint | None = getattr(self._parts.transport, "endpoint", None)
        return endpoint, str(getattr(self._parts.transport, "authentication", "none"))

    @property
    def credential_error(self) -> tuple[str, float]:
        """Why there are no credentials now, and since when (wall time); "" while there are."""
        credentials = getattr(self._parts.transport, "credentials", None)
        return getattr(credentials, "error", ""), getattr(credentials, "failed_at", 0.0)

    @property
    def builtin_trace(self) -> Trace | None:
        """What the embedded server's own controllers did; None where none run."""
        return self._builtin.trace if self._builtin is not None else None

    @property
    def is_closed(self) -> bool:
        """Whether all that this lab had was closed; see `state`."""
        return self._closing.is_closed

    @property
    def state(self) -> LabState:
        """Where it is in its life: "closing" from the call of `close` until every part had its
        turn, which an interrupt puts off to the next call."""
        if self._closing.is_closed:
            return "closed"
        return "closing" if self._closing.is_closing else "open"

    @property
    def is_writable(self) -> bool:
        """Whether this lab may write anywhere."""
        return bool(self.client.allow_writes)

    def resource(self, name: str | ApiResource) -> ApiResource:
        """Return what discovery knows of a name: plural, kind, short name, "plural.group"...

        Raises:
            UnknownResource: nothing is served under that name; the nearest are named.
        """
        self.check_open("look up a resource")
        return self.client.resolve(name)

    def apply(
        self,
        source: Any,
        *,
        namespace: str | None = None,
        force: bool = True,
        dry_run: bool = False,
    ) -> list[Applied]:
        """Create what is absent and make what is there as described, as ``kubectl apply``.

        What an earlier apply named and the manifest no longer names is removed: fields, and
        items of lists such as containers. What others added stays. It is a server-side apply
        (Kubernetes 1.22 or later), so the server keeps who named what; there is no annotation.
        What ``kubectl apply`` wrote before is taken over. An object that was read or exported
        can be applied: what only the server sets is taken out of it.

        Args:
            source: a path, a folder, YAML or JSON text, a mapping, or a list of these.
            namespace: for namespaced objects that name none; default "default".
            force: take over the named fields that others manage, as kubectl does; False
                refuses them and names who manages them.
            dry_run: have the server check it, and change nothing.

        Returns:
            One `Applied` per object: created, configured or unchanged.

        Raises:
            ManifestError: not Kubernetes objects; nothing was sent.
            BodyRefused: a value without a JSON form, or a masked one; nothing was sent.
            UnknownResource: no such kind; nothing was sent.
            ReadOnlyError: this lab may not write one of them; nothing was sent.
            Conflict: others manage fields that it names, and `force` is off.
            Invalid: the server's causes, field by field.
        """
        self.check_open("apply")
        return self.client.apply_manifests(
            source, namespace=namespace, force=force, dry_run=dry_run
        )

    def get(self, resource: str | ApiResource, name: str, namespace: str | None = None) -> Any:
        """Read one object from the server (not the cache), as a fresh dict.

        Raises:
            NotFound: there is none of that name.
        """
        self.check_open("get")
        return self.client.get(resource, name, namespace=namespace)

    def delete(self, resource: str | ApiResource, name: str, namespace: str | None = None) -> Any:
        """Ask the server to delete one object; return its answer.

        Raises:
            NotFound: there is none of that name.
            ReadOnlyError: this lab may not write there.
        """
        self.check_open("delete")
        return self.client.delete(resource, name, namespace=namespace)

    @property
    def requests(self) -> pd.DataFrame:
        """Every request this lab made.

        Shape:
            Index "seq" (int64); time, actor, verb, resource, namespace, name, subresource,
            query, status, duration_seconds, bytes_sent, bytes_received, error.
        """
        from crlab.frame.requests_frame import requests_frame

        return requests_frame(self.client.requests)

    @property
    def informers(self) -> list[Informer]:
        """The informers of this lab, in the order they were made."""
        with self._lock:
            return list(self._informers.values())

    @property
    def controllers(self) -> list[LabController]:
        """The controllers of this lab, in the order they were made."""
        with self._lock:
            return list(self._controllers)

    def _own_server(self, verb: str) -> ApiServer:
        self.check_open(verb)
        refuse_read(verb)
        self.check_here(verb)
        if self.server is None:
            raise ConfigError(f"cannot {verb}: {self!r} is not a sandbox")
        return self.server

    def check_open(self, what: str) -> None:
        """Raise if this lab was closed; `what` was asked of it, as in "cannot <apply>".

        Raises:
            AlreadyStopped: it was; says how to open another one.
        """
        if self._closing.is_closing:
            raise AlreadyStopped(f"cannot {what}: {self._ended}")

    def check_here(self, what: str) -> None:
        """Raise in a forked child, which has requests of its own, and a copy of all the rest.

        Raises:
            LifecycleError: this process is a child of the one that opened the lab.
        """
        fork.check(self._born, f"cannot {what} in a forked child: {self!r}")

    @property
    def _ended(self) -> str:
        shown = self._shown("closed")
        return f"{shown} is closed; open another one with crlab.{self.opener}()"

    @property
    def opener(self) -> str:
        """The function that makes a lab of this kind."""
        return {"sandbox": "sandbox", "cluster": "connect"}.get(self.kind, self.kind)

    def adopt(self, closable: Any) -> None:
        """Close `closable` with this lab (views, controllers, recorders call this).

        Raises:
            AlreadyStopped: the lab was closed meanwhile.
        """
        self._hold_part(closable, Rank.MADE)

    def _hold_part(self, thing: Any, rank: Rank) -> None:
        stop = getattr(thing, "stop", None)
        try:
            self._closing.push(name_of(thing), thing.close, rank=rank, stop=stop, thing=thing)
        except AlreadyStopped:
            raise AlreadyStopped(f"cannot add {name_of(thing)}: {self._ended}") from None

    def release(self, closable: Any) -> None:
        """Forget something that has closed itself."""
        self._closing.remove(closable)
        with self._lock:
            if closable in self._controllers:
                self._controllers.remove(closable)

    # -- the end -------------------------------------------------------------------------

    def close(self, timeout_seconds: float = 5.0) -> list[str]:
        """End everything this lab made. Idempotent, any thread.

        Every part gets its turn, whatever another one raises. An interrupt ends the waiting
        at once and is raised: `state` is then "closing", and the next call goes on where this
        one stopped. In a forked child nothing of the parent's is touched.

        Args:
            timeout_seconds: how long handlers, reconciles and requests under way are waited
                for, all together; the server's own end is not counted.

        Returns:
            Names of threads that were abandoned because user code did not return, [] if
            none was; while another thread is closing this lab, the parts that are left.

        Raises:
            Exception: the first failure of a part or of an `on_close` callback, after all had
                their turn; its notes say what failed beside it.
        """
        self._deadline = Deadline(self.clock, timeout_seconds)
        try:
            return self._closing.close()
        finally:
            if self.is_closed:
                registry.unregister(self._number)

    def patience_seconds(self) -> float:
        """Return how long the end of one part is waited for: a second, or what `close` has left."""
        deadline = self._deadline
        left = deadline.remaining_seconds() if deadline is not None else None
        return CLOSE_SECONDS if left is None else min(CLOSE_SECONDS, left)

    def _close_widgets(self) -> None:
        """Replace this lab's live views by static ones, if any were ever shown."""
        views = sys.modules.get("crlab.widgets.view")
        if views is not None:
            views.close_all(self)

    def on_close(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Call `callback` at the end of `close`, once; return the undo.

        What it raises is raised by `close`, after everything was closed. A lab that is closed
        calls nothing more.
        """
        checked_function(callback, "what on_close() takes")
        name = f"on_close({getattr(callback, '__qualname__', type(callback).__name__)})"
        try:
            return self._closing.push(name, lambda: callback() and None, rank=Rank.CALLBACK)
        except AlreadyStopped:
            return lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        count = len(self._informers)
        state = self.state
        return self._shown(f"{count} informer{'s' * (count != 1)}" if state == "open" else state)

    def _shown(self, state: str) -> str:
        rights = "writable" if self.is_writable else "read-only"
        return f"Lab({self.title}, {rights}, {state})"

    # -- time ----------------------------------------------------------------------------

    def step(self, *, only: str = "") -> Transition | None:
        """Perform one transition anywhere in the pipeline (manual driver).

        ``print(lab.step())`` says what happened in one sentence, and the rule behind it.

        Args:
            only: of stages whose name begins so: "reflector", "processor", "listener".

        Returns:
            What happened, with every trace record it left; None if nothing was left to do.

        Raises:
            ConfigError: this lab runs in threads; open it with ``driver="manual"``.
        """
        driver = self._manual("step")
        checked_text(only, "only", '"reflector", "processor" or "listener"')
        before = self.trace.last_seq
        while (stage := driver.step(_chosen(only))) is not None:
            # A unit may leave no record (a wake-up for nothing): that is no transition.
            if records := self.trace.records(after=before):
                return Transition(stage.name, tuple(records))
        return None

    def settle(self, timeout_seconds: float = 10.0, *, only: str = "") -> int:
        """Let everything that is under way reach its end.

        With the manual driver this performs every transition there is, on this thread; with
        threads it waits until nothing is queued and no handler is busy. In a sandbox the
        informers then hold the server's present revision; on any other server (manual
        too) they hold every write that this lab made, and what it deleted is gone from them
        or, where finalizers hold it, terminating. What others write is not waited for.

        Args:
            only: (manual) let only these stages move: "reflector", "processor", "listener";
                what they hand on stays in the queue behind them, to be looked at.

        Returns:
            How many transitions were performed (manual), else 0.

        Raises:
            SyncTimeout: it did not come to rest in time; says what had not, and where.
            ConfigError: `only` in a lab that runs in threads.
        """
        self.check_open("settle")
        self.check_here("settle")
        checked_timeout(timeout_seconds)
        checked_text(only, "only", '"reflector", "processor" or "listener"')
        if isinstance(self.driver, ManualDriver):
            before = self.driver.steps
            self.driver.settle(only=_chosen(only))
            if not only and not self._is_still:
                self.wait_until(
                    lambda: not self._on_its_way(), timeout_seconds, what=self._on_its_way
                )
                self.driver.settle()
            return self.driver.steps - before
        if only:
            self._manual(f"settle only {only}")
        self.wait_until(lambda: not self._unsettled(), timeout_seconds, what=self._unsettled)
        return 0

    def advance(self, seconds: float) -> None:
        """Move a manual lab's clock on, letting timers, back-offs and deadlines fire.

        Raises:
            ConfigError: the clock of this lab is the machine's, or time would go back.
        """
        self.check_open("advance")
        if not isfinite(checked_number(seconds, "time only moves on: seconds")):
            raise ConfigError("time moves on, but not for ever: seconds is inf")
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
        what: Callable[[], Sequence[str]] | str = "",
    ) -> None:
        """Return once `predicate()` is true; it is looked at after each thing that happens.

        Args:
            timeout_seconds: on the lab's clock; the manual driver of a sandbox gives up as
                soon as nothing moves any more.
            what: for the error: what was awaited; "" is the predicate's name or its line.

        Raises:
            SyncTimeout: it did not become true in time; says what was awaited, and what the
                informers, controllers and queues were doing then.
            ConfigError: `predicate` is no function, or the limit no number.
        """
        self.check_open("wait")
        check_wait(predicate, timeout_seconds, what)
        happened = threading.Condition()

        def is_true() -> bool:
            return bool(checked_answer(predicate(), name_of_predicate(predicate)))

        def notify(_: TraceRecord) -> None:
            # Whoever writes the trace may hold a lock that the predicate is waiting for, so
            # nothing waits here; a missed notification costs one slice.
            if happened.acquire(blocking=False):
                happened.notify_all()
                happened.release()

        untap = self.trace.tap(notify)
        try:
            if self.driver.wait_until(happened, is_true, 0):
                return
            deadline = Deadline(self.clock, timeout_seconds)
            while not deadline.is_over():
                # Not every change leaves a record (a backlog that drains): look again soon.
                left = deadline.remaining_seconds()
                slice_seconds = 0.05 if left is None else min(0.05, left)
                if self.driver.wait_until(happened, is_true, slice_seconds):
                    return
                if self._is_still:
                    break
        finally:
            untap()
        missing = [what] if isinstance(what, str) else list(what())
        raise SyncTimeout(
            [text for text in missing if text] or [name_of_predicate(predicate)],
            timeout_seconds=timeout_seconds,
            said=self._said(timeout_seconds, settling=callable(what)),
            now=activity(self),
            advice=advice_for(self),
        )

    def _said(self, timeout_seconds: float, *, settling: bool) -> str:
        if self._is_still:
            return "not true, and nothing moves any more"
        return f"not {'settled' if settling else 'true'} after {timeout_seconds:g} s"

    def _manual(self, verb: str) -> ManualDriver:
        self.check_open(verb)
        self.check_here(verb)
        if not isinstance(self.driver, ManualDriver):
            raise ConfigError(
                f"cannot {verb}: this lab runs in threads; "
                'crlab.sandbox(driver="manual") moves only when told'
            )
        return self.driver

    @property
    def _is_still(self) -> bool:
        """Whether nothing at all moves unless it is stepped."""
        return isinstance(self.driver, ManualDriver) and self.driver.clock is None

    def _on_its_way(self) -> list[str]:
        """Say what informers that are stepped by hand still have to get from a server."""
        found: list[str] = []
        for informer in self.informers:
            is_refused = informer.status.state in ("failed", "gone")
            found += informer.unheld() if is_refused else informer.unsettled(None)
        return found

    def _unsettled(self) -> list[str]:
        """Say what is still under way; [] if nothing is."""
        found: list[str] = []
        for informer in self.informers:
            found += informer.unsettled(self._truth(informer))
        for controller in self.controllers:
            found += controller.unsettled()
        if self._builtin is not None:
            found += self._builtin.unsettled()
        return found

    def _truth(self, informer: Informer) -> dict[str, str] | None:
        """Return key → resourceVersion as the embedded server has it; None elsewhere."""
        if self.server is None:
            return None
        from crlab.lab.in_process import InProcessTransport

        transport = InProcessTransport(self.server, identity=ADMIN)
        found: dict[str, str] = {}
        for place in informer.namespaces or (None,):
            mine = ResourceListerWatcher(
                transport,
                informer.resource,
                place,
                informer.label_selector,
                informer.field_selector,
                clock=self.clock,
            )
            items = mine.list(ListOptions()).items
            found.update((obj.key, obj.resource_version) for obj in items)
        return found

    # -- informers -----------------------------------------------------------------------

    def informer(
        self,
        resource: str | ApiResource,
        *,
        namespace: str | Sequence[str] | None = None,
        label_selector: str = "",
        field_selector: str = "",
        resync_seconds: float = 0.0,
        queue: Literal["real", "real-per-item", "delta"] = "real",
        list_mode: Literal["auto", "watchlist", "list"] = "auto",
        columns: Any = None,
        indexers: Mapping[str, Callable[..., Any]] | None = None,
        transform: Callable[[Any], Any] | None = None,
        metadata_only: bool = False,
        include_secrets: bool = False,
        poll_seconds: float | None = None,
        audit_seconds: float | None = None,
        start: bool = True,
        **options: Any,
    ) -> Informer:
        """Return the informer of a resource; the same arguments give the same one.

        Args:
            resource: plural, kind, short name, "plural.group", "plural.version.group".
            namespace: limit it to one, or to several (one that is forbidden does not stop the
                others); None is everywhere.
            label_selector, field_selector: let the server send only what matches.
            resync_seconds: how often handlers are shown everything again; 0 never.
            queue: "real" (RealFIFO, in order), "real-per-item" (the same, but a relist is
                applied item by item) or "delta" (the classic DeltaFIFO).
            list_mode: "auto" streams the first list where the server can; "watchlist", "list".
            columns: of `df`, beside the resource's own: ``{"image": ".spec.image"}``; others
                than before give another frame over the same cache.
            indexers: name → function from an object to values.
            transform: what to keep of an object, with name and namespace; applied before it is
                cached. A write of what it changed, as a whole, is refused (patch it, or read
                it from the server); a plain dict of it, `to_dict()`, cannot be told apart.
            metadata_only: cache only the objects' metadata; `df` then has the columns that
                every object has.
            include_secrets: give code the values of Secrets and token reviews; otherwise only
                keys and lengths. Other kinds are given as they are; what is shown is masked.
            poll_seconds: list so often where you may list but not watch; None: never.
            audit_seconds: compare the cache with the server so often, and list again if they
                differ; None: never.
            start: begin at once; else with `Informer.start`, or when it is asked for again.
            options: further ones of `SharedInformer`: page_size, idle_timeout_seconds, …

        Raises:
            UnknownResource: nothing is served under that name; the nearest are named.
            SelectorError: a selector that does not parse.
            ConfigError: another argument that cannot work, said which.
        """
        from crlab.lab.informer import Informer
        from crlab.lab.recording import note_informer

        self.check_open("make an informer")
        check_resource(resource, "lab.informer()")
        places = _places(namespace)
        check_question(
            label_selector=label_selector,
            field_selector=field_selector,
            resync_seconds=resync_seconds,
            queue=queue,
            list_mode=list_mode,
            namespaces=places,
            columns=columns,
            indexers=indexers,
            transform=transform,
            options=options,
        )
        if audit_seconds is not None and self.kind == "replay":
            raise ConfigError("cannot audit: a recording has no server to compare the cache with")
        found = self.client.resolve(resource)
        places = places if found.is_namespaced else ()
        identity = (
            found.gvr, places, label_selector, field_selector, queue, list_mode,
            metadata_only, include_secrets, transform, poll_seconds, audit_seconds,
            repr(sorted(options.items())),
        )  # fmt: skip
        with self._lock:
            known = self._informers.get(identity)
        if known is not None and not known.shared.is_stopped:
            have = known.indexer.indexers()
            known.shared.add_indexers({k: f for k, f in (indexers or {}).items() if k not in have})
            return (known.start() if start else known).framed(columns)
        shared = self._shared_informer(
            found,
            places,
            label_selector,
            field_selector,
            metadata_only=metadata_only,
            include_secrets=include_secrets,
            resync_seconds=resync_seconds,
            queue=queue,
            list_mode=list_mode,
            indexers=indexers,
            transform=transform,
            poll_seconds=poll_seconds,
            audit_seconds=audit_seconds,
            **options,
        )
        informer = Informer(
            self,
            shared,
            found,
            places,
            label_selector=label_selector,
            field_selector=field_selector,
            columns=columns,
        )
        informer.check_columns()
        with self._lock:
            other = self._informers.get(identity)
            if other is not None and not other.shared.is_stopped:
                return other.start() if start else other  # asked for at the same time
            self._informers[identity] = informer
        self._closing.remove(other)  # stopped, and replaced
        try:
            self._hold_part(informer, Rank.INFORMER)
            note_informer(self, informer)
            if start:
                informer.start()
        except BaseException:  # an interrupt, or no thread: nothing half made goes on
            shared.stop()
            with self._lock:
                self._informers.pop(identity, None)
            raise
        return informer

    def _shared_informer(
        self,
        resource: ApiResource,
        namespaces: tuple[str, ...],
        label_selector: str,
        field_selector: str,
        *,
        metadata_only: bool,
        include_secrets: bool,
        **options: Any,
    ) -> SharedInformer:
        from crlab.cache import SharedInformer
        from crlab.model.redaction import holds_secrets, redact_kube_object

        lister_watchers = [
            self.client.lister_watcher(
                resource, place, label_selector, field_selector, metadata_only=metadata_only
            )
            for place in namespaces or (None,)
        ]
        place = ",".join(namespaces)
        is_masked = holds_secrets(resource) and not include_secrets
        options["name"] = options.get("name") or self._free_name(lister_watchers)
        return SharedInformer(
            lister_watchers if len(lister_watchers) > 1 else lister_watchers[0],
            driver=self.driver,
            clock=self.clock,
            ids=self.ids.fork(f"informer/{resource.gvr}/{place}/{label_selector}"),
            trace=self.trace,
            redact=partial(redact_kube_object, resource=resource) if is_masked else None,
            **options,
        )

    def _free_name(self, lister_watchers: Sequence[ListerWatcher]) -> str:
        """Return a name for an informer; the second of the same question is "pods#2".

        The trace tells two informers of one resource apart by it: an event that both saw
        happened to each of them once.
        """
        from crlab.cache import name_of, source_of

        name = name_of(lister_watchers)
        with self._lock:
            taken = {i.shared.source for i in self._informers.values() if not i.shared.is_stopped}
        free, number = name, 2
        while source_of(free, lister_watchers[0]) in taken:
            free, number = f"{name}#{number}", number + 1
        return free

    def wait_for_cache_sync(self, timeout_seconds: float | None = 10.0) -> None:
        """Return once every informer made so far has synced; None waits for ever.

        Raises:
            SyncTimeout: some had not in time; names them.
        """
        self.check_open("wait")
        checked_timeout(timeout_seconds)
        deadline = Deadline(self.clock, timeout_seconds)
        for informer in self.informers:
            informer.shared.wait_for_sync(deadline.remaining_seconds())

    # -- controllers ---------------------------------------------------------------------

    def controller(
        self,
        informer: Informer | str,
        *,
        owns: Sequence[Informer | str] = (),
        watches: Mapping[Any, Callable[..., Any]] | None = None,
        predicates: Sequence[Callable[..., bool]] = (),
        workers: int = 1,
        max_retries: int | None = 5,
        timeout_seconds: float | None = None,
        queue: Literal["fifo", "priority"] = "fifo",
        name: str | None = None,
    ) -> Callable[[Callable[..., Any]], LabController]:
        """Make a controller of a function: ``@lab.controller(services, owns=["deployments"])``.

        The function takes (request, ctx) and returns None or a `Result`. It is called with
        one key at a time, by `step()` or by `start(workers=…)`.

        Args:
            informer: of the resource whose keys are reconciled, or its name.
            owns: what it creates; their events go to the owner's key.
            watches: informer or name → function from an object to keys.
            predicates: which events trigger; all must agree.
            workers: how many keys at a time.
            max_retries: tries after the first; None has no limit.
            timeout_seconds: a run over it is marked stuck and frees its worker.
            queue: "fifo" or "priority".
            name: for threads, the trace and the field manager; None is the function's.

        Raises:
            UnknownResource: a name that nothing serves.
            ConfigError: a function or an argument that cannot work.
        """
        self.check_open("make a controller")
        check_sources(informer, owns, watches, predicates)

        def decorate(reconcile: Callable[..., Any]) -> LabController:
            checked_function(reconcile, "reconcile", ("request", "ctx"))
            return self._controller(
                reconcile,
                name or str(getattr(reconcile, "__name__", "controller")),
                self._informer_of(informer),
                owns=[self._informer_of(each).shared for each in owns],
                watches={
                    self._informer_of(each).shared: mapper
                    for each, mapper in (watches or {}).items()
                },
                predicates=predicates,
                workers=workers,
                max_retries=max_retries,
                timeout_seconds=timeout_seconds,
                queue=queue,
            )

        return decorate

    def _controller(
        self, reconcile: Callable[..., Any], name: str, informer: Informer, **options: Any
    ) -> LabController:
        from crlab.controller import Controller
        from crlab.lab.lab_controller import LabController

        self.check_open("make a controller")
        made = Controller(
            name,
            reconcile,
            informer=informer.shared,
            client=self.client,
            driver=self.driver,
            clock=self.clock,
            ids=self.ids.fork(f"controller/{name}"),
            trace=self.trace,
            dry_run=self.kind == "cluster",
            **options,
        )
        return self._hold(LabController(self, made, reconcile))

    def _hold(self, controller: LabController) -> LabController:
        for earlier in self._made_by_cell.add(controller):
            earlier.close()  # the cell was run again: its function takes the place of the old one
        with self._lock:
            self._controllers.append(controller)
        self.adopt(controller)
        return controller

    def take_twin(self, model: LabController) -> LabController:
        """Build another lab's controller here, over this lab's informers."""
        from crlab.lab.lab_controller import LabController

        self.check_open("make a controller")
        theirs = {informer.shared: informer for informer in model.lab.informers}

        def informer_for(shared: Any) -> Any:
            like = theirs[shared]
            return self.informer(
                like.resource,
                namespace=like.namespaces or None,
                label_selector=like.label_selector,
                field_selector=like.field_selector,
            ).shared

        twin = model.controller.twin(
            informer_for,
            client=self.client,
            driver=self.driver,
            clock=self.clock,
            ids=self.ids.fork(f"controller/{model.name}"),
            trace=self.trace,
        )
        return self._hold(LabController(self, twin, model.reconcile))

    def _informer_of(self, what: Informer | str) -> Informer:
        from crlab.lab.informer import Informer

        if isinstance(what, Informer):
            return what
        return self.informer(what)

    def controllers_of(self, informer: Informer) -> list[LabController]:
        """Return the controllers that an informer's changes reach."""
        name = informer.resource.gvr.group_resource
        return [c for c in self.controllers if c.controller.listens_to(name)]

    def start_builtin_controllers(self, names: Sequence[str]) -> None:
        """Start controllers of the embedded server: "namespace", "gc", "workloads"."""
        if not names or self.server is None:
            return
        from crlab.lab.builtin_controller import BuiltinControllers

        self._builtin = BuiltinControllers(self, self.server, names)
        self._closing.push("the server's controllers", self._builtin.close, rank=Rank.BUILTIN)

    @property
    def builtin_controllers(self) -> BuiltinControllers:
        """The server's own controllers: pause, resume or step them.

        Raises:
            ConfigError: none run here.
        """
        self.check_open("reach the built-in controllers")
        if self._builtin is None:
            raise ConfigError(f"no built-in controllers run in {self!r}")
        return self._builtin

    def pipeline(self, informer: Informer | None = None) -> PipelineView:
        """Return the pipeline view: API server → Reflector → … → reconcile, live.

        Args:
            informer: the lane to show first; None is the first informer.
        """
        from crlab.lab.view import pipeline_view

        self.check_open("show the pipeline")
        _check_informer(informer, "lab.pipeline()")
        return pipeline_view(self, informer.lane if informer is not None else "")

    def time_slider(self, informer: Informer | None = None) -> TimeSliderView:
        """Return the time slider: pipeline, and a frame if named, as of any moment."""
        from crlab.lab.view import timeline_view

        self.check_open("show the past")
        _check_informer(informer, "lab.time_slider()")
        return timeline_view(self, informer)

    def explain(self, key: str, *, resource: str = "") -> Explanation:
        """Tell one key's way through the pipeline, from watch event to write.

        Args:
            resource: only of this one, named in any form; "" for all that have the key.

        Returns:
            Sentences (``print(lab.explain(key))``) and a frame (`.df`).

        Raises:
            UnknownResource: neither the trace nor discovery knows the resource.
        """
        from crlab.report.explanation import explained

        checked_key(key, "the key to explain")
        return explained(self.trace, key, resource=self._traced(resource))

    def _traced(self, resource: str) -> str:
        """Return a resource as the trace names it: "plural.group"."""
        checked_text(resource, "resource", '"deployments"')
        if not resource or any(record.resource == resource for record in self.trace):
            return resource
        for informer in self.informers:
            found = informer.resource
            if resource.lower() in (found.gvr.resource, found.kind.lower(), found.singular):
                return found.gvr.group_resource
        return self.client.resolve(resource).gvr.group_resource

    def docs(self, resource: str, path: str = "") -> str:
        """Return what a custom resource's schema says of a field: type, default, meaning.

        ``print(lab.docs("myservices", "spec.replicas"))``, as ``kubectl explain`` does.

        Args:
            path: dotted, ".spec.ports[].name"; "" is the whole object.

        Raises:
            UnknownResource: nothing is served under that name; the nearest are named.
            ConfigError: the schema has no such field; the nearest are named.
        """
        from crlab.controller.schema_help import SchemaReader

        self.check_open("read a schema")
        checked_text(path, "path", '"spec.replicas"')
        found = self.client.resolve(resource)
        text = SchemaReader(self.client).schema(found).at(path).documentation()
        return text or f"no definition of {found.gvr.group_resource} says more"

    @property
    def problems(self) -> Problems:
        """What is wrong here now: ``lab.problems`` as text, ``.df`` a frame, ``.watch()`` live.

        Keys that fail or were given up, handlers, mappers, predicates, indices, transforms and
        column functions that raise, informers that are not live, runs that do not return,
        threads that ended, a recorder that stopped, credentials that cannot be had. What
        works again is gone from it; "no problems" and no rows when all is well. The same is
        logged as it happens, below the logger ``crlab``.

        Thread: any; asks no server.
        """
        from crlab.report.problem import Problems

        return Problems(self)

    # -- judging a controller ------------------------------------------------------------

    def rbac(
        self,
        *what: LabController | Informer,
        service_account: str = "",
        user: str = "",
        cluster_wide: bool = False,
        include_list: bool = True,
    ) -> Rbac:
        """Return the least role for what controllers and informers did, with its binding.

        Derived from the requests they really made, so let a controller do all it can do
        first; with list beside watch, and update on finalizers of the kinds whose deletion an
        owner reference blocks, which the sandbox needs not and other servers may.
        ``print(lab.rbac(reconcile))`` is YAML; ``.rights`` are the verbs one by one.

        Args:
            what: controllers and informers; none: all informers of this lab, and all
                controllers that have run.
            service_account: "namespace/name" to bind to; default "default/<controller>".
            user: bind to this user instead.
            cluster_wide: one ClusterRole, for namespaces it has not met yet.
            include_list: grant list beside watch, for servers that do not stream the
                first list: WatchList is on in 1.32, off by default in 1.33, on again from
                1.34, and may be switched off.

        Raises:
            ConfigError: a controller has not run yet, or there is nothing to derive from.
        """
        from crlab.report.judgement import least_rights

        self.check_open("derive a role")
        return least_rights(
            self,
            what,
            service_account=service_account,
            user=user,
            cluster_wide=cluster_wide,
            include_list=include_list,
        )

    def required_rbac(self, **options: Any) -> Rbac:
        """Return the least role for everything that runs in this lab; `rbac` of nothing named."""
        return self.rbac(**options)

    def stress(
        self,
        controller: LabController,
        *,
        scenario: Sequence[Callable[[Any], Any]] = (),
        max_runs: int = 60,
    ) -> Stress:
        """Run a controller again and again, each time with one thing going wrong.

        Crash after the n-th write for every n, one watch event lost, one stale list; each
        in a fork of this sandbox. The end state and the counts of creates and deletes are
        compared with a clean run.

        Args:
            scenario: functions of a client (which may do everything), done one after the
                other; none: what this sandbox holds already.
            max_runs: more faults than this are tried at even distances.

        Raises:
            ConfigError: this lab does not stand still (``driver="manual"``).
        """
        from crlab.report.judgement import stressed

        self._own_server("stress a controller")
        return stressed(self, controller, scenario, max_runs)

    # -- the past and the joined ---------------------------------------------------------

    def timeline(self, key: str, *, resource: str = "") -> pd.DataFrame:
        """Return everything the trace holds of one key, in order.

        Args:
            resource: only of this one, named in any form; "" for all that have the key.

        Raises:
            UnknownResource: neither the trace nor discovery knows the resource.

        Shape:
            Index "seq" (int64); time, stage, kind, resource, resource_version, what.
        """
        from crlab.frame.time_travel import timeline

        checked_key(key, "the key of a timeline")
        return timeline(self.trace, key, resource=self._traced(resource))

    def kube_events(self, key: str | None = None, *, kind: str = "") -> pd.DataFrame:
        """Return Kubernetes Events (of both API groups), the newest last.

        Args:
            key: only those about "namespace/name".
            kind: only those about objects of this kind.

        Shape:
            RangeIndex; last_seen, first_seen, type, reason, object, message, count, source,
            event.
        """
        from crlab.frame.kube_event import kube_events

        if key is not None:
            checked_key(key, "the key of what events are about")
        checked_text(kind, "kind", '"Deployment"')
        informer = self.informer("events").wait_for_sync()
        self._let_events_come()
        return kube_events(informer.objects(), key, kind=kind)

    def _let_events_come(self) -> None:
        if self.driver.is_manual:
            self.settle()

    def tree(self, resource: str, key: str, *, among: Sequence[str] = OWNED) -> OwnerTree:
        """Return an object with what it owns, directly and through others.

        Args:
            among: resources to look for owned objects in; those that are not served, or may
                not be listed, are passed over.

        Raises:
            NotFound: there is no such object.
        """
        from crlab.report.owner_tree import owner_tree_of

        self.check_open("draw a tree")
        checked_key(key, "the key of a tree's root")
        checked_list(among, "among", 'names of resources, as ["pods"]')
        return owner_tree_of(self, resource, key, among)

    def live(self, function: Callable[[], Any], *, name: str = "") -> Live:
        """Return an expression that is worked out again when what it reads has changed.

        ``lab.live(lambda: pods.df.groupby("phase").size())``: `.value` is always current,
        `.watch()` is its live table. Whatever of a lab is read inside the function is
        followed: frames, objects, indices, events, rates, requests, the past, other live
        expressions. The server cannot be: a function that asks it (`lab.get`,
        `lab.client.list`), or that reads nothing of a lab, fails with `NotFollowed`.

        A function that fails keeps its last good `.value`; `.error` has the exception,
        `.failed_at` since when, and the table says "failed". If it never succeeded, `.value`
        raises.

        Raises:
            ConfigError: it is no function.
        """
        from crlab.lab.live import Live

        self.check_open("make a live expression")
        return Live(self, function, name=name)

    def record(self, path: str | os.PathLike[str], *, include_secrets: bool = False) -> Recorder:
        """Write what happens from now on, and what the trace holds, into a new file.

        Redacted, hash-chained JSON lines, compressed; ``crlab.replay(path)`` opens it.

        Raises:
            RecordingError: the file exists or cannot be created.
        """
        from crlab.lab.recording import start_recording

        self.check_open("record")
        checked_path(path, "what lab.record() writes")
        return start_recording(self, path, include_secrets=include_secrets)

    @property
    def faults(self) -> LabFaults:
        """What can be broken on the embedded server, on purpose.

        Raises:
            ConfigError: a real cluster is not ours to break.
        """
        from crlab.lab.fault import LabFaults

        self.check_open("inject faults")
        if self.server is None:
            raise ConfigError(f"{self!r} is not a sandbox; faults are injected into our own server")
        if self._faults is None:
            self._faults = LabFaults(self, self.server)
        return self._faults

    def ready_faults(self) -> None:
        """Put the sandbox's faults in place, so that they know every watch from the first."""
        if self.server is not None:
            assert self.faults is not None

    def serve(self, port: int = 0) -> str:
        """Put the embedded server on a loopback socket, if it is not; return its URL.

        Raises:
            ConfigError: the port is taken, or this is no sandbox.
        """
        from crlab.lab.opening import serve

        server = self._own_server("serve")
        if not server.is_serving:
            serve(server, port)
        return server.url

    def write_kubeconfig(self, path: str | os.PathLike[str], *, token: str | None = None) -> Path:
        """Write a kubeconfig for this sandbox, readable by its owner only; return its path.

        ``kubectl --kubeconfig PATH get namespaces`` then works; so does every other client.

        Args:
            token: whose; one of ``sandbox(tokens=…)``. None is the administrator's.

        Raises:
            ConfigError: a token that this server does not know, or no path.
        """
        from crlab.lab.kubeconfig import write_kubeconfig

        server = self._own_server("write a kubeconfig")
        target = Path(checked_path(path, "what lab.write_kubeconfig() writes"))
        if token is not None and not server.knows_token(checked_text(token, "token")):
            raise ConfigError(
                "cannot write a kubeconfig: the token is none of crlab.sandbox(tokens=…)"
            )
        write_kubeconfig(target, self.serve(), token or server.admin_token())
        return target

    def api_client(self) -> Any:
        """Return an official ``kubernetes.client.ApiClient`` on this sandbox.

        Code written for the official client runs on it:
        ``kubernetes.client.CoreV1Api(lab.api_client()).list_namespace()``.

        Raises:
            ConfigError: this is no sandbox; use ``kubernetes.config.load_kube_config()``.
        """
        from crlab.client.official import api_client

        server = self._own_server("make an official client")
        return api_client(self.serve(), token=server.admin_token())

    def snapshot(self) -> Any:
        """Return the whole server at this moment, for `restore`. Costs next to nothing."""
        return self._own_server("take a snapshot").snapshot()

    def restore(self, snapshot: Any) -> int:
        """Put a snapshot back, under a new revision; watches end and informers list again.

        Returns:
            The revision of the restored state: it never goes back.

        Raises:
            ConfigError: that is no snapshot.
        """
        from crlab.apiserver import StorageSnapshot

        server = self._own_server("restore")
        is_snapshot = isinstance(snapshot, tuple) and len(snapshot) == 2
        if not is_snapshot or not isinstance(snapshot[0], StorageSnapshot):
            raise ConfigError(
                f"restore() takes what lab.snapshot() returned, not {type(snapshot).__name__}; "
                "lab.rewind(revision) goes back to a resourceVersion"
            )
        return server.restore(snapshot)

    def rewind(self, revision: int | str) -> int:
        """Write the inverse of everything since a revision, as ordinary changes.

        Returns:
            How many objects were changed.

        Raises:
            ResourceExpired: history before that revision was compacted.
            ConfigError: that is no resourceVersion, or one that is yet to come.
        """
        from crlab.apiserver.storage import Compacted

        server = self._own_server("rewind")
        wanted = _revision(revision)
        if wanted > server.storage.revision:
            raise ConfigError(
                f"cannot rewind to {wanted}: the server is at {server.storage.revision}, "
                "and time only comes by writes"
            )
        try:
            return server.rewind(wanted)
        except Compacted as error:
            raise ResourceExpired(
                str(error), code=410, reason="Expired", tried=f"rewind to {wanted}"
            ) from None

    def compact(self) -> int:
        """Forget the server's history: older lists and watches get 410. Return the revision."""
        return self._own_server("compact").compact()

    def fork(self) -> Lab:
        """Open a second lab that goes on from this moment, on a server of its own."""
        from crlab.lab.opening import forked

        self._own_server("fork")
        return forked(self)

    def as_user(self, user: str, *, groups: Sequence[str] = ()) -> Lab:
        """Open a second lab on this server that speaks as somebody else; RBAC decides.

        It has caches, controllers and a trace of its own, moves with this lab, and is closed
        with it.

        Args:
            user: a name, or "system:serviceaccount:namespace:name".
            groups: besides those of a service account and "system:authenticated".
        """
        from crlab.lab.other_user import acting_as

        server = self._own_server("act as somebody else")
        checked_text(user, "user", '"jane" or "system:serviceaccount:default:web"')
        checked_texts(groups, "groups")
        return acting_as(self, server, user, groups)

    @property
    def revision(self) -> int:
        """The newest resourceVersion the embedded server has given out."""
        return self._own_server("read the revision").storage.revision

    @property
    def audit_log(self) -> pd.DataFrame:
        """What was asked of the embedded server, by anybody.

        Shape:
            RangeIndex; time (datetime64[us, UTC]), user, user_agent, verb, group, resource,
            subresource, namespace, name (str), code (int64), duration_seconds (float64),
            request_bytes, response_bytes (of a watch: so far), revision (int64), fault (str).
        """
        from crlab.frame.cache_frame import audit_log_frame

        return audit_log_frame(self._own_server("read the audit log").audit.records)


def name_of(thing: Any) -> str:
    """Return what a part of a lab is called where it is missed."""
    kind = type(thing).__name__
    name = getattr(thing, "name", "") or getattr(thing, "lane", "") or getattr(thing, "title", "")
    return f"{kind} {name}" if isinstance(name, str) and name else kind


def _chosen(only: str) -> Callable[[Stage], bool] | None:
    """Return the driver's filter for stages whose name begins with `only`."""
    return (lambda stage: stage.name.startswith(only)) if only else None


def _places(namespace: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the namespaces an informer is limited to, () for all of them."""
    if namespace is None:
        return ()
    if isinstance(namespace, str):
        return (namespace,)
    places = tuple(dict.fromkeys(checked_texts(namespace, "namespace (or one name, or None)")))
    if not places:
        raise ConfigError("namespace names none; None is all of them")
    return places


def _check_informer(informer: Any, taker: str) -> None:
    from crlab.lab.informer import Informer

    if informer is not None and not isinstance(informer, Informer):
        raise ConfigError(
            f"{taker} takes an informer, as lab.informer() returns it, or nothing, not {informer!r}"
        )


def _revision(revision: Any) -> int:
    """Return a resourceVersion as a number."""
    if isinstance(revision, str) and revision.isascii() and revision.isdigit():
        return int(revision)
    if isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise ConfigError(
            f"rewind() takes a resourceVersion, such as 42, not {revision!r}; "
            "lab.revision is the present one"
        )
    return revision


__all__ = ["Lab", "LabKind", "Rank"]
