"""What happens to an object between the request and the store, per kind and operation.

From: the writing verbs. To: `storage.commit`. One `Call` carries a write through: decoding
against the type, server-owned fields, status separation, generation, validation.

Guarantees:
  1. An object that reaches the store is pruned, defaulted and valid for the version it was
     written in.
  2. A refused write leaves nothing behind: everything here works on the call's own copy.

Thread: pure functions on the call's own trees.
Source: k8s.io/apiserver/pkg/registry/rest/{create,update}.go,
k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crlab.apiserver.core import Core
from crlab.apiserver.metadata import (
    carry_over,
    finalizer_warnings,
    prune_metadata,
    type_fault,
    validate_metadata,
    validate_metadata_update,
)
from crlab.apiserver.options import WriteOptions
from crlab.apiserver.request import Identity, Request, RequestInfo
from crlab.apiserver.resource import ResourceType, Version
from crlab.apiserver.status import (
    INVALID,
    REQUIRED,
    TOO_LONG,
    Cause,
    StatusError,
    bad_request,
    invalid,
    invalid_value,
    show,
)
from crlab.apiserver.storage import Tree, encode

try:  # the types of core kinds know their fields
    from crlab.apiserver.builtin_field import check_fields
except ImportError:  # pragma: no cover

    def check_fields(api_version: str, kind: str, tree: Tree, unknown: list[str]) -> str:
        """Stand in until the types of core kinds are there."""
        del api_version, kind, tree, unknown
        return ""


@dataclass(slots=True)
class Call:
    """One write on its way.

    Attributes:
        warnings: texts for Warning headers, in order.
    """

    request: Request
    info: RequestInfo
    resource: ResourceType
    version: Version
    identity: Identity
    options: WriteOptions = field(default_factory=WriteOptions)
    warnings: list[str] = field(default_factory=list)

    @property
    def api_version(self) -> str:
        """The apiVersion of the URL."""
        return self.resource.api_version(self.version)

    @property
    def is_status(self) -> bool:
        """Whether the write goes to /status."""
        return self.info.subresource == "status"


class Malformed(Exception):
    """An object that is not of its type; the text follows 'cannot be handled as a …'."""


def decode(call: Call, tree: Tree, repeated: list[str]) -> None:
    """Prune and default an object in place; warn about or refuse what its type lacks.

    Raises:
        Malformed: a field of the wrong JSON type, or unknown fields under Strict.
    """
    resource, version = call.resource, call.version
    unknown: list[str] = []
    is_known = tree.get("kind") == resource.kind
    if version.schema is not None:
        version.schema.prune(tree, unknown)
        fault = type_fault(tree.get("metadata"))
        if fault is not None:
            raise Malformed(_go_type_error(*fault))
        _drop_empty_metadata(tree)
        if is_known and tree.get("apiVersion") == call.api_version:
            version.schema.default(tree)
    else:
        found = check_fields(call.api_version, resource.kind, tree, unknown)
        if found:
            raise Malformed(found)
        prune_metadata(tree)
    faults = [f'duplicate field "{path}"' for path in repeated]
    faults += [f'unknown field "{path}"' for path in unknown]
    if faults and call.options.field_validation == "Strict":
        raise Malformed("strict decoding error: " + ", ".join(faults))
    if call.options.field_validation == "Warn":
        call.warnings.extend(faults)


def _go_type_error(place: str, found: str, wanted: str) -> str:
    return f"json: cannot unmarshal {found} into Go struct field {place} of type {wanted}"


def _drop_empty_metadata(tree: Tree) -> None:
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict):
        tree["metadata"] = {}
        return
    for key in [key for key, value in metadata.items() if value in (None, "", {}, [])]:
        del metadata[key]


def decode_body(call: Call, tree: Tree, repeated: list[str]) -> None:
    """Decode the body of a create or update.

    Raises:
        StatusError: 400.
    """
    kind = str(tree.get("kind") or call.resource.kind)
    try:
        decode(call, tree, repeated)
    except Malformed as error:
        raise bad_request(
            f'{kind} in version "{call.version.name}" cannot be handled as a '
            f"{call.resource.kind}: {error}"
        ) from error


def decode_patched(call: Call, tree: Tree, repeated: list[str]) -> None:
    """Decode what a patch made of an object.

    Raises:
        StatusError: 422 on the field "patch".
    """
    before = encode(tree)
    try:
        decode(call, tree, repeated)
    except Malformed as error:
        raise patch_fault(before, str(error)) from error


def patch_fault(patched: Tree | bytes, why: str) -> StatusError:
    """422: what a patch made of an object does not decode."""
    text = patched if isinstance(patched, bytes) else encode(patched)
    shown = show(text.decode())
    return invalid("", "", "", [Cause(INVALID, f"Invalid value: {shown}: {why}", "patch")])


def check_identity(call: Call, tree: Tree) -> None:
    """Refuse a body whose name or namespace is not the URL's; fill in the namespace.

    Raises:
        StatusError: 400.
    """
    metadata = tree["metadata"]
    info = call.info
    if call.resource.is_namespaced:
        namespace = metadata.get("namespace") or info.namespace
        if namespace != info.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on "
                "the request"
            )
        metadata["namespace"] = info.namespace
    else:
        metadata.pop("namespace", None)


def check_name(call: Call, tree: Tree) -> None:
    """Refuse a body that does not name the object of the URL.

    Raises:
        StatusError: 400.
    """
    name = tree["metadata"].get("name", "")
    if not name:
        raise bad_request(
            f"the name of the object ({call.info.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != call.info.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({call.info.name})"
        )


# --- create ------------------------------------------------------------------------------------


def prepare_create(core: Core, call: Call, tree: Tree) -> None:
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


def validate_create(call: Call, tree: Tree) -> None:
    """Refuse a new object that breaks a rule.

    Raises:
        StatusError: 422.
    """
    resource = call.resource
    causes = _metadata_causes(call, tree)
    causes += _type_causes(call, tree)
    if call.version.schema is not None:
        causes += call.version.schema.validate(tree, has_faults=_is_unreliable(causes))
    causes += resource.check(tree, None)
    if causes:
        raise _invalid(call, tree, causes)
    call.warnings.extend(finalizer_warnings(tree["metadata"]) if resource.is_custom else ())
    call.warnings.extend(resource.warn(tree, None))


def _metadata_causes(call: Call, tree: Tree) -> list[Cause]:
    resource = call.resource
    return validate_metadata(
        tree["metadata"],
        rule=resource.name_rule,
        is_namespaced=resource.is_namespaced,
        is_core=not resource.is_custom and resource.group != "apiextensions.k8s.io",
    )


def _is_unreliable(causes: list[Cause]) -> bool:
    """Whether faults of the metadata keep the schema's rules from being evaluated."""
    return any(cause.reason in (REQUIRED, TOO_LONG) for cause in causes)


def _type_causes(call: Call, tree: Tree) -> list[Cause]:
    causes = []
    kind, api_version = call.resource.kind, call.api_version
    if tree.get("kind") != kind:
        causes.append(invalid_value("kind", tree.get("kind"), f"must be {kind}"))
    if tree.get("apiVersion") != api_version:
        causes.append(invalid_value("apiVersion", tree.get("apiVersion"), f"must be {api_version}"))
    return causes


def _invalid(call: Call, tree: Tree, causes: list[Cause]) -> StatusError:
    kind = str(tree.get("kind") or call.resource.kind)
    group = str(tree.get("apiVersion") or "").rpartition("/")[0] or call.resource.group
    if call.resource.storage_name != call.resource.group_resource:
        group = ""  # a second view of a core kind speaks of the core kind
    return invalid(kind, group, tree["metadata"].get("name", ""), causes)


# --- update ------------------------------------------------------------------------------------


def prepare_update(call: Call, new: Tree, old: Tree) -> None:
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


def validate_update(call: Call, new: Tree, old: Tree) -> None:
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
        causes += schema.validate(new, old, is_status=call.is_status, has_faults=has_faults)
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
