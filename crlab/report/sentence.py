"""One transition in plain words, and the rule of client-go behind it.

Thread: pure functions.
Source: the contracts in kubernetes/client-go:tools/cache and util/workqueue.
"""

from __future__ import annotations

from typing import Any

from crlab.trace.record import TraceRecord


def sentence_of(record: TraceRecord) -> str:
    """Return what happened, in one sentence."""
    teller = _TELLERS.get((record.stage, record.kind))
    what = teller(record) if teller is not None else f"{record.stage}: {record.kind} {record.key}"
    return what.strip().rstrip(".") + "."


def rule_of(record: TraceRecord) -> str:
    """Return why it happened so, in Kubernetes' terms; "" if there is nothing to say."""
    if (record.stage, record.kind) == ("reflector", "state"):
        return _STATE_RULES.get(str(record.get("state")), "")
    return _RULES.get((record.stage, record.kind), "")


def _where(record: TraceRecord) -> str:
    return f"{record.resource} {record.key}".strip()


def _state(record: TraceRecord) -> str:
    reason = record.get("reason") or ""
    text = f"The reflector of {record.resource} is now {str(record.get('state')).replace('_', ' ')}"
    delay = record.get("delay_seconds")
    if delay:
        text += f" and waits {delay:.3g} s"
    return f"{text} ({reason})" if reason else text


def _listed(record: TraceRecord) -> str:
    count = record.get("count", 0)
    return f"The reflector listed {count} {record.resource} at rv {record.resource_version}"


def _watch_event(record: TraceRecord) -> str:
    own = " — the echo of a write made here" if record.causes else ""
    return (
        f"The watch brought {record.get('type')} {_where(record)} at rv "
        f"{record.resource_version}{own}"
    )


def _stored(record: TraceRecord) -> str:
    verb = {"add": "added", "update": "updated", "delete": "removed"}
    return f"The indexer {verb.get(str(record.get('operation')), 'changed')} {_where(record)}"


def _replaced(record: TraceRecord) -> str:
    return (
        f"The indexer was replaced as a whole: {record.get('added', 0)} added, "
        f"{record.get('updated', 0)} updated, {record.get('deleted', 0)} deleted"
    )


def _notified(record: TraceRecord) -> str:
    return f"Handler {record.get('handler')} was told: {record.get('type')} {record.key}"


def _added(record: TraceRecord) -> str:
    if record.get("collapsed"):
        return f"{record.key} was in the workqueue already; the add only left its reason"
    return f"{record.key} was added to the workqueue"


def _requeued(record: TraceRecord) -> str:
    delay = record.get("delay_seconds") or 0.0
    return f"{record.key} comes back to the workqueue in {delay:.3g} s"


def _finished(record: TraceRecord) -> str:
    error = record.get("error")
    outcome = record.get("outcome") or record.get("result") or "done"
    run = "Dry run" if record.get("dry_run") else "Reconcile"
    return f"{run} of {record.key} ended: {error or outcome}"


def _request(record: TraceRecord) -> str:
    return (
        f"{record.get('actor', 'somebody')} asked: {record.get('verb', '')} {_where(record)} → "
        f"{record.get('status', '?')}"
    )


def _audited(record: TraceRecord) -> str:
    wrong = record.get("wrong") or ()
    found = f"{len(wrong)} are not what the server holds" if wrong else "they agree"
    return f"An audit compared {record.get('compared')} {record.resource} with the server: {found}"


def _simple(text: str) -> Any:
    return lambda record: text.format(
        key=record.key,
        resource=record.resource,
        rv=record.resource_version,
        type=record.get("type"),
    )


_TELLERS: dict[tuple[str, str], Any] = {
    ("reflector", "state"): _state,
    ("reflector", "listed"): _listed,
    ("reflector", "watch_event"): _watch_event,
    ("reflector", "audited"): _audited,
    ("reflector", "bookmark"): _simple("A bookmark said: nothing older than rv {rv} is missing"),
    ("reflector", "error"): lambda r: f"The reflector met an error: {r.get('error')}",
    ("queue", "queued"): _simple("A delta was queued: {type} {resource} {key}"),
    ("indexer", "stored"): _stored,
    ("indexer", "replaced"): _replaced,
    ("indexer", "ignored"): _simple("The indexer ignored a delta of {key}: it holds a newer state"),
    ("handler", "added"): lambda r: f"Handler {r.get('handler')} was registered",
    ("handler", "removed"): lambda r: f"Handler {r.get('handler')} was removed",
    ("handler", "notified"): _notified,
    ("handler", "error"): lambda r: f"Handler {r.get('handler')} raised: {r.get('error')}",
    ("workqueue", "added"): _added,
    ("workqueue", "got"): _simple("A worker took {key}"),
    ("workqueue", "done"): _simple("{key} is done; it may be taken again"),
    ("workqueue", "requeued"): _requeued,
    ("workqueue", "forgotten"): _simple("The failures of {key} were forgotten"),
    ("reconcile", "started"): _simple("Reconcile of {key} began"),
    ("reconcile", "finished"): _finished,
    ("reconcile", "controller"): lambda r: f"Controller {r.get('controller')} was {r.get('state')}",
    ("client", "request"): _request,
    ("lab", "informer"): _simple("An informer of {resource} was made"),
    ("fault", "injected"): lambda r: f"A fault was injected: {r.get('name') or r.get('fault')}",
}

_STATE_RULES = {
    "listing": "Every life begins with a list: the whole truth at one resourceVersion.",
    "streaming_list": (
        "WatchList: the server streams the list as events and ends it with a bookmark."
    ),
    "watching": "A watch goes on from the newest resourceVersion seen, so no change is missed.",
    "backing_off": "A failing server is asked again later, each time after a longer pause.",
    "polling": "Who may list but not watch, and asked for it, is shown a new list now and then.",
}

_RULES = {
    ("reflector", "listed"): (
        "A list carries the store's revision; the watch goes on from exactly there."
    ),
    ("reflector", "watch_event"): (
        "Events of one watch come in the order of their resourceVersion, each once."
    ),
    ("reflector", "bookmark"): (
        "A bookmark moves the resume point without an object, so a quiet watch does not expire."
    ),
    ("reflector", "audited"): (
        "An event that was lost leaves no gap in a watch; only a list can tell."
    ),
    ("queue", "queued"): "One writer, one reader: the reflector never waits for a handler.",
    ("indexer", "stored"): (
        "The store changes before anybody is told; the store, not the event, decides between "
        "add and update."
    ),
    ("indexer", "replaced"): (
        "A list replaces the store in one step; what it lacks is reported deleted, as a tombstone."
    ),
    ("handler", "notified"): (
        "Each handler has its own thread and order; a slow one delays nobody else."
    ),
    ("workqueue", "added"): (
        "A key is in the queue at most once: many events become one reconcile."
    ),
    ("workqueue", "got"): "A key that is being processed is never given to a second worker.",
    ("workqueue", "done"): "A key that was added meanwhile is queued again at done, not before.",
    ("workqueue", "requeued"): (
        "A key that waits is added when its time comes; a failure waits 5 ms, doubled each time."
    ),
    ("handler", "error"): "A handler that raises is noted; the next notification reaches it still.",
    ("reflector", "error"): "After an error the reflector resumes, or lists again if it must.",
    ("workqueue", "forgotten"): "Forget clears the back-off; done is still needed.",
    ("reconcile", "started"): (
        "A reconcile gets a key, not an event: it compares what should be with what is."
    ),
    ("reconcile", "finished"): (
        "None forgets the key, a Result may ask for later, an error retries with back-off."
    ),
}
