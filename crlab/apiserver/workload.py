"""Core kinds: the few defaults and rules that clients notice.

Everything else on core kinds is stored as given; the real server fills in and checks more.

Thread: pure functions that change the object they are given.
Source: kubernetes/kubernetes:pkg/apis/core/v1/defaults.go, pkg/apis/core/validation,
pkg/registry/core/*/strategy.go.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from crlab.apiserver.status import (
    Cause,
    StatusError,
    bad_request,
    forbidden,
    invalid_value,
    required,
)
from crlab.apiserver.storage import Tree

IMMUTABLE = "field is immutable"
IMMUTABLE_SET = "field is immutable when `immutable` is set"
_KEY_HINT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
NAME_LABEL = "kubernetes.io/metadata.name"
PROTECTED = ("default", "kube-system", "kube-public")


def _defaults(target: Tree, **values: Any) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


# --- namespaces --------------------------------------------------------------------------------


def prepare_namespace(new: Tree, old: Tree | None) -> None:
    """Give a namespace its label, finalizer and phase; an update keeps spec and status."""
    if old is None:
        spec = new.setdefault("spec", {})
        finalizers = list(spec.get("finalizers") or ())
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        new["spec"] = {"finalizers": finalizers}
        new["status"] = {"phase": "Active"}
    else:
        new["spec"] = old.get("spec") or {}
    name = new["metadata"].get("name", "")
    if name:
        new["metadata"]["labels"] = {**(new["metadata"].get("labels") or {}), NAME_LABEL: name}


def protect_namespace(tree: Tree) -> None:
    """Refuse to delete what a cluster cannot be without."""
    name = tree["metadata"]["name"]
    if name in PROTECTED:
        raise forbidden("namespaces", name, "this namespace may not be deleted")


def terminate_namespace(tree: Tree) -> None:
    """Mark a namespace as terminating."""
    tree["status"] = {**(tree.get("status") or {}), "phase": "Terminating"}


def namespace_finalizers(tree: Tree) -> list[str]:
    """Return what holds a namespace besides its metadata."""
    return list((tree.get("spec") or {}).get("finalizers") or ())


# --- config maps and secrets -------------------------------------------------------------------


def check_config_map(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a ConfigMap."""
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    causes = []
    for key in sorted(data):
        causes += _key_causes("data", key)
        if key in binary:
            detail = "duplicate of key present in binaryData"
            causes.append(invalid_value(f"data[{key}]", key, detail))
    for key in sorted(binary):
        causes += _key_causes("binaryData", key)
    if old is not None and old.get("immutable") is True:
        causes += _immutable_causes(new, old, ("data", "binaryData"))
    return causes


def _key_causes(field: str, key: str) -> list[Cause]:
    if re.fullmatch(r"[-._a-zA-Z0-9]+", key) and len(key) <= 253 and key not in (".", ".."):
        return []
    return [invalid_value(f"{field}[{key}]", key, _KEY_HINT)]


def _immutable_causes(new: Tree, old: Tree, fields: tuple[str, ...]) -> list[Cause]:
    causes = []
    if new.get("immutable") is not True:
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {IMMUTABLE_SET}", "immutable"))
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            causes.append(Cause("FieldValueForbidden", f"Forbidden: {IMMUTABLE_SET}", field))
    return causes


def prepare_config_map(new: Tree, old: Tree | None) -> None:
    """Drop empty maps."""
    del old
    for key in ("data", "binaryData"):
        if new.get(key) in ({}, None):
            new.pop(key, None)


def prepare_secret(new: Tree, old: Tree | None) -> None:
    """Fold stringData into data and default the type.

    Raises:
        StatusError: 400 for data that is not base64.
    """
    data = dict(new.get("data") or {})
    for value in data.values():
        fault = _base64_fault(value)
        if fault is not None:
            raise bad_request(
                'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at '
                f"input byte {fault}"
            )
    for key, value in (new.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(str(value).encode()).decode()
    if data:
        new["data"] = data
    else:
        new.pop("data", None)
    if not new.get("type"):
        new["type"] = (old or {}).get("type") or "Opaque"


def _base64_fault(text: Any) -> int | None:
    if not isinstance(text, str):
        return 0
    for index, char in enumerate(text):
        if not re.match(r"[A-Za-z0-9+/=\r\n]", char):
            return index
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return max(0, len(text) - len(text) % 4)
    return None


def check_secret(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Secret."""
    causes = []
    for key in sorted(new.get("data") or {}):
        causes += _key_causes("data", key)
    if old is not None:
        if new.get("type") != old.get("type"):
            causes.append(invalid_value("type", new.get("type"), IMMUTABLE))
        if old.get("immutable") is True:
            causes += _immutable_causes(new, old, ("data",))
    return causes


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
    spec = new.setdefault("spec", {})
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
        if not container.get("name"):
            causes.append(required(f"{place}.name"))
        if not container.get("image"):
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
    spec = new.setdefault("spec", {})
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
    template = new.setdefault("spec", {}).setdefault("template", {})
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


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
    spec = new.setdefault("spec", {})
    _defaults(
        spec,
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    template = spec.setdefault("jobTemplate", {}).setdefault("spec", {}).setdefault("template", {})
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))
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


__all__ = [name for name in dir() if name.startswith(("prepare_", "check_"))] + ["StatusError"]
