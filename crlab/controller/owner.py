"""Owner references: whose an object is.

Thread: pure functions.
Source: kubernetes-sigs/controller-runtime:pkg/controller/controllerutil
(SetControllerReference).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.errors import ConfigError
from crlab.model.key import join_key
from crlab.model.resource import ApiResource, GroupVersionKind


def owner_reference(owner: Mapping[str, Any], resource: ApiResource) -> dict[str, Any]:
    """Return the reference by which `owner` is a child's controller.

    Raises:
        ConfigError: the server has not stored it yet.
    """
    metadata = owner.get("metadata") or {}
    if not metadata.get("uid") or not metadata.get("name"):
        raise ConfigError(
            f"{resource.kind} {metadata.get('name') or '(no name)'} cannot own anything yet: an "
            "owner needs the name and uid that the server gave it; create it, or read it, and "
            "give what came back"
        )
    return {
        "apiVersion": owner.get("apiVersion") or resource.gvr.api_version,
        "kind": owner.get("kind") or resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def add_owner(
    child: dict[str, Any],
    owner: Mapping[str, Any],
    resource: ApiResource,
    child_resource: ApiResource | None = None,
) -> None:
    """Make `owner` the controller of `child`, in place; the child goes to its namespace.

    An owner that is being deleted may own: what it owns goes when it has gone.

    Args:
        resource: of the owner.
        child_resource: None if it is not known yet; then it is taken for namespaced.

    Raises:
        ConfigError: another controller owns it, or the owner cannot: it is not stored yet, lives
            in another namespace, is namespaced where the child is not, or is the child itself.
    """
    reference = owner_reference(owner, resource)
    metadata = child.setdefault("metadata", {})
    namespace = owner["metadata"].get("namespace") if resource.is_namespaced else None
    who = f"{reference['kind']} {join_key(namespace, reference['name'])}"
    if namespace and child_resource is not None and not child_resource.is_namespaced:
        raise ConfigError(
            f"{who} cannot own {child_resource.kind} {metadata.get('name')}: a cluster-scoped "
            "object whose owner is in a namespace is never collected as garbage; let a "
            "cluster-scoped object own it, or delete it yourself behind a finalizer "
            "(ctx.add_finalizer)"
        )
    if namespace:
        metadata["namespace"] = metadata.get("namespace") or namespace
    if namespace and metadata["namespace"] != namespace:
        raise ConfigError(
            f"{who} cannot own an object in namespace {metadata['namespace']}: owners are in the "
            "same namespace or cluster-scoped; create it there, or delete it yourself behind a "
            "finalizer (ctx.add_finalizer)"
        )
    if metadata.get("uid") == reference["uid"] or (
        _is_same({**child, "name": metadata.get("name")}, reference)
        and (metadata.get("namespace") or None) == namespace
    ):
        raise ConfigError(f"{who} cannot own itself: it would never be collected as garbage")
    references = [*(metadata.get("ownerReferences") or ())]
    for index, known in enumerate(references):
        if _is_same(known, reference):
            references[index] = reference
            break
        if known.get("controller"):
            raise ConfigError(
                f"{metadata.get('name')} is controlled by {known.get('kind')} "
                f"{known.get('name')}; an object has one controller"
            )
    else:
        references.append(reference)
    metadata["ownerReferences"] = references


def _is_same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    one = GroupVersionKind.from_api_version(str(left.get("apiVersion")), str(left.get("kind")))
    two = GroupVersionKind.from_api_version(str(right["apiVersion"]), str(right["kind"]))
    return (one.group, one.kind, left.get("name")) == (two.group, two.kind, right["name"])
