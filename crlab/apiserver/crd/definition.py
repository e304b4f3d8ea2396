"""Custom resources come and go: from CustomResourceDefinitions to served resource types.

From: commits of CRDs (and of the objects of terminating ones), in the writer's critical
section. To: the registry, the CRDs' status, the watches of their objects.

Guarantees:
  1. A new CRD is answered before its conditions are set; its watchers see NamesAccepted,
     then Established, as two MODIFIED events.
  2. A changed spec ends the watches of its objects cleanly and forgets what they could
     resume from; a change of metadata or status does not.
  3. A terminating CRD deletes its objects, refuses new ones and goes with the last.

Thread: under the store's lock; `call_in` runs it later if `establish_seconds` is set.
Source: k8s.io/apiextensions-apiserver/pkg/controller/{status,establish,finalizer}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from crlab.apiserver.core import Core
from crlab.apiserver.crd.accepted_name import accept_names
from crlab.apiserver.crd.schema import crd_warnings
from crlab.apiserver.crd.validate import default_crd, prepare_crd, validate_crd
from crlab.apiserver.registry import version_priority
from crlab.apiserver.resource_type import (
    CUSTOM_VERBS,
    ResourceType,
    ScalePaths,
    Subresource,
    Version,
)
from crlab.apiserver.schema.structural import compile_schema
from crlab.apiserver.status import Cause
from crlab.apiserver.storage import DELETED, Commit, Stored, Tree
from crlab.model.printer import crd_columns

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def condition(crd: Tree, kind: str) -> Tree | None:
    """Return one of a CRD's conditions."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == kind), None)


def set_condition(crd: Tree, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """Set one of a CRD's conditions, in place."""
    conditions = list(crd["status"].get("conditions") or ())
    found = next((item for item in conditions if item["type"] == kind), None)
    moved = now if found is None or found["status"] != status else found["lastTransitionTime"]
    fresh = {
        "type": kind,
        "status": status,
        "lastTransitionTime": moved,
        "reason": reason,
        "message": message,
    }
    if found is None:
        conditions.append(fresh)
    else:
        conditions[conditions.index(found)] = fresh
    crd["status"]["conditions"] = conditions


def field_path(text: str) -> tuple[str, ...]:
    """Return a simple JSONPath such as `.spec.replicas` as field names."""
    return tuple(part for part in text.split(".") if part)


WEBHOOK_WARNING = (
    "spec.conversion.strategy: this server calls no webhook; requests for another version than the "
    "stored one get 501"
)


class Definitions:
    """Keeps the registry in step with the stored CRDs."""

    def __init__(self, core: Core, *, establish_seconds: float = 0.0) -> None:
        """`establish_seconds`: how long a new CRD takes to be Established."""
        self._core = core
        self.establish_seconds = establish_seconds

    # --- hooks of the CRD resource -------------------------------------------------------------

    def prepare(self, crd: Tree, old: Tree | None) -> None:
        """Default a CRD and set what its client may not."""
        default_crd(crd)
        prepare_crd(crd, old)

    def check(self, crd: Tree, old: Tree | None) -> list[Cause]:
        """Return what is wrong with a CRD."""
        return validate_crd(crd, old)

    def warn(self, crd: Tree, old: Tree | None) -> list[str]:
        """Return the warnings a write of a CRD earns."""
        found = crd_warnings(crd, old)
        return [*found, WEBHOOK_WARNING] if _needs_webhook(crd["spec"]) else found

    def begin_delete(self, crd: Tree) -> None:
        """Mark a CRD as terminating: its objects go first."""
        metadata = crd["metadata"]
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), CLEANUP]
        metadata["deletionGracePeriodSeconds"] = 0
        message = "CustomResource deletion is pending"
        set_condition(
            crd, "Terminating", "True", "InstanceDeletionPending", message, self._core.now()
        )

    def committed(self, entry: Commit) -> None:
        """Follow a commit of a CRD."""
        if entry.type == DELETED:
            self._removed(entry.stored.tree())
            return
        crd = entry.stored.tree()
        if "deletionTimestamp" in crd["metadata"]:
            self._terminate(crd)
            return
        before = entry.previous.tree() if entry.previous is not None else None
        if before is None or before["spec"] != crd["spec"]:
            self._accept(crd)
        elif not _is_true(before, "Established") and _is_true(crd, "Established"):
            self._serve(crd)

    def load(self) -> None:
        """Bring the registry in step with the store (after a fork, restore or rewind)."""
        served = set()
        for _, stored in self._core.storage.items(CRDS):
            crd = stored.tree()
            if _is_true(crd, "Established"):
                served.add((crd["spec"]["group"], crd["spec"]["names"]["plural"]))
                self._serve(crd)
        for resource in self._core.registry.all():
            if resource.is_custom and (resource.group, resource.plural) not in served:
                self._core.registry.remove(resource.group, resource.plural)
                self._core.storage.rebuild(resource.storage_name)

    def adopt(self, types: Iterable[ResourceType]) -> None:
        """Serve another server's custom types as they are, compiled schemas and all."""
        for resource in types:
            if resource.is_custom:
                mine = replace(resource, after_commit=self._object_committed)
                self._core.registry.add(mine)

    # --- names and serving ---------------------------------------------------------------------

    def _accept(self, crd: Tree) -> None:
        """Decide about names; then establish."""
        now = self._core.now()
        found = accept_names(crd, self._others(crd))
        crd["status"]["acceptedNames"] = found.names
        was_established = _is_true(crd, "Established")
        for kind, (status, reason, message) in found.conditions.items():
            set_condition(crd, kind, status, reason, message, now)
        self._write(crd)
        if was_established:
            self._serve(crd)
        elif found.is_accepted:
            self._establish_later(crd)

    def _others(self, crd: Tree) -> list[Tree]:
        """Return the other CRDs of the same group."""
        name, group = crd["metadata"]["name"], crd["spec"]["group"]
        found = [stored.tree() for _, stored in self._core.storage.items(CRDS)]
        return [
            other
            for other in found
            if other["metadata"]["name"] != name and other["spec"]["group"] == group
        ]

    def _establish_later(self, crd: Tree) -> None:
        if self.establish_seconds <= 0:
            self._establish(crd["metadata"]["name"])
            return
        name = crd["metadata"]["name"]
        self._core.alarm.call_in(self.establish_seconds, lambda: self._establish(name))

    def _establish(self, name: str) -> None:
        with self._core.lock:
            stored = self._core.storage.get(CRDS, name)
            if stored is None:
                return
            crd = stored.tree()
            if not _is_true(crd, "NamesAccepted") or _is_true(crd, "Established"):
                return
            set_condition(
                crd,
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
                self._core.now(),
            )
            self._serve(crd)
            self._write(crd)

    def _write(self, crd: Tree) -> Stored | None:
        """Commit a CRD unless nothing changed; without following it again."""
        name = crd["metadata"]["name"]
        live = self._core.storage.get(CRDS, name)
        assert live is not None
        now = live.tree()
        crd["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"]
        if now == crd:
            return live
        return self._core.storage.commit(CRDS, name, crd, live.form).stored

    def _serve(self, crd: Tree) -> None:
        spec = crd["spec"]
        known = self._core.registry.get(spec["group"], spec["names"]["plural"])
        names = crd["status"].get("acceptedNames")
        if known is not None and known.definition == (spec, names):
            return
        resource = build_type(crd)
        resource.after_commit = self._object_committed
        resource.is_terminating = known is not None and known.is_terminating
        self._core.registry.add(resource)
        if known is not None or self._core.storage.count(resource.storage_name) == 0:
            self._core.storage.rebuild(resource.storage_name)

    # --- the end -------------------------------------------------------------------------------

    def _terminate(self, crd: Tree) -> None:
        if CLEANUP not in (crd["metadata"].get("finalizers") or ()):
            return
        spec = crd["spec"]
        resource = self._core.registry.get(spec["group"], spec["names"]["plural"])
        if resource is None or not _is_true(crd, "Established"):
            self._release(crd["metadata"]["name"])
            return
        if not resource.is_terminating:
            resource.is_terminating = True
            message = "CustomResource deletion is in progress"
            set_condition(
                crd, "Terminating", "True", "InstanceDeletionInProgress", message, self._core.now()
            )
            self._write(crd)
            self._delete_objects(resource)
        self._finish(resource)

    def _delete_objects(self, resource: ResourceType) -> None:
        storage = self._core.storage
        for key, stored in storage.items(resource.storage_name):
            tree = stored.tree()
            metadata = tree["metadata"]
            if not metadata.get("finalizers"):
                storage.commit(resource.storage_name, key, None)
            elif "deletionTimestamp" not in metadata:
                metadata["deletionTimestamp"] = self._core.now()
                metadata["deletionGracePeriodSeconds"] = 0
                metadata["generation"] = int(metadata.get("generation", 0)) + 1
                storage.commit(resource.storage_name, key, tree, stored.form)

    def _object_committed(self, entry: Commit) -> None:
        """Follow a commit of a custom resource: the last of a terminating CRD frees it."""
        if entry.type != DELETED:
            return
        plural, _, group = entry.resource.partition(".")
        resource = self._core.registry.get(group, plural)
        if resource is not None and resource.is_terminating:
            self._finish(resource)

    def _finish(self, resource: ResourceType) -> None:
        if self._core.storage.count(resource.storage_name) == 0:
            self._release(resource.group_resource)

    def _release(self, name: str) -> None:
        """Take the cleanup finalizer off; without others the CRD is gone."""
        stored = self._core.storage.get(CRDS, name)
        if stored is None:
            return
        crd = stored.tree()
        finalizers = [f for f in crd["metadata"].get("finalizers") or () if f != CLEANUP]
        if finalizers:
            crd["metadata"]["finalizers"] = finalizers
            self._write(crd)
            return
        entry = self._core.storage.commit(CRDS, name, None)
        self._removed(entry.stored.tree())

    def _removed(self, crd: Tree) -> None:
        spec = crd["spec"]
        resource = self._core.registry.get(spec["group"], spec["names"]["plural"])
        if resource is None or not resource.is_custom:
            return
        self._core.registry.remove(spec["group"], spec["names"]["plural"])
        self._core.storage.rebuild(resource.storage_name)
        for other in self._others(crd):  # its names are free again
            if not _is_true(other, "NamesAccepted"):
                self._accept(other)


def _is_true(crd: Tree, kind: str) -> bool:
    found = condition(crd, kind)
    return found is not None and found["status"] == "True"


def build_type(crd: Tree) -> ResourceType:
    """Return the resource type that an accepted CRD defines."""
    spec = crd["spec"]
    names = (crd.get("status") or {}).get("acceptedNames") or spec["names"]
    listed = spec["versions"]
    kind = names.get("kind") or spec["names"]["kind"]
    traits = {version["name"]: _traits(kind, version) for version in listed}
    shared, *others = traits.values()
    differ = any(other != shared for other in others)
    return ResourceType(
        group=spec["group"],
        plural=spec["names"]["plural"],
        kind=kind,
        versions={
            version["name"]: _version(
                spec, kind, version, traits[version["name"]] if differ else None
            )
            for version in sorted(listed, key=lambda v: version_priority(v["name"]))
        },
        singular=names.get("singular", ""),
        list_kind=names.get("listKind", ""),
        is_namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=CUSTOM_VERBS,
        is_custom=True,
        generation="spec",
        allows_unconditional_update=False,
        needs_webhook=_needs_webhook(spec),
        definition=(spec, (crd.get("status") or {}).get("acceptedNames")),
        **shared,
    )


def _needs_webhook(spec: Tree) -> bool:
    is_asked_for = (spec.get("conversion") or {}).get("strategy") == "Webhook"
    return is_asked_for and len(spec.get("versions") or ()) > 1


def _traits(kind: str, version: Tree) -> dict[str, Any]:
    """Return what a version's subresources make of the resource."""
    subresources = version.get("subresources") or {}
    found = [Subresource("status", kind)] if "status" in subresources else []
    if "scale" in subresources:
        found.append(Subresource("scale", "Scale", "autoscaling", "v1"))
    return {
        "subresources": tuple(found),
        "has_status": "status" in subresources,
        "scale": _scale_paths(subresources.get("scale")),
    }


def _scale_paths(scale: Mapping[str, Any] | None) -> ScalePaths | None:
    if scale is None:
        return None
    return ScalePaths(
        field_path(scale["specReplicasPath"]),
        field_path(scale["statusReplicasPath"]),
        field_path(scale.get("labelSelectorPath") or ""),
    )


def _version(spec: Tree, kind: str, version: Tree, traits: Mapping[str, Any] | None) -> Version:
    open_api = (version.get("schema") or {}).get("openAPIV3Schema")
    subresources = version.get("subresources") or {}
    preserves = bool(spec.get("preserveUnknownFields"))
    warning = ""
    if version.get("deprecated"):
        warning = version.get("deprecationWarning") or _deprecation(spec, kind, version)
    return Version(
        name=version["name"],
        is_served=bool(version.get("served")),
        is_storage=bool(version.get("storage")),
        schema=None if preserves else compile_schema(open_api, scale=subresources.get("scale")),
        open_api=open_api,
        columns=crd_columns(version.get("additionalPrinterColumns")),
        selectable=tuple(
            (item["jsonPath"].lstrip("."), field_path(item["jsonPath"]))
            for item in version.get("selectableFields") or ()
        ),
        is_deprecated=bool(version.get("deprecated")),
        deprecation_warning=warning,
        traits=traits,
    )


def _deprecation(spec: Tree, kind: str, version: Tree) -> str:
    text = f"{spec['group']}/{version['name']} {kind} is deprecated"
    current = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    if not current:
        return text
    best = min(current, key=version_priority)
    if version_priority(best) > version_priority(version["name"]):
        return text
    return f"{text}; use {spec['group']}/{best} {kind}"
