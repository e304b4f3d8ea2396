"""Pods, Services and the kinds that make pods: the few defaults clients notice.

Everything else is stored as given; the real server fills in and checks more.

Thread: pure functions that change the object they are given.
Source: kubernetes/kubernetes:pkg/apis/{core,apps,batch}/v1/defaults.go,
pkg/registry/core/{pod,service}.
"""

from __future__ import annotations

import zlib
from ipaddress import ip_network
from typing import Any

from crlab.apiserver.storage import Tree

_SERVICES = ip_network("10.96.0.0/12")


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
        new["status"] = {"phase": "Pending", "qosClass": quality_of(spec)}


def quality_of(spec: Tree) -> str:
    """Return the class a pod's requests and limits put it in."""
    parts = [item or {} for key in ("containers", "initContainers") for item in spec.get(key) or ()]
    stated = [part.get("resources") or {} for part in parts]
    if not any(has.get("limits") or has.get("requests") for has in stated):
        return "BestEffort"
    limits = [has.get("limits") or {} for has in stated]
    has_all = all("cpu" in limit and "memory" in limit for limit in limits)
    is_equal = all(
        limit.items() >= (has.get("requests") or {}).items()
        for limit, has in zip(limits, stated, strict=True)
    )
    return "Guaranteed" if has_all and is_equal else "Burstable"


def pod_grace(tree: Tree) -> int:
    """Return how long a pod takes to stop: nothing while no node runs it."""
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", 30))


# --- services ----------------------------------------------------------------------------------


def prepare_service(new: Tree, old: Tree | None) -> None:
    """Default a service and give it its address and ports, which it keeps."""
    spec = _part(new, "spec")
    _defaults(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or ():
        if isinstance(port, dict):
            _defaults(port, protocol="TCP", targetPort=port.get("port"))
    before = (old or {}).get("spec") or {}
    if spec["type"] == "ExternalName":
        del spec["internalTrafficPolicy"]
    else:
        _defaults(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
        seed = zlib.crc32(str(new["metadata"].get("uid")).encode())
        if not spec.get("clusterIP"):
            free = str(_SERVICES[1 + seed % (_SERVICES.num_addresses - 2)])
            spec["clusterIP"] = before.get("clusterIP") or free
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["type"] in ("NodePort", "LoadBalancer"):
            _give_node_ports(spec, before, seed)
    if old is None:
        new["status"] = {"loadBalancer": {}}


def _give_node_ports(spec: Tree, before: Tree, seed: int) -> None:
    _defaults(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _defaults(spec, allocateLoadBalancerNodePorts=True)
    known = {port.get("port"): port.get("nodePort") for port in before.get("ports") or ()}
    for index, port in enumerate(spec.get("ports") or ()):
        if isinstance(port, dict) and not port.get("nodePort"):
            port["nodePort"] = known.get(port.get("port")) or 30000 + (seed + index) % 2768


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
