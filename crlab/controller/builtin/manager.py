"""All built-in controllers on one stage.

From: the store's commits. To: the controllers' queues, and their keys, one at a time.

Guarantees:
  1. In the commit's own critical section only a few bytes are searched and a place in a
     list taken; the work is done on the stage.
  2. A paused controller keeps its keys; the others go on.
  3. With the manual driver a settled lab has settled controllers.

Thread: the stage ``crlab-builtin-controllers``; `_lock` guards the list of commits.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from crlab.controller.builtin import garbage_collector as gc
from crlab.controller.builtin.deployment import Deployments
from crlab.controller.builtin.feed import Feed, FeedCommit, FeedInformer, metadata_of
from crlab.controller.builtin.garbage_collector import GarbageCollector
from crlab.controller.builtin.kubelet import Kubelet
from crlab.controller.builtin.namespace import NamespaceDeleter
from crlab.controller.builtin.replica_set import ReplicaSets
from crlab.controller.controller import Controller, Reconcile
from crlab.controller.step_record import StepRecord
from crlab.errors import ConfigError
from crlab.model.plural import counted
from crlab.runtime.clock import Clock
from crlab.runtime.driver import Driver, StageHandle
from crlab.runtime.ids import Ids
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace
from crlab.workqueue import ItemExponentialFailureRateLimiter, Trigger

if TYPE_CHECKING:
    from crlab.client import DynamicClient

GROUPS = ("namespace", "gc", "workloads")
MAX_RETRIES = 15
FIELD_MANAGER = "kube-controller-manager"


class ControllerManager:
    """The controllers of one embedded server.

    Attributes:
        controllers: by name: "namespace", "garbage-collector", "deployment", "replicaset",
            "kubelet"; as many as were asked for.
    """

    name = "builtin-controllers"
    is_worker = False

    def __init__(
        self,
        feed: Feed,
        client: DynamicClient,
        *,
        driver: Driver,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        groups: Iterable[str] = GROUPS,
        start_seconds: float = 0.0,
    ) -> None:
        """Make the controllers; nothing moves before `start`.

        Args:
            feed: the server's store.
            client: writes as a cluster administrator, without a socket.
            groups: "namespace", "gc" and "workloads", each on its own.
            start_seconds: how long the simulated kubelet takes to start a pod.

        Raises:
            ConfigError: a group of another name.
        """
        wanted = tuple(groups)
        unknown = [each for each in wanted if each not in GROUPS]
        if unknown:
            raise ConfigError(f"no built-in controllers {unknown[0]!r}; there are {GROUPS}")
        self._feed = feed
        self._client = client
        self._driver = driver
        self._clock = clock
        self._ids = ids
        self._trace = trace
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._commits: deque[FeedCommit] = deque()
        self._informers: dict[str, FeedInformer] = {}
        self._collector: GarbageCollector | None = None
        self._deletes_namespaces = False
        self._handle: StageHandle | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._wakes = 0
        self._seen_wakes = 0
        self._turn = 0
        self.controllers: dict[str, Controller] = {}
        if "namespace" in wanted:
            self._add_namespace()
        if "gc" in wanted:
            self._add_collector()
        if "workloads" in wanted:
            self._add_workloads(start_seconds)

    # -- what there is -----------------------------------------------------------------------

    def _add_namespace(self) -> None:
        deleter = NamespaceDeleter(self._feed, self._client, self._clock)
        self._deletes_namespaces = True
        self._make("namespace", deleter.reconcile, self._informer("namespaces"))

    def _add_collector(self) -> None:
        collector = GarbageCollector(
            self._feed, self._client, self._clock, self._ids, self._collect
        )
        self._collector = collector
        informer = FeedInformer(self._feed, gc.NODES, collector.graph)
        self._make("garbage-collector", collector.reconcile, informer)

    def _add_workloads(self, start_seconds: float) -> None:
        pods = self._informer("pods")
        sets = self._informer("replicasets.apps")
        self._make("kubelet", Kubelet(self._clock, start_seconds).reconcile, pods)
        replica_sets = ReplicaSets(self._feed, pods.resource, self._clock)
        self._make("replicaset", replica_sets.reconcile, sets, [pods])
        deployments = Deployments(self._feed, sets.resource, self._clock)
        self._make("deployment", deployments.reconcile, self._informer("deployments.apps"), [sets])

    def _informer(self, plural: str) -> FeedInformer:
        if plural not in self._informers:
            resource = self._client.resolve(plural)
            self._informers[plural] = FeedInformer(self._feed, resource)
        return self._informers[plural]

    def _make(
        self, name: str, reconcile: Reconcile, informer: FeedInformer, owns: list[Any] | None = None
    ) -> None:
        controller = Controller(
            name,
            reconcile,
            informer=informer,
            owns=owns or (),
            client=self._client,
            driver=self._driver,
            clock=self._clock,
            ids=self._ids,
            trace=self._trace,
            max_retries=MAX_RETRIES,
            limiter=ItemExponentialFailureRateLimiter(),
        )
        controller.env.field_manager = FIELD_MANAGER
        controller.env.keeps_bodies = False
        controller.env.log_level = logging.DEBUG  # the server's affairs, not the user's
        self.controllers[name] = controller

    def _collect(self, uid: str) -> None:
        self.controllers["garbage-collector"].queue.add(
            uid, trigger=Trigger("graph", *self._place(uid))
        )

    def _place(self, uid: str) -> tuple[str, str]:
        assert self._collector is not None
        return self._collector.graph.places.get(uid, ("", ""))

    # -- life ------------------------------------------------------------------------------

    def start(self) -> ControllerManager:
        """Take in what exists, follow every commit, begin to work."""
        for controller in self.controllers.values():
            controller.host(self.wake)
        self._unsubscribe = self._feed.subscribe(self._committed)
        self._take_in()
        self._handle = self._driver.add(self, on_error=self._died)
        return self

    def _died(self, error: BaseException) -> None:
        then = "the server's own controllers do nothing more"
        self._trace.failures.failed("thread", self.name, "", error, then=then)

    def _take_in(self) -> None:
        for informer in self._informers.values():
            informer.replay()
        if self._collector is not None:
            for plural in self._feed.resources():
                for key, stored in self._feed.items(plural):
                    if gc.concerns_content(stored):
                        self._collector.look(plural, key, metadata_of(stored))

    def pause(self, name: str | None = None) -> None:
        """Let one controller (None: all) take no more keys until `resume`."""
        for controller in self._chosen(name):
            controller.pause()

    def resume(self, name: str | None = None) -> None:
        """Go on after `pause`."""
        for controller in self._chosen(name):
            controller.resume()

    def step_one(self, name: str, what: str | None = None) -> StepRecord | None:
        """Take one key of a paused controller by hand."""
        controller = self._chosen(name)[0]
        controller.env.keeps_bodies = True
        try:
            return controller.step(what)
        finally:
            controller.env.keeps_bodies = False

    def _chosen(self, name: str | None) -> list[Controller]:
        if name is None:
            return list(self.controllers.values())
        if name not in self.controllers:
            known = ", ".join(self.controllers)
            raise ConfigError(f"no built-in controller {name!r} runs here; there are {known}")
        return [self.controllers[name]]

    def stop(self) -> None:
        """Follow no more commits and end the stage; returns at once, idempotent."""
        self._unsubscribe()
        if self._handle is not None:
            self._handle.stop()

    def join(self, timeout_seconds: float | None = None) -> list[str]:
        """Wait for the stage; return its thread's name if it is still alive."""
        if self._handle is None or self._handle.join(timeout_seconds):
            return []
        return [self._handle.thread_name]

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        for controller in self.controllers.values():
            controller.close()

    def pending(self) -> list[str]:
        """Return what is still to do, delays and paused controllers not counted."""
        with self._lock:
            count = len(self._commits)
        found = [f"{count} commits to look at"] if count else []
        for name, controller in self.controllers.items():
            if not controller.is_paused:
                snapshot = controller.queue.snapshot()
                keys = len(snapshot.queued) + len(snapshot.processing)
                found += [f"{name}: {counted(keys, 'keys')}"] if keys else []
        return found

    # -- commits -----------------------------------------------------------------------------

    def _committed(self, commit: FeedCommit) -> None:
        """Take a place in the list; runs under the store's lock."""
        is_wanted = (
            commit.resource in self._informers
            or (self._collector is not None and GarbageCollector.concerns(commit))
            or (self._deletes_namespaces and commit.type == "DELETED")
        )
        if is_wanted:
            with self._lock:
                self._commits.append(commit)
                self._news.notify_all()

    def _note(self, commit: FeedCommit) -> None:
        seq = self._trace.write_seq(commit.resource, str(commit.revision))
        with caused_by((seq,) if seq else ()):
            informer = self._informers.get(commit.resource)
            if informer is not None:
                informer.handle(commit)
            if self._collector is not None and GarbageCollector.concerns(commit):
                self._collector.note(commit)
            if self._deletes_namespaces and commit.type == "DELETED":
                self._namespace_lost(commit)

    def _namespace_lost(self, commit: FeedCommit) -> None:
        """Something went: a namespace that waits for it may be empty now."""
        namespace = commit.key.rpartition("/")[0]
        if not namespace:
            return
        stored = self._feed.get("namespaces", namespace)
        if stored is not None and metadata_of(stored).deletionTimestamp is not None:
            trigger = Trigger("deleted", commit.resource, commit.key, str(commit.revision))
            self.controllers["namespace"].queue.add(namespace, trigger=trigger)

    # -- the stage ---------------------------------------------------------------------------

    def step(self, limit: int) -> int:
        """Look at one commit, or take one key of the next controller that has one."""
        for done in range(max(1, limit)):
            if not self._step_once():
                return done
            if self._handle is not None and self._handle.is_stopping:
                return done + 1
        return limit

    def _step_once(self) -> bool:
        with self._lock:
            commit = self._commits.popleft() if self._commits else None
        if commit is not None:
            self._note(commit)
            return True
        names = list(self.controllers)
        for offset in range(len(names)):
            controller = self.controllers[names[(self._turn + offset) % len(names)]]
            key = None if controller.is_paused else controller.take_for_worker()
            if key is not None:
                self._turn = (self._turn + offset) % len(names)
                controller.runner.run(key)
                return True
        return False

    def wait(self) -> None:
        """Wait for a commit, or for the first delayed key."""
        due = [
            seconds
            for controller in self.controllers.values()
            if not controller.is_paused
            and (seconds := controller.queue.next_due_seconds()) is not None
        ]
        with self._lock:
            if self._wakes == self._seen_wakes and not self._commits:
                self._clock.wait(self._news, min(due, default=None))
            self._seen_wakes = self._wakes

    def wake(self) -> None:
        """Make `wait` return."""
        with self._lock:
            self._wakes += 1
            self._news.notify_all()
