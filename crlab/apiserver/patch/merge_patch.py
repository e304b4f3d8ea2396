"""JSON Merge Patch (RFC 7386).

From: PATCH with application/merge-patch+json. To: the patched document; inputs are never
changed.

Thread: pure functions.
Source: RFC 7386; k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.status import bad_request
from crlab.model.go_text import json_kind


def apply(doc: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Return `doc` with the patch merged in: null deletes, maps merge, all else replaces.

    Raises:
        StatusError: 400 if the patch is not an object.
    """
    if patch is None:
        return dict(doc)
    if not isinstance(patch, dict):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {json_kind(patch)} into Go value of "
            "type map[string]interface {}"
        )
    merged: dict[str, Any] = merge(doc, patch)
    return merged


def merge(target: Any, patch: Any) -> Any:
    """Return RFC 7386's MergePatch(target, patch) for any two JSON values."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged
