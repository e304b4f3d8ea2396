"""In which other versions a resource is served, for who got 404 in one of them.

From: a `Transport`. To: the lister-watcher. A group has few versions, so this asks for the
group's own documents (at most `MAX_VERSIONS` and one) instead of everything there is.

Thread: any; pure but for the requests.
Source: meta/v1 APIGroup, APIResourceList.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crlab.client.answer import decoded
from crlab.client.transport import Transport
from crlab.errors import CrlabError
from crlab.model.resource import GroupVersionResource

MAX_VERSIONS = 8


def other_versions(
    transport: Transport,
    gvr: GroupVersionResource,
    on_request: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Return the resource's names in its other versions: ("widgets.v2.example.com",).

    () if there are none, or if it cannot be told.

    Args:
        on_request: called before each request.
    """
    if not gvr.group:
        return ()  # the core group has one version

    def document(path: str) -> dict[str, Any]:
        on_request()
        response = transport.request("GET", path, headers={"Accept": "application/json"})
        return (decoded(response.body) or {}) if response.status == 200 else {}

    try:
        listed = _dicts(document(f"/apis/{gvr.group}"), "versions")
        names = [str(entry.get("version") or "") for entry in listed]
        others = [name for name in names if name and name != gvr.version][:MAX_VERSIONS]
        found = [
            f"{gvr.resource}.{version}.{gvr.group}"
            for version in others
            if any(
                each.get("name") == gvr.resource
                for each in _dicts(document(f"/apis/{gvr.group}/{version}"), "resources")
            )
        ]
    except CrlabError:
        return ()
    return tuple(found)


def _dicts(tree: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    entries = tree.get(name)
    return (e for e in (entries if isinstance(entries, list) else []) if isinstance(e, Mapping))
