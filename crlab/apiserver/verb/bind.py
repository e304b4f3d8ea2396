"""What a scheduler and a drain ask of pods: binding to a node, eviction.

From: routing. To: `storage.commit`, and `Deleter`.

Guarantees:
  1. A pod is bound once; one that is being deleted, or gated, never.
  2. An eviction is a deletion with the options in its body; PodDisruptionBudgets are not asked.

Thread: any; holds the store's lock from the look at the live pod to the commit.
Source: pkg/registry/core/pod/storage/{storage,eviction}.go, pkg/apis/core/validation
(ValidatePodBinding), pkg/api/pod (UpdatePodCondition).
"""

from __future__ import annotations

from crlab.apiserver.core import Core
from crlab.apiserver.status import conflict, internal, not_found, required, unsupported
from crlab.apiserver.storage import Stored, Tree
from crlab.apiserver.verb.body import read_object
from crlab.apiserver.verb.body_decoder import WriteOperation
from crlab.apiserver.verb.delete import Deleter
from crlab.apiserver.verb.option import DeleteOptions, WriteOptions

_DONE: Tree = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


class Binder:
    """The subresources binding and eviction of pods."""

    def __init__(self, core: Core, deleter: Deleter) -> None:
        self._core = core
        self._deleter = deleter

    def bind(self, call: WriteOperation) -> Tree:
        """Give a pod to a node; return a Status.

        Raises:
            StatusError: 404; 409 if the pod cannot be bound; 500 if the target is no node.
        """
        options = WriteOptions.read(call.request, "CreateOptions")
        body = self._body(call)
        target = body.get("target") or {}
        _check_target(target)
        with self._core.lock:
            live = self._live(call)
            pod = live.tree()
            if fault := _binding_fault(call.info.name, pod):
                raise conflict("pods/binding", call.info.name, fault)
            pod.setdefault("spec", {})["nodeName"] = target["name"]
            annotations = (body.get("metadata") or {}).get("annotations")
            if annotations:
                pod["metadata"]["annotations"] = {
                    **(pod["metadata"].get("annotations") or {}),
                    **annotations,
                }
            _put_scheduled(pod, self._core.now())
            if not options.is_dry_run:
                # As upstream: below the update strategy. The generation stays, and nobody
                # owns spec.nodeName; an update through the ordinary path could not set it.
                key = call.resource.key(call.info.namespace, call.info.name)
                self._core.storage.commit(call.resource.storage_name, key, pod, live.form)
        return {**_DONE, "code": 201}

    def evict(self, call: WriteOperation) -> Tree:
        """Delete a pod as its eviction says; return a Status.

        Raises:
            StatusError: 404; 409 if a precondition does not hold.
        """
        self._live(call)  # who evicts what is not there hears of it before a wrong body
        options = DeleteOptions.of_eviction(call.request, self._body(call))
        self._deleter.delete(call, options)
        return {**_DONE, "code": 201}

    def _live(self, call: WriteOperation) -> Stored:
        key = call.resource.key(call.info.namespace, call.info.name)
        live = self._core.storage.get(call.resource.storage_name, key)
        if live is None:
            raise not_found(call.resource.group_resource, call.info.name)
        return live

    def _body(self, call: WriteOperation) -> Tree:
        request = call.request
        body, _ = read_object(request.body, request.header("content-type"), call.resource.kind)
        return body


def _check_target(target: Tree) -> None:
    causes = []
    if target.get("kind") not in (None, "", "Node"):
        causes.append(unsupported("target.kind", target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        causes.append(required("target.name"))
    if causes:
        texts = ", ".join(map(str, causes))
        raise internal(f"[{texts}]" if len(causes) > 1 else texts)


def _binding_fault(name: str, pod: Tree) -> str:
    """Return why a pod cannot be bound, "" if it can."""
    spec = pod.get("spec") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if spec.get("nodeName"):
        return f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    if spec.get("schedulingGates"):
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""


def _put_scheduled(pod: Tree, at: str) -> None:
    """Set the condition PodScheduled; its time moves only when its status does."""
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    old = next((c for c in conditions if c.get("type") == "PodScheduled"), None)
    since = old.get("lastTransitionTime") if old and old.get("status") == "True" else None
    new = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": since or at,
    }
    if old is None:
        conditions.append(new)
    else:
        conditions[conditions.index(old)] = new
