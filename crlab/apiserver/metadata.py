"""ObjectMeta: which fields there are, what they may hold, what an update may change.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go, pkg/util/validation.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crlab.apiserver.status import (
    INVALID,
    Cause,
    forbidden_field,
    invalid_value,
    required,
    show,
)
from crlab.apiserver.storage import Tree
from crlab.model.go_text import json_kind
from crlab.model.name import (
    dns_1035_label,
    dns_1123_label,
    dns_1123_subdomain,
    label_key,
    label_value,
    path_segment,
)

FIELDS: dict[str, str] = {
    "name": "string",
    "generateName": "string",
    "namespace": "string",
    "selfLink": "string",
    "uid": "string",
    "resourceVersion": "string",
    "generation": "integer",
    "creationTimestamp": "string",
    "deletionTimestamp": "string",
    "deletionGracePeriodSeconds": "integer",
    "labels": "map",
    "annotations": "map",
    "ownerReferences": "array",
    "finalizers": "array",
    "managedFields": "array",
}
_FIELD_TYPES: dict[str, tuple[type, str]] = {
    "map": (dict, "map[string]string"),
    "array": (list, "[]string"),
    "string": (str, "string"),
    "integer": (int, "int64"),
}
OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
TOTAL_ANNOTATIONS_LIMIT = 256 * 1024
STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")


def name_faults(rule: str, name: str, *, prefix: bool = False) -> list[str]:
    """Return why a name breaks a rule ("subdomain", "label", "service", "path")."""
    if prefix and name.endswith("-"):
        name = name[:-1] + "a"
    checks = {"path": path_segment, "label": dns_1123_label, "service": dns_1035_label}
    return checks.get(rule, dns_1123_subdomain)(name)


def prune_metadata(obj: Tree, unknown: list[str] | None = None) -> None:
    """Drop what is not ObjectMeta, in place; empty maps and lists go as well."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        obj["metadata"] = {}
        return
    for key in [key for key in metadata if key not in FIELDS]:
        if unknown is not None:
            unknown.append(f"metadata.{key}")
        del metadata[key]
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        if isinstance(owner, dict):
            for key in [key for key in owner if key not in OWNER_FIELDS]:
                if unknown is not None:
                    unknown.append(f"metadata.ownerReferences[{index}].{key}")
                del owner[key]
    for key in [key for key, value in metadata.items() if value in (None, "", {}, [])]:
        del metadata[key]


def type_fault(metadata: Any) -> tuple[str, str, str] | None:
    """Return (field, Go's name of what is there, Go's name of what belongs there) if a field
    of ObjectMeta has a wrong JSON type."""
    if not isinstance(metadata, dict):
        return None
    for key, value in metadata.items():
        wanted = FIELDS.get(key)
        if wanted is None or value is None:
            continue
        type_, name = _FIELD_TYPES[wanted]
        if type(value) is not type_:
            return f"ObjectMeta.{key}", json_kind(value), name
        for item in value.values() if isinstance(value, dict) else ():
            if not isinstance(item, str | None):
                return f"ObjectMeta.{key}", json_kind(item), "string"
    return None


def validate_metadata(
    metadata: Tree, *, rule: str, namespaced: bool, core: bool = False
) -> list[Cause]:
    """Return what is wrong with an object's metadata.

    Args:
        rule: of the name; "" if the kind checks its names itself.
        core: whether finalizers must be qualified (custom resources only earn a warning).
    """
    causes: list[Cause] = []
    prefix = metadata.get("generateName")
    if prefix:
        faults = name_faults(rule, prefix, prefix=True)
        causes += [invalid_value("metadata.generateName", prefix, fault) for fault in faults]
    name = metadata.get("name", "")
    if not rule:
        pass  # the kind's own check covers the name
    elif not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes += [invalid_value("metadata.name", name, f) for f in name_faults(rule, name)]
    if namespaced:
        namespace = metadata.get("namespace", "")
        if not namespace:
            causes.append(required("metadata.namespace"))
        else:
            faults = dns_1123_label(namespace)
            causes += [invalid_value("metadata.namespace", namespace, f) for f in faults]
    causes += _label_causes(metadata) + _owner_causes(metadata)
    return causes + _finalizer_causes(metadata, core=core)


def _label_causes(metadata: Tree) -> list[Cause]:
    causes = []
    for key, value in sorted((metadata.get("labels") or {}).items()):
        causes += [invalid_value("metadata.labels", key, f) for f in label_key(key)]
        causes += [invalid_value("metadata.labels", value, f) for f in label_value(value or "")]
    annotations = metadata.get("annotations") or {}
    for key in sorted(annotations):
        faults = label_key(key.lower())
        causes += [invalid_value("metadata.annotations", key, f) for f in faults]
    size = sum(len(k.encode()) + len((v or "").encode()) for k, v in annotations.items())
    if size > TOTAL_ANNOTATIONS_LIMIT:
        message = f"Too long: may not be more than {TOTAL_ANNOTATIONS_LIMIT} bytes"
        causes.append(Cause("FieldValueTooLong", message, "metadata.annotations"))
    return causes


def _owner_causes(metadata: Tree) -> list[Cause]:
    causes: list[Cause] = []
    owners = [owner for owner in metadata.get("ownerReferences") or () if isinstance(owner, dict)]
    at = "metadata.ownerReferences"
    for owner in owners:
        version = str(owner.get("apiVersion") or "")
        if not version.rpartition("/")[2] or version.count("/") > 1:
            detail = "version must not be empty"
            causes.append(invalid_value(f"{at}.apiVersion", version, detail))
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                causes.append(invalid_value(f"{at}.{field}", "", "must not be empty"))
        if owner.get("kind") == "Event" and version in ("v1", "events.k8s.io/v1"):
            group, _, name = version.rpartition("/")
            detail = f"{group}/{name}, Kind=Event is disallowed from being an owner"
            causes.append(Cause(INVALID, f"Invalid value: {_shown(owner)}: {detail}", at))
    controllers = [owner for owner in owners if owner.get("controller") is True]
    if len(controllers) > 1:
        first, second = (f"{o.get('kind')}/{o.get('name')}" for o in controllers[:2])
        detail = (
            "Only one reference can have Controller set to true. Found "
            f'"true" in references for {first} and {second}'
        )
        shown = ",".join(_shown(owner) for owner in owners)
        causes.append(Cause(INVALID, f"Invalid value: [{shown}]: {detail}", at))
    return causes


def _shown(owner: Tree) -> str:
    """Return an ownerReference as Go prints it: in the order of its fields."""
    ordered = {name: owner[name] for name in OWNER_FIELDS if name in owner}
    return msgspec.json.encode(ordered).decode()


def _finalizer_causes(metadata: Tree, *, core: bool) -> list[Cause]:
    causes: list[Cause] = []
    finalizers = metadata.get("finalizers") or []
    for index, finalizer in enumerate(finalizers):
        faults = label_key(finalizer)
        causes += [invalid_value("metadata.finalizers", finalizer, f) for f in faults]
        if core and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value(f"metadata.finalizers[{index}]", finalizer, detail))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        message = f"Invalid value: {show(finalizers)}: {detail}"
        causes.append(Cause(INVALID, message, "metadata.finalizers"))
    return causes


def finalizer_warnings(metadata: Tree) -> list[str]:
    """Return the warnings for finalizers without a domain."""
    return [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name to avoid '
        "accidental conflicts with other finalizer writers"
        for name in metadata.get("finalizers") or ()
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


IMMUTABLE = "field is immutable"


def carry_over(new: Tree, old: Tree) -> None:
    """Fill in what an update may leave out and put back what only the server changes."""
    for field in ("uid", "creationTimestamp"):
        if field in old and not new.get(field):
            new[field] = old[field]
    if old.get("deletionTimestamp"):
        new["deletionTimestamp"] = old["deletionTimestamp"]
        if new.get("deletionGracePeriodSeconds") is None and "deletionGracePeriodSeconds" in old:
            new["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]
    if "generation" in old:
        new["generation"] = old["generation"]
    else:
        new.pop("generation", None)
    new.pop("selfLink", None)


def validate_metadata_update(new: Tree, old: Tree) -> list[Cause]:
    """Return what an update must not have changed."""
    causes: list[Cause] = []
    if old.get("deletionTimestamp"):
        known = set(old.get("finalizers") or ())
        added = [name for name in new.get("finalizers") or () if name not in known]
        if added:
            listed = ", ".join(f'"{name}"' for name in sorted(added))
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            causes.append(forbidden_field("metadata.finalizers", detail))
    for field in (
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ):
        if new.get(field) != old.get(field):
            causes.append(invalid_value(f"metadata.{field}", new.get(field), IMMUTABLE))
    return causes + _label_causes(new) + _owner_causes(new)
