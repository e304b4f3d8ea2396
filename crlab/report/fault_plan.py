"""What goes wrong in one run of a stress test, at the seams a controller cannot see.

  crash       after the n-th write the process is gone: the answer is never seen
  dropped     the n-th watch event is never delivered (until the restart)
  stale list  after a restart the first list is an old one, and the watch lags behind

Thread: one; stress tests run on the manual driver.
Source: sieve-project/sieve (intermediate state, unobserved state, stale state).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crlab.client.list_watch import ListOptions, ListPage, WatchEvent, WatchStream
from crlab.client.lister_watcher import ResourceListerWatcher
from crlab.controller.call import Call


class SimulatedCrash(BaseException):
    """The process of the controller ends here. Not an Exception: no reconcile catches it."""


@dataclass
class FaultPlan:
    """One fault, or none; counts what passes by.

    Attributes:
        crash_after_write: the write, from 1, after which the process is gone; 0 never.
        drop_event: the watch event, from 1, that is not delivered; 0 none.
        stale_resource: the resource ("plural.group") that is listed stale after a restart.
        writes, events: how many there were.
        has_fired: whether the fault has happened.
    """

    crash_after_write: int = 0
    drop_event: int = 0
    stale_resource: str = ""
    max_steps: int = 500
    writes: int = 0
    events: int = 0
    has_fired: bool = False
    is_crashed: bool = False
    life: int = 1
    is_holding: bool = False
    first_pages: dict[str, ListPage] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.crash_after_write:
            return f"crash after write {self.crash_after_write}"
        if self.drop_event:
            return f"watch event {self.drop_event} dropped"
        if self.stale_resource:
            return f"restart on a stale list of {self.stale_resource}"
        return "no fault"

    # -- as a CallHook -------------------------------------------------------------------

    def before(self, verb: str, resource: str, key: str, write: bool) -> None:
        """Let nothing pass once the process is gone."""
        del verb, resource, key, write
        if self.is_crashed:
            raise SimulatedCrash

    def after(self, call: Call) -> None:
        """Count a write, and end the process after the one it is about."""
        if not call.is_write or call.error:
            return
        self.writes += 1
        if self.writes == self.crash_after_write:
            self.has_fired = self.is_crashed = True
            raise SimulatedCrash


class FaultyListerWatcher:
    """A lister-watcher with a plan."""

    supports_watch_list = False

    def __init__(self, inner: ResourceListerWatcher, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan
        self._name = inner.resource.gvr.group_resource
        self.resource = inner.resource
        self.namespace = inner.namespace

    def list(self, options: ListOptions) -> ListPage:
        """Return a page, an old one if the plan says so."""
        plan = self._plan
        if plan.life > 1 and plan.stale_resource == self._name and not plan.has_fired:
            plan.has_fired = plan.is_holding = True
            return plan.first_pages[self._name]
        page: ListPage = self._inner.list(options)
        if not page.continue_token:
            plan.first_pages.setdefault(self._name, page)
        return page

    def watch(self, options: ListOptions) -> _FaultyStream:
        """Open a watch whose events the plan may drop or hold back."""
        return _FaultyStream(self._inner.watch(options), self._plan, self._name)

    def abort(self) -> None:
        """End the calls under way."""
        self._inner.abort()


class _FaultyStream:
    def __init__(self, inner: WatchStream, plan: FaultPlan, name: str) -> None:
        self._inner = inner
        self._plan = plan
        self._name = name

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def read(self, timeout_seconds: float | None) -> list[WatchEvent]:
        if self._plan.is_holding and self._plan.stale_resource == self._name:
            return []
        return [event for event in self._inner.read(timeout_seconds) if self._passes(event)]

    def _passes(self, event: WatchEvent) -> bool:
        if event.object is None:
            return True
        self._plan.events += 1
        if self._plan.events == self._plan.drop_event:
            self._plan.has_fired = True
            return False
        return True

    def close(self) -> None:
        self._inner.close()
