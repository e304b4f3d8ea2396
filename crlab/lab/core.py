"""What a lab is made of, what it asks of its server, and how it ends.

The lowest of the four layers of `Lab`: `core` → `pace` → `making` → `looking` → `lab`.

Thread: any; `_lock` guards the lists of what the lab made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from crlab.errors import AlreadyStopped, ConfigError
from crlab.lab import open_lab as registry
from crlab.lab.parts import LabKind, Parts
from crlab.model.argument import checked_function
from crlab.model.resource import ApiResource
from crlab.runtime import fork
from crlab.runtime.clock import RealClock
from crlab.runtime.closing_stack import ClosingStack
from crlab.runtime.deadline import Deadline
from crlab.runtime.dependency import refuse_read
from crlab.runtime.notebook_cell import ByCell
from crlab.trace.record import Trace

if TYPE_CHECKING:
    import pandas as pd

    from crlab.apiserver import ApiServer
    from crlab.client import Applied
    from crlab.client.endpoint import Endpoint
    from crlab.lab.builtin_controller import BuiltinControllers
    from crlab.lab.fault import LabFaults
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab
    from crlab.lab.lab_controller import LabController
    from crlab.trace.recording import Recorder

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


class LabCore:
    """A lab's parts and its life; see `Lab`.

    Attributes:
        kind: "sandbox", "cluster", "envtest" or "replay".
        client: the dynamic client; `lab.client.create(...)`.
        trace: the log of what happened here.
        parts: all that it is made of, for what works for it and not with it.
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
        self.parts = parts
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
        self._made_by_cell: ByCell[LabController] = ByCell()
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
        self._number = registry.register(self._whole)

    # -- the cluster -------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the API server listens; "" for a sandbox that is on no socket.

        The URL of a sandbox holds its secret: who has it is its administrator.
        """
        if self.server is not None:
            return self.server.url if self.server.is_serving else ""
        return self.parts.url

    @property
    def title(self) -> str:
        """Kind and name: "sandbox seed=0"."""
        return self.parts.title

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
        return self.parts.is_seeded

    @property
    def allow_writes(self) -> tuple[str, ...]:
        """Where this lab may write: () nowhere, ("*",) everywhere, else namespaces."""
        return self.client.allow_writes

    @property
    def connection(self) -> tuple[Endpoint | None, str]:
        """Where requests go (None: nowhere, the server is in this process) and how they
        authenticate: "token", "exec /usr/bin/plugin", "none"."""
        endpoint: Endpoint | None = getattr(self.parts.transport, "endpoint", None)
        return endpoint, str(getattr(self.parts.transport, "authentication", "none"))

    @property
    def credential_error(self) -> tuple[str, float]:
        """Why there are no credentials now, and since when (wall time); "" while there are."""
        credentials = getattr(self.parts.transport, "credentials", None)
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
    def _whole(self) -> Lab:
        """This lab with all its layers, for the parts it is handed to."""
        return cast("Lab", self)

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


def name_of(thing: Any) -> str:
    """Return what a part of a lab is called where it is missed."""
    kind = type(thing).__name__
    name = getattr(thing, "name", "") or getattr(thing, "lane", "") or getattr(thing, "title", "")
    return f"{kind} {name}" if isinstance(name, str) and name else kind
