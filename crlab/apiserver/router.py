"""From a request about a resource to the verb that answers it.

Thread: any; verbs take the store's lock themselves.
Source: k8s.io/apiserver/pkg/endpoints/installer.go,
k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from crlab.apiserver.api_group import NOT_FOUND
from crlab.apiserver.core import Core
from crlab.apiserver.negotiation import choose_view, encode_body, negotiate
from crlab.apiserver.request import HttpRequest, HttpResponse, Identity, RequestInfo
from crlab.apiserver.resource_type import ResourceType, Version
from crlab.apiserver.status import (
    StatusError,
    bad_request,
    conflict,
    invalid,
    method_not_allowed,
    no_resource,
    not_found,
    success,
)
from crlab.apiserver.storage import Stored, Tree
from crlab.apiserver.verb.body import media_type, read_object
from crlab.apiserver.verb.body_decoder import WriteOperation, patch_fault
from crlab.apiserver.verb.delete import Deleter
from crlab.apiserver.verb.option import DeleteOptions, ListQuery, WriteOptions
from crlab.apiserver.verb.patch import APPLY_PATCH, Patcher
from crlab.apiserver.verb.read import Reader, select
from crlab.apiserver.verb.scale import put_replicas, replicas_causes, replicas_fault, scale_of
from crlab.apiserver.watch import WatchResponse

if TYPE_CHECKING:
    from crlab.apiserver.fault.watch_fault import WatchFaults

Review = Callable[[Identity, Tree], Tree]
_METHODS = {
    "get": "get",
    "list": "list",
    "watch": "watch",
    "create": "create",
    "update": "update",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "deletecollection",
}


class Router:
    """Finds the type and the verb, and puts the answer into the form asked for.

    Attributes:
        reviews: kind → function that answers a review (filled by the auth room).
    """

    def __init__(self, core: Core, reader: Reader, writer: Patcher, deleter: Deleter) -> None:
        self._core = core
        self._reader = reader
        self._writer = writer
        self._deleter = deleter
        self.reviews: dict[str, Review] = {}

    def route(
        self,
        request: HttpRequest,
        info: RequestInfo,
        identity: Identity,
        faults: WatchFaults | None = None,
    ) -> HttpResponse | WatchResponse:
        """Answer a request about a resource."""
        found = self._core.registry.find(info.group, info.version, info.resource)
        if found is None or not found[0].is_established:
            return self._unknown(info)
        resource, version = found
        if self._is_misplaced(info, resource):
            if resource.is_namespaced and not resource.is_custom and not info.name:
                raise method_not_allowed()
            return self._unknown(info)
        if resource.needs_webhook and not version.is_storage:
            raise _unconverted(resource, version)
        call = WriteOperation(request, info, resource, version, identity)
        try:
            answer = self._dispatch(call, faults)
        except StatusError as error:
            error.headers = (*error.headers, *self._warnings(call))
            raise
        answer.headers.extend(self._warnings(call))
        return answer

    def _warnings(self, call: WriteOperation) -> list[tuple[str, str]]:
        texts = list(call.warnings)
        if call.version.deprecation_warning:
            texts.insert(0, call.version.deprecation_warning)
        unique = dict.fromkeys(texts)
        return [("Warning", f'299 - "{_quote(text)}"') for text in unique]

    def _unknown(self, info: RequestInfo) -> HttpResponse:
        groups = self._core.registry
        if info.group == "" or groups.is_builtin(info.group, info.version):
            raise no_resource()
        return HttpResponse.text(NOT_FOUND, 404)

    def _is_misplaced(self, info: RequestInfo, resource: ResourceType) -> bool:
        """Whether a path's scope is not the resource's."""
        if not resource.is_namespaced:
            return bool(info.namespace) and resource.plural != "namespaces"
        return not info.namespace and (info.verb not in ("list", "watch") or bool(info.name))

    # --- verbs -------------------------------------------------------------------------------

    def _dispatch(
        self, call: WriteOperation, faults: WatchFaults | None
    ) -> HttpResponse | WatchResponse:
        info, resource = call.info, call.resource
        if info.subresource:
            return self._subresource(call)
        verb, is_custom = info.verb, resource.is_custom
        if verb in ("create", "update") and not is_custom:
            is_on_object = bool(info.name)
            if (verb == "create") == is_on_object:
                raise method_not_allowed()
        if verb == "update" and not info.name:
            raise bad_request("name must be provided")
        if verb not in resource.verbs or verb not in _METHODS:
            raise method_not_allowed()
        if verb in ("patch", "delete") and not info.name:
            raise bad_request("name must be provided") if is_custom else method_not_allowed()
        if resource.kind in self.reviews and verb == "create":
            return self._review(call)
        if verb == "watch":
            return self._reader.watch(call.request, info, resource, call.version, faults)
        if verb == "get":
            return self._reader.get(call.request, info, resource, call.version)
        if verb == "list":
            return self._reader.list_objects(call.request, info, resource, call.version)
        if verb == "deletecollection":
            return self._delete_collection(call)
        return self._write(call)

    def _write(self, call: WriteOperation) -> HttpResponse:
        verb = call.info.verb
        if verb == "delete":
            return self._delete(call)
        if verb == "create":
            return self._show(call, self._writer.create(call), 201)
        if verb == "update":
            stored, _ = self._writer.update(call)
            return self._show(call, stored, 200)
        stored, is_new, _ = self._writer.patch(call)
        return self._show(call, stored, 201 if is_new else 200)

    def _show(self, call: WriteOperation, stored: Stored, status: int) -> HttpResponse:
        accept, view = choose_view(
            call.request, call.resource, call.version, self._core.clock.now, for_list=False
        )
        return encode_body(accept, view.document(stored), status)

    def _delete(self, call: WriteOperation) -> HttpResponse:
        options, resource = DeleteOptions.read(call.request), call.resource
        if resource.delete_warning and not options.propagation:
            call.warnings.append(resource.delete_warning)
        stored, is_gone = self._deleter.delete(call, options)
        if not is_gone or resource.returns_object_on_delete:
            return self._show(call, stored, 200)
        uid = stored.tree()["metadata"]["uid"]
        return self._json(call, success(resource.group_resource, call.info.name, uid))

    def _delete_collection(self, call: WriteOperation) -> HttpResponse:
        request, resource = call.request, call.resource
        accept, view = choose_view(
            request, resource, call.version, self._core.clock.now, for_list=True
        )
        options = DeleteOptions.read(request)
        selection = select(call.info, resource, view, ListQuery.read(request, watch=False))
        storage = self._core.storage
        with self._core.lock:
            items = storage.items(resource.storage_name, selection.namespace)
            chosen = [(key, stored) for key, stored in items if selection.holds(key, stored)]
            revision = storage.revision
            for key, _ in chosen:
                self._deleter.delete_one(call, key, options)
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if resource.is_custom:
            metadata["continue"] = ""
        return encode_body(accept, view.list_document([s for _, s in chosen], metadata))

    def _json(self, call: WriteOperation, body: Tree, status: int = 200) -> HttpResponse:
        accept = negotiate(call.request.header("accept"), can_transform=False)
        return encode_body(accept, msgspec.json.encode(body), status)

    def _review(self, call: WriteOperation) -> HttpResponse:
        tree, _ = read_object(
            call.request.body, call.request.header("content-type"), call.resource.kind
        )
        answer = self.reviews[call.resource.kind](call.identity, tree)
        return self._json(call, answer, 201)

    # --- subresources ------------------------------------------------------------------------

    def _subresource(self, call: WriteOperation) -> HttpResponse | WatchResponse:
        info, resource = call.info, call.resource
        sub = next((s for s in resource.subresources if s.name == info.subresource), None)
        if sub is None:
            if resource.is_custom:
                raise not_found(resource.group_resource, info.name)
            raise no_resource()
        if info.verb not in sub.verbs:
            raise self._unsupported(call)
        if sub.name == "scale":
            return self._scale(call)
        if sub.name in ("status", "finalize"):
            if info.verb == "get":
                return self._reader.get(call.request, info, resource, call.version)
            return self._write(call)
        return self._node_side(call)

    def _unsupported(self, call: WriteOperation) -> StatusError:
        resource = call.resource
        if not resource.is_custom:
            return method_not_allowed()
        details = {"group": resource.group, "kind": resource.plural}
        message = (
            f'{call.info.verb} is not supported on resources of kind "{resource.group_resource}"'
        )
        return StatusError(405, "MethodNotAllowed", message, details)

    def _node_side(self, call: WriteOperation) -> HttpResponse:
        """Answer for what the scheduler, the eviction of pods and nodes are asked."""
        key = call.resource.key(call.info.namespace, call.info.name)
        stored = self._core.storage.get(call.resource.storage_name, key)
        if stored is None:
            raise not_found(call.resource.group_resource, call.info.name)
        if call.info.subresource == "log":
            return HttpResponse(204, [], b"")
        body, _ = read_object(
            call.request.body, call.request.header("content-type"), call.resource.kind
        )
        with self._core.lock:
            if call.info.subresource == "eviction":
                options = DeleteOptions.of_eviction(call.request, body)
                self._deleter.delete_one(call, key, options)
            else:
                self._bind(call, key, str((body.get("target") or {}).get("name") or ""))
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return self._json(call, {**done, "code": 201}, 201)

    def _bind(self, call: WriteOperation, key: str, node: str) -> None:
        """Give a pod to a node, as a scheduler asks."""
        live = self._core.storage.get(call.resource.storage_name, key)
        if live is None:
            raise not_found(call.resource.group_resource, call.info.name)
        pod = live.tree()
        taken = (pod.get("spec") or {}).get("nodeName")
        if not node or taken:
            why = f"pod {call.info.name} is already assigned to node {taken!r}"
            raise conflict("pods/binding", call.info.name, why if taken else "target is required")
        pod.setdefault("spec", {})["nodeName"] = node
        conditions = pod.setdefault("status", {}).setdefault("conditions", [])
        at = self._core.now()
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at}
        conditions.append(scheduled)
        if not WriteOptions.read(call.request, "CreateOptions").is_dry_run:
            self._core.storage.commit(call.resource.storage_name, key, pod, live.form)

    def _scale(self, call: WriteOperation) -> HttpResponse:
        key = call.resource.key(call.info.namespace, call.info.name)
        with self._core.lock:
            live = self._core.storage.get(call.resource.storage_name, key)
            if live is None:
                raise not_found(call.resource.group_resource, call.info.name)
            tree = call.resource.tree(call.version, live)
            if call.info.verb != "get":
                live = self._write_scale(call, tree, live)
                tree = call.resource.tree(call.version, live)
        return self._json(call, scale_of(call.resource, tree))

    def _write_scale(self, call: WriteOperation, tree: Tree, live: Stored) -> Stored:
        is_patch = call.info.verb == "patch"
        is_apply = is_patch and media_type(call.request.header("content-type")) == APPLY_PATCH
        if is_apply:
            wanted = self._writer.applied_scale(call)
            if fault := replicas_fault(wanted):
                raise bad_request(f'Scale in version "v1" cannot be handled as a Scale: {fault}')
        else:
            kind = "PatchOptions" if is_patch else "UpdateOptions"
            call.options = WriteOptions.read(call.request, kind)
            wanted = self._wanted_scale(call, scale_of(call.resource, tree), from_patch=is_patch)
        version = str((wanted.get("metadata") or {}).get("resourceVersion") or "")
        if version and version != str(live.revision):
            raise conflict(call.resource.group_resource, call.info.name)
        if not call.resource.is_custom and (causes := replicas_causes(wanted)):
            raise invalid("Scale", "autoscaling", call.info.name, causes)
        replicas = (wanted.get("spec") or {}).get("replicas") or 0
        if is_apply:
            applied: Tree = {"apiVersion": call.api_version, "kind": call.resource.kind}
            applied["metadata"] = {"name": call.info.name}
            put_replicas(call.resource, applied, replicas)
            return self._writer.apply_scaled(call, applied, live)
        put_replicas(call.resource, tree, replicas)
        main = replace(call, info=replace(call.info, subresource=""))
        stored, _ = self._writer.store_changed(main, tree, live, manages_as="scale")
        return stored

    def _wanted_scale(self, call: WriteOperation, scale: Tree, *, from_patch: bool) -> Tree:
        request = call.request
        if not from_patch:
            wanted, _ = read_object(request.body, request.header("content-type"), "Scale")
            if fault := replicas_fault(wanted):
                raise bad_request(f'Scale in version "v1" cannot be handled as a Scale: {fault}')
            return wanted
        wanted = self._writer.patched(call, scale)
        if fault := replicas_fault(wanted):
            raise patch_fault(wanted, fault)
        return wanted


def _unconverted(resource: ResourceType, version: Version) -> StatusError:
    """Refuse a version that only a conversion webhook could make: none is ever called."""
    stored = resource.storage_version.name
    message = (
        f"conversion webhook for {resource.api_version(version)}, Kind={resource.kind} is not "
        f"called by this server; only {stored}, the version that is stored, is served"
    )
    details = {"group": resource.group, "kind": resource.plural}
    return StatusError(501, "NotImplemented", message, details)


def _quote(text: str) -> str:
    flat = " ".join(text.split())
    return flat.replace("\\", "\\\\").replace('"', '\\"')
