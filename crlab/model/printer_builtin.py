"""kubectl's columns of the built-in kinds, one table of data.

Thread: pure functions.
Source: kubernetes/kubernetes:pkg/printers/internalversion/printers.go (1.36).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crlab.model.printer import (
    NONE,
    UNKNOWN,
    Obj,
    PrinterColumn,
    age,
    age_column,
    created_at_column,
    dig,
    human_duration,
    integer,
    mapping,
    maps,
    name_column,
    parse_time,
    sequence,
    shown,
    since,
)
from crlab.model.printer_pod import POD_COLUMNS
from crlab.model.printer_policy import POLICY, selector_text

Getter = Callable[[Obj], Any]


def _at(*names: str, default: Any = None) -> Getter:
    """A getter of nested fields; `default` where missing or empty."""

    def get(obj: Obj) -> Any:
        value = dig(obj, *names)
        return default if value is None or value == "" else value

    return get


def _count(*names: str) -> Getter:
    return lambda obj: integer(dig(obj, *names))


def _sizes(*fields: str) -> Getter:
    return lambda obj: sum(len(mapping(obj.get(field))) for field in fields)


def _ratio(ready: Getter, wanted: Getter) -> Getter:
    return lambda obj: f"{ready(obj)}/{wanted(obj)}"


def _joined(values: Any, none: str = NONE) -> str:
    return ",".join(str(value) for value in sequence(values)) or none


def _labels(selector: Any) -> str:
    pairs = sorted(mapping(selector).items())
    return ",".join(f"{key}={value}" for key, value in pairs)


def _selector(obj: Obj) -> str:
    return selector_text(dig(obj, "spec", "selector"))


def _containers(*path: str) -> tuple[PrinterColumn, PrinterColumn]:
    def of(field: str) -> Getter:
        return lambda obj: ",".join(
            str(c.get(field, "")) for c in maps(dig(obj, *path, "containers"))
        )

    return shown("Containers", of("name"), wide=True), shown("Images", of("image"), wide=True)


_TEMPLATE = ("spec", "template", "spec")
_SELECTOR = shown("Selector", _selector, wide=True)


# services -----------------------------------------------------------------------


def _cluster_ip(obj: Obj) -> str:
    ips = sequence(dig(obj, "spec", "clusterIPs"))
    return str(ips[0]) if ips else str(dig(obj, "spec", "clusterIP") or NONE)


def _external_ip(obj: Obj) -> str:
    spec = mapping(obj.get("spec"))
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    ips = [str(ip) for ip in sequence(spec.get("externalIPs"))]
    if spec.get("type") != "LoadBalancer":
        return ",".join(ips) or NONE
    ingress = maps(dig(obj, "status", "loadBalancer", "ingress"))
    found = sorted({str(i.get("ip") or i.get("hostname") or "") for i in ingress} - {""})
    return ",".join([*found, *ips]) or "<pending>"


def _ports(obj: Obj) -> str:
    texts = []
    for port in maps(dig(obj, "spec", "ports")):
        node = port.get("nodePort")
        middle = f":{node}" if integer(node) > 0 else ""
        texts.append(f"{port.get('port')}{middle}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or NONE


# nodes ----------------------------------------------------------------------------


def _node_status(obj: Obj) -> str:
    states = {c.get("type"): c.get("status") for c in maps(dig(obj, "status", "conditions"))}
    if "Ready" not in states:
        words = ["Unknown"]
    else:
        words = ["Ready" if states["Ready"] == "True" else "NotReady"]
    if dig(obj, "spec", "unschedulable") is True:
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(obj: Obj) -> str:
    roles = set()
    for label, value in mapping(dig(obj, "metadata", "labels")).items():
        if label.startswith("node-role.kubernetes.io/"):
            roles.add(label.removeprefix("node-role.kubernetes.io/"))
        elif label == "kubernetes.io/role" and value:
            roles.add(str(value))
    return ",".join(sorted(roles - {""})) or NONE


def _node_address(kind: str) -> Getter:
    def get(obj: Obj) -> str:
        for address in maps(dig(obj, "status", "addresses")):
            if address.get("type") == kind:
                return str(address.get("address"))
        return NONE

    return get


# events -----------------------------------------------------------------------------


def event_first(obj: Obj) -> Any:
    """Return when an Event was first seen (either API group)."""
    return obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")


def event_last(obj: Obj) -> Any:
    """Return when an Event was last seen."""
    observed = dig(obj, "series", "lastObservedTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    return observed or last or event_first(obj)


def event_count(obj: Obj) -> int:
    """Return how often an Event was seen, at least 1."""
    if isinstance(obj.get("series"), Mapping):
        return integer(dig(obj, "series", "count"))
    return integer(obj.get("count")) or integer(obj.get("deprecatedCount")) or 1


def event_target(obj: Obj) -> Any:
    """Return the reference to the object an Event is about."""
    return mapping(obj.get("involvedObject") or obj.get("regarding"))


def event_object(obj: Obj) -> str:
    """Return an Event's object as kubectl shows it: pod/web-1."""
    target = event_target(obj)
    kind, name = str(target.get("kind", "")).lower(), target.get("name")
    return f"{kind}/{name}" if name else kind


def event_source(obj: Obj) -> str:
    """Return who reported an Event: component, host."""
    source = mapping(obj.get("source") or obj.get("deprecatedSource"))
    reporter = obj.get("reportingComponent") or obj.get("reportingController")
    component = str(source.get("component") or reporter or "")
    host = source.get("host") or obj.get("reportingInstance")
    return f"{component}, {host}" if host else component


# jobs --------------------------------------------------------------------------------


def _job_status(obj: Obj) -> str:
    conditions = maps(dig(obj, "status", "conditions"))
    true = {c.get("type") for c in conditions if c.get("status") == "True"}
    if "Complete" in true:
        return "Complete"
    if "Failed" in true:
        return "Failed"
    if dig(obj, "metadata", "deletionTimestamp"):
        return "Terminating"
    if "Suspended" in true:
        return "Suspended"
    if "FailureTarget" in true:
        return "FailureTarget"
    if "SuccessCriteriaMet" in true:
        return "SuccessCriteriaMet"
    return "Running"


def _job_completions(obj: Obj) -> str:
    done = integer(dig(obj, "status", "succeeded"))
    completions = dig(obj, "spec", "completions")
    if completions is not None:
        return f"{done}/{completions}"
    parallelism = integer(dig(obj, "spec", "parallelism"))
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job_seconds(obj: Obj, now: float | None) -> float | None:
    start = parse_time(dig(obj, "status", "startTime"))
    end = parse_time(dig(obj, "status", "completionTime"))
    if start is None or (end is None and now is None):
        return None
    return (end if end is not None else now or 0.0) - start


def _job_duration(obj: Obj, now: float) -> str:
    seconds = _job_seconds(obj, now)
    return "" if seconds is None else human_duration(seconds)


# volumes ------------------------------------------------------------------------------

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access_modes(modes: Any) -> str:
    present = set(sequence(modes))
    return ",".join(short for mode, short in _MODES.items() if mode in present)


def _claim_status(obj: Obj) -> Any:
    if dig(obj, "metadata", "deletionTimestamp"):
        return "Terminating"
    return dig(obj, "status", "phase") or ""


def _claim_bound(*path: str) -> Getter:
    return lambda obj: dig(obj, *path) if dig(obj, "spec", "volumeName") else ""


def _volume_claim(obj: Obj) -> str:
    claim = dig(obj, "spec", "claimRef")
    return f"{claim.get('namespace')}/{claim.get('name')}" if isinstance(claim, Mapping) else ""


# ingresses, endpoints, bindings -----------------------------------------------------------


def _hosts(obj: Obj) -> str:
    hosts = [str(r["host"]) for r in maps(dig(obj, "spec", "rules")) if r.get("host")]
    shown_hosts = ",".join(hosts[:3])
    return f"{shown_hosts} + {len(hosts) - 3} more..." if len(hosts) > 3 else shown_hosts or "*"


def _ingress_address(obj: Obj) -> str:
    ingress = maps(dig(obj, "status", "loadBalancer", "ingress"))
    return ",".join(sorted({str(i.get("ip") or i.get("hostname") or "") for i in ingress} - {""}))


def _endpoints(obj: Obj) -> str:
    found = []
    for subset in maps(obj.get("subsets")):
        ips = [str(address.get("ip")) for address in maps(subset.get("addresses"))]
        ports = [port.get("port") for port in maps(subset.get("ports"))]
        found += [f"{ip}:{port}" for port in ports for ip in ips] if ports else ips
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or NONE


def _slice_ports(obj: Obj) -> str:
    ports = [str(p.get("port", "*")) for p in maps(obj.get("ports"))]
    more = f" + {len(ports) - 3} more..." if len(ports) > 3 else ""
    return (",".join(ports[:3]) + more) or "<unset>"


def _slice_endpoints(obj: Obj) -> str:
    found = [str(a) for e in maps(obj.get("endpoints")) for a in sequence(e.get("addresses"))]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or "<unset>"


def _subjects(kind: str) -> Getter:
    def get(obj: Obj) -> str:
        found = [s for s in maps(obj.get("subjects")) if s.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s.get('namespace', '')}/{s.get('name')}" for s in found)
        return ", ".join(str(s.get("name")) for s in found)

    return get


def _role_ref(obj: Obj) -> str:
    return f"{dig(obj, 'roleRef', 'kind')}/{dig(obj, 'roleRef', 'name')}"


_BINDING = (
    name_column(),
    shown("Role", _role_ref),
    age_column(),
    shown("Users", _subjects("User"), wide=True),
    shown("Groups", _subjects("Group"), wide=True),
    shown("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)


def _number(name: str, *path: str) -> PrinterColumn:
    return shown(name, _count(*path), type="integer")


def _wanted(obj: Obj) -> int:
    replicas = dig(obj, "spec", "replicas")
    return 1 if replicas is None else integer(replicas)


_EVENT = (
    since("Last Seen", event_last),
    shown("Type", _at("type", default="")),
    shown("Reason", _at("reason", default="")),
    shown("Object", event_object),
    shown("Subobject", lambda o: event_target(o).get("fieldPath", ""), wide=True),
    shown("Source", event_source, wide=True),
    shown("Message", lambda o: str(o.get("message") or o.get("note") or "").strip()),
    since("First Seen", event_first, wide=True),
    shown("Count", event_count, wide=True, frame_type="integer"),
    PrinterColumn(
        **{
            field: getattr(name_column(), field)
            for field in ("name", "type", "cell", "value", "format", "description", "path")
        },
        frame_type="string",
        priority=1,
    ),
)

_JOB_DURATION = PrinterColumn(
    name="Duration",
    type="string",
    cell=_job_duration,
    value=lambda obj: _job_seconds(obj, None),
    frame_type="number",
)


def _last_schedule(obj: Obj, now: float) -> str:
    at = dig(obj, "status", "lastScheduleTime")
    return NONE if at is None else age(at, now)


_CRONJOB_LAST = PrinterColumn(
    name="Last Schedule",
    type="string",
    cell=_last_schedule,
    value=_at("status", "lastScheduleTime"),
    frame_type="date",
)

BUILTIN: dict[tuple[str, str], tuple[PrinterColumn, ...]] = {
    ("", "Pod"): POD_COLUMNS,
    ("", "Namespace"): (
        name_column(),
        shown("Status", _at("status", "phase", default="")),
        age_column(),
    ),
    ("", "ConfigMap"): (
        name_column(),
        shown("Data", _sizes("data", "binaryData"), frame_type="integer"),
        age_column(),
    ),
    ("", "Secret"): (
        name_column(),
        shown("Type", _at("type", default="")),
        shown("Data", _sizes("data"), frame_type="integer"),
        age_column(),
    ),
    ("", "ServiceAccount"): (name_column(), age_column()),
    ("", "Service"): (
        name_column(),
        shown("Type", _at("spec", "type", default="")),
        shown("Cluster-IP", _cluster_ip),
        shown("External-IP", _external_ip),
        shown("Port(s)", _ports),
        age_column(),
        shown("Selector", lambda o: _labels(dig(o, "spec", "selector")) or NONE, wide=True),
    ),
    ("", "Node"): (
        name_column(),
        shown("Status", _node_status),
        shown("Roles", _node_roles),
        age_column(),
        shown("Version", _at("status", "nodeInfo", "kubeletVersion", default="")),
        shown("Internal-IP", _node_address("InternalIP"), wide=True),
        shown("External-IP", _node_address("ExternalIP"), wide=True),
        shown("OS-Image", _at("status", "nodeInfo", "osImage", default=UNKNOWN), wide=True),
        shown(
            "Kernel-Version", _at("status", "nodeInfo", "kernelVersion", default=UNKNOWN), wide=True
        ),
        shown(
            "Container-Runtime",
            _at("status", "nodeInfo", "containerRuntimeVersion", default=UNKNOWN),
            wide=True,
        ),
    ),
    ("", "Event"): _EVENT,
    ("events.k8s.io", "Event"): _EVENT,
    ("", "Endpoints"): (name_column(), shown("Endpoints", _endpoints), age_column()),
    ("", "PersistentVolumeClaim"): (
        name_column(),
        shown("Status", _claim_status),
        shown("Volume", _at("spec", "volumeName", default="")),
        shown("Capacity", _claim_bound("status", "capacity", "storage")),
        shown(
            "Access Modes",
            lambda o: (
                _access_modes(dig(o, "status", "accessModes"))
                if dig(o, "spec", "volumeName")
                else ""
            ),
        ),
        shown("StorageClass", _at("spec", "storageClassName", default="")),
        shown("VolumeAttributesClass", _at("spec", "volumeAttributesClassName", default="<unset>")),
        age_column(),
        shown("VolumeMode", _at("spec", "volumeMode", default="<unset>"), wide=True),
    ),
    ("", "PersistentVolume"): (
        name_column(),
        shown("Capacity", _at("spec", "capacity", "storage", default="")),
        shown("Access Modes", lambda o: _access_modes(dig(o, "spec", "accessModes"))),
        shown("Reclaim Policy", _at("spec", "persistentVolumeReclaimPolicy", default="")),
        shown("Status", _claim_status),
        shown("Claim", _volume_claim),
        shown("StorageClass", _at("spec", "storageClassName", default="")),
        shown("VolumeAttributesClass", _at("spec", "volumeAttributesClassName", default="<unset>")),
        shown("Reason", _at("status", "reason", default="")),
        age_column(),
        shown("VolumeMode", _at("spec", "volumeMode", default="<unset>"), wide=True),
    ),
    ("", "ReplicationController"): (
        name_column(),
        shown("Desired", _wanted, type="integer"),
        _number("Current", "status", "replicas"),
        _number("Ready", "status", "readyReplicas"),
        age_column(),
        *_containers(*_TEMPLATE),
        shown("Selector", lambda o: _labels(dig(o, "spec", "selector")) or NONE, wide=True),
    ),
    ("apps", "Deployment"): (
        name_column(),
        shown("Ready", _ratio(_count("status", "readyReplicas"), _wanted)),
        shown("Up-to-date", _count("status", "updatedReplicas"), frame_type="integer"),
        shown("Available", _count("status", "availableReplicas"), frame_type="integer"),
        age_column(),
        *_containers(*_TEMPLATE),
        _SELECTOR,
    ),
    ("apps", "ReplicaSet"): (
        name_column(),
        shown("Desired", _wanted, type="integer"),
        _number("Current", "status", "replicas"),
        _number("Ready", "status", "readyReplicas"),
        age_column(),
        *_containers(*_TEMPLATE),
        _SELECTOR,
    ),
    ("apps", "StatefulSet"): (
        name_column(),
        shown("Ready", _ratio(_count("status", "readyReplicas"), _wanted)),
        age_column(),
        *_containers(*_TEMPLATE),
    ),
    ("apps", "DaemonSet"): (
        name_column(),
        _number("Desired", "status", "desiredNumberScheduled"),
        _number("Current", "status", "currentNumberScheduled"),
        _number("Ready", "status", "numberReady"),
        _number("Up-to-date", "status", "updatedNumberScheduled"),
        _number("Available", "status", "numberAvailable"),
        shown("Node Selector", lambda o: _labels(dig(o, *_TEMPLATE, "nodeSelector")) or NONE),
        age_column(),
        *_containers(*_TEMPLATE),
        _SELECTOR,
    ),
    ("batch", "Job"): (
        name_column(),
        shown("Status", _job_status),
        shown("Completions", _job_completions),
        _JOB_DURATION,
        age_column(),
        *_containers(*_TEMPLATE),
        _SELECTOR,
    ),
    ("batch", "CronJob"): (
        name_column(),
        shown("Schedule", _at("spec", "schedule", default="")),
        shown("Timezone", _at("spec", "timeZone", default=NONE)),
        shown(
            "Suspend",
            lambda o: "True" if dig(o, "spec", "suspend") is True else "False",
        ),
        shown("Active", lambda o: len(sequence(dig(o, "status", "active"))), type="integer"),
        _CRONJOB_LAST,
        age_column(),
        *_containers("spec", "jobTemplate", *_TEMPLATE),
        shown("Selector", lambda o: _selector(mapping(dig(o, "spec", "jobTemplate"))), wide=True),
    ),
    ("networking.k8s.io", "Ingress"): (
        name_column(),
        shown("Class", _at("spec", "ingressClassName", default=NONE)),
        shown("Hosts", _hosts),
        shown("Address", _ingress_address),
        shown("Ports", lambda o: "80, 443" if sequence(dig(o, "spec", "tls")) else "80"),
        age_column(),
    ),
    ("discovery.k8s.io", "EndpointSlice"): (
        name_column(),
        shown("AddressType", _at("addressType", default="")),
        shown("Ports", _slice_ports),
        shown("Endpoints", _slice_endpoints),
        age_column(),
    ),
    ("coordination.k8s.io", "Lease"): (
        name_column(),
        shown("Holder", _at("spec", "holderIdentity", default="")),
        age_column(),
    ),
    ("rbac.authorization.k8s.io", "Role"): (name_column(), created_at_column()),
    ("rbac.authorization.k8s.io", "ClusterRole"): (name_column(), created_at_column()),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (name_column(), created_at_column()),
    **POLICY,
}
