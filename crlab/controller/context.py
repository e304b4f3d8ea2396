"""What a reconcile works with: reads, writes, events, a log.

From: a worker or the stepper, one `Context` per run. To: the caches and the API server.

Guarantees:
  1. Reads are copies of the reconcile's own: a fresh one each time, but `object` one for the
     run. Whatever is done to them reaches no cache, and no server before it is written.
  2. Reads see this controller's own writes and deletions (`overlay.py`), and never an older
     state after a newer.
  3. Every read and write is recorded as a `Call`, and every request carries the run as its
     cause and "controller/<name>" as its actor.
  4. In a dry run every write is sent as a server-side dry run, Events too.
  5. Once the run is over (returned, timed out, stopped) the context refuses further calls:
     a run that was given up cannot write behind its successor's back.

Thread: the thread of its run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from crlab.controller.owner import add_owner
from crlab.controller.writing import WritingRun
from crlab.errors import ConfigError
from crlab.model.object import KubeObject

T = TypeVar("T")


class Context(WritingRun):
    """One run's view of the cluster; see `Run` for its attributes."""

    def own(self, child: T, owner: Mapping[str, Any] | None = None) -> T:
        """Make the object being reconciled (or `owner`) the controller of `child`.

        Returns:
            `child` itself, with the ownerReference and the namespace set. Nothing is sent.

        Raises:
            ConfigError: another controller owns it, or the owner cannot: it is not stored yet,
                lives in another namespace, is namespaced where the child is cluster-scoped, or
                is the child itself.
            UnknownResource: nothing serves the kind of one of them.
        """
        parent = self._current() if owner is None else owner
        if parent is None:
            raise ConfigError(f"{self.request.key} is gone: it cannot own anything")
        if not isinstance(child, dict):
            raise ConfigError(f"ctx.own takes a dict or a Draft, not {type(child).__name__}")
        home = self.resource if owner is None else self._env.resource_of(owner)
        place = self._env.resource_of(child) if child.get("kind") else None
        add_owner(child, parent, home, place)
        return child

    @property
    def is_deleting(self) -> bool:
        """Whether the object to reconcile has a deletionTimestamp."""
        obj = self._current()
        return obj is not None and bool(obj["metadata"].get("deletionTimestamp"))

    def has_finalizer(self, finalizer: str) -> bool:
        """Whether the object to reconcile carries a finalizer."""
        obj = self._current()
        return obj is not None and finalizer in (obj["metadata"].get("finalizers") or ())

    def add_finalizer(self, finalizer: str) -> bool:
        """Put a finalizer on the object to reconcile; False if it is there or too late."""
        obj = self._current()
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return False
        return self._set_finalizers(obj, finalizer, hold=True)

    def remove_finalizer(self, finalizer: str) -> bool:
        """Take a finalizer off the object to reconcile; False if it is not there."""
        obj = self._current()
        return obj is not None and self._set_finalizers(obj, finalizer, hold=False)

    def _set_finalizers(self, obj: KubeObject, finalizer: str, *, hold: bool) -> bool:
        if "/" not in finalizer:
            raise ConfigError(f'a finalizer is named "domain/name", not {finalizer!r}')
        metadata = obj["metadata"]
        present = [*(metadata.get("finalizers") or ())]
        if (finalizer in present) == hold:
            return False
        wanted = [*present, finalizer] if hold else [f for f in present if f != finalizer]
        # The resourceVersion makes it a 409 if somebody else changed the list meanwhile.
        patch = {"metadata": {"finalizers": wanted, "resourceVersion": obj.resource_version}}
        self.patch(self.resource, self.request.name, patch, namespace=self.request.namespace)
        return True

    def event(
        self,
        reason: str,
        message: str,
        *,
        type: str = "Normal",
        regarding: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a Kubernetes Event about the object being reconciled (or `regarding`).

        It is sent in the background, aggregated and rate limited as client-go does; a
        failure to send is noted in the trace and never fails the reconcile.
        """
        self.check()
        about = regarding if regarding is not None else self._current()
        if about is None:
            return
        self._env.recorder.event(
            about, type, reason, message, dry_run=self.is_dry_run, causes=(self._seq,)
        )
