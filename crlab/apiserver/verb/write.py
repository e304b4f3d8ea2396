"""The writing verbs create and update, and what `patch.py` builds on.

From: routing. To: `strategy.py`, then `storage.commit`. Reading the live object, deciding
and committing happen in one critical section, so a write either sees the object it
replaces or is refused.

Guarantees:
  1. A write that would change nothing returns the live object and takes no revision.
  2. dryRun goes the whole way but the commit.

Thread: any; holds the store's lock from the look at the live object to the commit.
Source: k8s.io/apiserver/pkg/endpoints/handlers/{create,update}.go,
pkg/registry/generic/registry/store.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crlab.apiserver.core import Core
from crlab.apiserver.patch import builtin_schema
from crlab.apiserver.patch.managed_fields import update_on_write
from crlab.apiserver.resource_type import ResourceType, look
from crlab.apiserver.status import (
    Cause,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    internal,
    invalid,
    invalid_value,
    not_found,
)
from crlab.apiserver.storage import Stored, Tree, encode
from crlab.apiserver.verb.body import (
    missing_kind,
    read_object,
)
from crlab.apiserver.verb.body_decoder import (
    WriteOperation,
    check_identity,
    check_name,
    decode_body,
)
from crlab.apiserver.verb.option import WriteOptions, revision_fault
from crlab.apiserver.verb.strategy import (
    is_unchanged,
    prepare_create,
    prepare_update,
    validate_create,
    validate_update,
)

NAME_TRIES = 8
NAME_BASE = 58
OBJECT_LIMIT = 1_572_864
NAMESPACES = "namespaces"


def open_api_of(call: WriteOperation) -> Any:
    """Return what managed fields and patches know of a call's type: schema or core type."""
    if call.resource.is_custom:
        return call.version.open_api
    return builtin_schema.for_kind(call.api_version, call.resource.kind)


Admit = Callable[[WriteOperation, Tree, Tree | None], None]


class Writer:
    """create and update on one server."""

    def __init__(self, core: Core, *, admit: Admit | None = None) -> None:
        """Write to a server; `admit` may refuse what is about to be validated."""
        self._core = core
        self._admit = admit or (lambda call, new, old: None)

    # --- create ------------------------------------------------------------------------------

    def create(self, call: WriteOperation) -> Stored:
        """Store a new object; return it as stored (or as it would be)."""
        call.options = WriteOptions.read(call.request, "CreateOptions")
        tree = self._read_body(call)
        check_identity(call, tree)
        if call.info.name and tree["metadata"].get("name") != call.info.name:
            check_name(call, tree)
        return self.store_new(call, tree)

    def store_new(self, call: WriteOperation, tree: Tree, *, with_managers: bool = False) -> Stored:
        """Run a decoded object through the create strategy and commit it."""
        resource = call.resource
        with self._core.lock:
            self._check_namespace(call, tree)
            if resource.is_terminating:
                why = "create not allowed while custom resource definition is terminating"
                name = tree["metadata"].get("name", "")
                raise forbidden(resource.group_resource, name, why)
            for attempt in range(NAME_TRIES):
                is_generated = not tree["metadata"].get("name")
                # A taken suffix is drawn again; the strategy has changed the copy by then.
                copy = _copy(tree) if is_generated else tree
                try:
                    return self._create_once(call, copy, with_managers=with_managers)
                except StatusError as error:
                    is_taken = error.reason == "AlreadyExists"
                    if not is_taken or tree["metadata"].get("name") or attempt == NAME_TRIES - 1:
                        raise
        raise AssertionError("unreachable")

    def _create_once(self, call: WriteOperation, tree: Tree, *, with_managers: bool) -> Stored:
        resource, metadata, core = call.resource, tree["metadata"], self._core
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"][:NAME_BASE] + core.ids.suffix()
        wanted = metadata.pop("resourceVersion", "")
        given = [path for path in resource.unmanaged if look(tree, path) is not None]
        prepare_create(core, call, tree)
        self._admit(call, tree, None)
        validate_create(call, tree)
        if not with_managers:
            self._manage(call, None, _owned(resource, tree, given))
        # Only now: upstream's store looks at the version after admission and validation.
        if wanted not in ("", "0"):
            raise internal("resourceVersion should not be set on objects to be created")
        key = resource.key(call.info.namespace, metadata["name"])
        live = core.storage.get(resource.storage_name, key)
        if live is not None:
            is_terminating = "deletionTimestamp" in live.tree()["metadata"]
            raise already_exists(
                resource.group_resource, metadata["name"], terminating=is_terminating
            )
        return self._finish(call, key, tree, None)

    def _check_namespace(self, call: WriteOperation, tree: Tree) -> None:
        info, resource = call.info, call.resource
        if not resource.is_namespaced:
            return
        stored = self._core.storage.get(NAMESPACES, info.namespace)
        if stored is None:
            raise not_found(NAMESPACES, info.namespace)
        if "deletionTimestamp" not in stored.tree()["metadata"]:
            return
        why = (
            f"unable to create new content in namespace {info.namespace} because it is "
            "being terminated"
        )
        cause = Cause(
            "NamespaceTerminating",
            f"namespace {info.namespace} is being terminated",
            "metadata.namespace",
        )
        name = tree["metadata"].get("name", "")
        raise forbidden(resource.group_resource, name, why, [cause])

    # --- update ------------------------------------------------------------------------------

    def update(self, call: WriteOperation) -> tuple[Stored, bool]:
        """Replace an object; return what is stored now and whether a deletion completed."""
        call.options = WriteOptions.read(call.request, "UpdateOptions")
        tree = self._read_body(call)
        check_identity(call, tree)
        check_name(call, tree)
        with self._core.lock:
            return self.replace(call, tree, from_patch=False)

    def replace(self, call: WriteOperation, tree: Tree, *, from_patch: bool) -> tuple[Stored, bool]:
        """Run a decoded object through the update strategy and commit it."""
        resource = call.resource
        live = self._live(call)
        wanted = str(tree["metadata"].get("resourceVersion") or "")
        if not from_patch:
            self._check_uid(call, tree, live)
            if wanted in ("", "0") and not resource.allows_unconditional_update:
                cause = invalid_value(
                    "metadata.resourceVersion", 0, "must be specified for an update"
                )
                raise invalid(resource.plural, resource.group, call.info.name, [cause])
        if wanted not in ("", "0") and wanted != str(live.revision):
            if fault := revision_fault(wanted):
                raise internal(fault)
            raise conflict(resource.group_resource, call.info.name)
        return self.store_changed(call, tree, live)

    def store_changed(
        self,
        call: WriteOperation,
        tree: Tree,
        live: Stored,
        *,
        with_managers: bool = False,
        manages_as: str = "",
    ) -> tuple[Stored, bool]:
        """Prepare, validate and commit a changed object over a live one."""
        resource = call.resource
        old = resource.tree(call.version, live)
        prepare_update(call, tree, old)
        if not with_managers:
            self._manage(call, old, tree, manages_as)
        self._admit(call, tree, old)
        validate_update(call, tree, old)
        key = resource.key(call.info.namespace, call.info.name)
        tree["metadata"]["resourceVersion"] = str(live.revision)
        if self._is_released(resource, tree):
            return self._remove(call, key, tree, live), True
        if is_unchanged(tree, old):
            return live, False
        return self._finish(call, key, tree, live), False

    def _is_released(self, resource: ResourceType, tree: Tree) -> bool:
        metadata = tree["metadata"]
        return (
            "deletionTimestamp" in metadata
            and not metadata.get("finalizers")
            and not resource.spec_finalizers(tree)
            and not metadata.get("deletionGracePeriodSeconds")
        )

    def _remove(self, call: WriteOperation, key: str, tree: Tree, live: Stored) -> Stored:
        """Complete a deletion; the answer shows the object before it went.

        The log keeps the last stored state: the write that frees an object is not seen.
        """
        resource = call.resource
        if not call.options.is_dry_run:
            entry = self._core.storage.commit(resource.storage_name, key, None)
            if resource.after_commit is not None:
                resource.after_commit(entry)
        shown = self._stored_form(call, tree)
        return Stored.of(shown, live.revision, live.form)

    def _check_uid(self, call: WriteOperation, tree: Tree, live: Stored) -> None:
        uid = tree["metadata"].get("uid")
        current = live.tree()["metadata"].get("uid")
        if not uid or uid == current:
            return
        resource = call.resource
        home = f"{resource.group}/{resource.plural}" if resource.is_custom else resource.plural
        key = f"/registry/{home}/{resource.key(call.info.namespace, call.info.name)}"
        raise conflict(
            resource.group_resource,
            call.info.name,
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {current}",
        )

    # --- shared ------------------------------------------------------------------------------

    def _read_body(self, call: WriteOperation) -> Tree:
        request, resource = call.request, call.resource
        raw = request.body or b""
        tree, repeated = read_object(raw, request.header("content-type"), resource.kind)
        if resource.is_custom:
            if not tree.get("kind"):
                raise missing_kind(resource.kind, raw)
            if tree.get("apiVersion") != call.api_version:
                self._warn_all_unknown(call, tree)
                found = tree.get("apiVersion") or ""
                raise bad_request(
                    f"the API version in the data ({found}) does not match the expected API "
                    f"version ({call.api_version})"
                )
        else:
            self._check_core_type(call, tree)
        decode_body(call, tree, repeated)
        return tree

    def _warn_all_unknown(self, call: WriteOperation, tree: Tree) -> None:
        if call.options.field_validation == "Warn" and tree.get("apiVersion"):
            known = ("apiVersion", "kind", "metadata")
            call.warnings.extend(f'unknown field "{k}"' for k in sorted(tree) if k not in known)

    def _check_core_type(self, call: WriteOperation, tree: Tree) -> None:
        resource = call.resource
        kind = tree.get("kind") or resource.kind
        version = tree.get("apiVersion") or call.api_version
        head = (
            f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a '
            f"{resource.kind}: "
        )
        if version != call.api_version:
            raise bad_request(
                f'{head}no kind "{kind}" is registered for version "{version}" in scheme '
                '"pkg/api/legacyscheme/scheme.go:30"'
            )
        if kind != resource.kind:
            package = resource.group.partition(".")[0] or "core"
            raise bad_request(
                f"{head}converting ({call.version.name}.{kind}) to ({package}.{resource.kind}): "
                "unknown conversion"
            )
        tree["kind"], tree["apiVersion"] = kind, version

    def _live(self, call: WriteOperation) -> Stored:
        key = call.resource.key(call.info.namespace, call.info.name)
        live = self._core.storage.get(call.resource.storage_name, key)
        if live is None:
            raise not_found(call.resource.group_resource, call.info.name)
        return live

    def _manage(
        self, call: WriteOperation, old: Tree | None, new: Tree, subresource: str = ""
    ) -> None:
        entries = update_on_write(
            old,
            new,
            manager=call.options.manager,
            operation="Update",
            api_version=call.api_version,
            subresource=subresource or call.info.subresource,
            time=self._core.now(),
            schema=open_api_of(call),
        )
        if entries:
            new["metadata"]["managedFields"] = entries
        else:
            new["metadata"].pop("managedFields", None)

    def _stored_form(self, call: WriteOperation, tree: Tree) -> Tree:
        shown = {key: item for key, item in tree.items() if key not in ("apiVersion", "kind")}
        if call.version.to_storage is not None:
            shown = call.version.to_storage(shown)
        return shown

    def _check_size(self, tree: Tree) -> None:
        if len(encode(tree)) > OBJECT_LIMIT:
            raise internal("etcdserver: request is too large")

    def _finish(self, call: WriteOperation, key: str, tree: Tree, live: Stored | None) -> Stored:
        """Commit, unless it is a dry run; return what is stored."""
        stored_tree = self._stored_form(call, tree)
        resource, form = call.resource, call.version.form
        if call.options.is_dry_run:
            if live is not None:
                return Stored.of(stored_tree, live.revision, form)
            return Stored.unsaved(stored_tree, form)
        # Only a large body makes a large object; encoding each one twice would cost too much.
        if len(call.request.body or b"") > OBJECT_LIMIT // 2:
            self._check_size(stored_tree)
        entry = self._core.storage.commit(resource.storage_name, key, stored_tree, form)
        if resource.after_commit is not None:
            resource.after_commit(entry)
        return entry.stored


def _owned(resource: ResourceType, tree: Tree, given: list[tuple[str, ...]]) -> Tree:
    """Return what the creator of an object owns: not its status, nor what the server adds."""
    if resource.is_custom:
        return tree
    shown = {k: v for k, v in tree.items() if k != "status"} if resource.has_status else dict(tree)
    for path in resource.unmanaged:
        if path not in given and look(shown, path) is not None:
            *parents, last = path
            place = shown
            for name in parents:
                place[name] = place = dict(place[name])
            del place[last]
    return shown


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
