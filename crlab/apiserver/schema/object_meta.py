"""ObjectMeta inside custom resources: which fields exist, and the rules of embedded ones.

The root's metadata rules (names, immutability) are the registry's; here are pruning, which
the root and embedded resources share, and the validation of embedded resources.

Thread: pure functions; `prune_metadata` changes the object it is given.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta,
k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.status import Cause, invalid_value, required, too_long
from crlab.apiserver.stored import METADATA_ORDER
from crlab.model.name import dns_1035_label, label_key, label_value, path_segment

OBJECT_META = frozenset(METADATA_ORDER)
OWNER_REFERENCE = frozenset(
    {"apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"}
)
MANAGED_FIELDS = frozenset(
    {"manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"}
)
_ANNOTATIONS_LIMIT = 256 * 1024


def prune_metadata(metadata: Any, path: str, unknown: list[str] | None) -> None:
    """Remove what ObjectMeta does not have, in place, and note the removed paths."""
    if not isinstance(metadata, dict):
        return
    _prune_fields(metadata, OBJECT_META, path, unknown)
    for name, known in (("ownerReferences", OWNER_REFERENCE), ("managedFields", MANAGED_FIELDS)):
        items = metadata.get(name)
        if isinstance(items, list):
            for at, item in enumerate(items):
                if isinstance(item, dict):
                    _prune_fields(item, known, f"{path}.{name}[{at}]", unknown)


def _prune_fields(
    fields: dict[str, Any], known: frozenset[str], path: str, unknown: list[str] | None
) -> None:
    if fields.keys() <= known:
        return
    for name in [name for name in fields if name not in known]:
        del fields[name]
        if unknown is not None:
            unknown.append(f"{path}.{name}")


def validate_embedded(resource: dict[str, Any], path: str, out: list[Cause]) -> None:
    """Append what is wrong with an embedded resource's apiVersion, kind and metadata."""
    for name in ("apiVersion", "kind"):
        if name not in resource:
            out.append(required(f"{path}.{name}"))
    if "apiVersion" in resource:
        _validate_api_version(resource["apiVersion"], f"{path}.apiVersion", out)
    if "kind" in resource:
        _validate_kind(resource["kind"], f"{path}.kind", out)
    metadata = resource.get("metadata")
    if isinstance(metadata, dict):
        _validate_metadata(metadata, f"{path}.metadata", out)
    elif metadata is not None:
        out.append(invalid_value(f"{path}.metadata", metadata, "must be an object"))


def _validate_api_version(value: Any, field: str, out: list[Cause]) -> None:
    if not isinstance(value, str):
        out.append(invalid_value(field, value, "must be a string"))
    elif not value:
        out.append(invalid_value(field, value, "must not be empty"))
    elif value.count("/") > 1:
        out.append(invalid_value(field, value, f"unexpected GroupVersion string: {value}"))


def _validate_kind(value: Any, field: str, out: list[Cause]) -> None:
    if not isinstance(value, str):
        out.append(invalid_value(field, value, "must be a string"))
    elif not value:
        out.append(invalid_value(field, value, "must not be empty"))
    elif errors := dns_1035_label(value.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(errors)}"
        out.append(invalid_value(field, value, detail))


def _validate_metadata(metadata: dict[str, Any], path: str, out: list[Cause]) -> None:
    name = metadata.get("name")
    if isinstance(name, str):
        for text in path_segment(name):
            out.append(invalid_value(f"{path}.name", name, text))
    labels = metadata.get("labels")
    if isinstance(labels, dict):
        validate_labels(labels, f"{path}.labels", out)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        _validate_annotations(annotations, f"{path}.annotations", out)


def validate_labels(labels: dict[str, Any], field: str, out: list[Cause]) -> None:
    """Append one cause per bad key and per bad value."""
    for key, value in sorted(labels.items()):
        out.extend(invalid_value(field, key, text) for text in label_key(key))
        if isinstance(value, str):
            out.extend(invalid_value(field, value, text) for text in label_value(value))


def _validate_annotations(annotations: dict[str, Any], field: str, out: list[Cause]) -> None:
    size = 0
    for key, value in sorted(annotations.items()):
        out.extend(invalid_value(field, key, text) for text in label_key(key.lower()))
        size += len(key.encode()) + (len(value.encode()) if isinstance(value, str) else 0)
    if size > _ANNOTATIONS_LIMIT:
        out.append(too_long(field, _ANNOTATIONS_LIMIT))
