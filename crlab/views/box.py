"""The fold's boxes: one `StageState` per stage at a moment.

Thread: pure functions of a fold that stands still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.views.format import lag
from crlab.views.state import MAX_ROWS, Item, StageState

if TYPE_CHECKING:
    from crlab.views.fold import PipelineFold

_TONES = {
    "watching": "good",
    "listing": "busy",
    "syncing": "busy",
    "polling": "good",
    "stopped": "",
    "failed": "bad",
}


def boxes_of(fold: PipelineFold, now: float, selected: str) -> tuple[StageState, ...]:
    """Return the eight boxes at wall time `now`; only `selected` carries its items."""
    makers = (
        _server_box,
        _reflector_box,
        _queue_box,
        _indexer_box,
        _handlers_box,
        _workqueue_box,
        _reconcile_box,
        _client_box,
    )
    return tuple(make(fold, now, selected) for make in makers)


def _server_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    facts = [("requests", str(fold.requests))]
    facts += [("faults", str(fold.faults))] if fold.faults else []
    revision = int(fold.revision) if fold.revision.isdigit() else None
    return StageState("server", count=revision, unit="revisions", facts=tuple(facts))


def _reflector_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    facts = [("rv", fold.version or "-"), ("last list", fold.list_text or "-")]
    tone = _TONES.get(fold.phase, "busy" if fold.phase else "")
    if fold.retry_at is not None and fold.retry_at > now:
        is_polling = fold.phase == "polling"
        facts.append(("next list" if is_polling else "back-off", lag(fold.retry_at - now)))
        tone = tone if is_polling else "warn"
    facts += [("errors", str(fold.errors))] if fold.errors else []
    items = tuple(fold.recent)[::-1] if selected == "reflector" else ()
    return StageState(
        "reflector",
        state=fold.phase,
        tone=tone,
        count=fold.events,
        unit="watch events",
        facts=tuple(facts),
        items=items,
        total=len(fold.recent),
    )


def _queue_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    waiting = list(fold.pending.values())
    facts = [("oldest", lag(max(0.0, now - waiting[0][2])))] if waiting else []
    items = [Item(key or "(list)", kind) for key, kind, _ in waiting[:MAX_ROWS]]
    return StageState(
        "queue",
        count=len(waiting),
        unit="deltas",
        facts=tuple(facts),
        items=tuple(items) if selected == "queue" else (),
        total=len(waiting),
    )


def _indexer_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    items: tuple[Item, ...] = ()
    if selected == "indexer":
        keys = sorted(fold.objects)[:MAX_ROWS]
        found = ((key, *fold.objects[key]) for key in keys)
        items = tuple(Item(key, f"rv {version}", mark) for key, version, mark in found)
    total = len(fold.objects)
    return StageState("indexer", count=total, unit="objects", items=items, total=total)


def _handlers_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    told = list(fold.handlers.items())
    facts = [(name, f"{number} told") for name, (number, _, _) in told[:3]]
    facts += [("errors", str(fold.handler_errors))] if fold.handler_errors else []
    items = [
        Item(name, f"told {number} times, last: {text} {lag(late)} late")
        for name, (number, text, late) in told[:MAX_ROWS]
    ]
    return StageState(
        "handlers",
        count=len(told),
        unit="handlers",
        facts=tuple(facts),
        items=tuple(items) if selected == "handlers" else (),
        total=len(told),
        is_absent=not told,
    )


def _workqueue_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    items = [
        Item(key, "in processing" + (", added again" if key in fold.ready else ""), "▶")
        for key in fold.processing
    ]
    items += [
        Item(key, "ready" if n == 1 else f"ready, {n} adds became one", "+")
        for key, n in fold.ready.items()
        if key not in fold.processing
    ]
    for key, due in sorted(fold.delayed.items(), key=lambda pair: pair[1]):
        failed = fold.failures.get(key)
        text = f"delayed, {failed} failures" if failed else "delayed"
        items.append(Item(key, text, "~", max(0.0, due - now)))
    next_due = f" in {lag(max(0.0, min(fold.delayed.values()) - now))}" if fold.delayed else ""
    facts = (
        ("ready", str(len(fold.ready))),
        ("processing", str(len(fold.processing))),
        ("delayed", f"{len(fold.delayed)}{next_due}"),
        ("collapsed", str(fold.collapsed)),
    )
    keys = {*fold.ready, *fold.processing, *fold.delayed}
    return StageState(
        "workqueue",
        tone="busy" if fold.processing else "",
        count=len(keys),
        unit="keys",
        facts=facts,
        items=tuple(items[:MAX_ROWS]) if selected == "workqueue" else (),
        total=len(items),
        is_absent=not (fold.controller or keys or fold.runs),
    )


def _reconcile_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    items = [Item(key, f"running, attempt {n}", "▶") for key, n in fold.running.items()]
    items += list(fold.outcomes)[::-1]
    facts = [("controller", fold.controller)] if fold.controller else []
    facts += [("errors", str(fold.failed))]
    return StageState(
        "reconcile",
        state="running" if fold.running else "",
        tone="busy" if fold.running else "",
        count=fold.runs,
        unit="reconciles",
        facts=tuple(facts),
        items=tuple(items[:MAX_ROWS]) if selected == "reconcile" else (),
        total=len(items),
        is_absent=not (fold.controller or fold.runs),
    )


def _client_box(fold: PipelineFold, now: float, selected: str) -> StageState:
    facts = tuple((code, str(n)) for code, n in fold.codes.most_common(4))
    return StageState(
        "client",
        count=sum(fold.codes.values()),
        unit="writes",
        facts=facts,
        items=tuple(fold.writes)[::-1] if selected == "client" else (),
        total=len(fold.writes),
        is_absent=not (fold.controller or fold.codes),
    )
