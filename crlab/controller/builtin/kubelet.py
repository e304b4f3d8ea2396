"""A kubelet that only pretends: pods get a node, an address, and become ready.

From: pods. To: their spec.nodeName and status. A pod that is being deleted is let go at
once. Nothing is run; the annotation ``crlab.dev/ready: "false"`` keeps a pod from becoming
ready, ``crlab.dev/phase: Failed`` (or Succeeded) ends it, for lessons about failure.

Thread: the manager's stage.
Source: kubernetes/kubernetes:pkg/kubelet/kubelet_pods.go, status_manager.go (the status).
"""

from __future__ import annotations

import zlib
from typing import Any

from crlab.controller.builtin.deployment import ctx_object
from crlab.controller.context import Context
from crlab.controller.reconcile import Request, Result
from crlab.errors import ApiError
from crlab.model.timestamp import timestamp
from crlab.runtime.clock import Clock

NODE = "crlab-node"
HOST_IP = "192.0.2.1"
READY, PHASE = "crlab.dev/ready", "crlab.dev/phase"


class Kubelet:
    """The reconcile of pods."""

    def __init__(self, clock: Clock, start_seconds: float) -> None:
        self._clock = clock
        self._start_seconds = start_seconds
        self._ready_at: dict[str, float] = {}

    def reconcile(self, request: Request, ctx: Context) -> Result | None:
        """Start a new pod; let go of one that is being deleted."""
        pod = ctx.object
        if pod is None:
            self._ready_at.pop(request.key, None)
            return None
        if pod["metadata"].get("deletionTimestamp"):
            if pod["metadata"].get("deletionGracePeriodSeconds") != 0:
                ctx.delete(pod, grace_period_seconds=0)
            return None
        if not pod["spec"].get("nodeName"):
            self._schedule(request, ctx)
            return None
        left = self._ready_at.get(request.key, 0.0) - self._clock.monotonic()
        if left > 0:
            return Result(requeue_after_seconds=left)
        status = self._status(pod)
        if status is not None:
            ctx.update_status({**ctx_object(pod), "status": status})
        return None

    def _schedule(self, request: Request, ctx: Context) -> None:
        if self._start_seconds > 0:
            self._ready_at[request.key] = self._clock.monotonic() + self._start_seconds
        try:
            ctx.patch(ctx.resource, request.name, {"spec": {"nodeName": NODE}})
        except ApiError as error:  # refused: stay pending, the pod says why
            ctx.log(f"not scheduled: {error.code} {error.reason}")

    def _status(self, pod: dict[str, Any]) -> dict[str, Any] | None:
        """Return the status this pod should have, None if it has it."""
        annotations = pod["metadata"].get("annotations") or {}
        phase = annotations.get(PHASE, "Running")
        phase = phase if phase in ("Running", "Failed", "Succeeded") else "Running"
        is_ready = phase == "Running" and annotations.get(READY) != "false"
        before = pod.get("status") or {}
        if before.get("phase") == phase and _is_ready(before) == is_ready:
            return None
        now = timestamp(self._clock.now())
        address = _address(pod["metadata"]["uid"])
        started = before.get("startTime", now)
        return {
            **before,
            "phase": phase,
            "conditions": _conditions(before, now, ready=is_ready),
            "hostIP": HOST_IP,
            "hostIPs": [{"ip": HOST_IP}],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": started,
            "containerStatuses": [
                _container(each, phase, started, now, pod["metadata"]["uid"], ready=is_ready)
                for each in pod["spec"].get("containers") or ()
            ],
            "qosClass": before.get("qosClass", "BestEffort"),
        }


def _conditions(before: dict[str, Any], now: str, *, ready: bool) -> list[dict[str, Any]]:
    known = {c.get("type"): c for c in before.get("conditions") or ()}
    made = []
    for type_ in (
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ):
        follows = type_ in ("Ready", "ContainersReady")
        status = "True" if ready or not follows else "False"
        old = known.get(type_)
        if old is not None and old.get("status") == status:
            made.append(old)
            continue
        made.append({"type": type_, "status": status, "lastTransitionTime": now})
        if status == "False":
            made[-1] |= {"reason": "ContainersNotReady", "message": "containers are not ready"}
    return made


def _container(
    container: dict[str, Any], phase: str, started: str, now: str, uid: str, *, ready: bool
) -> dict[str, Any]:
    image = str(container.get("image") or "")
    name = str(container.get("name") or "")
    state: dict[str, Any] = {"running": {"startedAt": started}}
    if phase != "Running":
        code = 0 if phase == "Succeeded" else 1
        reason = "Completed" if code == 0 else "Error"
        state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": started,
                "finishedAt": now,
            }
        }
    digest = f"{zlib.crc32(image.encode()):08x}"
    return {
        "name": name,
        "image": image,
        "imageID": f"docker.io/library/{image.partition(':')[0]}@sha256:{digest * 8}",
        "containerID": f"containerd://{uid.replace('-', '')}{zlib.crc32(name.encode()):08x}",
        "ready": ready,
        "started": phase == "Running",
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }


def _is_ready(status: dict[str, Any]) -> bool:
    return any(
        c.get("type") == "Ready" and c.get("status") == "True"
        for c in status.get("conditions") or ()
    )


def _address(uid: str) -> str:
    number = zlib.crc32(uid.encode())
    return f"10.244.{number >> 8 & 255}.{(number & 255) % 254 + 1}"
