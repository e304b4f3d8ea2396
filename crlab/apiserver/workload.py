"""Pods, Services and the kinds that make pods: the few defaults and rules clients notice.

Everything else is stored as given; the real server fills in and checks more.

Thread: pure functions that change the object they are given.
Source: kubernetes/kubernetes:pkg/apis/{core,apps,batch}/v1/defaults.go,
pkg/apis/core/validation.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.status import Cause, invalid_value, required
from crlab.apiserver.storage import Tree

IMMUTABLE = "field is immutable"


def _defaults(target: Tree, **values: Any) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


# --- pods --------------------------------------------------------------------------------------


def default_pod_spec(spec: Tree) -> None:
    """Fill in the defaults of a pod's spec."""
    _defaults(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            if isinstance(container, dict):
                _default_container(container)


def _default_container(container: Tree) -> None:
    image = str(container.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    is_latest = tag in ("", "latest") and "@" not in image
    _defaults(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if is_latest else "IfNotPresent",
    )
    for port in container.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("protocol", "TCP")


def prepare_pod(new: Tree, old: Tree | None) -> None:
    """Default a pod; a new one is Pending."""
    spec = _part(new, "spec")
    default_pod_spec(spec)
    _defaults(spec, enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0)
    if old is None:
        new["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def check_pod(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Pod."""
    del old
    return check_containers(new.get("spec") or {}, "spec")


def check_containers(spec: Tree, at: str) -> list[Cause]:
    """Return what is wrong with the containers of a pod's spec."""
    containers = spec.get("containers") or []
    if not containers:
        return [required(f"{at}.containers")]
    causes = []
    for index, container in enumerate(containers):
        place = f"{at}.containers[{index}]"
        stated = container or {}  # null is an empty struct
        if not stated.get("name"):
            causes.append(required(f"{place}.name"))
        if not stated.get("image"):
            causes.append(required(f"{place}.image"))
    return causes


def pod_grace(tree: Tree) -> int:
    """Return how long a pod takes to stop: nothing while no node runs it."""
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", 30))


# --- services ----------------------------------------------------------------------------------


def prepare_service(new: Tree, old: Tree | None) -> None:
    """Default a service; no address is allocated."""
    spec = _part(new, "spec")
    _defaults(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or ():
        if isinstance(port, dict):
            _defaults(port, protocol="TCP", targetPort=port.get("port"))
    if spec.get("type") != "ExternalName":
        _defaults(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    if old is None:
        new["status"] = {"loadBalancer": {}}


# --- controllers' kinds ------------------------------------------------------------------------


def _template(new: Tree) -> None:
    template = _part(_part(new, "spec"), "template")
    _part(template, "metadata")
    default_pod_spec(_part(template, "spec"))


def _part(tree: Tree, key: str) -> Tree:
    """Return a struct of a tree; null and absent are both an empty one."""
    if tree.get(key) is None:
        tree[key] = {}
    part: Tree = tree[key]
    return part


def prepare_deployment(new: Tree, old: Tree | None) -> None:
    """Default a Deployment."""
    _template(new)
    spec = new["spec"]
    _defaults(
        spec,
        replicas=1,
        strategy={"type": "RollingUpdate"},
        revisionHistoryLimit=10,
        progressDeadlineSeconds=600,
    )
    strategy = spec["strategy"]
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        _defaults(rolling, maxUnavailable="25%", maxSurge="25%")
    if old is None:
        new["status"] = {}


def prepare_replica_set(new: Tree, old: Tree | None) -> None:
    """Default a ReplicaSet."""
    _template(new)
    _defaults(new["spec"], replicas=1)
    if old is None:
        new["status"] = {"replicas": 0}


def prepare_stateful_set(new: Tree, old: Tree | None) -> None:
    """Default a StatefulSet."""
    _template(new)
    _defaults(
        new["spec"],
        replicas=1,
        podManagementPolicy="OrderedReady",
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        revisionHistoryLimit=10,
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    if old is None:
        new["status"] = {"replicas": 0, "availableReplicas": 0}


def prepare_daemon_set(new: Tree, old: Tree | None) -> None:
    """Default a DaemonSet."""
    _template(new)
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    _defaults(new["spec"], updateStrategy=update, revisionHistoryLimit=10)
    if old is None:
        new["status"] = {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        }


def prepare_job(new: Tree, old: Tree | None) -> None:
    """Default a Job and label its pods with its uid."""
    _template(new)
    spec = new["spec"]
    _defaults(
        spec,
        parallelism=1,
        completions=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
    )
    if old is None:
        new["status"] = {}
        if not spec.get("manualSelector"):
            uid, name = new["metadata"].get("uid", ""), new["metadata"].get("name", "")
            spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
            labels = spec["template"]["metadata"].setdefault("labels", {})
            _defaults(
                labels,
                **{
                    "batch.kubernetes.io/controller-uid": uid,
                    "batch.kubernetes.io/job-name": name,
                    "controller-uid": uid,
                    "job-name": name,
                },
            )


def prepare_cron_job(new: Tree, old: Tree | None) -> None:
    """Default a CronJob."""
    spec = _part(new, "spec")
    _defaults(
        spec,
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    template = _part(_part(_part(spec, "jobTemplate"), "spec"), "template")
    template.setdefault("metadata", {})
    default_pod_spec(_part(template, "spec"))
    if old is None:
        new["status"] = {}


def check_selected(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a kind that selects the pods of its template."""
    spec = new.get("spec") or {}
    causes = []
    selector = spec.get("selector")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        causes.append(required("spec.selector"))
    else:
        wanted = selector.get("matchLabels") or {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            detail = "`selector` does not match template `labels`"
            causes.append(invalid_value("spec.template.metadata.labels", labels, detail))
    if old is not None and selector != (old.get("spec") or {}).get("selector"):
        causes.append(invalid_value("spec.selector", selector, IMMUTABLE))
    return causes + check_containers(template.get("spec") or {}, "spec.template.spec")


def check_job(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Job."""
    del old
    template = (new.get("spec") or {}).get("template") or {}
    spec = template.get("spec") or {}
    causes = check_containers(spec, "spec.template.spec")
    if spec.get("restartPolicy") not in ("OnFailure", "Never"):
        message = (
            'Required value: valid values: "OnFailure", "Never"'
            if not spec.get("restartPolicy")
            else f'Unsupported value: "{spec.get("restartPolicy")}": supported values: '
            '"OnFailure", "Never"'
        )
        causes.append(Cause("FieldValueNotSupported", message, "spec.template.spec.restartPolicy"))
    return causes
