"""One object's way from watch event to write and back, told in sentences.

From: the trace. To: people, frames and views. Causes are followed in both directions:
back from each reconcile of the key to the watch events that led to it, forward to the
requests it made and the events these brought back.

Thread: pure functions over a copy of the trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlab.model.escape import H, plain
from crlab.model.plural import counted, unit_of
from crlab.trace.record import Trace, TraceRecord
from crlab.trace.sentence import brief_of

if TYPE_CHECKING:
    import pandas as pd

SHOWN_EVENTS = 10


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of one key, as sentences and as a frame.

    Attributes:
        sentences: in order of time.
        records: the trace records on the way.
        is_complete: False if the trace has lost records that may have belonged here.
    """

    key: str
    sentences: tuple[str, ...]
    records: tuple[TraceRecord, ...]
    is_complete: bool = True

    @property
    def df(self) -> pd.DataFrame:
        """The trace records on the way.

        Shape:
            Index "seq" (int64); stage, kind, resource, key, resource_version (str), causes
            (list of int), text (str).
        """
        import pandas as pd

        columns = ["stage", "kind", "resource", "key", "resource_version", "causes", "text"]
        rows = [
            [*(getattr(record, name) for name in columns[:-1]), plain(brief_of(record))]
            for record in self.records
        ]
        index = pd.Index([record.seq for record in self.records], dtype="int64", name="seq")
        frame = pd.DataFrame(rows, columns=columns, index=index)
        return frame.astype({name: "str" for name in columns if name != "causes"})

    def __str__(self) -> str:
        return "\n".join(self.sentences) or plain(f"nothing is known of {self.key}")

    def __repr__(self) -> str:
        return f"Explanation({self.key}, {counted(len(self.sentences), 'sentences')})"

    def _repr_html_(self) -> str:
        return str(H.ol([H.li(line) for line in self.sentences]))


def explain(trace: Trace, key: str, *, controller: str = "", resource: str = "") -> Explanation:
    """Tell a key's way.

    Args:
        controller: only runs of this one; "" is any.
        resource: only records of the object in this resource ("plural.group"); "" is any.
            Runs and what led to them are told in any case.
    """
    records = {record.seq: record for record in trace.linked()}
    effects = _effects(records.values())
    runs = [
        record
        for record in records.values()
        if record.stage == "reconcile"
        and record.kind == "started"
        and record.key == key
        and (not controller or record.get("controller") == controller)
    ]
    chosen: set[int] = set()
    sentences: list[tuple[int, str]] = []
    for run in runs:
        chosen |= _ancestors(run, records) | {run.seq}
        sentences += _told(run, records, effects, chosen)
    for record in records.values():
        if record.key == key and (not resource or record.resource in ("", resource)):
            chosen.add(record.seq)
            if record.kind == "watch_event" and not runs:
                sentences.append((record.seq, _event_text(record, records) + "."))
    waiting = _waiting(key, records, runs)
    sentences.sort(key=lambda pair: pair[0])
    texts = [text for _, text in sentences] + waiting
    way = tuple(records[seq] for seq in sorted(chosen) if seq in records)
    if trace.dropped:
        texts.insert(0, f"The trace begins at record {trace.first_seq}; what was before is lost.")
    return Explanation(key, tuple(map(plain, texts)), way, is_complete=trace.dropped == 0)


def _effects(records: Iterable[TraceRecord]) -> dict[int, list[TraceRecord]]:
    effects: dict[int, list[TraceRecord]] = {}
    for record in records:
        for cause in record.causes:
            effects.setdefault(cause, []).append(record)
    return effects


def _ancestors(record: TraceRecord, records: dict[int, TraceRecord]) -> set[int]:
    """Return the records that led to this one; another run's request ends the search."""
    found: set[int] = set()
    todo = list(record.causes)
    while todo:
        seq = todo.pop()
        known = records.get(seq)
        if seq in found or known is None:
            continue
        found.add(seq)
        if known.kind != "request":
            todo.extend(known.causes)
    return found


def _told(
    run: TraceRecord,
    records: dict[int, TraceRecord],
    effects: dict[int, list[TraceRecord]],
    chosen: set[int],
) -> list[tuple[int, str]]:
    adds = [records[seq] for seq in run.causes if seq in records]
    told = []
    events = _roots(run, records)
    for event in events[:SHOWN_EVENTS]:
        told.append((event.seq, _event_text(event, records) + "."))
    if len(events) > SHOWN_EVENTS:
        more = len(events) - SHOWN_EVENTS
        told.append(
            (events[SHOWN_EVENTS].seq, f"… and {more} more such {unit_of(more, 'events')}.")
        )
    told.append((run.seq, _run_text(run, adds)))
    for effect in effects.get(run.seq, ()):
        if effect.stage == "client" and effect.kind == "request":
            chosen.add(effect.seq)
            if _is_write(effect):
                told.append((effect.seq, _request_text(effect, effects, chosen)))
        elif effect.stage == "reconcile" and effect.kind == "finished":
            chosen.add(effect.seq)
            told.append((effect.seq, _finished_text(effect)))
        elif effect.stage == "reconcile" and effect.kind in ("log", "printed"):
            chosen.add(effect.seq)
            word = "logged" if effect.kind == "log" else "printed"
            told.append((effect.seq, f"It {word}: {effect.get('message', '')}"))
    return told


def _roots(run: TraceRecord, records: dict[int, TraceRecord]) -> list[TraceRecord]:
    ancestors = _ancestors(run, records)
    return [
        records[seq]
        for seq in sorted(ancestors)
        if records[seq].stage == "reflector" and records[seq].kind in ("watch_event", "listed")
    ]


def _event_text(event: TraceRecord, records: dict[int, TraceRecord]) -> str:
    if event.kind == "listed":
        return f"A list brought {event.get('count', 'the')} {event.resource}"
    what = f"{event.get('type', 'event')} {event.resource} {event.key}"
    version = f" at rv {event.resource_version}" if event.resource_version else ""
    writer = next((records[seq] for seq in event.causes if seq in records), None)
    by = ""
    if writer is not None and writer.kind == "request":
        did = "written"
        if event.get("type") == "DELETED":  # or its last finalizer was taken
            did = "deleted" if writer.get("verb") == "delete" else "released"
        by = f", {did} by {writer.get('actor') or 'this lab'} (request {writer.seq})"
    return f"The watch brought {what}{version}{by}"


def _run_text(run: TraceRecord, adds: list[TraceRecord]) -> str:
    count = max(len(adds), 1)
    reasons: dict[str, int] = {}
    for add in adds:
        trigger = add.get("trigger")
        name = f"{getattr(trigger, 'reason', 'add')} {getattr(trigger, 'source', '')}".strip()
        reasons[name] = reasons.get(name, 0) + 1
    why = ", ".join(name if n == 1 else f"{name} ×{n}" for name, n in reasons.items())
    became = "would become (a dry run)" if run.get("dry_run") else "became"
    events = f"1 event {became}" if count == 1 else f"{count} events {became}"
    detail = f" ({why})" if why else ""
    return (
        f"{events} 1 reconcile of {run.key}{detail}: controller "
        f"{run.get('controller', '')}, try {run.get('attempt', 1)} (record {run.seq})."
    )


def _is_write(request: TraceRecord) -> bool:
    return str(request.get("verb", "")) not in ("get", "list", "watch")


def _request_text(
    request: TraceRecord, effects: dict[int, list[TraceRecord]], chosen: set[int]
) -> str:
    place = request.key or _place(request)
    sub = f"/{request.get('subresource')}" if request.get("subresource") else ""
    dry = " as a dry run" if request.get("dry_run") else ""
    text = (
        f"It sent {request.get('verb')} {request.resource}{sub} {place}{dry}: "
        f"{request.get('status', '?')}"
    )
    back = [
        effect
        for effect in effects.get(request.seq, ())
        if effect.kind == "watch_event" and effect.stage == "reflector"
    ]
    chosen.update(effect.seq for effect in back)
    if back:
        text += f", which came back as {back[0].get('type')} at rv {back[0].resource_version}"
    return text + "."


def _place(request: TraceRecord) -> str:
    namespace, name = request.get("namespace") or "", request.get("name") or ""
    return f"{namespace}/{name}".strip("/")


def _finished_text(finished: TraceRecord) -> str:
    error = finished.get("error")
    outcome = finished.get("outcome") or finished.get("result") or "done"
    return f"It failed with {error}; {outcome}." if error else f"It ended: {outcome}."


def _waiting(key: str, records: dict[int, TraceRecord], runs: list[TraceRecord]) -> list[str]:
    last_run = max((run.seq for run in runs if not run.get("dry_run")), default=0)
    adds = [
        record
        for record in records.values()
        if record.stage == "workqueue"
        and record.kind == "added"
        and record.key == key
        and record.seq > last_run
    ]
    if not adds:
        return []
    count = len(adds)
    return [f"{count} event{' waits' if count == 1 else 's wait'} for the next reconcile of {key}."]
