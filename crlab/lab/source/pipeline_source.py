"""One informer's way from the API server to a reconcile and back, as boxes.

From: the parts of an informer and of the controllers that listen to it, and the trace for
what happened last. To: the pipeline view.

Thread: `pipeline_state` any; `step` and `settle` on the command thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crlab.client.endpoint import host_of
from crlab.lab.pace import Pace
from crlab.lab.parts import Parts, lane_of
from crlab.lab.source.past import Past
from crlab.lab.source.status_source import Changing, status_state
from crlab.trace.record import TraceRecord
from crlab.trace.sentence import rule_of, sentence_of
from crlab.views.format import counted
from crlab.views.state import MAX_ROWS, Item, PipelineQuery, PipelineState, StageState

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.controller import Controller

ACTIVE_SECONDS = 1.0
LOOK_BACK = 200
_BOX_OF = {
    "server": "server",
    "reflector": "reflector",
    "queue": "queue",
    "indexer": "indexer",
    "handler": "handlers",
    "workqueue": "workqueue",
    "reconcile": "reconcile",
    "client": "client",
}
_TONES = {
    "live": "good",
    "starting": "busy",
    "stale": "warn",
    "degraded": "warn",
    "failed": "bad",
    "gone": "bad",
    "stopped": "",
}


class Pipeline(Changing):
    """The pipelines of a lab; a lane is an informer."""

    def __init__(self, parts: Parts, lane: str = "", past: Past | None = None) -> None:
        super().__init__(parts)
        self._lane = lane
        self._steps = 0
        self._pace = Pace(parts)
        self._past = past or Past(parts)

    def pipeline_state(self, query: PipelineQuery) -> PipelineState:
        """Return the boxes of one lane; see `PipelineSource`."""
        informers = {lane_of(each): each for each in list(self._parts.informers)}
        lane = query.lane if query.lane in informers else self._lane
        if lane not in informers:
            lane = next(iter(informers), "")
        informer = informers.get(lane)
        last = self._last(informer, query.moment)
        moved = self._moved(last)
        version = None
        if query.moment is not None and informer is not None:
            fold = self._past.fold(informer, query.moment)
            stages = fold.stages(fold.at, selected=query.selected)
            version = fold.stored_version
        else:
            stages = self._stages(informer)
        return PipelineState(
            stages=stages,
            status=status_state(self._parts, informer, query.moment, version),
            active=moved,
            selected=query.selected,
            lane=lane,
            lanes=tuple(informers),
            sentence=sentence_of(last[-1]) if last else "Nothing has happened yet.",
            rule=rule_of(last[-1]) if last else "",
            steps=self._steps,
            can=frozenset({"step", "settle"}) if self._parts.driver.is_manual else frozenset(),
        )

    def step(self) -> None:
        """Make one transition."""
        if self._pace.step() is not None:
            self._steps += 1

    def settle(self) -> None:
        """Step until nothing moves."""
        self._steps += self._pace.settle()

    # -- what happened last --------------------------------------------------------------

    def _last(self, informer: SharedInformer | None, moment: int | None) -> list[TraceRecord]:
        until = moment if moment is not None else self._parts.trace.last_seq
        records = self._parts.trace.records(after=max(0, until - LOOK_BACK), until=until)
        if informer is None:
            return records
        resource = informer.resource.gvr.group_resource
        return [r for r in records if r.resource in ("", resource)]

    def _moved(self, last: list[TraceRecord]) -> tuple[str, ...]:
        if not last:
            return ()
        if self._parts.driver.is_manual:
            return (_BOX_OF.get(last[-1].stage, ""),)
        since = self._parts.clock.now() - ACTIVE_SECONDS
        boxes = [_BOX_OF.get(r.stage, "") for r in last if r.at >= since]
        return tuple(dict.fromkeys(box for box in boxes if box))

    # -- the boxes -----------------------------------------------------------------------

    def _stages(self, informer: SharedInformer | None) -> tuple[StageState, ...]:
        if informer is None:
            return (self._server(),)
        controllers = self._parts.controllers_of(informer)
        return (
            self._server(),
            self._reflector(informer),
            self._queue(informer),
            self._indexer(informer),
            self._handlers(informer),
            self._workqueue(controllers),
            self._reconcile(controllers),
            self._client(),
        )

    def _server(self) -> StageState:
        server = self._parts.server
        if server is None:
            return StageState(
                "server",
                "API server",
                state=self._parts.kind,
                facts=(("at", host_of(self._parts.url)),),
            )
        storage = server.storage
        items = tuple(
            Item(f"{name}", counted(storage.count(name), "objects"))
            for name in storage.resources()
            if storage.count(name)
        )
        return StageState(
            "server",
            "API server",
            state="embedded",
            tone="good",
            count=storage.revision,
            unit="revisions",
            facts=(("watches", str(len(tuple(server.watches)))),),
            items=items[:MAX_ROWS],
            total=len(items),
            thread="crlab-apiserver",
        )

    def _reflector(self, informer: SharedInformer) -> StageState:
        status = informer.status
        facts = [("rv", informer.received_resource_version or "-")]
        if status.retry_in_seconds is not None:
            facts.append(("retry in", f"{status.retry_in_seconds:.1f} s"))
        if status.violations:
            facts.append(("distrusted", str(status.violations)))
        return StageState(
            "reflector",
            "Reflector",
            state=status.phase.replace("_", " ") or str(status.state),
            tone=_TONES.get(str(status.state), ""),
            count=status.requests,
            unit="requests",
            facts=tuple(facts[:4]),
            thread=f"crlab-reflector-{informer.name}",
        )

    def _queue(self, informer: SharedInformer) -> StageState:
        queue = informer.queue
        deltas = queue.snapshot()
        return StageState(
            "queue",
            type(queue).__name__,
            state="waiting" if deltas else "empty",
            tone="busy" if deltas else "",
            count=len(deltas),
            unit="deltas",
            items=tuple(
                Item(delta.key or "(whole store)", str(delta.type)) for delta in deltas[:MAX_ROWS]
            ),
            total=len(deltas),
        )

    def _indexer(self, informer: SharedInformer) -> StageState:
        indexer = informer.indexer
        objects = indexer.list()
        return StageState(
            "indexer",
            "Indexer",
            state="synced" if informer.has_synced else "syncing",
            tone="good" if informer.has_synced else "busy",
            count=len(objects),
            unit="objects",
            facts=(
                ("rv", indexer.resource_version or "-"),
                ("indices", ", ".join(sorted(indexer.indexers()))),
            ),
            items=tuple(Item(o.key, f"rv {o.resource_version}") for o in objects[:MAX_ROWS]),
            total=len(objects),
            thread=f"crlab-processor-{informer.name}",
        )

    def _handlers(self, informer: SharedInformer) -> StageState:
        registrations = informer.registrations
        items = tuple(
            Item(
                each.name,
                f"{each.delivered} delivered, {each.backlog} waiting"
                + (f", {each.error_count} errors" if each.error_count else ""),
                mark="" if not each.error_count else "!",
            )
            for each in registrations[:MAX_ROWS]
        )
        backlog = sum(each.backlog for each in registrations)
        return StageState(
            "handlers",
            "Handlers",
            state=f"{backlog} waiting" if backlog else "idle",
            tone="busy" if backlog else "",
            count=len(registrations),
            unit="handlers",
            items=items,
            total=len(registrations),
            is_absent=not registrations,
        )

    def _workqueue(self, controllers: list[Controller]) -> StageState:
        if not controllers:
            return StageState("workqueue", "Workqueue", is_absent=True)
        items: list[Item] = []
        counts = {"queued": 0, "processing": 0, "delayed": 0}
        for controller in controllers:
            snapshot = controller.queue.snapshot()
            for key in snapshot.keys:
                counts[key.state] += 1
                due = key.due_in_seconds if key.state == "delayed" else None
                items.append(Item(key.key, _key_detail(key), due_seconds=due))
        return StageState(
            "workqueue",
            "Workqueue",
            state="busy" if items else "empty",
            tone="busy" if items else "",
            count=counts["queued"],
            unit="ready",
            facts=(("processing", str(counts["processing"])), ("delayed", str(counts["delayed"]))),
            items=tuple(items[:MAX_ROWS]),
            total=len(items),
        )

    def _reconcile(self, controllers: list[Controller]) -> StageState:
        if not controllers:
            return StageState("reconcile", "Reconcile", is_absent=True)
        runs = [record for each in controllers for record in each.history]
        failed = sum(1 for record in runs if record.error is not None and not record.is_dry_run)
        running = any(each.is_running for each in controllers)
        items = tuple(
            Item(
                record.key,
                f"run {record.number}: {counted(len(record.writes), 'writes')}, {record.outcome}",
                mark="!" if record.error is not None else "",
            )
            for record in reversed(runs[-MAX_ROWS:])
        )
        return StageState(
            "reconcile",
            "Reconcile",
            state="running" if running else "by hand",
            tone="bad" if runs and runs[-1].error is not None else "good",
            count=len(runs),
            unit="runs",
            facts=(("failed", str(failed)),) if failed else (),
            items=items,
            total=len(runs),
        )

    def _client(self) -> StageState:
        requests = self._parts.client.requests
        items = tuple(
            Item(_asked(entry), str(entry.status or entry.error))
            for entry in list(requests)[-MAX_ROWS:][::-1]
        )
        return StageState(
            "client",
            "Client",
            count=len(requests),
            unit="requests",
            items=items,
            total=len(requests),
        )


def _asked(entry: Any) -> str:
    what = "/".join(part for part in (entry.resource, entry.subresource) if part)
    key = "/".join(part for part in (entry.namespace, entry.name) if part)
    return f"{entry.verb} {what} {key}".rstrip()


def _key_detail(key: Any) -> str:
    parts = [key.state]
    if key.collapsed > 1:
        parts.append(f"{key.collapsed} triggers became one")
    if key.attempts:
        parts.append(f"attempt {key.attempts + 1}")
    if key.is_dirty:
        parts.append("added again")
    return ", ".join(parts)
