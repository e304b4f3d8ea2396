"""SharedInformerFactory: the same resource, namespace and selectors give the same informer.

From: whoever wants a cache. To: one `SharedInformer` per key, so one watch and one copy.

Guarantees:
  1. `start` may be called again; it starts what is new. `shutdown` ends everything.
  2. `wait_for_cache_sync` covers the informers started so far.

Thread: any; `_lock` guards the table.
Source: kubernetes/client-go:dynamic/dynamicinformer/informer.go, informers/factory.go
(rule 56).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from crlab.cache.shared_informer import SharedInformer
from crlab.cache.tweaked import TweakedListerWatcher, TweakListOptions
from crlab.client.list_watch import ListerWatcher
from crlab.errors import AlreadyStopped, SyncTimeout
from crlab.model.argument import checked_function
from crlab.model.redaction import holds_secrets, redact_kube_object
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.driver import Driver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace


@dataclass(frozen=True, slots=True)
class InformerKey:
    """What makes two informers the same."""

    gvr: GroupVersionResource
    namespace: str | None
    label_selector: str
    field_selector: str
    is_metadata_only: bool


ConnectListerWatcher = Callable[[ApiResource, InformerKey], ListerWatcher]


class SharedInformerFactory:
    """Makes and keeps informers."""

    def __init__(
        self,
        connect: ConnectListerWatcher,
        *,
        driver: Driver,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        resync_seconds: float = 0.0,
        namespace: str | None = None,
        tweak_list_options: TweakListOptions | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        """Make an empty factory.

        Args:
            connect: makes the lister-watcher of an informer.
            resync_seconds: for informers that do not choose; 0 never.
            namespace: for informers that do not choose; None is everywhere.
            tweak_list_options: changes the options of every list and watch.
            defaults: further arguments for every `SharedInformer`.
        """
        self._connect = checked_function(connect, "connect", ("resource", "key"))
        self.driver = driver
        self.clock = clock
        self.ids = ids
        self.trace = trace
        self.resync_seconds = resync_seconds
        self.namespace = namespace
        self._tweak = tweak_list_options
        self._defaults = dict(defaults or {})
        self._lock = threading.Lock()
        self._informers: dict[InformerKey, SharedInformer] = {}
        self._is_stopped = False

    def for_resource(
        self,
        resource: ApiResource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        **options: Any,
    ) -> SharedInformer:
        """Return the informer of a resource, making it if there is none.

        Args:
            namespace: None is the factory's.
            metadata_only: cache PartialObjectMetadata instead of whole objects.
            options: for `SharedInformer`, if it is made now; ``redact=None`` keeps the values
                of Secrets.

        Raises:
            AlreadyStopped: the factory was shut down.
        """
        place = (namespace or self.namespace) if resource.is_namespaced else None
        key = InformerKey(resource.gvr, place, label_selector, field_selector, metadata_only)
        with self._lock:
            if self._is_stopped:
                raise AlreadyStopped("the informer factory was shut down; make a new one")
            found = self._informers.get(key)
            if found is None or found.is_stopped:
                found = self._informers[key] = self._make(resource, key, options)
            return found

    def _make(
        self, resource: ApiResource, key: InformerKey, options: dict[str, Any]
    ) -> SharedInformer:
        lister_watcher = self._connect(resource, key)
        if self._tweak is not None:
            lister_watcher = TweakedListerWatcher(lister_watcher, self._tweak)
        return SharedInformer(
            lister_watcher,
            driver=self.driver,
            clock=self.clock,
            ids=self.ids,
            trace=self.trace,
            **{
                "resync_seconds": self.resync_seconds,
                "redact": partial(redact_kube_object, resource=resource)
                if holds_secrets(resource)
                else None,
                **self._defaults,
                **options,
            },
        )

    def informers(self) -> list[SharedInformer]:
        """Return every informer made so far, in order."""
        with self._lock:
            return list(self._informers.values())

    def start(self) -> list[SharedInformer]:
        """Start the informers that have not been; return those."""
        fresh = [x for x in self.informers() if not x.is_started and not x.is_stopped]
        for informer in fresh:
            informer.start()
        return fresh

    def wait_for_cache_sync(self, timeout_seconds: float | None = 30.0) -> None:
        """Return once every started informer has synced.

        Raises:
            SyncTimeout: the limit was over; names what was missing.
        """
        deadline = Deadline(self.clock, timeout_seconds)
        missing: list[str] = []
        for informer in self.informers():
            if informer.is_started:
                try:
                    informer.wait_for_sync(deadline.remaining_seconds())
                except SyncTimeout as error:
                    missing.extend(error.unsynced)
        if missing:
            raise SyncTimeout(missing, timeout_seconds=timeout_seconds or 0.0)

    def stop(self) -> None:
        """Ask every informer to end. Idempotent, never waits."""
        with self._lock:
            self._is_stopped = True
            informers = list(self._informers.values())
        for informer in informers:
            informer.stop()

    def shutdown(self, timeout_seconds: float = 5.0) -> Sequence[str]:
        """Stop everything and wait; return the names of threads that had to be abandoned."""
        self.stop()
        deadline = Deadline(self.clock, timeout_seconds)
        abandoned: list[str] = []
        for informer in self.informers():
            if not informer.join(deadline.remaining_seconds()):
                abandoned.extend(informer.abandoned)
        return abandoned
