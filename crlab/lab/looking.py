"""What a lab shows: views, explanations, time, recordings, faults.

Thread: any; making a view starts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crlab.errors import ConfigError
from crlab.lab.making import MakingLab
from crlab.model.argument import checked_key, checked_list, checked_path, checked_text

if TYPE_CHECKING:
    import pandas as pd

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
    from crlab.widgets.fault import FaultView
    from crlab.widgets.pipeline import PipelineView
    from crlab.widgets.time_slider import TimeSliderView

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


class LookingLab(MakingLab):
    """A lab that shows what happens in it."""

    def pipeline(self, informer: Informer | None = None) -> PipelineView:
        """Return the pipeline view: API server → Reflector → … → reconcile, live.

        Args:
            informer: the lane to show first; None is the first informer.
        """
        from crlab.lab.view import pipeline_view

        self.check_open("show the pipeline")
        _check_informer(informer, "lab.pipeline()")
        return pipeline_view(self._whole, informer.lane if informer is not None else "")

    def time_slider(self, informer: Informer | None = None) -> TimeSliderView:
        """Return the time slider: pipeline, and a frame if named, as of any moment."""
        from crlab.lab.view import timeline_view

        self.check_open("show the past")
        _check_informer(informer, "lab.time_slider()")
        return timeline_view(self._whole, informer)

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

        return Problems(self._whole)

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
            self._whole,
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
        return stressed(self._whole, controller, scenario, max_runs)

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
        return owner_tree_of(self._whole, resource, key, among)

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
        return Live(self._whole, function, name=name)

    def record(self, path: str | os.PathLike[str], *, include_secrets: bool = False) -> Recorder:
        """Write what happens from now on, and what the trace holds, into a new file.

        Redacted, hash-chained JSON lines, compressed; ``crlab.replay(path)`` opens it.

        Raises:
            RecordingError: the file exists or cannot be created.
        """
        from crlab.lab.recording import start_recording

        self.check_open("record")
        checked_path(path, "what lab.record() writes")
        return start_recording(self._whole, path, include_secrets=include_secrets)

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
            self._faults = LabFaults(self._parts, self._fault_panel)
        return self._faults

    def _fault_panel(self) -> FaultView:
        from crlab.lab.view import fault_view

        return fault_view(self._whole)

    def ready_faults(self) -> None:
        """Put the sandbox's faults in place, so that they know every watch from the first."""
        if self.server is not None:
            assert self.faults is not None


def _check_informer(informer: Any, taker: str) -> None:
    from crlab.lab.informer import Informer

    if informer is not None and not isinstance(informer, Informer):
        raise ConfigError(
            f"{taker} takes an informer, as lab.informer() returns it, or nothing, not {informer!r}"
        )
