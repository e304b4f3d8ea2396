"""Names of resources: group, version, resource, kind.

Thread: immutable values.
Source: k8s.io/apimachinery/pkg/runtime/schema (GroupVersionResource, GroupVersionKind),
meta/v1 APIResource.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class GroupVersionKind:
    """What an object says it is."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def from_api_version(cls, api_version: str, kind: str) -> GroupVersionKind:
        """Split an object's ``apiVersion``."""
        group, _, version = api_version.rpartition("/")
        return cls(group, version, kind)

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


@dataclass(frozen=True, slots=True, order=True)
class GroupVersionResource:
    """Where a collection is served."""

    group: str
    version: str
    resource: str

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """``plural.group``, or ``plural`` for the core group."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def root(self) -> str:
        """``/apis/group/version``, or ``/api/version`` for the core group."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """Return the URL path of the collection, an object or a subresource."""
        parts = [self.root]
        if namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.resource)
        if name:
            parts.append(name)
        if sub:
            parts.append(sub)
        return "/".join(parts)

    def __str__(self) -> str:
        dotted = f"{self.resource}.{self.version}"
        return f"{dotted}.{self.group}" if self.group else dotted


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One row of discovery.

    Attributes:
        subresources: names such as "status" and "scale".
        preferred: whether its version is the group's preferred one.
    """

    gvr: GroupVersionResource
    kind: str
    is_namespaced: bool
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    preferred: bool = True

    @property
    def gvk(self) -> GroupVersionKind:
        """The kind its objects carry."""
        return GroupVersionKind(self.gvr.group, self.gvr.version, self.kind)
