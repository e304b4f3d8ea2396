"""In which other versions a resource is served, for who got 404 in one of them.

From: a `Transport`. To: the lister-watcher. A group has few versions, so this asks for the
group's own documents (at most `MAX_VERSIONS` and one) instead of everything there is.

Thread: any; pure but for the requests.
Source: meta/v1 APIGroup, APIResourceList.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crlab.client.answer import decoded
from crlab.client.transport import Transport
from crlab.errors import CrlabError
from crlab.model.resource import GroupVersionResource

MAX_VERSIONS = 8


def other_versions(transport: Transport, gvr: GroupVersionResource) -> tuple[str, ...]:
    """Return the resource's names in its other versions: ("widgets.v2.example.com",).

    () if there are none, or if it cannot be told.
    """
    if not gvr.group:
        return ()  # the core group has one version
    try:
        found = [
            f"{gvr.resource}.{version}.{gvr.group}"
            for version in _versions(transport, gvr)
            if _has(transport, f"/apis/{gvr.group}/{version}", gvr.resource)
        ]
    except CrlabError:
        return ()
    return tuple(found)


def _versions(transport: Transport, gvr: GroupVersionResource) -> list[str]:
    """Return the group's versions beside the resource's own, in the server's order."""
    listed = _dicts(_document(transport, f"/apis/{gvr.group}"), "versions")
    names = [str(entry.get("version") or "") for entry in listed]
    return [name for name in names if name and name != gvr.version][:MAX_VERSIONS]


def _has(transport: Transport, path: str, resource: str) -> bool:
    return any(e.get("name") == resource for e in _dicts(_document(transport, path), "resources"))


def _document(transport: Transport, path: str) -> dict[str, Any]:
    response = transport.request("GET", path, headers={"Accept": "application/json"})
    return (decoded(response.body) or {}) if response.status == 200 else {}


def _dicts(tree: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    entries = tree.get(name)
    return (e for e in (entries if isinstance(entries, list) else []) if isinstance(e, Mapping))
