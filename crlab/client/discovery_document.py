"""Discovery documents to `ApiResource` rows.

Thread: pure functions.
Source: k8s.io/api/apidiscovery/v2, meta/v1 APIResourceList.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.model.resource import ApiResource, GroupVersionResource


def aggregated_rows(tree: Mapping[str, Any], failed: list[str]) -> list[ApiResource]:
    """Read an APIGroupDiscoveryList; stale versions are noted in `failed`."""
    rows = []
    for item in _dicts(tree.get("items")):
        group = str((item.get("metadata") or {}).get("name") or "")
        for place, version in enumerate(_dicts(item.get("versions"))):
            name = str(version.get("version"))
            if version.get("freshness") == "Stale":
                failed.append(f"{group}/{name}")
            for resource in _dicts(version.get("resources")):
                kind = resource.get("responseKind")
                if not isinstance(kind, Mapping) or not kind.get("kind"):
                    continue  # no objects of its own: a virtual parent of subresources
                rows.append(
                    ApiResource(
                        GroupVersionResource(group, name, str(resource.get("resource"))),
                        str(kind["kind"]),
                        resource.get("scope") == "Namespaced",
                        str(resource.get("singularResource") or ""),
                        _texts(resource.get("shortNames")),
                        _texts(resource.get("categories")),
                        _texts(resource.get("verbs")),
                        tuple(
                            str(sub.get("subresource"))
                            for sub in _dicts(resource.get("subresources"))
                        ),
                        place == 0,
                    )
                )
    return rows


def plain_rows(
    tree: Mapping[str, Any], group: str, version: str, preferred: bool
) -> list[ApiResource]:
    """Read an APIResourceList."""
    found = _dicts(tree.get("resources"))
    subresources: dict[str, list[str]] = {}
    for entry in found:
        parent, slash, sub = str(entry.get("name")).partition("/")
        if slash:
            subresources.setdefault(parent, []).append(sub)
    return [
        ApiResource(
            GroupVersionResource(
                str(entry.get("group") or group),
                str(entry.get("version") or version),
                str(entry["name"]),
            ),
            str(entry.get("kind")),
            bool(entry.get("namespaced")),
            str(entry.get("singularName") or ""),
            _texts(entry.get("shortNames")),
            _texts(entry.get("categories")),
            _texts(entry.get("verbs")),
            tuple(subresources.get(str(entry["name"]), ())),
            preferred,
        )
        for entry in found
        if isinstance(entry.get("name"), str) and "/" not in entry["name"]
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
