"""One trace record as a plain sentence, and the rule behind it.

Thread: pure functions.
Source: client-go and controller-runtime, in the order a change passes through them.
"""

from __future__ import annotations

from collections.abc import Callable

from crlab.model.escape import plain
from crlab.trace.record import TraceRecord
from crlab.views.format import lag

RULES = {
    "reflector.listed": "One list gives the whole state at one resourceVersion; "
    "the watch goes on from there.",
    "reflector.watch_event": "A watch tells every change after the list, in order.",
    "reflector.bookmark": "A bookmark moves the resourceVersion on without an object.",
    "reflector.error": "A failed watch is resumed from the last applied resourceVersion; "
    "a 410 makes it list again.",
    "queue.queued": "Deltas wait in order; one consumer takes them.",
    "indexer.stored": "The cache is changed before any handler hears of it.",
    "indexer.replaced": "A list replaces the cache: what it lacks is deleted, "
    "with a tombstone if the last state is unknown.",
    "handler.notified": "Each handler has its own backlog; a slow one holds up no other.",
    "workqueue.added": "The queue holds each key once: events of a waiting key collapse.",
    "workqueue.got": "A key in processing is given to no second worker.",
    "workqueue.done": "A key that was added meanwhile is queued again now.",
    "workqueue.requeued": "A failed key comes back after its back-off.",
    "workqueue.forgotten": "Success forgets the failures: the next back-off starts small.",
    "reconcile.started": "Level-triggered: the function sees the present state, not the event.",
    "reconcile.finished": "An error is retried with back-off; success forgets the failures.",
    "client.request": "A write comes back as a watch event; the cache is behind until then.",
    "fault.injected": "What follows is how the machinery heals.",
}


def rule_of(record: TraceRecord) -> str:
    """Return the rule behind a record, "" if none is worth telling."""
    return RULES.get(f"{record.stage}.{record.kind}", "")


def sentence_of(record: TraceRecord) -> str:
    """Return what a record says happened."""
    where = " ".join(part for part in (record.resource, record.key) if part)
    version = f" at rv {record.resource_version}" if record.resource_version else ""
    told = _TOLD.get(f"{record.stage}.{record.kind}")
    text = told(record, where, version) if told else f"{record.stage} {record.kind} {where}"
    return plain(text.strip(), limit=400)


def _state(r: TraceRecord, where: str, version: str) -> str:
    delay = r.get("delay_seconds")
    text = f"The reflector of {where} went from {r.get('previous')} to {r.get('state')}"
    text += f" ({r.get('reason')})" if r.get("reason") else ""
    return text + (f"; it waits {lag(delay)}" if delay else "")


def _request(r: TraceRecord, where: str, version: str) -> str:
    sub = f"/{r.get('subresource')}" if r.get("subresource") else ""
    dry = " as a dry run" if r.get("dry_run") else ""
    what = where or str(r.get("path", ""))
    return f"{r.get('actor') or 'lab'} sent {r.get('verb')} {what}{sub}{dry}: {r.get('status')}"


def _finished(r: TraceRecord, where: str, version: str) -> str:
    error = r.get("error")
    end = r.get("outcome") or r.get("result") or "done"
    return f"The reconcile of {r.key} " + (f"failed: {error}; {end}" if error else f"ended: {end}")


_TOLD: dict[str, Callable[[TraceRecord, str, str], str]] = {
    "reflector.state": _state,
    "reflector.listed": lambda r, w, v: f"A list of {w} brought {r.get('count')} objects{v}",
    "reflector.watch_event": lambda r, w, v: f"The watch brought {r.get('type')} {w}{v}",
    "reflector.bookmark": lambda r, w, v: f"A bookmark of {w} came{v}",
    "reflector.error": lambda r, w, v: f"The reflector of {w} met: {r.get('error')}",
    "queue.queued": lambda r, w, v: f"A delta {r.get('type')} of {w} was queued",
    "queue.resync": lambda r, w, v: f"Everything in the cache of {w} is shown again (resync)",
    "indexer.stored": lambda r, w, v: f"The cache was told to {r.get('operation')} {w}{v}",
    "indexer.replaced": lambda r, w, v: (
        f"The cache of {w} was replaced{v}: {r.get('added')} added, "
        f"{r.get('updated')} updated, {r.get('deleted')} deleted"
    ),
    "handler.notified": lambda r, w, v: (
        f"Handler {r.get('handler')} was told: {r.get('type')} {w}{v}"
    ),
    "handler.error": lambda r, w, v: f"Handler {r.get('handler')} raised {r.get('error')}",
    "workqueue.added": lambda r, w, v: (
        f"Key {r.key} was added to {r.get('queue')}"
        + (", collapsed with what was waiting" if r.get("collapsed") else "")
    ),
    "workqueue.got": lambda r, w, v: f"A worker of {r.get('queue')} took {r.key}",
    "workqueue.done": lambda r, w, v: f"{r.key} was given back to {r.get('queue')}",
    "workqueue.requeued": lambda r, w, v: (
        f"{r.key} comes back in {lag(r.get('delay_seconds'))} (failures so far: {r.get('attempt')})"
    ),
    "workqueue.forgotten": lambda r, w, v: f"The failures of {r.key} were forgotten",
    "reconcile.started": lambda r, w, v: (
        f"{r.get('controller')} reconciles {r.key}, attempt {r.get('attempt')}"
    ),
    "reconcile.finished": _finished,
    "client.request": _request,
    "fault.injected": lambda r, w, v: f"Fault {r.get('name') or r.get('fault')} was injected {w}",
    "lab.note": lambda r, w, v: str(r.get("text") or r.get("message") or "note"),
}
