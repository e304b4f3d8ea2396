"""The indexer as a DataFrame that is always current and cheap to ask for again.

From: an informer's indexer (its change listener, its consistent reads). To: the user.
The columns are kept in key order. A read patches the rows of the keys
that changed since the last one, copies only the columns in which a cell differs, and
shares the others with every earlier snapshot.

Guarantees:
  1. A frame is the projection of the store at one moment; `attrs` says which.
  2. Nothing changed: the same object. If its holder wrote to it, a fresh equal one.
  3. A user's write never reaches the store, a later change never reaches a user's frame.
  4. The dtypes never depend on the data; no rows have the same ones.
  5. Columns that were not known at first come with the first read after they are.

Thread: `df` from any thread; `_lock` guards the slots. The listener only adds keys to a
set under `_dirty_lock`.
Source: decision 8 of docs/architecture.md; reliability promise P6 (a query is one snapshot).
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

from crlab.cache.indexer import Indexer, Snapshot
from crlab.errors import UnknownColumn
from crlab.frame.column import Column
from crlab.frame.column_set import ColumnsArgument, choose_columns, flatten, wide_columns
from crlab.frame.failing_column import FailingColumn, FailingColumns
from crlab.frame.row_reader import RowReader
from crlab.frame.slot import Slots
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock
from crlab.runtime.dependency import note_read, unread
from crlab.trace.failure import Failures

_TRIES = 100
Definition = tuple[Sequence[Mapping[str, Any]] | None, Mapping[str, Any] | None]


class LiveFrame:
    """A DataFrame over an indexer."""

    def __init__(
        self,
        indexer: Indexer,
        *,
        resource: ApiResource | None = None,
        columns: ColumnsArgument = None,
        definitions: Sequence[Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        labels: Sequence[str] | bool = (),
        conditions: Sequence[str] | bool = (),
        owner: bool = False,
        wide: bool = False,
        quantities: Sequence[str] | bool = False,
        clock: Clock | None = None,
        state: Callable[[], str] | None = None,
        later: Callable[[], Definition | None] | None = None,
        failures: Failures | None = None,
        where: str = "",
    ) -> None:
        """Choose the columns; nothing is read before `df`.

        Args:
            columns, labels, conditions, owner, wide, quantities: see `choose_columns`.
            definitions: a custom resource's additionalPrinterColumns; None for built-in kinds.
            schema: its OpenAPI schema, for dtypes and for checking paths; None: unknown.
            clock: for `attrs["time"]`; None leaves it out.
            state: gives `attrs["state"]`, e.g. "live".
            later: gives definitions and schema, or None while they are not known; asked before
                each read until then.
            failures: told of column functions that raise, as those of ``<where> column <name>``.
        """
        self._indexer = indexer
        self._resource = resource
        self._schema = schema
        self._clock = clock
        self._state = state
        self._failures = failures
        self._where = where
        self._untold: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._dirty_lock = threading.Lock()
        self._dirty: set[str] = set()
        self._is_all_dirty = True
        self._notified_generation = -1
        self._generation = -1
        self._is_recast = False  # other columns were taken up since the last frame
        self._frame: pd.DataFrame | None = None
        self._pristine: tuple[Any, ...] = ()
        self._failing = FailingColumns()
        self._wide_paths: dict[tuple[str, ...], None] | None = {} if wide else None
        self._later = later
        self._choose = partial(
            choose_columns,
            resource,
            columns,
            labels=labels,
            conditions=conditions,
            owner=owner,
            wide=wide,
            quantities=quantities,
        )
        self._chosen = self._choose(definitions=definitions, schema=schema)
        self._hold(self._chosen)
        self._remove_listener = indexer.add_change_listener(self._mark)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        return tuple(self._slots.columns)

    @property
    def indexer(self) -> Indexer:
        """What it shows."""
        return self._indexer

    @property
    def generation(self) -> int:
        """The store's generation that `df` last showed, -1 before the first."""
        return self._generation

    @property
    def column_errors(self) -> list[FailingColumn]:
        """The columns that could not be worked out for some rows, as of the last read."""
        return self._failing.list()

    @property
    def df(self) -> pd.DataFrame:
        """The present frame; the same object while nothing changes, the state included.

        Shape: index "key" ("namespace/name", sorted); columns as `columns`, with their dtypes;
            attrs: resource, resource_version, time, state; column_errors (name → text), where
            cells are missing because working them out failed.

        Raises:
            ColumnFailed: a column's function raised for every row.
        """
        note_read(self)
        self._learn()
        state = self._state() if self._state is not None else ""
        # Without the lock: most reads find nothing new, and must not wait for one that does.
        frame = self._frame
        if frame is not None and self._is_current(frame) and self._pristine[3]["state"] == state:
            return frame
        try:
            with self._lock, unread():
                # Looked at again: another thread may have made it while this one waited.
                frame = self._frame
                if frame is None or self._indexer.generation != self._generation or self._is_recast:
                    self._frame = self._refreshed()
                elif not self._is_pristine(frame) or self._pristine[3]["state"] != state:
                    self._frame = self._handed_out(self._pristine[3] | {"state": state})
                assert self._frame is not None
                frame = self._frame
        finally:
            while self._untold:  # out of the lock: handlers of logging wait for others
                self._untold.pop(0)()
        return frame

    def live_version(self) -> object:
        """Return what tells a live expression that this frame changed."""
        self._learn()
        state = self._state() if self._state is not None else ""
        return self._indexer.generation, len(self._chosen), state

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on every change (quick, on the writer's thread); return the undo."""
        return self._indexer.add_change_listener(lambda keys: listener())

    def close(self) -> None:
        """Stop listening; the last frame stays."""
        self._remove_listener()
        self._failing.forget()

    def __repr__(self) -> str:
        name = self._resource.gvr.group_resource if self._resource else "objects"
        return f"LiveFrame({name}, {len(self._slots.columns)} columns)"

    # --- the listener ------------------------------------------------------------

    def _mark(self, keys: Iterable[str] | None) -> None:
        generation = self._indexer.generation  # the writer's: nothing changes while we run
        # Not `_lock`, which is held while a frame is built: the store's writer never waits for it.
        with self._dirty_lock:
            self._notified_generation = generation
            if keys is None:
                self._is_all_dirty = True
                self._dirty.clear()
            elif not self._is_all_dirty:
                self._dirty.update(keys)

    # --- reading -----------------------------------------------------------------

    def _is_current(self, frame: pd.DataFrame) -> bool:
        is_same = self._indexer.generation == self._generation and not self._is_recast
        return is_same and self._is_pristine(frame)

    def _hold(self, columns: Sequence[Column]) -> None:
        """Start again with other columns."""
        self._slots = Slots(columns)
        self._reader = RowReader(columns, self._failing)

    def _learn(self) -> None:
        """Take up the columns of a definition that was not known before, if it is now."""
        later = self._later
        if later is None:
            return
        with unread():
            definition = later()  # may ask a server: not in the lock
        if definition is None:
            return
        definitions, schema = definition
        with self._lock:
            if self._later is None:
                return
            self._later = None
            try:
                self._chosen = self._choose(definitions=definitions, schema=schema)
            except UnknownColumn:  # a path the schema does not have was taken so far: go on
                schema, self._chosen = None, self._choose(definitions=definitions)
            self._schema = schema
            if self._wide_paths is not None:
                self._wide_paths.clear()
            self._hold(self._chosen)
            self._is_recast = True
            with self._dirty_lock:
                self._is_all_dirty = True

    def _refreshed(self) -> pd.DataFrame:
        """Bring the slots to one moment of the store and make a frame of them."""
        try:
            snapshot, is_whole = self._consistent_read()
            if self._wide_paths is not None and self._found_new_fields(snapshot.rows.values()):
                snapshot, is_whole = self._indexer.read(None), True
            self._failing.forget(None if is_whole else snapshot.rows)
            if is_whole:
                # Only keys that were asked for by name can be absent from a read.
                rows = cast("dict[str, KubeObject]", snapshot.rows)
                self._slots.build(rows, self._reader)
            else:
                self._slots.patch(snapshot.rows, self._reader)
            self._note_failed()
            self._failing.check(len(self._slots.keys))
        except BaseException:  # a notebook's interrupt too: the keys it had taken must not be lost
            with self._dirty_lock:
                self._is_all_dirty = True
            raise
        self._generation = snapshot.generation
        self._is_recast = False
        return self._handed_out(self._attrs(snapshot.resource_version))

    def _note_failed(self) -> None:
        """Let it be told which cells failed in this read, and drop what fails no more."""
        failures = self._failures
        if failures is None:
            return
        fresh = self._failing.take()
        for column in self._reader.columns if fresh or failures.present else ():
            where, now = f"{self._where} column {column.name}", self._failing.rows(column.name)
            self._untold.append(partial(failures.keep, "column", where, now))
            self._untold += [
                partial(failures.failed, "column", where, key, error)
                for name, key, error in fresh
                if name == column.name
            ]

    def _consistent_read(self) -> tuple[Snapshot, bool]:
        """Read the changed rows, together with exactly the generation they belong to.

        A change that is stored but not yet told would be missing from a read that says it
        holds it; so read again until the last told generation is the one that was read.
        """
        keys: set[str] = set()
        for _ in range(_TRIES):
            with self._dirty_lock:
                if self._is_all_dirty:
                    # Before the read: a change meanwhile marks itself again, and is at worst read
                    # twice.
                    self._is_all_dirty = False
                    self._dirty.clear()
                    return self._indexer.read(None), True
                # Kept over the tries: what was taken from `_dirty` is not marked again.
                keys |= self._dirty
                self._dirty = set()
                told = self._notified_generation
            snapshot = self._indexer.read(keys)
            # As told: every change up to it has marked its keys. As in the last frame: there was
            # none since, whatever is told meanwhile.
            if snapshot.generation in (told, self._generation):
                return snapshot, False
        # The writer never paused: the whole store is right at any moment.
        return self._indexer.read(None), True

    def _found_new_fields(self, objects: Iterable[KubeObject | None]) -> bool:
        """Add columns for leaves not seen before (wide frames); whether there were any."""
        assert self._wide_paths is not None
        before = len(self._wide_paths)
        for obj in objects:
            if obj is not None:
                self._wide_paths.update(dict.fromkeys(flatten(obj.to_dict())))
        if len(self._wide_paths) == before:
            return False
        extra = wide_columns(sorted(self._wide_paths), self._schema, self._chosen)
        self._hold([*self._chosen, *extra])
        return True

    def _attrs(self, resource_version: str) -> dict[str, Any]:
        attrs: dict[str, Any] = {
            "resource": self._resource.gvr.group_resource if self._resource else "",
            "resource_version": resource_version,
        }
        if self._clock is not None:
            moment = datetime.fromtimestamp(self._clock.now(), UTC)
            attrs["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        attrs["state"] = self._state() if self._state is not None else ""
        return attrs | self._failing.attrs()

    def _handed_out(self, attrs: dict[str, Any]) -> pd.DataFrame:
        frame = self._slots.frame()
        frame.attrs.update(attrs)
        self._pristine = (frame.columns, frame.index, _blocks(frame), attrs)
        return frame

    def _is_pristine(self, frame: pd.DataFrame) -> bool:
        """Whether its holder has not written to the frame.

        The slots keep every column too, so pandas replaces a block before the first write
        to it (copy-on-write); new blocks mean a write.
        """
        columns, index, blocks, attrs = self._pristine
        return (
            frame.columns is columns
            and frame.index is index
            and index.name == "key"
            and columns.name is None
            and frame.attrs == attrs
            and len(blocks) == len(now := _blocks(frame))
            and all(map(operator.is_, now, blocks))
        )


def _blocks(frame: pd.DataFrame) -> tuple[Any, ...]:
    """A frame's blocks; () if this pandas does not show them."""
    return tuple(getattr(getattr(frame, "_mgr", None), "blocks", ()))


def age_of(created: pd.Series, now: float) -> pd.Series:
    """Return ages as kubectl shows them ("3m26s"), of a column of times, at `now`.

    Shape: the same index; dtype str, "<unknown>" where there is no time.
    """
    from crlab.model.printer import UNKNOWN, human_duration

    stamps = created.to_numpy(dtype="datetime64[us]", na_value=np.datetime64("NaT")).astype("i8")
    missing = created.isna().to_numpy()
    texts = [
        UNKNOWN if gone else human_duration(now - stamp / 1e6)
        for stamp, gone in zip(stamps.tolist(), missing.tolist(), strict=True)
    ]
    return pd.Series(texts, index=created.index, dtype="str", name="age")
