"""Warnings that a write of a CRD earns.

Thread: pure functions.
Source: k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition/strategy.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.apiserver.crd import schema as crd_schema
from crlab.apiserver.crd.spec import Spec
from crlab.model.string_format import is_recognized


def crd_warnings(crd: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> list[str]:
    """Return the warnings a write of this CRD earns: unknown formats, sets of objects.

    On an update only those that the old CRD did not earn.
    """
    found = _warnings(crd)
    if old is None:
        return found
    known = set(_warnings(old))
    return [text for text in found if text not in known]


def _warnings(crd: Mapping[str, Any]) -> list[str]:
    spec = Spec(crd.get("spec") or {})
    formats: list[str] = []
    sets: set[str] = set()
    for schema, _, _ in spec.places("schema", "", ""):
        for node in crd_schema.walk((schema or {}).get("openAPIV3Schema")):
            name, kind = node.get("format") or "", node.get("type") or ""
            if name and not is_recognized(kind, name):
                formats.append(f'unrecognized format "{name}"')
            item_type = (node.get("items") or {}).get("type")
            is_set = node.get("x-kubernetes-list-type") == "set"
            if is_set and item_type in ("object", "array"):
                sets.add(
                    f'x-kubernetes-list-type: set for items of type "{item_type}" is not '
                    "supported by server-side apply or CEL validation rules"
                )
    return [*formats, *sorted(sets)]
