"""The scale subresource: autoscaling/v1 Scale read from and written into an object.

Thread: pure functions.
Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/etcd.go (ScaleREST).
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.patch.go_text import json_type
from crlab.apiserver.resource_type import ResourceType, look
from crlab.apiserver.status import Cause, internal_error, invalid_value
from crlab.apiserver.storage import Tree
from crlab.model.selector import format_labels

_COPIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(resource: ResourceType, tree: Tree) -> Tree:
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


def replicas_fault(scale: Tree) -> str:
    """Return Go's words for parts of a wrong JSON type, "" if replicas are a number."""
    for part, type_ in (("metadata", "v1.ObjectMeta"), ("spec", "v1.ScaleSpec")):
        if scale.get(part) is not None and not isinstance(scale[part], dict):
            found = json_type(scale[part])
            return (
                f"json: cannot unmarshal {found} into Go struct field Scale.{part} of type {type_}"
            )
    value = (scale.get("spec") or {}).get("replicas")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return ""
    names = {str: "string", bool: "bool", dict: "object", list: "array"}
    found = names.get(type(value), f"number {value}")
    return (
        f"json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32"
    )


def replicas_causes(scale: Tree) -> list[Cause]:
    """Return what is wrong with the replicas of a built-in kind's Scale."""
    value = (scale.get("spec") or {}).get("replicas") or 0
    detail = "must be greater than or equal to 0"
    return [invalid_value("spec.replicas", value, detail)] if value < 0 else []


def put_replicas(resource: ResourceType, tree: Tree, replicas: Any) -> None:
    """Write replicas where the object keeps them."""
    paths = resource.scale
    assert paths is not None
    *parents, last = paths.spec_replicas
    place = tree
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = replicas
