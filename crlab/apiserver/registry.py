"""What is served: all resource types, found by group, version and plural.

From: `kind/catalog.py` and `crd/definition.py`. To: routing and discovery.

Thread: read by any thread without a lock, since the map is replaced, never changed; types
are added and removed under the server's lock.
"""

from __future__ import annotations

import re

from crlab.apiserver.resource_type import ResourceType, Version

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?$")


def version_priority(name: str) -> tuple[int, int, int, str]:
    """Return a sort key: GA before beta before alpha, then higher numbers, then names."""
    match = _VERSION.match(name)
    if match is None:
        return (3, 0, 0, name)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), name)


class Registry:
    """All resource types, found by group, version and plural.

    The map is replaced, never changed: readers need no lock.
    """

    def __init__(self) -> None:
        self._types: dict[tuple[str, str], ResourceType] = {}
        self.generation = 0

    def add(self, resource: ResourceType) -> None:
        """Serve a type; it replaces one of the same group and plural."""
        self._types = {**self._types, (resource.group, resource.plural): resource}
        self.generation += 1

    def remove(self, group: str, plural: str) -> None:
        """Stop serving a type."""
        if (group, plural) in self._types:
            self._types = {k: v for k, v in self._types.items() if k != (group, plural)}
            self.generation += 1

    def get(self, group: str, plural: str) -> ResourceType | None:
        """Return a type whatever its versions."""
        return self._types.get((group, plural))

    def find(self, group: str, version: str, plural: str) -> tuple[ResourceType, Version] | None:
        """Return a type and its version if that is served."""
        resource = self._types.get((group, plural))
        if resource is None:
            return None
        found = resource.versions.get(version)
        if found is None or not found.is_served:
            return None
        return resource.seen_by(found), found

    def all(self) -> list[ResourceType]:
        """Return every type in the order of registration."""
        return list(self._types.values())

    def groups(self) -> dict[str, list[str]]:
        """Return group → served versions in priority order; the core group is ""."""
        found: dict[str, set[str]] = {}
        for resource in self._types.values():
            served = {v.name for v in resource.versions.values() if v.is_served}
            if served and resource.is_established:
                found.setdefault(resource.group, set()).update(served)
        return {group: sorted(names, key=version_priority) for group, names in found.items()}

    def is_builtin(self, group: str, version: str) -> bool:
        """Whether a group and version belongs to Kubernetes itself."""
        return any(
            not r.is_custom and r.group == group and version in r.versions
            for r in self._types.values()
        )

    def resources(self, group: str, version: str) -> list[tuple[ResourceType, Version]]:
        """Return the types served under a group and version."""
        return [
            (resource.seen_by(found), found)
            for resource in self._types.values()
            if resource.group == group
            and resource.is_established
            and (found := resource.versions.get(version)) is not None
            and found.is_served
        ]
