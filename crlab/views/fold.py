"""The pipeline's boxes, folded out of the trace record by record.

From: the trace (live, a recording, or up to any moment of it). To: the pipeline view and the
time slider. The same fold shows the present and the past, so the two cannot disagree.

Guarantees:
  1. The state after record N depends on the records up to N alone.
  2. A record costs O(1); what is kept is bounded by the number of objects and keys.

Thread: not locked; its owner applies and reads from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from crlab.model.object import KubeObject
from crlab.trace.record import TraceRecord
from crlab.views.box import Box, HandlersBox, IndexerBox, QueueBox, ReflectorBox, ServerBox
from crlab.views.controller_box import ClientBox, ControllerBoxes, Reconciles, Workqueues
from crlab.views.state import MAX_ROWS, StageState

ACTIVE_SECONDS = 1.0
MAX_FOREIGN = 20_000  # records between an event and its handlers, of the other informers
_BOX = {
    "server": "server",
    "client": "client",
    "reflector": "reflector",
    "queue": "queue",
    "indexer": "indexer",
    "handler": "handlers",
    "workqueue": "workqueue",
    "reconcile": "reconcile",
    "fault": "server",
}
#: What was set up, not what happened: it moves no box.
_SET_UP = frozenset({"handler.added", "handler.removed", "reconcile.controller"})

_Apply = Callable[[TraceRecord], object]


@dataclass(frozen=True, slots=True)
class Known:
    """What the parts hold now, for a fold of a trace that has lost its beginning.

    Attributes:
        about: what an informer's record in the trace says of it.
        phase: of its reflector.
        synced: the namespaces whose first list is in the cache, ("",) for all.
        controllers: name → whether its workers run.
    """

    about: Mapping[str, object]
    phase: str
    stored: Mapping[str, KubeObject]
    version: str
    synced: tuple[str, ...]
    handlers: tuple[str, ...]
    controllers: Mapping[str, bool]


class PipelineFold:
    """What one informer's pipeline, with its controllers, looks like after some records."""

    def __init__(self, resource: str = "", source: str = "") -> None:
        """Start before the first record.

        Args:
            resource: "plural.group" of the informer; "" follows every resource.
            source: the informer's `source`, where several watch the resource; "" for all.
        """
        self.resource = resource
        self.source = source
        self.seq = 0
        self.at = 0.0
        self.last: TraceRecord | None = None  # what the lane did last
        self.server, self.client = ServerBox(), ClientBox()
        self.controllers: dict[str, ControllerBoxes] = {}
        self._foreign: dict[int, None] = {}  # records of the other informers
        self._moved: dict[str, float] = {}  # box → when it moved last, in that order
        self._begin_informer()

    def _begin_informer(self) -> None:
        self.reflector, self.queue = ReflectorBox(), QueueBox()
        self.indexer, self.handlers = IndexerBox(), HandlersBox()
        self._of_lane: dict[str, _Apply] = {
            "lab.informer": self._informer,
            "reflector.state": self.reflector.moved,
            "reflector.listed": self._listed,
            "reflector.held": self._held,
            "reflector.watch_event": self.reflector.watched,
            "reflector.bookmark": self.reflector.bookmarked,
            "reflector.error": self.reflector.failed,
            "queue.queued": self.queue.queued,
            "indexer.stored": self._stored,
            "indexer.replaced": self._replaced,
            "indexer.ignored": self.queue.taken,
            "handler.added": lambda record: self.handlers.added([str(record.get("handler"))]),
            "handler.removed": self.handlers.removed,
            "handler.notified": self.handlers.notified,
            "handler.error": self.handlers.failed,
        }

    def apply_all(self, records: Iterable[TraceRecord]) -> None:
        """Apply records in order."""
        for record in records:
            self.apply(record)

    def apply(self, record: TraceRecord) -> None:
        """Apply the next record."""
        self.seq, self.at = record.seq, record.at
        self.server.heard(record.resource_version)
        stage, what = record.stage, f"{record.stage}.{record.kind}"
        if stage in ("workqueue", "reconcile"):
            is_ours = self._applied_to_controller(record, what)
        elif stage == "client":
            is_ours = self._requested(record)
        elif stage == "fault":
            self.server.injected(record)
            is_ours = True
        else:
            is_ours = what in self._of_lane and self._is_own(record)
            if is_ours:
                self._of_lane[what](record)
        if is_ours and stage in _BOX and what not in _SET_UP:
            self.last = record
            self._moved.pop(_BOX[stage], None)
            self._moved[_BOX[stage]] = record.at

    def begin(self, known: Known, seq: int) -> None:
        """Begin with what the parts hold, as of record `seq`; what led there is lost."""
        self.seq = seq
        self._informer(TraceRecord(seq, self.at, "lab", "informer", data=known.about))
        self.reflector.phases[""] = (known.phase.replace("_", " "), None)
        self.reflector.version = known.version
        self.server.heard(known.version)
        self.indexer.stored = dict(known.stored)
        self.indexer.version = known.version
        self.indexer.synced |= set(known.synced)
        self.handlers.added(known.handlers)
        for name, has_workers in known.controllers.items():
            self.controllers[name] = ControllerBoxes()
            self.controllers[name].reconcile.has_workers = has_workers

    def _is_own(self, record: TraceRecord) -> bool:
        """Whether a record is this informer's, by its `source` or by what led to it."""
        if self.resource and record.resource != self.resource:
            return False
        if not self.source:
            return True
        source = record.get("source")
        is_own = source == self.source if source else self._foreign.keys().isdisjoint(record.causes)
        if not is_own:
            self._foreign[record.seq] = None
            if len(self._foreign) > MAX_FOREIGN:
                del self._foreign[next(iter(self._foreign))]
        return is_own

    # --- records that concern more than one box --------------------------------------------

    def _informer(self, record: TraceRecord) -> None:
        if self.reflector.name and not record.get("again"):
            self._begin_informer()  # one that was stopped, and made anew
        for box in (self.server, self.reflector, self.queue, self.indexer):
            box.informer(record)

    def _listed(self, record: TraceRecord) -> None:
        self.reflector.listed(record)
        scope = str(record.get("namespace") or "")
        listed = {obj.key for obj in record.get("objects") or ()}
        gone = [key for key in self.indexer.within(scope) if key not in listed]
        self.queue.listed(record, len(gone))
        if not listed and not gone and not self.queue.is_atomic:
            self.indexer.synced.add(scope)  # nothing is queued: the cache is as the list says

    def _held(self, record: TraceRecord) -> None:
        """Take what the cache held when a recording began whose trace had lost its list."""
        objects = {obj.key: obj for obj in record.get("objects") or ()}
        self.indexer.reached(record.resource_version)
        self.indexer.replaced(str(record.get("namespace") or ""), objects)

    def _stored(self, record: TraceRecord) -> None:
        entry = self.queue.taken(record)
        self.indexer.changed(record)
        if entry is not None and entry.left <= 0:  # the last object of a list
            self.indexer.synced.add(entry.scope)

    def _replaced(self, record: TraceRecord) -> None:
        entry = self.queue.taken(record)
        self.indexer.reached(record.resource_version)
        if entry is not None:
            self.indexer.replaced(entry.scope, entry.objects)

    def _requested(self, record: TraceRecord) -> bool:
        """Count a request; return whether the lane's resource or controller is its matter."""
        self.server.requested(record)
        self.client.requested(record)
        self.reflector.requested(record)
        maker, _, name = str(record.get("actor") or "").partition("/")
        if maker == "controller" and name in self.controllers:
            return True
        return not self.resource or record.resource in ("", self.resource)

    def _applied_to_controller(self, record: TraceRecord, what: str) -> bool:
        if what == "reconcile.controller":
            return self._set_up(record)
        name = record.get("queue" if record.stage == "workqueue" else "controller")
        boxes = self.controllers.get(str(name))
        if boxes is None:
            return False
        apply = {
            "workqueue.added": boxes.workqueue.added,
            "workqueue.got": boxes.workqueue.got,
            "workqueue.done": boxes.workqueue.done,
            "workqueue.requeued": boxes.workqueue.requeued,
            "workqueue.forgotten": boxes.workqueue.forgotten,
            "reconcile.started": boxes.reconcile.started,
            "reconcile.finished": boxes.reconcile.finished,
        }.get(what)
        if apply is not None:
            apply(record)
        return apply is not None

    def _set_up(self, record: TraceRecord) -> bool:
        """Note a controller that was made, started, stopped or closed."""
        name, state = str(record.get("controller")), record.get("state")
        is_ours = not self.resource or self.resource in record.get("resources", ())
        if state == "closed":
            self.controllers.pop(name, None)
        elif is_ours and (state == "made" or name not in self.controllers):
            self.controllers[name] = ControllerBoxes()
        if name in self.controllers:
            self.controllers[name].reconcile.has_workers = state == "started"
        return is_ours

    # --- the picture ----------------------------------------------------------------------

    def active(self, now: float, *, only_last: bool) -> tuple[str, ...]:
        """Return the boxes that moved within the last second, () before anything did.

        Args:
            only_last: only the last one; where a lab is stepped, time stands still.
        """
        boxes = tuple(self._moved)
        if only_last:
            return boxes[-1:]
        return tuple(box for box in boxes if self._moved[box] >= now - ACTIVE_SECONDS)

    def stages(self, now: float, *, selected: str = "") -> tuple[StageState, ...]:
        """Return the eight boxes at wall time `now`; only `selected` carries its items."""
        controllers = self.controllers.values()
        boxes: tuple[Box, ...] = (
            self.server,
            self.reflector,
            self.queue,
            self.indexer,
            self.handlers,
            Workqueues([each.workqueue for each in controllers]),
            Reconciles([each.reconcile for each in controllers]),
            self.client,
        )
        return tuple(_drawn(box, now, selected) for box in boxes)


def _drawn(box: Box, now: float, selected: str) -> StageState:
    stage = box.state(now)
    if stage.name != selected:
        return stage
    return replace(stage, items=tuple(box.items(now)[:MAX_ROWS]))
