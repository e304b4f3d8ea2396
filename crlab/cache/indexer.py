"""The store: key → object, with indices, read as consistent snapshots.

From: `processor.py`, the only writer. To: listers, handlers' user code, frames.

Guarantees:
  1. Every read is of one moment; a batch or a replace is seen whole or not at all.
  2. `generation` grows by one per changed key; the same generation means the same content.
  3. Index functions and change listeners (user code) run without any lock.
  4. What is handed out cannot change the store (`KubeObject` is read-only).
  5. Lists are sorted by key; values of an index too.

Differs from client-go: lists are sorted; an index function that raises is counted in
`index_errors` and leaves its object out, instead of ending the process; objects are
read-only, so no mutation detector is needed.

Thread: any may read; one writer. `_lock` guards `_items`, `_indices`, `generation`,
`versions` (replaced whole), `resource_version`, `_sorted`; it is held for dictionary work
only, and while a replace swaps two references.
Source: kubernetes/client-go:tools/cache/thread_safe_store.go, store.go (rules 41-46).
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from crlab.cache.index import (
    NAMESPACE_INDEX,
    Index,
    IndexFunc,
    checked_indexers,
    meta_namespace_index,
    values_of,
)
from crlab.cache.revision import oldest_of
from crlab.errors import IndexerConflict, UnknownIndex
from crlab.model.argument import checked_function
from crlab.model.object import KubeObject
from crlab.runtime import fork
from crlab.runtime.dependency import note_read
from crlab.trace.failure import Failures

Change = tuple[str, KubeObject | None]
Reached = str | Mapping[str, str]
ChangeListener = Callable[[Iterable[str] | None], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Part or all of the store at one moment.

    Attributes:
        rows: key → object; for keys that were asked for and are not there, None.
        resource_version: what the store has reached; see `Indexer.resource_version`.
        generation, versions: see `Indexer`.
    """

    rows: dict[str, KubeObject | None]
    resource_version: str
    generation: int
    versions: Mapping[str, str]


class Indexer:
    """A thread-safe store with indices.

    Attributes:
        versions: namespace ("" if it is not filled by namespaces) → the resourceVersion that
            the store has reached there: nothing up to it is still to come.
        resource_version: the oldest of them; "" before anything was stored.
    """

    def __init__(
        self,
        indexers: Mapping[str, IndexFunc] | None = None,
        *,
        failures: Failures | None = None,
        where: str = "",
    ) -> None:
        """Make an empty store; it always has the index "namespace".

        Args:
            failures: told of index functions and listeners that raise, as those of `where`.
        """
        self._lock = fork.lock()
        self._items: dict[str, KubeObject] = {}
        functions = {NAMESPACE_INDEX: meta_namespace_index, **checked_indexers(indexers or {})}
        self._indices = {name: Index(name, func) for name, func in functions.items()}
        self._sorted: builtins.list[str] | None = []
        self._listeners: tuple[ChangeListener, ...] = ()
        self.generation = 0
        self.versions: Mapping[str, str] = {}
        self.resource_version = ""
        self._failures = failures
        self._where = where
        self.index_errors = 0
        self.last_error: BaseException | None = None

    # Reading -----------------------------------------------------------------------------

    def get_by_key(self, key: str) -> KubeObject | None:
        """Return the object of a key, None if there is none."""
        note_read(self)
        # Without the lock: one look into a dictionary, which `replace` swaps whole.
        return self._items.get(key)

    def __len__(self) -> int:
        note_read(self)
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        note_read(self)
        return key in self._items

    def list(self) -> list[KubeObject]:
        """Return every object, sorted by key."""
        note_read(self)
        with self._lock:
            items, known = self._items.copy(), self._sorted
            generation = self.generation
        # `known` may be used after the lock: a list of keys is replaced and never changed.
        keys = known if known is not None else self._sort(items, generation)
        return [items[key] for key in keys]

    def list_keys(self) -> builtins.list[str]:
        """Return every key, sorted."""
        note_read(self)
        with self._lock:
            items, known = self._items, self._sorted
            if known is not None:
                return known.copy()
            items, generation = items.copy(), self.generation
        return self._sort(items, generation).copy()

    def _sort(self, items: Mapping[str, KubeObject], generation: int) -> builtins.list[str]:
        """Sort keys outside the lock; keep the result if nothing moved meanwhile."""
        keys = sorted(items)
        with self._lock:
            if self.generation == generation:
                self._sorted = keys
        return keys

    def by_index(self, name: str, value: str) -> Sequence[KubeObject]:
        """Return the objects with an indexed value, sorted by key.

        Raises:
            UnknownIndex: no index of that name was added.
        """
        note_read(self)
        with self._lock:
            keys = self._index_locked(name).keys.get(value, ())
            found = [(key, self._items[key]) for key in keys]
        return [obj for _, obj in sorted(found, key=lambda pair: pair[0])]

    def index_keys(self, name: str, value: str) -> Sequence[str]:
        """Return the keys with an indexed value, sorted.

        Raises:
            UnknownIndex: no index of that name was added.
        """
        note_read(self)
        with self._lock:
            keys = tuple(self._index_locked(name).keys.get(value, ()))
        return sorted(keys)

    def index(self, name: str, obj: KubeObject) -> Sequence[KubeObject]:
        """Return the objects that share at least one value of `obj` in an index.

        Raises:
            UnknownIndex: no index of that name was added.
        """
        note_read(self)
        with self._lock:
            func = self._index_locked(name).func
        # User code, so not under the lock; the index may be another one by the time it returns,
        # and is looked up again.
        values = values_of(func, obj)
        found: dict[str, KubeObject] = {}
        with self._lock:
            keys_of = self._index_locked(name).keys
            for value in values:
                found.update((key, self._items[key]) for key in keys_of.get(value, ()))
        return [found[key] for key in sorted(found)]

    def index_values(self, name: str) -> Sequence[str]:
        """Return the values an index knows, sorted.

        Raises:
            UnknownIndex: no index of that name was added.
        """
        note_read(self)
        with self._lock:
            return sorted(self._index_locked(name).keys)

    @property
    def has_custom_indices(self) -> bool:
        """Whether a change runs index functions that somebody else wrote."""
        return any(x.func is not meta_namespace_index for x in self._indices.values())

    def indexers(self) -> dict[str, IndexFunc]:
        """Return the index functions by name."""
        with self._lock:
            return {name: index.func for name, index in self._indices.items()}

    def read(self, keys: Iterable[str] | None = None) -> Snapshot:
        """Return `keys` (None: everything, in no order) at one moment."""
        note_read(self)
        with self._lock:
            rows: dict[str, KubeObject | None]
            # Only references are copied; the objects cannot change. So the lock is held for a
            # moment, and the reader may take its time.
            if keys is None:
                rows = dict(self._items)
            else:
                rows = {key: self._items.get(key) for key in keys}
            return Snapshot(rows, self.resource_version, self.generation, self.versions)

    def _index_locked(self, name: str) -> Index:
        assert self._lock.locked()
        index = self._indices.get(name)
        if index is None:
            known = sorted(self._indices)
            raise UnknownIndex(f"no index {name!r}; there are: {', '.join(known)}", name=name)
        return index

    def live_version(self) -> object:
        """Return what tells a live expression that the content changed."""
        return self.generation

    def on_live_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on every change (quick, on the writer's thread); return the undo."""
        return self.add_change_listener(lambda keys: listener())

    # Extending ---------------------------------------------------------------------------

    def add_indexers(self, indexers: Mapping[str, IndexFunc]) -> None:
        """Add indices; what is stored is indexed before this returns.

        Raises:
            IndexerConflict: an index of that name exists.
            ConfigError: one that is no function of an object.
            Exception: an index function raised on a stored object; nothing was added.
        """
        made = {name: Index(name, func) for name, func in checked_indexers(indexers).items()}
        done: dict[str, KubeObject] = {}
        # The functions are user code and may be slow: they run over a copy, without the lock,
        # until nothing has moved meanwhile. What is indexed already is not done again.
        while True:
            with self._lock:
                self._refuse_known_locked(made)
                items = self._items
                if all(done.get(key) is obj for key, obj in items.items()):
                    for key in done.keys() - items.keys():
                        _drop(made.values(), key)
                    self._indices = {**self._indices, **made}
                    return
                items = items.copy()
            for key, obj in items.items():
                if done.get(key) is not obj:
                    for index in made.values():
                        index.put(key, values_of(index.func, obj))
                    done[key] = obj

    def _refuse_known_locked(self, made: Mapping[str, Index]) -> None:
        assert self._lock.locked()
        clash = sorted(made.keys() & self._indices.keys())
        if clash:
            raise IndexerConflict(f"an index named {', '.join(clash)} exists already")

    def add_change_listener(self, listener: ChangeListener) -> Callable[[], None]:
        """Call `listener` with the keys of each change (None: everything); return the undo.

        Thread: the writer's, after the lock is released; it must be quick.
        """
        checked_function(listener, "what add_change_listener() takes", ("keys",))
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(x for x in self._listeners if x is not listener)

        return remove

    # Writing -----------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], reached: Reached = "") -> None:
        """Put (or, for None, delete) objects in one step. Writer only.

        Args:
            reached: the version the store is at with them; of several namespaces, by name.
        """
        while True:
            indices = self._indices
            custom = [x for x in indices.values() if x.func is not meta_namespace_index]
            values = [self._values(custom, obj) for _, obj in changes] if custom else []
            with self._lock:
                if indices is not self._indices:
                    continue  # add_indexers came between: work the values out again
                self._apply_locked(changes, reached)
                if custom:
                    for (key, _), found in zip(changes, values, strict=True):
                        for index, value in zip(custom, found, strict=True):
                            index.put(key, value)
            break
        if custom and self._failures is not None and self._failures.present:
            for key in [key for key, obj in changes if obj is None]:
                for index in custom:
                    self._failures.worked("index", self._place(index), key)
        # After the lock: a listener may read the store.
        if changes:
            self._tell([key for key, _ in changes])

    def _apply_locked(self, changes: Sequence[Change], reached: Reached) -> None:
        """Change the rows, and the indices by namespace, which follow from the key."""
        assert self._lock.locked()
        items = self._items
        by_namespace = [x for x in self._indices.values() if x.func is meta_namespace_index]
        for key, obj in changes:
            if obj is not None and key in items:
                items[key] = obj
                continue
            self._sorted = None
            if obj is None:
                items.pop(key, None)
            else:
                items[key] = obj
            for index in by_namespace:
                index.put(key, (obj.namespace,) if obj is not None else ())
        self.generation += len(changes)
        self._reach_locked(reached)

    def _reach_locked(self, reached: Reached) -> None:
        """Take the versions; the caller knows that they do not go back unduly."""
        assert self._lock.locked()
        if isinstance(reached, str):
            reached = {"": reached} if reached else {}
        # Replaced and not changed: snapshots hold the old mapping.
        if reached:
            self.versions = {**self.versions, **reached}
            self.resource_version = oldest_of(self.versions.values())

    def replace(
        self, items: dict[str, KubeObject], reached: Reached, changed: Sequence[str]
    ) -> None:
        """Make `items` the whole content in one step. Writer only.

        Args:
            changed: the keys that differ from before.
        """
        while True:
            before = self._indices
            # Filled beside the old ones, without the lock: readers wait for the swap alone.
            made = {name: Index(name, index.func) for name, index in before.items()}
            for index in made.values():
                index.fill(items, (self._value(index, obj) for obj in items.values()))
            with self._lock:
                if before is not self._indices:
                    continue
                self._items, self._indices = items, made
                self._sorted = None
                self.generation += len(changed)
                self._reach_locked(reached)
            break
        if self._failures is not None:
            for index in made.values():
                self._failures.keep("index", self._place(index), items)
        self._tell(None)

    def advance(self, reached: Reached) -> None:
        """Note that nothing changed up to a version. Writer only."""
        with self._lock:
            self._reach_locked(reached)

    def _values(
        self, indices: Iterable[Index], obj: KubeObject | None
    ) -> Sequence[tuple[str, ...]]:
        return [() if obj is None else self._value(index, obj) for index in indices]

    def _value(self, index: Index, obj: KubeObject) -> tuple[str, ...]:
        if index.func is meta_namespace_index:
            return (obj.namespace,)
        try:
            values = values_of(index.func, obj)
        except Exception as error:  # noqa: BLE001 - a user's function; counted
            self.index_errors += 1
            self.last_error = error
            if self._failures is not None:
                self._failures.failed("index", self._place(index), obj.key, error)
            return ()
        if self._failures is not None and self._failures.present:
            self._failures.worked("index", self._place(index), obj.key)
        return values

    def _place(self, index: Index) -> str:
        return f"{self._where} {index.name}"

    def _tell(self, keys: Sequence[str] | None) -> None:
        for listener in self._listeners:
            try:
                listener(keys)
            except Exception as error:  # noqa: BLE001 - a listener never ends the writer
                self.last_error = error
                if self._failures is not None:
                    self._failures.failed("listener", self._where, "", error, present=False)


def _drop(indices: Iterable[Index], key: str) -> None:
    for index in indices:
        index.put(key, ())
