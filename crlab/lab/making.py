"""What a lab makes: informers and controllers, each once.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from crlab.errors import ConfigError
from crlab.lab.core import Rank
from crlab.lab.pace import PacedLab
from crlab.lab.question import check_question, check_resource, check_sources
from crlab.model.argument import checked_function, checked_texts, checked_timeout
from crlab.model.resource import ApiResource
from crlab.runtime.deadline import Deadline

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.client.list_watch import ListerWatcher
    from crlab.lab.builtin_controller import BuiltinControllers
    from crlab.lab.informer import Informer
    from crlab.lab.lab_controller import LabController


class MakingLab(PacedLab):
    """A lab that is the factory of its informers and controllers."""

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
            self._whole,
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
            note_informer(self._whole, informer)
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
        return self._hold(LabController(self._whole, made, reconcile))

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
        return self._hold(LabController(self._whole, twin, model.reconcile))

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

        self._builtin = BuiltinControllers(self._whole, self.server, names)
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
