"""What travels from the reflector to the processor, and the queue it travels in.

From: `reflector.py`, the only producer. To: `processor.py`, the only consumer. Three
queues implement the protocol: `RealFIFO` (what client-go runs since 1.33; the default), its
non-atomic `PerItemFIFO`, and `DeltaFIFO` (what the books draw); `queue_kind.py` makes them.

Guarantees:
  1. Nobody's code runs under the queue's lock, and `pop` never waits.
  2. What was popped counts as processed at `done`, not before.
  3. The version of a scope moves on only over what was queued before it, and back only for
     a new epoch.

Thread: one producer, one consumer; every method locks for itself.
Source: kubernetes/client-go:tools/cache/fifo.go (Queue), the_real_fifo.go, delta_fifo.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.model.object import KubeObject


class DeltaType(StrEnum):
    """Why a delta was queued."""

    ADDED = "Added"
    UPDATED = "Updated"
    DELETED = "Deleted"
    REPLACED = "Replaced"
    SYNC = "Sync"
    REPLACED_ALL = "ReplacedAll"
    SYNC_ALL = "SyncAll"
    BOOKMARK = "Bookmark"


#: Deltas that concern the whole store and are popped alone.
WHOLE = frozenset({DeltaType.REPLACED_ALL, DeltaType.SYNC_ALL, DeltaType.BOOKMARK})


class Delta(msgspec.Struct, frozen=True, gc=False):
    """One thing for the processor to do.

    Attributes:
        key: "" for the types that concern the whole store.
        object: the new state; for DELETED the last state or a tombstone.
        items: of a REPLACED_ALL, the whole list.
        resource_version: what the store will be at, of this scope; "" leaves it.
        cause: seq of the trace record that led here, 0 if none.
        is_new_epoch: the server's revision went back: older versions are the truth now.
        scope: the namespace whose reflector it came from, where several share the queue.
        is_partial: one of several that bring the store to its version, and not the last.
    """

    type: DeltaType
    key: str = ""
    object: KubeObject | DeletedFinalStateUnknown | None = None
    items: Sequence[KubeObject] = ()
    resource_version: str = ""
    cause: int = 0
    is_new_epoch: bool = False
    scope: str = ""
    is_partial: bool = False

    def covers(self, key: str) -> bool:
        """Whether a key is of this delta's scope."""
        return is_in_scope(key, self.scope)

    def of_item(self, obj: KubeObject) -> Delta:
        """Return a relist's delta for one of its items."""
        return Delta(
            DeltaType.REPLACED,
            obj.key,
            obj,
            resource_version=self.resource_version,
            cause=self.cause,
            is_new_epoch=self.is_new_epoch,
            scope=self.scope,
            is_partial=True,
        )

    def of_absence(self, key: str, last: KubeObject | None) -> Delta:
        """Return a relist's delta for a key that it lacks: its deletion, as a tombstone."""
        return Delta(
            DeltaType.DELETED,
            key,
            DeletedFinalStateUnknown(key, last),
            resource_version=self.resource_version,
            cause=self.cause,
            is_new_epoch=self.is_new_epoch,
            scope=self.scope,
            is_partial=True,
        )


def is_in_scope(key: str, scope: str) -> bool:
    """Whether a key is of a namespace; every key is of ""."""
    return not scope or key.startswith(f"{scope}/")


class KnownObjects(Protocol):
    """What a queue must know of the store to infer deletions."""

    def list_keys(self) -> Sequence[str]:
        """Return every key."""

    def get_by_key(self, key: str) -> KubeObject | None:
        """Return the object of a key, None if there is none."""


class Popped(msgspec.Struct, frozen=True, gc=False):
    """Deltas taken out together.

    Attributes:
        deltas: in the order to apply them.
        is_in_initial_list: whether the first population was still being popped.
        size: entries of the queue these were, for `done`.
        versions: scope → what the store is at, once these are applied.
    """

    deltas: Sequence[Delta]
    is_in_initial_list: bool
    size: int
    versions: Mapping[str, str]


class Queue(Protocol):
    """Deltas on their way to the store."""

    def add(self, deltas: Sequence[Delta], *, waking: bool = True) -> None:
        """Queue watch events, in order; without waking anybody, if the caller does it."""

    def replace(self, replaced: Delta) -> None:
        """Queue that `replaced.items` is everything there is."""

    def resync(self, cause: int = 0) -> None:
        """Queue that everything known is to be shown again."""

    def bookmark(self, resource_version: str, cause: int = 0, scope: str = "") -> None:
        """Queue that the store is at `resource_version` once all before is applied."""

    def pop(self, limit: int) -> Popped | None:
        """Take up to `limit` entries; None if there are none. Never waits."""

    def done(self, popped: Popped) -> None:
        """Say that what was popped has been processed."""

    def wait(self) -> None:
        """Block until there is an entry or `wake` was called."""

    def wake(self) -> None:
        """Make `wait` return."""

    def close(self) -> None:
        """Take nothing more; what is queued can still be popped. Idempotent."""

    @property
    def has_synced(self) -> bool:
        """Whether everything of the first population was processed."""

    def has_applied(self, scope: str) -> bool:
        """Whether the first list of a scope was processed."""

    def snapshot(self) -> list[Delta]:
        """Return what is queued, oldest first."""

    def __len__(self) -> int: ...
