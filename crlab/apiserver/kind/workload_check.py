"""What is wrong with a Pod, a Service, a Lease, or a kind that makes pods.

Only what a writer is likely to get wrong; the real server checks more.

Thread: pure functions.
Source: kubernetes/kubernetes:pkg/apis/{core,apps,batch,coordination}/validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crlab.apiserver.status import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from crlab.apiserver.storage import Tree
from crlab.model.name import dns_1123_label

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
PORT_RANGE = "must be between 1 and 65535, inclusive"
PROTOCOLS = ("SCTP", "TCP", "UDP")
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
POD_UPDATE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
    "set to 1 if it was previously negative)"
)


def _structs(value: Any) -> Iterable[tuple[int, Tree]]:
    """Yield the items of a list of structs; null is an empty one."""
    return enumerate(item or {} for item in value or ())


def _label_faults(name: str, at: str) -> list[Cause]:
    return [invalid_value(at, name, fault) for fault in dns_1123_label(name)]


def _count_faults(value: Any, at: str) -> list[Cause]:
    return [invalid_value(at, value, NOT_NEGATIVE)] if (value or 0) < 0 else []


# --- pods --------------------------------------------------------------------------------------


def check_pod(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Pod: its containers, or a change of what must not change."""
    spec = new.get("spec") or {}
    causes = check_containers(spec, "spec")
    causes += _restart_faults(spec, "spec", ("Always", "OnFailure", "Never"))
    if old is not None:
        before = old.get("spec") or {}
        # a pod without a node may be given one: the kubelet's simulation does so by a patch
        node = {} if before.get("nodeName") else {"nodeName": spec.get("nodeName")}
        if _fixed({**spec, **node}) != _fixed({**before, **node}):
            causes.append(forbidden_field("spec", POD_UPDATE))
    return causes


def _fixed(spec: Tree) -> Tree:
    """Return of a pod's spec what an update must leave alone."""
    free = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    fixed = {key: value for key, value in spec.items() if key not in free}
    for group in ("containers", "initContainers"):
        if group in fixed:
            fixed[group] = [{**item, "image": ""} for _, item in _structs(fixed[group])]
    return fixed


def _restart_faults(spec: Tree, at: str, policies: tuple[str, ...]) -> list[Cause]:
    policy = spec.get("restartPolicy")
    if policy in policies:
        return []
    return [unsupported(f"{at}.restartPolicy", policy, policies)]


def check_containers(spec: Tree, at: str) -> list[Cause]:
    """Return what is wrong with the containers of a pod's spec."""
    if not spec.get("containers"):
        return [required(f"{at}.containers")]
    causes: list[Cause] = []
    names: set[str] = set()
    for index, container in _structs(spec["containers"]):
        place = f"{at}.containers[{index}]"
        name = container.get("name") or ""
        causes += _label_faults(name, f"{place}.name") if name else [required(f"{place}.name")]
        if not container.get("image"):
            causes.append(required(f"{place}.image"))
        if name in names:
            causes.append(duplicate(f"{place}.name", name))
        names.add(name)
        for number, port in _structs(container.get("ports")):
            causes += _container_port_faults(port, f"{place}.ports[{number}]")
    return causes


def _container_port_faults(port: Tree, at: str) -> list[Cause]:
    found = port.get("containerPort") or 0
    if not found:
        return [required(f"{at}.containerPort")]
    causes = []
    if not 0 < found < 65536:
        causes.append(invalid_value(f"{at}.containerPort", found, PORT_RANGE))
    if port.get("protocol") not in PROTOCOLS:
        causes.append(unsupported(f"{at}.protocol", port.get("protocol"), PROTOCOLS))
    return causes


# --- services and leases -----------------------------------------------------------------------


def check_service(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Service: its type and its ports."""
    del old
    spec = new.get("spec") or {}
    kind, ports = spec.get("type"), list(_structs(spec.get("ports")))
    causes: list[Cause] = []
    if kind not in SERVICE_TYPES:
        causes.append(unsupported("spec.type", kind, SERVICE_TYPES))
    if not ports and spec.get("clusterIP") != "None" and kind != "ExternalName":
        causes.append(required("spec.ports"))
    if kind == "ExternalName" and not spec.get("externalName"):
        causes.append(required("spec.externalName"))
    names: set[str] = set()
    for index, port in ports:
        place, name = f"spec.ports[{index}]", port.get("name") or ""
        if name in names:
            causes.append(duplicate(f"{place}.name", name))
        elif name:
            causes += _label_faults(name, f"{place}.name")
        elif len(ports) > 1:
            causes.append(required(f"{place}.name"))
        names |= {name} - {""}
        if not 0 < (port.get("port") or 0) < 65536:
            causes.append(invalid_value(f"{place}.port", port.get("port") or 0, PORT_RANGE))
        if port.get("protocol") not in PROTOCOLS:
            causes.append(unsupported(f"{place}.protocol", port.get("protocol"), PROTOCOLS))
    return causes


def check_lease(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Lease: its numbers."""
    del old
    spec = new.get("spec") or {}
    causes = _count_faults(spec.get("leaseTransitions"), "spec.leaseTransitions")
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        detail = "must be greater than 0"
        causes.append(invalid_value("spec.leaseDurationSeconds", duration, detail))
    return causes


# --- kinds that make pods ----------------------------------------------------------------------


def check_selected(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a kind that selects the pods of its template."""
    spec = new.get("spec") or {}
    causes = _count_faults(spec.get("replicas"), "spec.replicas")
    selector = spec.get("selector")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    if selector is None:
        causes.append(required("spec.selector"))
    elif not selector:
        owner = "deployment" if new.get("kind") == "ReplicaSet" else str(new.get("kind")).lower()
        detail = f"empty selector is invalid for {owner}"
        causes.append(invalid_value("spec.selector", selector, detail))
    if not _selects(selector, labels or {}):
        detail = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, detail))
    if old is not None and selector != (old.get("spec") or {}).get("selector"):
        causes.append(invalid_value("spec.selector", selector, IMMUTABLE))
    pod = template.get("spec") or {}
    causes += check_containers(pod, "spec.template.spec")
    return causes + _restart_faults(pod, "spec.template.spec", ("Always",))


def _selects(selector: Any, labels: Tree) -> bool:
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(rule, labels) for _, rule in _structs(selector.get("matchExpressions")))


def _holds(rule: Tree, labels: Tree) -> bool:
    key, values = str(rule.get("key")), rule.get("values") or ()
    match rule.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def check_job(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Job."""
    del old
    spec = new.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    causes = check_containers(pod, "spec.template.spec")
    for name in ("parallelism", "completions", "backoffLimit"):
        causes += _count_faults(spec.get(name), f"spec.{name}")
    return causes + _restart_faults(pod, "spec.template.spec", ("OnFailure", "Never"))
