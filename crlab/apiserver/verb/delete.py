"""Deletion: at once, gracefully, or held by finalizers; one object or a collection.

From: routing. To: `storage.commit`. What a policy needs done (dependents, namespace
contents) is for controllers; here only finalizers and timestamps are set.

Guarantees:
  1. An object with finalizers is marked, never removed; it goes with the write that
     empties them.
  2. Deleting what is being deleted already changes nothing.

Thread: any; holds the store's lock from the look at the live object to the commit.
Source: k8s.io/apiserver/pkg/registry/rest/delete.go, registry/generic/registry/store.go.
"""

from __future__ import annotations

from crlab.apiserver.core import Core
from crlab.apiserver.resource_type import ResourceType
from crlab.apiserver.status import StatusError, conflict, not_found
from crlab.apiserver.storage import Stored, Tree
from crlab.apiserver.verb.body_decoder import WriteOperation
from crlab.apiserver.verb.option import DeleteOptions
from crlab.apiserver.watch import WatchSelection
from crlab.model.timestamp import timestamp

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class Deleter:
    """delete and deletecollection on one server."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def delete(self, call: WriteOperation, options: DeleteOptions) -> tuple[Stored, bool]:
        """Delete the object of the URL; return it and whether it is gone."""
        with self._core.lock:
            return self._delete_one(
                call, call.resource.key(call.info.namespace, call.info.name), options
            )

    def delete_collection(
        self, call: WriteOperation, selection: WatchSelection, options: DeleteOptions
    ) -> tuple[int, list[Stored]]:
        """Delete what is selected; return the revision before, and what was there."""
        storage = self._core.storage
        with self._core.lock:
            items = storage.items(call.resource.storage_name, selection.namespace)
            chosen = [(key, stored) for key, stored in items if selection.holds(key, stored)]
            revision = storage.revision
            for key, _ in chosen:
                self._delete_one(call, key, options)
        return revision, [stored for _, stored in chosen]

    def _delete_one(
        self, call: WriteOperation, key: str, options: DeleteOptions
    ) -> tuple[Stored, bool]:
        """Delete the object under a key; return its last visible state and whether it is gone."""
        resource, name = call.resource, key.rpartition("/")[2]
        live = self._core.storage.get(resource.storage_name, key)
        if live is None:
            raise not_found(resource.group_resource, name)
        tree = live.tree()
        self._check_preconditions(resource, name, tree, options)
        if resource.before_delete is not None:
            resource.before_delete(tree)
        metadata = tree["metadata"]
        was_terminating = "deletionTimestamp" in metadata
        finalizers = self._finalizers(resource, metadata, options)
        grace = self._grace(resource, tree, options)
        holds = bool(finalizers or resource.spec_finalizers(tree) or resource.begin_delete)
        if not holds and grace == 0:
            return self._remove(resource, key, tree, live, options, was_terminating=was_terminating)
        # A second deletion may only shorten the wait, or change who holds the object.
        before = metadata.get("deletionGracePeriodSeconds")
        if (
            was_terminating
            and finalizers == (metadata.get("finalizers") or [])
            and (before is not None and grace >= int(before))
        ):
            return live, False
        self._mark(resource, tree, finalizers, grace)
        if options.is_dry_run:
            return Stored.of(tree, live.revision, live.form), False
        return self._commit(resource, key, tree, live.form), False

    def _commit(self, resource: ResourceType, key: str, tree: Tree | None, form: int) -> Stored:
        entry = self._core.storage.commit(resource.storage_name, key, tree, form)
        if resource.after_commit is not None:
            resource.after_commit(entry)
        return entry.stored

    def _mark(self, resource: ResourceType, tree: Tree, finalizers: list[str], grace: int) -> None:
        metadata = tree["metadata"]
        if finalizers:
            metadata["finalizers"] = finalizers
        if "deletionTimestamp" not in metadata and resource.generation:
            metadata["generation"] = int(metadata.get("generation", 0)) + 1
        is_first = "deletionTimestamp" not in metadata
        # Upstream puts the end of the wait here, not the moment of the request.
        due = self._core.clock.now() + grace
        metadata["deletionTimestamp"] = timestamp(due)
        if resource.begin_delete is None or finalizers:
            metadata["deletionGracePeriodSeconds"] = grace
        if is_first and resource.begin_delete is not None:
            resource.begin_delete(tree)

    def _remove(
        self,
        resource: ResourceType,
        key: str,
        tree: Tree,
        live: Stored,
        options: DeleteOptions,
        *,
        was_terminating: bool,
    ) -> tuple[Stored, bool]:
        metadata = tree["metadata"]
        is_graceful = resource.grace_seconds(tree) > 0 or was_terminating
        if options.is_dry_run:
            return live, True
        # A few kinds answer with the object as marked, though it was never stored so.
        if not is_graceful and resource.shows_deletion_time:
            gone = self._commit(resource, key, None, 0)
            shown = gone.tree()
            self._mark(resource, shown, [], 0)
            return Stored.of(shown, gone.revision, gone.form), True
        # Watchers of a graceful deletion see one more state, with no grace left, before it ends.
        if is_graceful and metadata.get("deletionGracePeriodSeconds") != 0:
            self._mark(resource, tree, list(metadata.get("finalizers") or ()), 0)
            live = self._commit(resource, key, tree, live.form)
        gone = self._commit(resource, key, None, 0)
        return (gone if is_graceful else live), True

    def _grace(self, resource: ResourceType, tree: Tree, options: DeleteOptions) -> int:
        default = resource.grace_seconds(tree)
        if default == 0:
            return 0
        if options.grace_seconds is None:
            running = tree["metadata"].get("deletionGracePeriodSeconds")
            return default if running is None else int(running)
        # Upstream takes a negative period for "as soon as possible", which is a second.
        return options.grace_seconds if options.grace_seconds >= 0 else 1

    def _finalizers(
        self, resource: ResourceType, metadata: Tree, options: DeleteOptions
    ) -> list[str]:
        """Return the finalizers an object has once the propagation policy is taken in."""
        present = list(metadata.get("finalizers") or ())
        if not resource.can_collect:
            return present
        is_decided = options.propagation or {ORPHAN, FOREGROUND} & set(present)
        if options.propagation == "Orphan" or (resource.orphans_by_default and not is_decided):
            wanted = {ORPHAN}
        elif options.propagation == "Foreground":
            wanted = {FOREGROUND}
        elif options.propagation == "Background":
            wanted = set()
        else:
            return present
        kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
        return kept + [name for name in (ORPHAN, FOREGROUND) if name in wanted]

    def _check_preconditions(
        self, resource: ResourceType, name: str, tree: Tree, options: DeleteOptions
    ) -> None:
        metadata = tree["metadata"]
        uid = options.preconditions.get("uid")
        if uid and uid != metadata["uid"]:
            raise self._mismatch(
                resource,
                name,
                f"the UID in the precondition ({uid}) does not match the UID in record "
                f"({metadata['uid']}). The object might have been deleted and then recreated",
            )
        version = options.preconditions.get("resourceVersion")
        if version and version != metadata["resourceVersion"]:
            raise self._mismatch(
                resource,
                name,
                f"the ResourceVersion in the precondition ({version}) does not match the "
                f"ResourceVersion in record ({metadata['resourceVersion']}). The object might "
                "have been modified",
            )

    @staticmethod
    def _mismatch(resource: ResourceType, name: str, why: str) -> StatusError:
        kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        return conflict(kind, name, why)
