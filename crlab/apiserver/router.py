"""From a request about a resource to the verb that answers it.

Thread: any; verbs take the store's lock themselves.
Source: k8s.io/apiserver/pkg/endpoints/installer.go,
k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go.
"""

from __future__ import annotations

from collections.abc import Callable
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
    method_not_allowed,
    no_resource,
    not_found,
    success,
)
from crlab.apiserver.storage import Stored, Tree
from crlab.apiserver.verb.bind import Binder
from crlab.apiserver.verb.body import read_object
from crlab.apiserver.verb.body_decoder import WriteOperation
from crlab.apiserver.verb.delete import Deleter
from crlab.apiserver.verb.option import DeleteOptions, ListQuery
from crlab.apiserver.verb.patch import Patcher
from crlab.apiserver.verb.read import Reader, select
from crlab.apiserver.verb.scale import Scaler
from crlab.apiserver.watch import WatchResponse

if TYPE_CHECKING:
    from crlab.apiserver.fault.watch_fault import WatchFaults

Review = Callable[[Identity, Tree], Tree]


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
        self._scaler = Scaler(core, writer)
        self._binder = Binder(core, deleter)
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
        try:  # a refusal carries the warnings that were found before it
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
        _check_verb(info, resource)
        verb = info.verb
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
        revision, gone = self._deleter.delete_collection(call, selection, options)
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if resource.is_custom:
            metadata["continue"] = ""
        return encode_body(accept, view.list_document(gone, metadata))

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
            return self._json(call, self._scaler.answer(call))
        if sub.name in ("status", "finalize"):
            if info.verb == "get":
                return self._reader.get(call.request, info, resource, call.version)
            return self._write(call)
        if sub.name == "log":
            return self._log(call)
        ask = self._binder.evict if sub.name == "eviction" else self._binder.bind
        return self._json(call, ask(call), 201)

    def _unsupported(self, call: WriteOperation) -> StatusError:
        resource = call.resource
        if not resource.is_custom:
            return method_not_allowed()
        details = {"group": resource.group, "kind": resource.plural}
        message = (
            f'{call.info.verb} is not supported on resources of kind "{resource.group_resource}"'
        )
        return StatusError(405, "MethodNotAllowed", message, details)

    def _log(self, call: WriteOperation) -> HttpResponse:
        """Answer for a pod's log: there is no kubelet, so it is empty."""
        key = call.resource.key(call.info.namespace, call.info.name)
        if self._core.storage.get(call.resource.storage_name, key) is None:
            raise not_found(call.resource.group_resource, call.info.name)
        return HttpResponse(204, [], b"")


def _check_verb(info: RequestInfo, resource: ResourceType) -> None:
    """Refuse a verb that the resource lacks, or that wants a name, or none."""
    verb, is_custom = info.verb, resource.is_custom
    if verb in ("create", "update") and not is_custom and (verb == "create") == bool(info.name):
        raise method_not_allowed()
    if verb == "update" and not info.name:
        raise bad_request("name must be provided")
    if verb not in resource.verbs:
        raise method_not_allowed()
    if verb in ("patch", "delete") and not info.name:
        raise bad_request("name must be provided") if is_custom else method_not_allowed()


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
