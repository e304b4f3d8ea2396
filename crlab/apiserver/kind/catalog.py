"""Kubernetes' own resources as a table: about forty kinds, described by data.

Thread: `builtin_types` makes fresh types for one server.
Source: kubernetes/kubernetes:pkg/registry/*/rest (which kinds, verbs, subresources).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crlab.apiserver.auth import rbac_kind
from crlab.apiserver.kind import core_kind, event_kind, workload, workload_check
from crlab.apiserver.resource_type import (
    ResourceType,
    ScalePaths,
    Subresource,
    Version,
    look,
    text_of,
)
from crlab.apiserver.storage import Tree
from crlab.model.printer import PrinterColumn, columns_for

STATUS = "status"
NO_COLLECTION = ("create", "delete", "get", "list", "patch", "update", "watch")
_REPLICAS = ScalePaths(
    ("spec", "replicas"), ("status", "replicas"), ("spec", "selector"), is_selector_object=True
)
_SCALE = Subresource("scale", "Scale", "autoscaling", "v1")
_JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set "
    "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this "
    "warning"
)
_SERVICE_GIVEN = tuple(
    ("spec", name) for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
)


def _field(*path: str) -> Callable[[Tree], str]:
    return lambda tree: text_of(look(tree, path))


def _version(name: str, **rest: Any) -> Version:
    version = Version(name, **rest)
    version.form = -version.form  # written in the order of Go's fields
    return version


def _kind(
    group: str,
    plural: str,
    kind: str,
    *,
    version: str = "v1",
    status: bool = False,
    scale: bool = False,
    subresources: tuple[Subresource, ...] = (),
    columns: tuple[PrinterColumn, ...] | None = None,
    **rest: Any,
) -> ResourceType:
    extra = list(subresources)
    if status:
        extra.append(Subresource(STATUS, kind))
    if scale:
        extra.append(_SCALE)
    return ResourceType(
        group=group,
        plural=plural,
        kind=kind,
        versions={version: _version(version, columns=columns or columns_for(group, kind))},
        subresources=tuple(extra),
        has_status=status,
        scale=_REPLICAS if scale else None,
        **rest,
    )


def _workload(
    plural: str, kind: str, short: str, prepare: Any, *, scale: bool = True
) -> ResourceType:
    return _kind(
        "apps",
        plural,
        kind,
        status=True,
        scale=scale,
        short_names=(short,),
        categories=("all",),
        generation="spec+annotations" if kind == "Deployment" else "spec",
        prepare=prepare,
        check=workload_check.check_selected,
    )


def _core() -> list[ResourceType]:
    return [
        _kind(
            "",
            "namespaces",
            "Namespace",
            status=True,
            subresources=(Subresource("finalize", "Namespace", verbs=("update",)),),
            is_namespaced=False,
            short_names=("ns",),
            verbs=NO_COLLECTION,
            name_rule="label",
            returns_object_on_delete=True,
            can_collect=False,
            fields={"status.phase": _field("status", "phase"), "name": _field("metadata", "name")},
            prepare=core_kind.prepare_namespace,
            before_delete=core_kind.protect_namespace,
            begin_delete=core_kind.terminate_namespace,
            spec_finalizers=core_kind.namespace_finalizers,
            unmanaged=(("spec",),),
        ),
        _kind(
            "",
            "configmaps",
            "ConfigMap",
            short_names=("cm",),
            prepare=core_kind.prepare_config_map,
            check=core_kind.check_config_map,
        ),
        _kind(
            "",
            "secrets",
            "Secret",
            fields={"type": _field("type")},
            prepare=core_kind.prepare_secret,
            check=core_kind.check_secret,
        ),
        _kind(
            "",
            "pods",
            "Pod",
            status=True,
            short_names=("po",),
            categories=("all",),
            generation="spec",
            returns_object_on_delete=True,
            fields={
                name: _field(*name.split("."))
                for name in (
                    "spec.nodeName",
                    "spec.restartPolicy",
                    "spec.schedulerName",
                    "spec.serviceAccountName",
                    "spec.hostNetwork",
                    "status.phase",
                    "status.podIP",
                    "status.nominatedNodeName",
                )
            },
            subresources=(
                Subresource("log", "Pod", verbs=("get",)),
                Subresource("eviction", "Eviction", "policy", "v1", verbs=("create",)),
                Subresource("binding", "Binding", verbs=("create",)),
            ),
            prepare=workload.prepare_pod,
            check=workload_check.check_pod,
            grace_seconds=workload.pod_grace,
            shows_deletion_time=True,
            unmanaged=(("spec", "priority"), ("spec", "preemptionPolicy")),
        ),
        _kind(
            "",
            "services",
            "Service",
            status=True,
            short_names=("svc",),
            categories=("all",),
            name_rule="service",
            returns_object_on_delete=True,
            prepare=workload.prepare_service,
            check=workload_check.check_service,
            unmanaged=_SERVICE_GIVEN,
        ),
        _kind(
            "",
            "serviceaccounts",
            "ServiceAccount",
            short_names=("sa",),
            returns_object_on_delete=True,
        ),
        _kind(
            "",
            "nodes",
            "Node",
            status=True,
            is_namespaced=False,
            short_names=("no",),
            fields={"spec.unschedulable": _field("spec", "unschedulable")},
        ),
        _kind("", "endpoints", "Endpoints", short_names=("ep",)),
        _kind("", "limitranges", "LimitRange", short_names=("limits",)),
        _kind(
            "",
            "resourcequotas",
            "ResourceQuota",
            status=True,
            short_names=("quota",),
            returns_object_on_delete=True,
        ),
        _kind(
            "",
            "persistentvolumeclaims",
            "PersistentVolumeClaim",
            status=True,
            short_names=("pvc",),
            returns_object_on_delete=True,
        ),
        _kind(
            "",
            "persistentvolumes",
            "PersistentVolume",
            status=True,
            is_namespaced=False,
            short_names=("pv",),
            returns_object_on_delete=True,
        ),
        _kind("", "podtemplates", "PodTemplate", returns_object_on_delete=True, generation="spec"),
        _kind(
            "",
            "replicationcontrollers",
            "ReplicationController",
            status=True,
            scale=True,
            short_names=("rc",),
            categories=("all",),
            generation="spec",
            orphans_by_default=True,
        ),
        _kind(
            "",
            "events",
            "Event",
            short_names=("ev",),
            columns=event_kind.columns(),
            fields=event_kind.field_names("involvedObject"),
            prepare=event_kind.fill_core,
            check=event_kind.check_core,
        ),
    ]


def _new_events() -> ResourceType:
    return ResourceType(
        group="events.k8s.io",
        plural="events",
        kind="Event",
        versions={
            "v1": _version(
                "v1",
                columns=event_kind.columns(),
                to_storage=event_kind.to_core,
                from_storage=event_kind.from_core,
            )
        },
        short_names=("ev",),
        storage_name="events",
        fields=event_kind.field_names("regarding"),
        check=event_kind.check_new,
    )


def _apps() -> list[ResourceType]:
    return [
        _workload("deployments", "Deployment", "deploy", workload.prepare_deployment),
        _workload("replicasets", "ReplicaSet", "rs", workload.prepare_replica_set),
        _workload("statefulsets", "StatefulSet", "sts", workload.prepare_stateful_set),
        _workload("daemonsets", "DaemonSet", "ds", workload.prepare_daemon_set, scale=False),
        _kind("apps", "controllerrevisions", "ControllerRevision"),
        _kind(
            "batch",
            "jobs",
            "Job",
            status=True,
            categories=("all",),
            generation="spec",
            fields={"status.successful": _field("status", "succeeded")},
            prepare=workload.prepare_job,
            unmanaged=(("spec", "selector"), ("spec", "template", "metadata", "labels")),
            orphans_by_default=True,
            delete_warning=_JOB_WARNING,
            check=workload_check.check_job,
        ),
        _kind(
            "batch",
            "cronjobs",
            "CronJob",
            status=True,
            short_names=("cj",),
            categories=("all",),
            generation="spec",
            prepare=workload.prepare_cron_job,
        ),
        _kind(
            "autoscaling",
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            version="v2",
            status=True,
            short_names=("hpa",),
            categories=("all",),
        ),
        _kind(
            "policy",
            "poddisruptionbudgets",
            "PodDisruptionBudget",
            status=True,
            short_names=("pdb",),
            generation="spec",
        ),
        _kind(
            "networking.k8s.io",
            "ingresses",
            "Ingress",
            status=True,
            short_names=("ing",),
            generation="spec",
        ),
        _kind(
            "networking.k8s.io",
            "ingressclasses",
            "IngressClass",
            is_namespaced=False,
            generation="spec",
        ),
        _kind(
            "networking.k8s.io",
            "networkpolicies",
            "NetworkPolicy",
            short_names=("netpol",),
            generation="spec",
        ),
        _kind("discovery.k8s.io", "endpointslices", "EndpointSlice", generation="spec"),
        _kind(
            "storage.k8s.io",
            "storageclasses",
            "StorageClass",
            is_namespaced=False,
            short_names=("sc",),
            returns_object_on_delete=True,
        ),
        _kind(
            "scheduling.k8s.io",
            "priorityclasses",
            "PriorityClass",
            is_namespaced=False,
            short_names=("pc",),
            generation="spec",
        ),
        _kind(
            "coordination.k8s.io",
            "leases",
            "Lease",
            allows_unconditional_update=False,
            check=workload_check.check_lease,
        ),
    ]


def _rbac() -> list[ResourceType]:
    group = "rbac.authorization.k8s.io"
    return [
        _kind(group, "roles", "Role", name_rule="path", check=rbac_kind.check_role),
        _kind(
            group,
            "rolebindings",
            "RoleBinding",
            name_rule="path",
            prepare=rbac_kind.prepare_binding,
            check=rbac_kind.check_role_binding,
        ),
        _kind(
            group,
            "clusterroles",
            "ClusterRole",
            is_namespaced=False,
            name_rule="path",
            check=rbac_kind.check_cluster_role,
        ),
        _kind(
            group,
            "clusterrolebindings",
            "ClusterRoleBinding",
            is_namespaced=False,
            name_rule="path",
            prepare=rbac_kind.prepare_binding,
            check=rbac_kind.check_cluster_role_binding,
        ),
    ]


def _reviews() -> list[ResourceType]:
    create: dict[str, Any] = {"verbs": ("create",), "is_namespaced": False}
    authorization = "authorization.k8s.io"
    return [
        _kind(
            authorization,
            "localsubjectaccessreviews",
            "LocalSubjectAccessReview",
            verbs=("create",),
        ),
        _kind(authorization, "selfsubjectaccessreviews", "SelfSubjectAccessReview", **create),
        _kind(authorization, "selfsubjectrulesreviews", "SelfSubjectRulesReview", **create),
        _kind(authorization, "subjectaccessreviews", "SubjectAccessReview", **create),
        _kind("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", **create),
        _kind("authentication.k8s.io", "tokenreviews", "TokenReview", **create),
    ]


def builtin_types() -> list[ResourceType]:
    """Return fresh types of every built-in kind but CustomResourceDefinition."""
    return [*_core(), *_apps(), *_rbac(), _new_events(), *_reviews()]


def crd_type(hooks: Any) -> ResourceType:
    """Return the type of CustomResourceDefinitions; `hooks` is the server's `Definitions`."""
    return _kind(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        status=True,
        is_namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        generation="spec",
        returns_object_on_delete=True,
        allows_unconditional_update=False,
        can_collect=False,
        name_rule="",
        prepare=hooks.prepare,
        check=hooks.check,
        warn=hooks.warn,
        begin_delete=hooks.begin_delete,
        after_commit=hooks.committed,
    )
