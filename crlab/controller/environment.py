"""What every run of one controller shares.

Thread: immutable but for `hooks`, which is replaced as a whole.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from crlab.cache.revision import has_reached
from crlab.client.dynamic import DynamicClient
from crlab.controller.call import CallHook
from crlab.controller.overlay import MutationOverlay
from crlab.controller.reader import CacheReader
from crlab.controller.recorder import EventRecorder
from crlab.errors import ConfigError
from crlab.model.resource import ApiResource, GroupVersionKind
from crlab.runtime.clock import Clock
from crlab.runtime.driver import Driver
from crlab.runtime.ids import Ids
from crlab.runtime.teller import is_told, tell
from crlab.trace.cause import current_causes
from crlab.trace.record import Trace, TraceStage

POLL_SECONDS = 0.02


class Environment:
    """Clients, caches, time and chance of one controller."""

    def __init__(
        self,
        name: str,
        resource: ApiResource,
        *,
        client: DynamicClient,
        reader: CacheReader,
        recorder: EventRecorder,
        driver: Driver,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.name = name
        self.field_manager = name
        self.resource = resource
        self.client = client
        self.reader = reader
        self.recorder = recorder
        self.driver = driver
        self.clock = clock
        self.ids = ids
        self.trace = trace
        self.is_stopping = is_stopping
        self.hooks: tuple[CallHook, ...] = ()
        self.keeps_bodies = True  # of calls, in step records; costs a masked copy each
        self.log_level = logging.INFO  # of what `ctx.log` says
        self._pause = threading.Condition()

    @property
    def overlay(self) -> MutationOverlay:
        """The controller's own writes, ahead of its caches."""
        return self.reader.overlay

    def resolve(self, name: str | ApiResource) -> ApiResource:
        """Return the resource of a name: the controller's informers first, then discovery."""
        if isinstance(name, ApiResource):
            return name
        if not isinstance(name, str) or not name:
            raise ConfigError(f'a resource is named like "deployments" or "apps", not {name!r}')
        found: ApiResource = self.client.resolve(name)
        return found

    def resource_of(self, obj: Mapping[str, Any]) -> ApiResource:
        """Return the resource that serves an object's kind.

        Raises:
            ConfigError: it is no object, or has no apiVersion or kind.
            UnknownResource: nothing serves it.
        """
        if not isinstance(obj, Mapping):
            raise ConfigError(
                f"a write takes an object with apiVersion and kind, not {obj!r}; "
                "ctx.new(resource, name) makes one, ctx.client takes names and bodies"
            )
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str):
            raise ConfigError(
                f"an object needs apiVersion and kind, not {api_version!r} and {kind!r}; "
                "ctx.new(resource, name) fills them in"
            )
        wanted = GroupVersionKind.from_api_version(api_version, kind)
        known = self.reader.resource_of(wanted)
        if known is not None and known.gvr.version == wanted.version:
            return known
        found: ApiResource = self.client.resolve_kind(wanted)
        return found

    def request_since(self, seq: int, resource: str) -> tuple[int, int | None]:
        """Return (seq, HTTP status) of this run's newest request about `resource`, (0, None)."""
        causes = current_causes()
        for record in reversed(self.trace.records(after=seq)):
            if (record.stage, record.kind, record.resource) == (
                TraceStage.CLIENT,
                "request",
                resource,
            ) and record.causes == causes:
                status = record.get("status")
                return record.seq, status if isinstance(status, int) and status else None
        return 0, None

    def note(self, key: str, kind: str, seq: int, data: Mapping[str, Any]) -> int:
        """Write a record about a run."""
        causes = (seq,) if seq else current_causes()
        return self.trace.append(
            TraceStage.RECONCILE,
            kind,
            resource=self.resource.gvr.group_resource,
            key=key,
            causes=causes,
            data={"controller": self.name, **data},
        )

    @property
    def actor(self) -> str:
        """What the trace and its failures call this controller."""
        return f"controller/{self.name}"

    def tell(self, key: str, text: str) -> None:
        """Log what a run says."""
        if is_told("controller", self.log_level):
            tell("controller", self.log_level, f"{self.actor}: {key}: {text}")

    def pause(self, seconds: float) -> None:
        """Wait; with the manual driver not at all, since nothing else moves meanwhile."""
        if not self.driver.is_manual:
            with self._pause:
                self.clock.wait(self._pause, seconds)

    def wait_for_version(
        self,
        resource: ApiResource,
        resource_version: str,
        timeout_seconds: float,
        namespace: str | None = None,
    ) -> bool:
        """Wait until the cache of `resource` has reached a revision; None: in all its places."""
        informer = self.reader.informer(resource)
        if informer is None:
            raise ConfigError(
                f"no informer of {self.name} holds {resource.gvr.group_resource}: there is no "
                "cache to wait for"
            )

        def is_there() -> bool:
            if namespace is None:
                return has_reached(informer.last_sync_resource_version, resource_version)
            return has_reached(informer.resource_version_in(namespace), resource_version)

        return self.wait_until(is_there, timeout_seconds)

    def wait_until(self, predicate: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait for a condition that announces nothing; the manual driver steps meanwhile."""
        if self.driver.is_manual:
            return self.driver.wait_until(threading.Condition(), predicate, timeout_seconds)
        until = self.clock.monotonic() + timeout_seconds
        while not predicate():
            if self.clock.monotonic() >= until:
                return False
            self.pause(POLL_SECONDS)
        return True
