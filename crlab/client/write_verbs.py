"""The verbs that write.

From: `dynamic`. To: `sender`, which asks the `write_gate` first.

Thread: any.
Source: kubernetes/client-go:dynamic/interface.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crlab.client.sender import Resource, Sender, checked_name
from crlab.errors import ConfigError
from crlab.model.encoder import check_whole
from crlab.model.object import FrozenList

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class WriteVerbs(Sender):
    """create, update, patch, apply, scale, delete."""

    def create(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> dict[str, Any]:
        """Create an object and return it as stored.

        Raises:
            AlreadyExists, Invalid, ReadOnlyError: and the rest of the `ApiError` tree.
        """
        found, body, place, name = self._target(resource, obj, namespace)
        prefix = body["metadata"].get("generateName")
        return self._send(
            "create",
            "POST",
            found,
            place,
            query=self._options(dry_run, field_manager),
            body=body,
            dry_run=dry_run,
            new_name=name or (f"{prefix}*" if prefix else ""),
        )

    def update(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> dict[str, Any]:
        """Replace an object and return it as stored.

        Raises:
            Conflict: it changed since the resourceVersion in `obj`.
        """
        found, body, place, name = self._target(resource, obj, namespace)
        check_whole(obj, f"update {found.gvr.group_resource} {name}")
        query = self._options(dry_run, field_manager)
        return self._send(
            "update",
            "PUT",
            found,
            place,
            checked_name(name),
            subresource,
            query,
            body,
            dry_run=dry_run,
        )

    def update_status(
        self, resource: Resource, obj: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Replace an object's status; options as for `update`."""
        return self.update(resource, obj, subresource="status", **options)

    def patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Any],
        *,
        namespace: str | None = None,
        patch_type: str | None = None,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Patch an object and return it as stored.

        Args:
            patch_type: "merge", "json" (a list of operations), "strategic" (built-in kinds
                only) or "apply"; None is "json" for a list and "merge" for a mapping.
            force: of an apply patch: take over fields that others manage.
        """
        content_type = PATCH_TYPES[checked_patch_type(patch, patch_type)]
        found = self.resolve(resource)
        query = self._options(dry_run, field_manager)
        if force:
            query.append(("force", "true"))
        return self._send(
            "patch",
            "PATCH",
            found,
            self._place(found, namespace),
            checked_name(name),
            subresource,
            query,
            patch,
            content_type,
            dry_run=dry_run,
        )

    def patch_status(
        self, resource: Resource, name: str, patch: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Patch an object's status; options as for `patch`."""
        return self.patch(resource, name, patch, subresource="status", **options)

    def apply(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> dict[str, Any]:
        """Apply an object server-side and return it as stored; it is created if absent.

        Raises:
            Conflict: others manage some of its fields, and `force` is not set.
        """
        found, body, place, name = self._target(resource, obj, namespace)
        check_whole(obj, f"apply {found.gvr.group_resource} {name}")
        body["metadata"].pop("managedFields", None)
        return self.patch(
            found,
            checked_name(name),
            body,
            namespace=place or None,
            patch_type="apply",
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager,
            force=force,
        )

    def scale(
        self,
        resource: Resource,
        name: str,
        replicas: int,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Set an object's replicas through its scale subresource; return the Scale."""
        patch = {"spec": {"replicas": replicas}}
        return self.patch(
            resource, name, patch, namespace=namespace, subresource="scale", dry_run=dry_run
        )

    def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation_policy: str | None = None,
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Delete an object; return it, or a Status.

        Args:
            uid, resource_version: delete only that incarnation, that version.
            propagation_policy: "Background", "Foreground" or "Orphan".
        """
        found = self.resolve(resource)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if given := {key: value for key, value in preconditions.items() if value is not None}:
            options["preconditions"] = given
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if dry_run:
            options["dryRun"] = ["All"]  # a server that gets a body ignores the query
        return self._send(
            "delete",
            "DELETE",
            found,
            self._place(found, namespace),
            checked_name(name),
            body=options,
            dry_run=dry_run,
        )

    def delete_collection(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        propagation_policy: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Delete every selected object of a namespace; return the list of them."""
        found = self.resolve(resource)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        selectors = (("labelSelector", label_selector), ("fieldSelector", field_selector))
        query = [(key, value) for key, value in selectors if value]
        if dry_run:
            options["dryRun"] = ["All"]
        place = self._place(found, namespace)
        return self._send(
            "deletecollection",
            "DELETE",
            found,
            place,
            query=query,
            body=options,
            dry_run=dry_run,
        )


def checked_patch_type(patch: Any, patch_type: str | None) -> str:
    """Return what kind of patch it is: as asked for, else as what is given says.

    Raises:
        ConfigError: there is no such kind, or this one is written in another form.
    """
    if not isinstance(patch, Mapping | list | tuple | FrozenList):
        name = type(patch).__name__
        raise ConfigError(f"a patch is a mapping, or a list of JSON patch operations; not a {name}")
    is_list = not isinstance(patch, Mapping)
    if patch_type is None:
        return "json" if is_list else "merge"
    if not isinstance(patch_type, str) or patch_type not in PATCH_TYPES:
        raise ConfigError(f"patch_type is one of {', '.join(PATCH_TYPES)}; not {patch_type!r}")
    if is_list != (patch_type == "json"):
        form = "a list of operations" if patch_type == "json" else "a mapping"
        raise ConfigError(f"a {patch_type} patch is {form}, not a {type(patch).__name__}")
    return patch_type
