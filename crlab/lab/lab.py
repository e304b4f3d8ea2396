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

import builtins
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from crlab.errors import ConfigError, IndexerConflict, SandboxOnly
from crlab.lab import open_lab
from crlab.lab.factory import chosen_namespaces, shared_informer
from crlab.lab.informer_argument import check_question, check_resource, check_sources
from crlab.lab.life import LabState, Rank
from crlab.lab.pace import Pace
from crlab.lab.parts import LabKind, Parts, lane_of
from crlab.model.argument import (
    checked_function,
    checked_key,
    checked_list,
    checked_path,
    checked_text,
    checked_timeout,
)
from crlab.model.plural import counted
from crlab.model.resource import ApiResource
from crlab.report.transition import Transition
from crlab.runtime import fork
from crlab.runtime.deadline import Deadline
from crlab.runtime.notebook_cell import ByCell

if TYPE_CHECKING:
    import pandas as pd

    from crlab.client import Applied
    from crlab.client.endpoint import Endpoint
    from crlab.controller import Controller
    from crlab.lab.informer import Informer
    from crlab.lab.lab_controller import LabController
    from crlab.lab.lab_live import Live
    from crlab.report.explain import Explanation
    from crlab.report.owner_tree import OwnerTree
    from crlab.report.problem import Problems
    from crlab.report.rbac import Rbac
    from crlab.trace.recording import Recorder
    from crlab.widgets.pipeline import PipelineView
    from crlab.widgets.time_slider import TimeSliderView

Tree = dict[str, Any]  # a Kubernetes object as JSON has it

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
    """One API server and everything that looks at it. Made by `crlab.connect()` and others.

    What only an own server can (faults, fork, rewind, other users …) is `Sandbox`.

    Attributes:
        kind: "sandbox", "cluster", "envtest" or "replay".
        name: what it is called beside its kind: "seed=0", a context, a file.
        client: the dynamic client; `lab.client.create(...)`.
        trace: the log of what happened here.
        clock, ids, driver: time, chance, and who performs the stages.
    """

    kind: LabKind

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pace = Pace(parts)
        self.kind = parts.kind
        self.name = parts.name
        self.client = parts.client
        self.clock = parts.clock
        self.ids = parts.ids
        self.trace = parts.trace
        self.driver = parts.driver
        self._lock = fork.lock()
        self._informers: dict[tuple[object, ...], builtins.list[Informer]] = {}
        self._controllers: builtins.list[LabController] = []
        self._made_by_cell: ByCell[LabController] = ByCell()
        life = parts.life
        life.begin(lambda state: self._shown(state) if state else repr(self), self._opener)
        life.push("the client", lambda: parts.client.close(life.ended), rank=Rank.CLIENT)
        life.push("the connections", parts.transport.close, rank=Rank.CLIENT)
        self._number = open_lab.register(self)

    # -- the cluster ----------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the API server listens; "" for a sandbox that is on no socket.

        The URL of a sandbox holds its secret: who has it is its administrator.
        """
        return self._parts.url

    @property
    def connection(self) -> tuple[Endpoint | None, str]:
        """Where requests go (None: nowhere, the server is in this process) and how they
        authenticate: "token", "exec /usr/bin/plugin", "none"."""
        return self._parts.connection

    @property
    def allow_writes(self) -> tuple[str, ...]:
        """Where this lab may write: () nowhere, ("*",) everywhere, else namespaces."""
        return self.client.allow_writes

    def resource(self, name: str | ApiResource) -> ApiResource:
        """Return what discovery knows of a name: plural, kind, short name, "plural.group"...

        Raises:
            UnknownResource: nothing is served under that name; the nearest are named.
        """
        self._parts.life.check_open("look up a resource")
        return self.client.resolve(name)

    def apply(
        self,
        source: Any,
        *,
        namespace: str | None = None,
        force: bool = True,
        dry_run: bool = False,
    ) -> builtins.list[Applied]:
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
        self._parts.life.check_open("apply")
        return self.client.apply_manifests(
            source, namespace=namespace, force=force, dry_run=dry_run
        )

    def get(
        self,
        resource: str | ApiResource,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Tree:
        """Read one object from the server (not the cache), as a fresh dict.

        Raises:
            NotFound: there is none of that name.
        """
        self._parts.life.check_open("get")
        return self.client.get(resource, name, namespace=namespace, subresource=subresource)

    def list(
        self,
        resource: str | ApiResource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> builtins.list[Tree]:
        """Read every object of a resource from the server (not the cache), as fresh dicts.

        Args:
            namespace: only those in it; None is everywhere.

        Raises:
            UnknownResource: nothing is served under that name; the nearest are named.
            SelectorError: a selector that does not parse.
        """
        self._parts.life.check_open("list")
        found = self.client.list(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )
        items: builtins.list[Tree] = found["items"]
        return items

    def create(
        self,
        resource: str | ApiResource,
        obj: Mapping[str, object],
        namespace: str | None = None,
        *,
        dry_run: bool = False,
    ) -> Tree:
        """Create one object; return it as the server stored it.

        Raises:
            AlreadyExists, Invalid, ReadOnlyError: and the rest of the `ApiError` tree.
        """
        self._parts.life.check_open("create")
        return self.client.create(resource, obj, namespace=namespace, dry_run=dry_run)

    def update(
        self,
        resource: str | ApiResource,
        obj: Mapping[str, object],
        namespace: str | None = None,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Tree:
        """Replace one object by `obj`, if it is still at the resourceVersion in it.

        Args:
            subresource: "status" for that alone.

        Raises:
            Conflict: it changed since.
        """
        self._parts.life.check_open("update")
        return self.client.update(
            resource, obj, namespace=namespace, subresource=subresource, dry_run=dry_run
        )

    def patch(
        self,
        resource: str | ApiResource,
        name: str,
        patch: Mapping[str, object] | Sequence[object],
        namespace: str | None = None,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Tree:
        """Change the named fields of one object: a merge patch, or a list as a JSON patch.

        Raises:
            NotFound: there is none of that name.
            Conflict: a JSON patch's test does not hold, or a resourceVersion in it is old.
        """
        self._parts.life.check_open("patch")
        return self.client.patch(
            resource, name, patch, namespace=namespace, subresource=subresource, dry_run=dry_run
        )

    def delete(
        self,
        resource: str | ApiResource,
        name: str,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
    ) -> Tree:
        """Ask the server to delete one object; return its answer.

        Raises:
            NotFound: there is none of that name.
            ReadOnlyError: this lab may not write there.
        """
        self._parts.life.check_open("delete")
        return self.client.delete(resource, name, namespace=namespace, dry_run=dry_run)

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

        self._parts.life.check_open("read a schema")
        checked_text(path, "path", '"spec.replicas"')
        found = self.client.resolve(resource)
        text = SchemaReader(self.client).schema(found).at(path).documentation()
        return text or f"no definition of {found.gvr.group_resource} says more"

    @property
    def requests(self) -> pd.DataFrame:
        """Every request this lab made.

        Shape:
            Index "seq" (int64); time, actor, verb, resource, namespace, name, subresource,
            query, status, duration_seconds, bytes_sent, bytes_received, error.
        """
        from crlab.frame.requests_frame import requests_frame

        return requests_frame(self.client.requests)

    # -- informers ------------------------------------------------------------------------

    @property
    def informers(self) -> builtins.list[Informer]:
        """The informers of this lab, in the order they were made."""
        with self._lock:
            return [faces[0] for faces in self._informers.values()]

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

        self._parts.life.check_open("make an informer")
        check_resource(resource, "lab.informer()")
        places = chosen_namespaces(namespace)
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
        found = self.client.resolve(resource)
        places = places if found.is_namespaced else ()
        identity = (
            found.gvr, places, label_selector, field_selector, queue, list_mode,
            metadata_only, include_secrets, transform, poll_seconds, audit_seconds,
            repr(sorted(options.items())),
        )  # fmt: skip
        known = self._known(identity)
        if known is not None:
            return self._shared(identity, known, columns, indexers, start=start)
        shared = shared_informer(
            self._parts,
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
        made = Informer(self._parts, shared, columns)
        kept = self._keep_informer(identity, made, start=start)
        if kept is made:
            return made
        return self._shared(identity, kept, columns, indexers, start=start)

    def _known(self, identity: tuple[object, ...]) -> Informer | None:
        """Return what was made for the same question, unless it was stopped."""
        with self._lock:
            faces = self._informers.get(identity)
        return faces[0] if faces and not faces[0].shared.is_stopped else None

    def _shared(
        self,
        identity: tuple[object, ...],
        known: Informer,
        columns: Any,
        indexers: Mapping[str, Callable[..., Any]] | None,
        *,
        start: bool,
    ) -> Informer:
        """Return what was made before, with the indices and in the columns asked for now."""
        for name, function in (indexers or {}).items():
            # Another thread may add the same one now; the first stays, as at any other time.
            with contextlib.suppress(IndexerConflict):
                known.shared.add_indexers({name: function})
        face = known if known.columns == columns else self._face(identity, known, columns)
        return face.start() if start else face

    def _face(self, identity: tuple[object, ...], known: Informer, columns: Any) -> Informer:
        """Return the informer that shows a cache in other columns; the same ones, the same one."""
        from crlab.lab.informer import Informer

        with self._lock:
            faces = list(self._informers.get(identity, ()))
        for each in faces:
            if each.columns == columns:
                return each
        # Made outside the lock, as it may ask the server what columns there are.
        made = Informer(self._parts, known.shared, columns)
        with self._lock:
            faces = self._informers.setdefault(identity, [known])
            for each in faces:
                if each.columns == columns:  # another thread was faster
                    return each
            faces.append(made)
        self._parts.life.adopt(made, Rank.INFORMER, f"Informer {lane_of(made.shared)}")
        return made

    def _keep_informer(
        self, identity: tuple[object, ...], made: Informer, *, start: bool
    ) -> Informer:
        """Make an informer the lab's, unless another thread asked the same at the same time."""
        from crlab.lab.lab_recorder import note_informer

        life, informers = self._parts.life, self._parts.informers
        with self._lock:
            faces = self._informers.get(identity, [])
            if faces and not faces[0].shared.is_stopped:
                return faces[0]
            self._informers[identity] = [made]
            if faces:  # stopped, and replaced
                informers.remove(faces[0].shared)
            informers.append(made.shared)
        for each in faces:
            life.release(each)
        try:
            life.adopt(made, Rank.INFORMER, f"Informer {lane_of(made.shared)}")
            note_informer(self._parts, made.shared, recording=self.is_recording)
            if start:
                made.start()
        except BaseException:  # an interrupt, or no thread: nothing half made goes on
            made.stop()
            with self._lock:
                self._informers.pop(identity, None)
                informers.remove(made.shared)
            raise
        return made

    def wait_for_cache_sync(self, timeout_seconds: float | None = 10.0) -> None:
        """Return once every informer made so far has synced; None waits for ever.

        Raises:
            SyncTimeout: some had not in time; names them.
        """
        self._parts.life.check_open("wait")
        checked_timeout(timeout_seconds)
        deadline = Deadline(self.clock, timeout_seconds)
        for informer in self.informers:
            informer.shared.wait_for_sync(deadline.remaining_seconds())

    # -- controllers ----------------------------------------------------------------------

    @property
    def controllers(self) -> builtins.list[LabController]:
        """The controllers of this lab that are not closed, in the order they were made."""
        with self._lock:
            self._controllers = [
                each for each in self._controllers if each.controller in self._parts.controllers
            ]
            return list(self._controllers)

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
        self._parts.life.check_open("make a controller")
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

        self._parts.life.check_open("make a controller")
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
        return self._keep_controller(made, reconcile)

    def _keep_controller(self, made: Controller, reconcile: Callable[..., Any]) -> LabController:
        from crlab.lab.lab_controller import LabController

        held = LabController(self, self._parts, made, reconcile)
        for earlier in self._made_by_cell.add(held):
            earlier.close()  # the cell was run again: its function takes the place of the old one
        with self._lock:
            self._controllers.append(held)
            self._parts.controllers.append(made)
        self._parts.life.adopt(held)
        return held

    def _informer_of(self, what: Informer | str) -> Informer:
        from crlab.lab.informer import Informer

        if isinstance(what, Informer):
            return what
        return self.informer(what)

    # -- time -----------------------------------------------------------------------------

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
        return self._pace.step(only=only)

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
        return self._pace.settle(timeout_seconds, only=only)

    def advance(self, seconds: float) -> None:
        """Move a manual lab's clock on, letting timers, back-offs and deadlines fire.

        Raises:
            ConfigError: the clock of this lab is the machine's, or time would go back.
        """
        self._pace.advance(seconds)

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
        self._pace.wait_until(predicate, timeout_seconds, what=what)

    # -- what happened --------------------------------------------------------------------

    def explain(self, key: str, *, resource: str = "") -> Explanation:
        """Tell one key's way through the pipeline, from watch event to write.

        Args:
            resource: only of this one, named in any form; "" for all that have the key.

        Returns:
            Sentences (``print(lab.explain(key))``) and a frame (`.df`).

        Raises:
            UnknownResource: neither the trace nor discovery knows the resource.
        """
        from crlab.report.explain import explain

        checked_key(key, "the key to explain")
        return explain(self.trace, key, resource=self._traced(resource))

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

        self._parts.life.check_open("draw a tree")
        checked_key(key, "the key of a tree's root")
        checked_list(among, "among", 'names of resources, as ["pods"]')
        return owner_tree_of(
            self.client,
            self._parts.informers,
            resource,
            key,
            among,
            cached=self.kind == "replay",
        )

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
        from crlab.lab.lab_live import Live

        self._parts.life.check_open("make a live expression")
        return Live(self._parts, function, name=name)

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
        from crlab.lab.view import problems_view
        from crlab.report.problem import Problems

        parts = self._parts
        return Problems(
            self.clock,
            [self.trace, *parts.other_traces],
            # A recording's server is not there to be live.
            parts.informers if self.kind != "replay" else (),
            parts.credential_problem,
            lambda problems, rows: problems_view(parts, problems, rows=rows),
        )

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
        from crlab.lab.informer import Informer
        from crlab.lab.lab_controller import LabController
        from crlab.report.rbac import derive_all

        self._parts.life.check_open("derive a role")
        for each in what:
            if not isinstance(each, LabController | Informer):
                raise ConfigError(f"rbac() takes controllers and informers, not {each!r}")
        chosen = what or [*(c for c in self.controllers if c.history), *self.informers]
        if not chosen:
            raise ConfigError(f"nothing runs in {self!r}: make an informer or a controller first")
        controllers = [each.controller for each in chosen if isinstance(each, LabController)]
        return derive_all(
            self.trace,
            controllers,
            [each.shared for each in chosen if isinstance(each, Informer)],
            name="-".join(dict.fromkeys(each.name for each in controllers)) or "reader",
            service_account=service_account,
            user=user,
            cluster_wide=cluster_wide,
            include_list=include_list,
        )

    @property
    def recorders(self) -> builtins.list[Recorder]:
        """What `record` returned and was not closed; `error` says why one has stopped."""
        from crlab.trace.recording import Recorder

        return [x for x in self._parts.life.things(Rank.MADE) if isinstance(x, Recorder)]

    @property
    def is_recording(self) -> bool:
        """Whether `record` writes this lab's trace to a file now."""
        return any(recorder.is_recording for recorder in self.recorders)

    def record(self, path: str | os.PathLike[str], *, include_secrets: bool = False) -> Recorder:
        """Write what happens from now on, and what the trace holds, into a new file.

        Redacted, hash-chained JSON lines, compressed; ``crlab.replay(path)`` opens it.

        Raises:
            RecordingError: the file exists or cannot be created.
        """
        from crlab.lab.lab_recorder import start_recording

        self._parts.life.check_open("record")
        checked_path(path, "what lab.record() writes")
        return start_recording(self._parts, path, include_secrets=include_secrets)

    # -- views ----------------------------------------------------------------------------

    def pipeline(self, informer: Informer | None = None) -> PipelineView:
        """Return the pipeline view: API server → Reflector → … → reconcile, live.

        Args:
            informer: the lane to show first; None is the first informer.
        """
        from crlab.lab.view import pipeline_view

        self._parts.life.check_open("show the pipeline")
        _check_informer(informer, "lab.pipeline()")
        return pipeline_view(self._parts, lane_of(informer.shared) if informer is not None else "")

    def time_slider(self, informer: Informer | None = None) -> TimeSliderView:
        """Return the time slider: pipeline, and a frame if named, as of any moment."""
        from crlab.lab.view import time_slider_view

        self._parts.life.check_open("show the past")
        _check_informer(informer, "lab.time_slider()")
        if informer is None:
            return time_slider_view(self._parts)
        return time_slider_view(self._parts, informer.shared, informer.frame)

    # -- the end --------------------------------------------------------------------------

    @property
    def state(self) -> LabState:
        """Where it is in its life: "closing" from the call of `close` until every part had its
        turn, which an interrupt puts off to the next call."""
        return self._parts.life.state

    @property
    def is_closed(self) -> bool:
        """Whether all that this lab had was closed; see `state`."""
        return self.state == "closed"

    def close(self, timeout_seconds: float = 5.0) -> builtins.list[str]:
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
        try:
            return self._parts.life.close(self.clock, timeout_seconds)
        finally:
            if self.is_closed:
                open_lab.unregister(self._number)

    def on_close(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` at the end of `close`, once; return the undo.

        What it raises is raised by `close`, after everything was closed. A lab that is closed
        calls nothing more.
        """
        return self._parts.life.on_close(callback)

    if not TYPE_CHECKING:  # a checker must see that a Lab has no `rewind`

        def __getattr__(self, name: str) -> object:
            """Say what only a sandbox has, when it is asked of something else."""
            from crlab.lab.sandbox import Sandbox

            # A sandbox comes here when one of its own properties raises an `AttributeError`.
            if (
                not name.startswith("_")
                and hasattr(Sandbox, name)
                and not isinstance(self, Sandbox)
            ):
                raise SandboxOnly(
                    f"cannot use lab.{name}: {self!r} is not a sandbox; crlab.sandbox() opens one"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def _opener(self) -> str:
        """The function that makes a lab of this kind."""
        return "connect" if self.kind == "cluster" else self.kind

    def __repr__(self) -> str:
        return self._shown(self.state if self.state != "open" else self._counts)

    @property
    def _counts(self) -> str:
        return counted(len(self._informers), "informers")

    def _shown(self, state: str) -> str:
        rights = "writable" if self.allow_writes else "read-only"
        return f"Lab({self._parts.title}, {rights}, {state})"


def _check_informer(informer: object, taker: str) -> None:
    from crlab.lab.informer import Informer

    if informer is not None and not isinstance(informer, Informer):
        raise ConfigError(
            f"{taker} takes an informer, as lab.informer() returns it, or nothing, not {informer!r}"
        )


__all__ = ["Lab", "LabKind"]
