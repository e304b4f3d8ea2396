"""Owner references: whose an object is.

Thread: pure functions.
Source: kubernetes-sigs/controller-runtime:pkg/controller/controllerutil
(SetControllerReference).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.errors import ConfigError
from crlab.model.resource import ApiResource, GroupVersionKind


def owner_reference(owner: Mapping[str, Any], resource: ApiResource) -> dict[str, Any]:
    """Return the reference by which `owner` is a child's controller."""
    metadata = owner.get("metadata") or {}
    if not metadata.get("uid"):
        raise ConfigError(
            "an owner needs the uid that the server gave it; read it before it owns anything"
        )
    return {
        "apiVersion": owner.get("apiVersion") or resource.gvr.api_version,
        "kind": owner.get("kind") or resource.kind,
        "name": metadata.get("name"),
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def add_owner(child: dict[str, Any], owner: Mapping[str, Any], resource: ApiResource) -> None:
    """Make `owner` the controller of `child`, in place.

    Raises:
        ConfigError: another controller owns it, or the owner lives in another namespace.
    """
    reference = owner_reference(owner, resource)
    metadata = child.setdefault("metadata", {})
    namespace = (owner.get("metadata") or {}).get("namespace")
    if namespace and metadata.get("namespace", namespace) != namespace:
        raise ConfigError(
            f"{owner['metadata']['name']} in namespace {namespace} cannot own an object in "
            f"{metadata['namespace']}: owners are in the same namespace or cluster-scoped"
        )
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
