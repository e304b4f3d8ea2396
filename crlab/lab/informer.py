"""An informer as a user holds it: the cache, its frame, its events, its rates, its views.

It joins floors that do not know each other: `SharedInformer` (floor 3), frames (floor 5)
and widgets (floor 6). Frames and widgets are made when first asked for.

Thread: any; see the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crlab.cache import SharedInformer
from crlab.errors import AlreadyStarted, AlreadyStopped, ConfigError, NotCached, nearest
from crlab.lab.informer_argument import check_columns
from crlab.lab.parts import Parts, lane_of, namespace_of, namespaces_of
from crlab.model.argument import (
    checked_count,
    checked_key,
    checked_number,
    checked_text,
    checked_timeout,
)
from crlab.model.key import split_key
from crlab.model.object import KubeObject
from crlab.model.plural import counted
from crlab.model.resource import ApiResource
from crlab.runtime.dependency import Seconds, note_read, refuse_read
from crlab.runtime.notebook_cell import ByCell

if TYPE_CHECKING:
    import pandas as pd

    from crlab.cache import HandlerRegistration, Indexer, InformerStatus, Lister
    from crlab.controller import Draft
    from crlab.frame.column_set import ColumnsArgument
    from crlab.frame.failing_column import FailingColumn
    from crlab.frame.live_frame import LiveFrame
    from crlab.frame.time_travel import Moment, TimeTravel, When
    from crlab.lab.informer_frame import InformerEvents, InformerRates
    from crlab.model.redaction import Revealed
    from crlab.report.describe import Description
    from crlab.widgets.pipeline import PipelineView
    from crlab.widgets.table import TableView


class Informer:
    """One resource, cached and kept current by a watch. Made by `Lab.informer`.

    Attributes:
        shared: the `SharedInformer` underneath.
        resource: what discovery says of it.
        namespaces: those it is limited to, () for all.
        label_selector, field_selector: what the server is asked to send only.
        columns: of `df`, beside the resource's own, as `Lab.informer` was asked.
    """

    def __init__(
        self,
        parts: Parts,
        shared: SharedInformer,
        columns: Any = None,
    ) -> None:
        self._parts = parts
        self.shared = shared
        self.resource: ApiResource = shared.resource
        self.namespaces = namespaces_of(shared)
        source = shared.lister_watchers[0]
        self.label_selector = str(getattr(source, "label_selector", ""))
        self.field_selector = str(getattr(source, "field_selector", ""))
        self.columns = columns
        self._handlers_by_cell: ByCell[HandlerRegistration] = ByCell()
        self._frame: LiveFrame | None = None
        self._frames: list[LiveFrame] = []  # that one, and those of `with_columns`
        self._events: InformerEvents | None = None
        self._rates: InformerRates | None = None
        self._history: TimeTravel | None = None
        if columns is not None:
            assert self.frame is not None  # what is wrong with them is said before anything runs

    @property
    def namespace(self) -> str | None:
        """The namespace it is limited to; None for all, or for several."""
        return namespace_of(self.shared)

    # -- life ----------------------------------------------------------------------------

    @property
    def has_synced(self) -> bool:
        """Whether the first full list has been delivered to the cache."""
        note_read(self._parts.trace)
        return self.shared.has_synced

    def start(self) -> Informer:
        """Begin to list and watch, if it was made with ``start=False``; return this informer.

        Nothing happens if it runs; `lab.informer` of the same arguments starts it as well.

        Raises:
            AlreadyStopped: the informer was stopped, or its lab closed.
            NoThread: one of its threads could not be started; it is stopped.
        """
        self._parts.life.check_open(f"start {lane_of(self.shared)}")
        if not self.shared.is_started or self.shared.is_stopped:
            with suppress(AlreadyStarted):  # by another thread, meanwhile
                self.shared.start()
        return self

    def wait_for_sync(self, timeout_seconds: float = 10.0) -> Informer:
        """Return this informer once it has synced.

        Raises:
            SyncTimeout: it did not in time, or was never started; carries its state and the
                cause.
        """
        self.shared.wait_for_sync(checked_timeout(timeout_seconds))
        return self

    @property
    def status(self) -> InformerStatus:
        """What can be claimed of the cache now: state, age, cause (`InformerStatus`)."""
        note_read(self._parts.trace)
        note_read(Seconds(self._parts.clock))  # it ages by itself
        return self.shared.status

    @property
    def last_sync_resource_version(self) -> str:
        """The resourceVersion the cache has reached; of several namespaces the oldest."""
        note_read(self._parts.trace)
        return self.shared.last_sync_resource_version

    def stop(self) -> None:
        """End the watch; the cache stays readable. Idempotent, any thread."""
        self.shared.stop()

    def close(self) -> list[str]:
        """Stop and wait; return the names of threads that user code did not let go."""
        for part in (*self._frames, self._rates):
            if part is not None:
                part.close()
        self.shared.close(self._parts.life.patience_seconds())
        return list(self.shared.abandoned)

    # -- the cache -----------------------------------------------------------------------

    @property
    def indexer(self) -> Indexer:
        """The cache itself, with its indices."""
        return self.shared.indexer

    @property
    def lister(self) -> Lister:
        """The cache by name and namespace: ``lister.get("web", "default")``, `list()`."""
        from crlab.cache import Lister

        return Lister(self.indexer, self.resource)

    def get(self, key: str) -> KubeObject | None:
        """Return the cached object under a key, None if there is none."""
        split_key(checked_key(key, "a key of an informer"))
        found: KubeObject | None = self.indexer.get_by_key(key)
        return found

    def draft(self, key: str) -> Draft:
        """Return a copy of a cached object to be changed: ``draft.spec.replicas = 3``.

        Its fields complete, explain themselves on ``?`` and refuse a misspelt name, by the
        schema of the CRD. Nothing is written: ``lab.client.update(resource, draft)`` does. It
        holds what the server sent; its repr is masked. A Secret is masked in the cache already
        (unless `include_secrets`), and a draft that holds a mask is refused when it is written;
        so is one of an object of which a `transform` dropped a part.

        Raises:
            NotCached: it is not in the cache; the nearest keys are named.
        """
        from crlab.controller import Draft
        from crlab.controller.schema_help import SchemaReader

        schema = SchemaReader(self._parts.client).schema(self.resource)
        obj = self[key]
        return Draft(obj.to_dict(), schema, partial=obj.is_partial)

    def objects(self) -> Sequence[KubeObject]:
        """Return every cached object, sorted by key."""
        found: Sequence[KubeObject] = self.indexer.list()
        return found

    def __getitem__(self, key: str) -> KubeObject:
        found = self.get(key)
        if found is None:
            near = nearest(key, self.indexer.list_keys())
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise NotCached(f"no {self.resource.gvr.resource} {key!r} in this cache{hint}")
        return found

    def __len__(self) -> int:
        return len(self.indexer.list_keys())

    def __iter__(self) -> Iterator[KubeObject]:
        return iter(self.objects())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.indexer.get_by_key(key) is not None

    def add_event_handler(
        self,
        *,
        on_add: Callable[..., Any] | None = None,
        on_update: Callable[..., Any] | None = None,
        on_delete: Callable[..., Any] | None = None,
        resync_seconds: float | None = None,
        name: str | None = None,
    ) -> HandlerRegistration:
        """Call functions for each change, each handler on a thread of its own.

        A notebook cell that is run again replaces the handlers it added before.

        Args:
            on_add: ``f(obj, is_in_initial_list)``.
            on_update: ``f(old, new)``.
            on_delete: ``f(obj)``; a `DeletedFinalStateUnknown` if only the absence was seen.
            resync_seconds: repeat an update for every object this often; None as the informer.
            name: for the thread and the views.

        Returns:
            The registration: `has_synced`, `backlog`, `remove()`.

        Raises:
            ConfigError: one that is no function, or cannot be called so.
            AlreadyStopped: the informer was stopped, or its lab closed.
        """
        self._parts.life.check_open(f"add a handler to {lane_of(self.shared)}")
        if resync_seconds is not None:
            checked_number(resync_seconds, "resync_seconds")
        if name is not None:
            checked_text(name, "a handler's name")
        registration = self.shared.add_event_handler(
            on_add=on_add,
            on_update=on_update,
            on_delete=on_delete,
            resync_seconds=resync_seconds,
            name=name,
        )
        for earlier in self._handlers_by_cell.add(registration):
            earlier.remove()
        return registration

    @property
    def handlers(self) -> pd.DataFrame:
        """The registered handlers: what each was told, what waits, how often it failed.

        Shape:
            Index "handler" (str); delivered, backlog, error_count (int64), last_error (str),
            has_synced (bool).
        """
        from crlab.frame.handlers_frame import handlers_frame

        note_read(self._parts.trace)
        return handlers_frame(self.shared)

    # -- frames --------------------------------------------------------------------------

    @property
    def frame(self) -> LiveFrame:
        """The frame builder behind `df`."""
        if self._frame is None:
            from crlab.lab import informer_frame

            self._frame = informer_frame.live_frame(self._parts, self.shared, self.columns)
            self._frames.append(self._frame)
        return self._frame

    @property
    def df(self) -> pd.DataFrame:
        """The cache as an ordinary DataFrame: a snapshot at one resourceVersion.

        Shape:
            Index "key", sorted; one row per object; columns and dtypes as declared for the
            resource, the same on every snapshot. ``df.attrs`` holds the resource, the
            resourceVersion, the time and the state.
        """
        return self.frame.df

    def with_columns(self, columns: ColumnsArgument = None, **options: Any) -> LiveFrame:
        """Return another live frame over the same cache: ``columns={"image": ".spec.image"}``.

        Args:
            columns: name → JSONPath, (JSONPath, type) or function of an object, beside the
                resource's own columns. Of several values at a path, a "quantity", "integer"
                or "number" is the sum, "string" joins them, no type keeps the list; "boolean"
                and "date" refuse them (see `column_errors`).
            options: as `LiveFrame`: labels, conditions, owner, wide, quantities.

        Raises:
            UnknownColumn, JSONPathError: with the nearest that exist.
            ConfigError: a name that is the object's own: key, namespace, name, created.
        """
        from crlab.lab import informer_frame

        check_columns(columns)
        self._frames.append(informer_frame.live_frame(self._parts, self.shared, columns, **options))
        return self._frames[-1]

    @property
    def column_errors(self) -> list[FailingColumn]:
        """The columns of this informer's frames that could not be worked out for some rows.

        Each says how many rows lack it, and which failed last with what error; as of the
        last read of its frame. [] if all is well.
        """
        return [failing for frame in self._frames for failing in frame.column_errors]

    @property
    def events(self) -> InformerEvents:
        """The watch events of this informer: ``.df``, ``.watch()``."""
        if self._events is None:
            from crlab.lab.informer_frame import InformerEvents

            self._events = InformerEvents(self._parts, self.shared)
        return self._events

    @property
    def rates(self) -> InformerRates:
        """Events per second: ``.df``, ``.plot()``, ``.watch()``."""
        if self._rates is None:
            from crlab.lab.informer_frame import InformerRates

            self._rates = InformerRates(self._parts, self.shared, self.events)
        return self._rates

    @property
    def reflector_log(self) -> pd.DataFrame:
        """What the reflector did: states, requests, lists, events, bookmarks, errors.

        Shape:
            Index "seq" (int64, place in the trace); time, kind, key, resource_version, what
            (str). Two informers of one resource share it.
        """
        from crlab.frame.reflector_frame import reflector_log

        return reflector_log(self._parts.trace.records(), self.resource.gvr.group_resource)

    @property
    def deltas(self) -> pd.DataFrame:
        """What the reflector has handed on and the cache has not taken in yet, oldest first.

        Shape:
            RangeIndex; type ("Added", "ReplacedAll", ...), key ("" for the whole cache),
            resource_version (str), is_tombstone (bool), objects (int64).
        """
        from crlab.frame.deltas_frame import deltas_frame

        note_read(self._parts.trace)
        return deltas_frame(self.shared)

    # -- the past ------------------------------------------------------------------------

    @property
    def _moments(self) -> TimeTravel:
        if self._history is None:
            from crlab.lab import informer_frame

            self._history = informer_frame.time_travel(self._parts, self.shared)
        return self._history

    def at(
        self,
        moment: When | None = None,
        *,
        seq: int | None = None,
        time: float | datetime | None = None,
    ) -> Moment:
        """Return the cache as it was; ``services.at("42").df``, ``services.at(lab.revision)``.

        Args:
            moment: a resourceVersion (a text or an int), a datetime, or a `Moment`.
            seq: a record of the trace, as `lab.step().seq` and `events.df` name it.
            time: wall time: seconds since the epoch, or a datetime.

        Raises:
            OutOfTrace: the trace does not reach that far back, or not yet that far.
            ConfigError: none of these, or more than one.
        """
        return self._moments.at(moment, seq=seq, time=time)

    def diff(self, before: When, after: When) -> pd.DataFrame:
        """Return what changed between two moments, field by field.

        Args:
            before, after: as `at` takes them; ``diff(at(seq=3), at(seq=9))`` for others.

        Shape:
            RangeIndex; key, change, path, old, new.
        """
        return self._moments.diff(before, after)

    # -- judging -------------------------------------------------------------------------

    def audit(self) -> pd.DataFrame:
        """Compare the cache with an exact list of the server at the cache's revision.

        Shape:
            Index "key" (str); problem, cached_version, server_version. No rows: they agree.

        Raises:
            ResourceExpired: the server no longer holds that revision.
            ConfigError: this is a recording; there is no server to compare with.
            AlreadyStopped: the informer was stopped, or its lab closed.
        """
        self._parts.life.check_open(f"audit {lane_of(self.shared)}")
        refuse_read(f"audit {lane_of(self.shared)}")
        if self.shared.is_stopped:
            raise AlreadyStopped(
                f"cannot audit {lane_of(self.shared)}: this informer was stopped, so its cache "
                "ages; lab.informer() makes another one"
            )
        if self._parts.kind == "replay":
            raise ConfigError("cannot audit: a recording has no server to compare the cache with")
        from crlab.frame.audit_frame import audit_frame

        return audit_frame(self.shared)

    def memory(self, top: int = 20) -> pd.DataFrame:
        """Weigh the cached bytes by field path; what a transform would save.

        Shape:
            Index "path" (str); bytes (int64), share (float64, 0 to 1).
        """
        from crlab.frame.memory_frame import memory_frame

        checked_count(top, "top")
        return memory_frame(self.shared, top)

    def reveal(self, key: str, field: str) -> Revealed:
        """Read one secret value from the server, for this once.

        Nothing keeps it: not the cache, not the trace, not a frame. The result is an
        ordinary str whose repr is masked. Objects of other kinds than Secret hold their values
        in the cache as they are; only what is shown of them is masked.

        Args:
            field: the key in a Secret's data, or a JSONPath such as ".data.password".

        Raises:
            NotFound: there is no such object.
            UnknownColumn: it has no such field.
        """
        from crlab.report.reveal import revealed

        checked_key(key, "the key of what to reveal")
        checked_text(field, "the field to reveal", '"password" or ".data.password"')
        self._parts.life.check_open(f"reveal {field} of {key}")
        return revealed(self._parts.client, self.resource, key, field)

    # -- views ---------------------------------------------------------------------------

    def watch(self, *, filter: str = "", rows: int = 20) -> TableView:
        """Return the live table of this informer.

        Args:
            filter: words that must all hold: ``phase=Running name~web replicas>2``.
            rows: of the window.
        """
        from crlab.lab.view import table_view

        return table_view(self._parts, self.shared, self.frame, filter=filter, rows=rows)

    def pipeline(self) -> PipelineView:
        """Return the pipeline view on this informer's lane."""
        from crlab.lab.view import pipeline_view

        self._parts.life.check_open("show the pipeline")
        return pipeline_view(self._parts, lane_of(self.shared))

    def describe(self, key: str) -> Description:
        """Return one cached object, readable, with the last events that touched it.

        Raises:
            NotCached: it is not in the cache; the nearest keys are named.
        """
        from crlab.report.describe import described

        return described(self.resource, self.events, self[key])

    def __repr__(self) -> str:
        place = ",".join(self.namespaces) or "*"
        state = "synced" if self.has_synced else "not synced"
        if self.shared.is_stopped:
            state = "stopped"
        version = self.last_sync_resource_version or "-"
        return (
            f"Informer({self.resource.gvr.group_resource}, ns={place}, {state}, "
            f"{counted(len(self), 'objects')}, rv={version})"
        )

    def _repr_html_(self) -> str:
        from crlab.lab.view import informer_html

        return informer_html(self._parts, self.shared, self.frame)
