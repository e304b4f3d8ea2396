"""ObjectMeta: which fields there are, what they may hold, what an update may change.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go, pkg/util/validation.
"""

from __future__ import annotations

import re
from typing import Any

from crlab.apiserver.status import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    required,
    show,
)
from crlab.apiserver.storage import Tree
from crlab.model.label import label_key_faults, label_value_faults

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
OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
TOTAL_ANNOTATIONS_LIMIT = 256 * 1024
STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

SUBDOMAIN_HINT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_HINT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SERVICE_HINT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
    "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def name_faults(rule: str, name: str, *, is_prefix: bool = False) -> list[str]:
    """Return why a name breaks a rule ("subdomain", "label", "service", "path")."""
    if is_prefix and name.endswith("-"):
        name = name[:-1] + "a"
    if rule == "path":
        return _path_faults(name)
    if rule == "label":
        return dns_label_faults(name)
    if rule == "service":
        faults = ["must be no more than 63 bytes"] if len(name) > 63 else []
        return faults if _SERVICE.fullmatch(name) else [*faults, SERVICE_HINT]
    faults = ["must be no more than 253 characters"] if len(name) > 253 else []
    return faults if _SUBDOMAIN.fullmatch(name) else [*faults, SUBDOMAIN_HINT]


def dns_label_faults(name: str) -> list[str]:
    """Return why a name is no DNS label."""
    faults = ["must be no more than 63 bytes"] if len(name) > 63 else []
    if _LABEL.fullmatch(name):
        return faults
    if _SUBDOMAIN.fullmatch(name):
        return [*faults, "must not contain dots"]
    return [*faults, LABEL_HINT]


def _path_faults(name: str) -> list[str]:
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{bad}'" for bad in ("/", "%") if bad in name]


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
        if wanted == "map":
            if not isinstance(value, dict):
                return f"ObjectMeta.metadata.{key}", _json_name(value), "map[string]string"
            for item in value.values():
                if not isinstance(item, str | None):
                    return f"ObjectMeta.metadata.{key}", _json_name(item), "string"
        elif wanted == "array" and not isinstance(value, list):
            return f"ObjectMeta.metadata.{key}", _json_name(value), "[]string"
        elif wanted == "string" and not isinstance(value, str):
            return f"ObjectMeta.metadata.{key}", _json_name(value), "string"
        elif wanted == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
            return f"ObjectMeta.metadata.{key}", _json_name(value), "int64"
    return None


def _json_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return {dict: "object", list: "array", str: "string"}.get(type(value), "null")


def validate_metadata(metadata: Tree, *, rule: str, is_namespaced: bool) -> list[Cause]:
    """Return what is wrong with an object's metadata."""
    causes: list[Cause] = []
    prefix = metadata.get("generateName")
    if prefix:
        faults = name_faults(rule, prefix, is_prefix=True)
        causes += [invalid_value("metadata.generateName", prefix, fault) for fault in faults]
    name = metadata.get("name", "")
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes += [invalid_value("metadata.name", name, f) for f in name_faults(rule, name)]
    if is_namespaced:
        namespace = metadata.get("namespace", "")
        if not namespace:
            causes.append(required("metadata.namespace"))
        else:
            faults = dns_label_faults(namespace)
            causes += [invalid_value("metadata.namespace", namespace, f) for f in faults]
    return causes + _label_causes(metadata) + _owner_causes(metadata) + _finalizer_causes(metadata)


def _label_causes(metadata: Tree) -> list[Cause]:
    causes = []
    for key, value in sorted((metadata.get("labels") or {}).items()):
        causes += [invalid_value("metadata.labels", key, f) for f in label_key_faults(key)]
        causes += [
            invalid_value("metadata.labels", value, f) for f in label_value_faults(value or "")
        ]
    annotations = metadata.get("annotations") or {}
    for key in sorted(annotations):
        faults = label_key_faults(key.lower())
        causes += [invalid_value("metadata.annotations", key, f) for f in faults]
    size = sum(len(k.encode()) + len((v or "").encode()) for k, v in annotations.items())
    if size > TOTAL_ANNOTATIONS_LIMIT:
        message = f"Too long: may not be more than {TOTAL_ANNOTATIONS_LIMIT} bytes"
        causes.append(Cause("FieldValueTooLong", message, "metadata.annotations"))
    return causes


def _owner_causes(metadata: Tree) -> list[Cause]:
    causes = []
    controllers: list[str] = []
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        at = "metadata.ownerReferences"
        place = f"{at}[{index}]"
        version = str(owner.get("apiVersion") or "")
        if version.count("/") > 1:
            causes.append(
                invalid_value(
                    f"{place}.apiVersion", version, f"unexpected GroupVersion string: {version}"
                )
            )
        if not version.rpartition("/")[2]:
            causes.append(
                invalid_value(f"{place}.apiVersion", version, "version must not be empty")
            )
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                causes.append(invalid_value(f"{place}.{field}", "", f"{field} must not be empty"))
        if owner.get("controller") is True:
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
    if len(controllers) > 1:
        detail = (
            "Only one reference can have Controller set to true. Found "
            f'"true" in references for {controllers[0]} and {controllers[1]}'
        )
        shown = metadata.get("ownerReferences")
        causes.append(
            Cause(
                "FieldValueInvalid",
                f"Invalid value: {show(shown)}: {detail}",
                "metadata.ownerReferences",
            )
        )
    return causes


def _finalizer_causes(metadata: Tree) -> list[Cause]:
    causes = []
    finalizers = metadata.get("finalizers") or []
    for finalizer in finalizers:
        faults = label_key_faults(finalizer)
        causes += [invalid_value("metadata.finalizers", finalizer, f) for f in faults]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(
            Cause(
                "FieldValueInvalid",
                f"Invalid value: {show(finalizers)}: {detail}",
                "metadata.finalizers",
            )
        )
    return causes


def finalizer_warnings(metadata: Tree) -> list[str]:
    """Return the warnings for finalizers without a domain."""
    return [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name including a '
        "path (/) to avoid accidental conflicts with other finalizer writers"
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
    return causes


__all__ = [
    "carry_over",
    "dns_label_faults",
    "duplicate",
    "finalizer_warnings",
    "name_faults",
    "prune_metadata",
    "type_fault",
    "validate_metadata",
    "validate_metadata_update",
]
