"""The scale subresource: autoscaling/v1 Scale, read from an object and written into it.

From: routing. To: the update and apply of `patch.py`, so that admission, validation and field
ownership are those of any write; `scale` is the subresource that owns the replicas.

Thread: any; holds the store's lock from the look at the live object to the commit.
Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/etcd.go (ScaleREST),
pkg/registry/apps/deployment/storage (ScaleREST).
"""

from __future__ import annotations

from dataclasses import replace

from crlab.apiserver.core import Core
from crlab.apiserver.resource_type import ResourceType, look
from crlab.apiserver.status import (
    Cause,
    bad_request,
    conflict,
    internal_error,
    invalid,
    invalid_value,
    not_found,
)
from crlab.apiserver.storage import Stored, Tree
from crlab.apiserver.verb.body import media_type, read_object
from crlab.apiserver.verb.body_decoder import WriteOperation, patch_fault
from crlab.apiserver.verb.option import WriteOptions
from crlab.apiserver.verb.patch import APPLY_PATCH, Patcher
from crlab.model.go_text import json_kind
from crlab.model.selector import format_labels

_COPIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class Scaler:
    """get, update and patch of one server's scales."""

    def __init__(self, core: Core, writer: Patcher) -> None:
        self._core = core
        self._writer = writer

    def answer(self, call: WriteOperation) -> Tree:
        """Read or write the scale of the URL's object; return the Scale."""
        resource = call.resource
        key = resource.key(call.info.namespace, call.info.name)
        with self._core.lock:
            live = self._core.storage.get(resource.storage_name, key)
            if live is None:
                raise not_found(resource.group_resource, call.info.name)
            if call.info.verb != "get":
                live = self._write(call, live)
            return _scale_of(resource, resource.tree(call.version, live))

    def _write(self, call: WriteOperation, live: Stored) -> Stored:
        is_patch = call.info.verb == "patch"
        if is_patch and media_type(call.request.header("content-type")) == APPLY_PATCH:
            return self._apply(call, live)
        kind = "PatchOptions" if is_patch else "UpdateOptions"
        call.options = WriteOptions.read(call.request, kind)
        tree = call.resource.tree(call.version, live)
        wanted = self._patched(call, tree) if is_patch else self._body(call)
        _put_replicas(call.resource, tree, _checked_replicas(call, wanted, live))
        # The strategy is the main resource's; only the owner of the field is the subresource.
        main = replace(call, info=replace(call.info, subresource=""))
        stored, _ = self._writer.store_changed(main, tree, live, manages_as="scale")
        return stored

    def _apply(self, call: WriteOperation, live: Stored) -> Stored:
        wanted = self._writer.applied_scale(call)
        _refuse_malformed(wanted)
        applied: Tree = {"apiVersion": call.api_version, "kind": call.resource.kind}
        applied["metadata"] = {"name": call.info.name}
        _put_replicas(call.resource, applied, _checked_replicas(call, wanted, live))
        return self._writer.apply_scaled(call, applied, live)

    def _body(self, call: WriteOperation) -> Tree:
        request = call.request
        wanted, _ = read_object(request.body, request.header("content-type"), "Scale")
        _refuse_malformed(wanted)
        return wanted

    def _patched(self, call: WriteOperation, tree: Tree) -> Tree:
        wanted = self._writer.patched(call, _scale_of(call.resource, tree))
        if fault := _replicas_fault(wanted):
            raise patch_fault(wanted, fault)
        return wanted


def _refuse_malformed(scale: Tree) -> None:
    if fault := _replicas_fault(scale):
        raise bad_request(f'Scale in version "v1" cannot be handled as a Scale: {fault}')


def _checked_replicas(call: WriteOperation, wanted: Tree, live: Stored) -> int:
    """Return the replicas of a Scale that fits the live object."""
    version = str((wanted.get("metadata") or {}).get("resourceVersion") or "")
    if version and version != str(live.revision):
        raise conflict(call.resource.group_resource, call.info.name)
    if not call.resource.is_custom and (causes := _replicas_causes(wanted)):
        raise invalid("Scale", "autoscaling", call.info.name, causes)
    return int((wanted.get("spec") or {}).get("replicas") or 0)


def _scale_of(resource: ResourceType, tree: Tree) -> Tree:
    """Return the Scale of an object.

    Raises:
        StatusError: 500 if the object has no replicas.
    """
    paths = resource.scale
    assert paths is not None
    replicas = look(tree, paths.spec_replicas)
    if replicas is None:
        if resource.is_custom:
            dotted = "." + ".".join(paths.spec_replicas)
            raise internal_error(f'the spec replicas field "{dotted}" does not exist')
        replicas = 0
    spec: Tree = {"replicas": replicas} if replicas else {}
    status: Tree = {"replicas": look(tree, paths.status_replicas) or 0}
    selector = look(tree, paths.selector) if paths.selector else None
    if paths.is_selector_object and isinstance(selector, dict):
        selector = format_labels(selector.get("matchLabels") or {})
    if selector:
        status["selector"] = selector
    metadata = {key: tree["metadata"][key] for key in _COPIED if key in tree["metadata"]}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _replicas_fault(scale: Tree) -> str:
    """Return Go's words for parts of a wrong JSON type, "" if replicas are a number."""
    for part, type_ in (("metadata", "v1.ObjectMeta"), ("spec", "v1.ScaleSpec")):
        if scale.get(part) is not None and not isinstance(scale[part], dict):
            found = json_kind(scale[part])
            return (
                f"json: cannot unmarshal {found} into Go struct field Scale.{part} of type {type_}"
            )
    value = (scale.get("spec") or {}).get("replicas")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return ""
    found = f"number {value}" if isinstance(value, float) else json_kind(value)
    return (
        f"json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32"
    )


def _replicas_causes(scale: Tree) -> list[Cause]:
    """Return what is wrong with the replicas of a built-in kind's Scale."""
    value = (scale.get("spec") or {}).get("replicas") or 0
    detail = "must be greater than or equal to 0"
    return [invalid_value("spec.replicas", value, detail)] if value < 0 else []


def _put_replicas(resource: ResourceType, tree: Tree, replicas: int) -> None:
    """Write replicas where the object keeps them."""
    paths = resource.scale
    assert paths is not None
    *parents, last = paths.spec_replicas
    place = tree
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = replicas
