"""kubectl's columns of a Pod; its Status is a small algorithm of its own.

Thread: pure functions.
Source: kubernetes/kubernetes:pkg/printers/internalversion/printers.go (printPod).
"""

from __future__ import annotations

from typing import Any

from crlab.model.printer import (
    NONE,
    Obj,
    PrinterColumn,
    age_column,
    dig,
    human_duration,
    integer,
    mapping,
    maps,
    name_column,
    parse_time,
    shown,
)


def _is_sidecar(container: Obj) -> bool:
    return container.get("restartPolicy") == "Always"


def _sidecars(obj: Obj) -> set[Any]:
    inits = maps(dig(obj, "spec", "initContainers"))
    return {container.get("name") for container in inits if _is_sidecar(container)}


def _statuses(obj: Obj, field: str) -> list[Any]:
    return maps(dig(obj, "status", field))


def _has_condition(obj: Obj, kind: str) -> bool:
    return any(
        c.get("type") == kind and c.get("status") == "True" for c in _statuses(obj, "conditions")
    )


def pod_ready(obj: Obj) -> str:
    """Return ready containers and all containers, sidecars counted: "1/2"."""
    sidecars = _sidecars(obj)
    total = len(maps(dig(obj, "spec", "containers"))) + len(sidecars)
    ready = sum(
        1
        for status in _statuses(obj, "containerStatuses")
        if status.get("ready") is True and dig(status, "state", "running") is not None
    )
    ready += sum(
        1
        for status in _statuses(obj, "initContainerStatuses")
        if status.get("name") in sidecars
        and status.get("started") is True
        and status.get("ready") is True
    )
    return f"{ready}/{total}"


def _ended(terminated: Obj, prefix: str = "") -> str:
    """A terminated container in a word."""
    if terminated.get("reason"):
        return f"{prefix}{terminated['reason']}"
    if integer(terminated.get("signal")):
        return f"{prefix}Signal:{terminated['signal']}"
    return f"{prefix}ExitCode:{integer(terminated.get('exitCode'))}"


def _init_reason(obj: Obj) -> str | None:
    """What the init phase waits for; None if it is over."""
    sidecars = _sidecars(obj)
    total = len(maps(dig(obj, "spec", "initContainers")))
    for place, status in enumerate(_statuses(obj, "initContainerStatuses")):
        terminated = dig(status, "state", "terminated")
        waiting = mapping(dig(status, "state", "waiting"))
        if terminated is not None:
            if integer(mapping(terminated).get("exitCode")) == 0:
                continue
            return _ended(mapping(terminated), "Init:")
        if status.get("name") in sidecars and status.get("started") is True:
            continue
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{place}/{total}"
    return None


def _container_reason(obj: Obj, reason: str) -> str:
    """Return why the last container that is not ready is so; `reason` if all are."""
    has_running = False
    for status in reversed(_statuses(obj, "containerStatuses")):
        waiting = mapping(dig(status, "state", "waiting"))
        terminated = dig(status, "state", "terminated")
        if waiting.get("reason"):
            reason = str(waiting["reason"])
        elif terminated is not None:
            reason = _ended(mapping(terminated))
        elif status.get("ready") is True and dig(status, "state", "running") is not None:
            has_running = True
    if reason == "Completed" and has_running:
        return "Running" if _has_condition(obj, "Ready") else "NotReady"
    return reason


def pod_status(obj: Obj) -> str:
    """Return the one word that kubectl shows as a pod's status."""
    phase = str(dig(obj, "status", "phase") or "")
    reason = str(dig(obj, "status", "reason") or phase)
    for condition in _statuses(obj, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    waiting_init = _init_reason(obj)
    if waiting_init is not None:
        reason = waiting_init
    if waiting_init is None or _has_condition(obj, "Initialized"):
        reason = _container_reason(obj, reason)
    if dig(obj, "metadata", "deletionTimestamp"):
        if dig(obj, "status", "reason") == "NodeLost":
            return "Unknown"
        if phase not in ("Failed", "Succeeded"):
            return "Terminating"
    return reason


def pod_restarts(obj: Obj) -> int:
    """Return the restarts kubectl shows: of init containers while they run, else of all."""
    return _restarts(obj)[0]


def _restarts(obj: Obj) -> tuple[int, float | None]:
    sidecars = _sidecars(obj)
    inits = _statuses(obj, "initContainerStatuses")
    if _init_reason(obj) is not None and not _has_condition(obj, "Initialized"):
        return _sum(inits)
    return _sum(
        [*_statuses(obj, "containerStatuses"), *(s for s in inits if s.get("name") in sidecars)]
    )


def _sum(statuses: list[Any]) -> tuple[int, float | None]:
    ends = [parse_time(dig(status, "lastState", "terminated", "finishedAt")) for status in statuses]
    known = [end for end in ends if end is not None]
    return sum(integer(s.get("restartCount")) for s in statuses), max(known, default=None)


def _restarts_cell(obj: Obj, now: float) -> str:
    count, last = _restarts(obj)
    if count and last is not None:
        return f"{count} ({human_duration(now - last)} ago)"
    return str(count)


def _or_none(*path: str) -> PrinterColumn:
    name = {"podIP": "IP", "nodeName": "Node", "nominatedNodeName": "Nominated Node"}[path[-1]]

    def get(obj: Obj) -> str:
        value = dig(obj, *path)
        return value if isinstance(value, str) and value else NONE

    return shown(name, get, wide=True)


def _ip(obj: Obj) -> str:
    ips = maps(dig(obj, "status", "podIPs"))
    return str(ips[0].get("ip") or NONE) if ips else str(dig(obj, "status", "podIP") or NONE)


def _gates(obj: Obj) -> str:
    gates = maps(dig(obj, "spec", "readinessGates"))
    if not gates:
        return NONE
    true = sum(1 for gate in gates if _has_condition(obj, str(gate.get("conditionType"))))
    return f"{true}/{len(gates)}"


POD_COLUMNS: tuple[PrinterColumn, ...] = (
    name_column(),
    shown("Ready", pod_ready),
    shown("Status", pod_status),
    PrinterColumn(
        name="Restarts",
        type="string",
        cell=_restarts_cell,
        value=pod_restarts,
        frame_type="integer",
    ),
    age_column(),
    shown("IP", _ip, wide=True),
    _or_none("spec", "nodeName"),
    _or_none("status", "nominatedNodeName"),
    shown("Readiness Gates", _gates, wide=True),
)
