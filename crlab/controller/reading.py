"""What a reconcile can read: caches first, its own writes on top.

Thread: the thread of the run.
"""

from __future__ import annotations

from typing import Any

from crlab.controller.draft import Draft
from crlab.controller.run import Run, checked_name
from crlab.model.resource import ApiResource
from crlab.model.selector import parse_label_selector

Drafts = list[Draft]


class ReadingRun(Run):
    """The reads of a run."""

    @property
    def object(self) -> Draft | None:
        """The object to reconcile, as a copy that is this run's own; None if it is gone.

        One for the run: what is changed in it stays changed, and `ctx.update(ctx.object)` sends
        it. Nothing is sent by itself. It follows the cache, and this run's own writes, until it
        is changed; from then on it follows only those writes, so that an update that would undo
        what somebody else wrote meanwhile is a 409.
        """
        self.check()
        obj = self._current()
        version = "" if obj is None else obj.resource_version
        if version not in self._versions_read:  # looked at again: not another read to show
            self._versions_read.add(version)
            self._writer.read(
                "get", self.resource, self.request.namespace, self.request.name, response=obj
            )
        return self._follow(obj)

    def get(
        self,
        resource: str | ApiResource,
        name: str,
        *,
        namespace: str | None = None,
        live: bool = False,
    ) -> Draft | None:
        """Read one object, from the cache where this controller has one.

        Args:
            namespace: None is the request's.
            live: ask the API server even if there is a cache.

        Returns:
            A fresh copy, None if there is no such object.
        """
        self.check()
        found, place = self._place(resource, namespace)
        return self._writer.get(found, place, checked_name(name), live=live)

    def list(
        self,
        resource: str | ApiResource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        live: bool = False,
    ) -> Drafts:
        """Read objects, sorted by key.

        Args:
            namespace: None is the request's; "" is all namespaces.
            label_selector: as kubectl's ``-l``.
            live: ask the API server even if there is a cache.
        """
        self.check()
        matches = parse_label_selector(label_selector).matches if label_selector else None
        found, place = self._place(resource, namespace)
        return self._writer.list(found, place, label_selector, matches, live=live)

    def by_index(self, resource: str | ApiResource, index: str, value: str) -> Drafts:
        """Read the cached objects under `value` of an index, sorted by key."""
        self.check()
        found = self._env.resolve(resource)
        objects = self._reader.by_index(found, index, value)
        self._writer.read(
            "list", found, "", "", response=[obj.key for obj in objects], subresource=""
        )
        return [self._reader.draft(found, obj) for obj in objects]

    def owned(self, resource: str | ApiResource) -> Drafts:
        """Read the objects whose controller is the object being reconciled."""
        owner = self._current()
        uid = None if owner is None else owner.uid
        return [
            obj
            for obj in self.list(resource)
            if any(
                reference.get("uid") == uid and reference.get("controller")
                for reference in obj["metadata"].get("ownerReferences") or ()
            )
        ]

    def new(
        self,
        resource: str | ApiResource,
        name: str,
        *,
        namespace: str | None = None,
        **fields: Any,
    ) -> Draft:
        """Start an object: apiVersion, kind, name and namespace filled in; nothing is sent."""
        found, place = self._place(resource, namespace)
        metadata = {"name": name, **({"namespace": place} if place else {})}
        metadata |= fields.pop("metadata", None) or {}
        head = {"apiVersion": found.gvr.api_version, "kind": found.kind, "metadata": metadata}
        return Draft(head | fields, self._reader.schema(found))

    def wait_for_rv(
        self,
        resource_version: str,
        resource: str | ApiResource | None = None,
        *,
        namespace: str | None = None,
        timeout_seconds: float = 10.0,
    ) -> bool:
        """Wait until the cache of `resource` (None: the controller's own) has got that far.

        Args:
            resource_version: as a write of this run answered it; the "" of a dry run that
                creates is there at once.
            namespace: of a cache that holds several, which one must have it; None is where
                this run wrote that version, and all of them if it did not.

        Returns:
            False if `timeout_seconds` passed first, or with the manual driver if nothing
            moves any more.
        """
        self.check()
        found = self.resource if resource is None else self._env.resolve(resource)
        if namespace is None:
            written = (found.gvr.group_resource, resource_version)
            namespace = next(
                (x.namespace for x in self.calls if (x.resource, x.resource_version) == written),
                None,
            )
        return self._env.wait_for_version(found, resource_version, timeout_seconds, namespace)
