"""What a trace record says in plain words, short and whole, and the rule of client-go behind it.

From: any record. To: everything that tells one: `lab.step()`, the pipeline, the time slider,
`explain`, timelines, the reflector's log, the stepper. It is the one place for these words: a
new kind of record gets its line here.

Guarantees: a record of any kind has a sentence; what is told of one outcome of a reconcile is
the same wherever it is told.

Thread: pure functions.
Source: the contracts in kubernetes/client-go:tools/cache and util/workqueue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from crlab.model.plural import counted
from crlab.trace.record import TraceRecord


def sentence_of(record: TraceRecord) -> str:
    """Return what happened, in one sentence."""
    teller = _TELLERS.get((record.stage, record.kind))
    what = teller(record) if teller is not None else f"{record.stage}: {record.kind} {record.key}"
    return what.strip().rstrip(".") + "."


def brief_of(record: TraceRecord) -> str:
    """Return what happened in a few words, for a column beside kind, resource and key."""
    teller = _BRIEFS.get((record.stage, record.kind))
    if teller is not None:
        return str(teller(record)).strip()
    return ", ".join(f"{name} {text}" for name in _SAID if (text := str(record.get(name) or "")))


def rule_of(record: TraceRecord) -> str:
    """Return why it happened so, in Kubernetes' terms; "" if there is nothing to say."""
    if (record.stage, record.kind) == ("reflector", "state"):
        return _STATE_RULES.get(str(record.get("state")), "")
    if (record.stage, record.kind) == ("reconcile", "finished"):
        outcome = str(record.get("outcome") or "")
        return rule_of_outcome(outcome, dry_run=bool(record.get("dry_run")))
    return _RULES.get((record.stage, record.kind), "")


def rule_of_outcome(outcome: str, *, dry_run: bool = False) -> str:
    """Return the rule behind what became of a key after its reconcile.

    Args:
        outcome: as `StepRecord.outcome` and the record of the run have it: "done", "done, again
            in 30 s", "retry in 0.005 s (attempt 2)", "given up after 6 attempts", …
    """
    if dry_run:
        return "A dry run is no attempt: key, failures and back-off stay as they were."
    return next((rule for begin, rule in _OUTCOME_RULES if outcome.startswith(begin)), "")


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
    ("reconcile", "controller"): lambda r: f"Controller {r.get('controller')} was {r.get('state')}",
    ("handler", "notified"): _notified,
    ("handler", "error"): lambda r: f"Handler {r.get('handler')} raised: {r.get('error')}",
    ("workqueue", "added"): _added,
    ("workqueue", "got"): _simple("A worker took {key}"),
    ("workqueue", "done"): _simple("{key} is done; it may be taken again"),
    ("workqueue", "requeued"): _requeued,
    ("workqueue", "forgotten"): _simple("The failures of {key} were forgotten"),
    ("reconcile", "started"): _simple("Reconcile of {key} began"),
    ("reconcile", "finished"): _finished,
    ("reconcile", "given_up"): lambda r: f"{r.key} is given up: {r.get('error')}",
    ("reconcile", "stuck"): lambda r: (
        f"Reconcile of {r.key} has run for {r.get('timeout_seconds')} s: it is stuck"
    ),
    ("reconcile", "log"): lambda r: f"Reconcile of {r.key} logged: {r.get('message')}",
    ("reconcile", "printed"): lambda r: f"Reconcile of {r.key} printed: {r.get('message')}",
    ("reconcile", "breakpoint"): lambda r: f"Breakpoints are now: {r.get('breakpoints')}",
    ("reconcile", "failed"): lambda r: f"The controller ended: {r.get('error')}",
    ("reconcile", "mapper_failed"): lambda r: f"A mapper failed on {r.key}: {r.get('error')}",
    ("reconcile", "predicate_failed"): lambda r: f"A predicate failed on {r.key}: {r.get('error')}",
    ("reconcile", "event_lost"): lambda r: f"An Event about {r.key} was lost: {r.get('error')}",
    ("queue", "resync"): _simple("A resync hands every cached object of {resource} to handlers"),
    ("lab", "informer"): _simple("An informer of {resource} was made"),
    ("lab", "definition"): _simple("The definition of {resource} was noted for recordings"),
    ("client", "request"): _request,
    ("fault", "injected"): lambda r: f"A fault was injected: {r.get('name') or r.get('fault')}",
}


def _brief_state(record: TraceRecord) -> str:
    text = f"{record.get('previous')} → {record.get('state')}"
    delay = record.get("delay_seconds")
    return f"{text} for {delay:.1f} s" if isinstance(delay, int | float) else text


def _brief_listed(record: TraceRecord) -> str:
    count, pages = int(record.get("count") or 0), int(record.get("pages") or 1)
    return f"{counted(count, 'objects')} in {counted(pages, 'pages')}"


def _brief_audited(record: TraceRecord) -> str:
    wrong = ", ".join(map(str, record.get("wrong") or ()))
    return f"{counted(int(record.get('compared') or 0), 'keys')}: {wrong or 'as served'}"


def _brief_request(record: TraceRecord) -> str:
    answer = record.get("status") or record.get("error") or "no answer"
    is_informer = str(record.get("actor") or "").startswith("informer/")
    if record.get("path") and not is_informer:
        return f"{record.get('method') or record.get('verb')} {record.get('path')} → {answer}"
    return f"{record.get('verb')} {asked(str(record.get('query') or ''))} → {answer}"


def asked(query: str) -> str:
    """Return a query without the parts that are the same in every one; "-" if none is left."""
    parts = [part for part in query.split("&") if part and part.split("=")[0] not in _SILENT]
    return unquote(" ".join(parts)) or "-"


_SILENT = ("watch", "timeoutSeconds")

_BRIEFS: dict[tuple[str, str], Callable[[TraceRecord], object]] = {
    ("reflector", "state"): _brief_state,
    ("reflector", "request"): _brief_request,
    ("reflector", "listed"): _brief_listed,
    ("reflector", "watch_event"): lambda r: r.get("type"),
    ("reflector", "bookmark"): lambda r: "",
    ("reflector", "audited"): _brief_audited,
    ("reflector", "error"): lambda r: r.get("error"),
    ("client", "request"): _brief_request,
    ("workqueue", "added"): lambda r: (
        f"{r.get('trigger', '')}{' (collapsed)' if r.get('collapsed') else ''}"
    ),
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
    ("queue", "resync"): "A resync asks no server: it shows handlers again what the cache holds.",
    ("reconcile", "stuck"): "A run that hangs is marked stuck, and its worker replaced.",
    ("reconcile", "started"): (
        "A reconcile gets a key, not an event: it compares what should be with what is."
    ),
}

_OUTCOME_RULES = (
    ("done, again", "A Result may ask for later: the key is added again after the delay."),
    ("done", "Without an error the failures are forgotten."),
    (
        "retry",
        "An error wins over the result: the key comes back after a back-off, 5 ms at first and "
        "doubled each time.",
    ),
    (
        "given up",
        "A key that failed more often than max_retries is given up; the next event brings it back.",
    ),
    (
        "not retried",
        "A TerminalError is not retried: trying again would not help; the next event brings it "
        "back.",
    ),
    ("interrupted", "A run that was interrupted counts as none: its key is queued again."),
)

_SAID = ("type", "operation", "handler", "delay_seconds", "attempt", "outcome", "error", "message")
