"""What happens to an object between the request and the store, per kind and operation.

From: `body_decoder.py`. To: `storage.commit`. Server-owned fields, the separation of status,
generation, validation.

Guarantees:
  1. An object that reaches the store is pruned, defaulted and valid for the version it was
     written in.
  2. A refused write leaves nothing behind: everything here works on the call's own copy.

Thread: pure functions on the call's own trees.
Source: k8s.io/apiserver/pkg/registry/rest/{create,update}.go,
k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.core import Core
from crlab.apiserver.metadata import (
    carry_over,
    finalizer_warnings,
    validate_metadata,
    validate_metadata_update,
)
from crlab.apiserver.resource_type import ResourceType
from crlab.apiserver.status import REQUIRED, TOO_LONG, Cause, StatusError, invalid, invalid_value
from crlab.apiserver.storage import Tree
from crlab.apiserver.verb.body_decoder import WriteOperation

# --- create ------------------------------------------------------------------------------------


def prepare_create(core: Core, call: WriteOperation, tree: Tree) -> None:
    """Set what the server owns in a new object and drop what the client may not set."""
    resource, metadata = call.resource, tree["metadata"]
    for name in ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        metadata.pop(name, None)
    metadata["uid"] = core.ids.uid()
    metadata["creationTimestamp"] = core.now()
    if resource.generation:
        metadata["generation"] = 1
    if resource.has_status:
        tree.pop("status", None)
    if resource.prepare is not None:
        resource.prepare(tree, None)


def validate_create(call: WriteOperation, tree: Tree) -> None:
    """Refuse a new object that breaks a rule.

    Raises:
        StatusError: 422.
    """
    resource = call.resource
    causes = _metadata_causes(call, tree)
    causes += _type_causes(call, tree)
    if call.version.schema is not None:
        causes += call.version.schema.validate(tree, with_faults=_is_unreliable(causes))
    causes += resource.check(tree, None)
    if causes:
        raise _invalid(call, tree, causes)
    call.warnings.extend(finalizer_warnings(tree["metadata"]) if resource.is_custom else ())
    call.warnings.extend(resource.warn(tree, None))


def _metadata_causes(call: WriteOperation, tree: Tree) -> list[Cause]:
    resource = call.resource
    return validate_metadata(
        tree["metadata"],
        rule=resource.name_rule,
        namespaced=resource.is_namespaced,
        core=not resource.is_custom and resource.group != "apiextensions.k8s.io",
    )


def _is_unreliable(causes: list[Cause]) -> bool:
    """Whether faults of the metadata keep the schema's rules from being evaluated."""
    return any(cause.reason in (REQUIRED, TOO_LONG) for cause in causes)


def _type_causes(call: WriteOperation, tree: Tree) -> list[Cause]:
    causes = []
    kind, api_version = call.resource.kind, call.api_version
    if tree.get("kind") != kind:
        causes.append(invalid_value("kind", tree.get("kind"), f"must be {kind}"))
    if tree.get("apiVersion") != api_version:
        causes.append(invalid_value("apiVersion", tree.get("apiVersion"), f"must be {api_version}"))
    return causes


def _invalid(call: WriteOperation, tree: Tree, causes: list[Cause]) -> StatusError:
    kind = str(tree.get("kind") or call.resource.kind)
    group = str(tree.get("apiVersion") or "").rpartition("/")[0] or call.resource.group
    if call.resource.storage_name != call.resource.group_resource:
        group = ""  # a second view of a core kind speaks of the core kind
    return invalid(kind, group, tree["metadata"].get("name", ""), causes)


# --- update ------------------------------------------------------------------------------------


def prepare_update(call: WriteOperation, new: Tree, old: Tree) -> None:
    """Put back what an update may not touch, and count the generation."""
    resource = call.resource
    carry_over(new["metadata"], old["metadata"])
    if call.info.subresource == "finalize":
        _only_spec_finalizers(new, old)
    elif call.is_status and resource.has_status:
        _only_status(resource, new, old)
    else:
        if resource.has_status:
            _restore(new, old, "status")
        if resource.prepare is not None:
            resource.prepare(new, old)
        if resource.generation and _has_grown(resource, new, old):
            new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1


def _restore(new: Tree, old: Tree, key: str) -> None:
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)


def _only_status(resource: ResourceType, new: Tree, old: Tree) -> None:
    """Keep of `new` its status (of core kinds, most metadata as well)."""
    for key in {*new, *old} - {"status", "metadata", "apiVersion", "kind"}:
        _restore(new, old, key)
    if not resource.is_custom:
        _restore(new["metadata"], old["metadata"], "ownerReferences")
        if resource.group == "apps":
            _restore(new["metadata"], old["metadata"], "labels")
        return
    metadata = dict(old["metadata"])
    for key in ("managedFields", "resourceVersion"):
        _restore(metadata, new["metadata"], key)
    new["metadata"] = metadata


def _only_spec_finalizers(new: Tree, old: Tree) -> None:
    finalizers = (new.get("spec") or {}).get("finalizers")
    for key in {*new, *old} - {"metadata", "apiVersion", "kind"}:
        _restore(new, old, key)
    spec = dict(old.get("spec") or {})
    if finalizers:
        spec["finalizers"] = finalizers
    else:
        spec.pop("finalizers", None)
    new["spec"] = spec


def _has_grown(resource: ResourceType, new: Tree, old: Tree) -> bool:
    skipped = {"metadata", "apiVersion", "kind"}
    if resource.has_status or not resource.is_custom:
        skipped.add("status")
    if any(new.get(key) != old.get(key) for key in {*new, *old} - skipped):
        return True
    if resource.generation != "spec+annotations":
        return False
    return bool(new["metadata"].get("annotations") != old["metadata"].get("annotations"))


def validate_update(call: WriteOperation, new: Tree, old: Tree) -> None:
    """Refuse an update that breaks a rule.

    Raises:
        StatusError: 422.
    """
    resource = call.resource
    changes = validate_metadata_update(new["metadata"], old["metadata"])
    causes = [*changes, *changes]  # the server checks twice and lists both
    causes += _metadata_causes(call, new)
    causes += _type_causes(call, new)
    schema = call.version.schema
    if schema is not None:
        has_faults = _is_unreliable(causes)
        causes += schema.validate(new, old, of_status=call.is_status, with_faults=has_faults)
    if not call.info.subresource:
        causes += resource.check(new, old)
    if causes:
        raise _invalid(call, new, causes)
    if resource.is_custom and not call.is_status:
        before = set(finalizer_warnings(old["metadata"]))
        fresh = [w for w in finalizer_warnings(new["metadata"]) if w not in before]
        call.warnings.extend(fresh)
    if not call.info.subresource:
        call.warnings.extend(resource.warn(new, old))


def is_unchanged(new: Tree, old: Tree) -> bool:
    """Whether a write would change nothing but times of managed fields."""
    if any(new.get(key) != old.get(key) for key in {*new, *old} - {"metadata"}):
        return False
    skipped = {"resourceVersion", "managedFields"}
    left, right = new["metadata"], old["metadata"]
    if any(left.get(key) != right.get(key) for key in {*left, *right} - skipped):
        return False
    return _timeless(left.get("managedFields")) == _timeless(right.get("managedFields"))


def _timeless(entries: Any) -> list[Any]:
    if not isinstance(entries, list):
        return []
    return [{k: v for k, v in entry.items() if k != "time"} for entry in entries]
