"""The reconcile stepper: one key, what queued it, what was read, written and decided.

Thread: pure functions.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, esc, joined, plain
from crlab.views.event import diff_html, diff_text
from crlab.views.format import count, lag
from crlab.views.grid import grid
from crlab.views.state import MAX_ROWS, CallState, QueueState, StepperState, StepState

MAX_TEXT = 6000
MAX_LINES = 20


def queue_text(queue: QueueState) -> str:
    """Return a queue as one line: ready, processing and delayed keys."""
    parts = [
        f"ready: {_keys(queue.ready)}",
        f"processing: {_keys(queue.processing)}",
    ]
    if queue.delayed:
        due = [f"{plain(key, limit=60)} in {lag(max(0.0, s))}" for key, s in queue.delayed[:10]]
        parts.append(f"delayed: {', '.join(due)}" + _rest(len(queue.delayed), 10))
    if queue.attempts:
        tries = [f"{plain(key, limit=60)} ×{n}" for key, n in queue.attempts[:10]]
        parts.append(f"failures: {', '.join(tries)}" + _rest(len(queue.attempts), 10))
    return " · ".join(parts)


def _keys(keys: tuple[str, ...]) -> str:
    return (", ".join(plain(key, limit=60) for key in keys[:10]) or "-") + _rest(len(keys), 10)


def _rest(total: int, shown: int) -> str:
    return f" +{count(total - shown)}" if total > shown else ""


def call_text(call: CallState) -> str:
    """Return a request as one line."""
    parts = [plain(call.verb, limit=24), plain(call.target, limit=120)]
    if call.is_cached:
        parts.append("(cache)")
    if call.code is not None:
        parts.append(f"→ {call.code}")
    if call.is_dry_run:
        parts.append("(dry run)")
    if call.duration_seconds is not None:
        parts.append(lag(call.duration_seconds))
    if call.error:
        parts.append(plain(call.error, limit=200))
    return " ".join(parts)


def stepper_text(state: StepperState) -> str:
    """Return the last step, line by line, and the queue now."""
    lines = [f"controller {plain(state.controller, limit=60)}{_mode(state)}"]
    if state.step is None:
        lines.append("no step yet")
    else:
        lines += _step_text(state.step)
    lines.append(f"queue now: {queue_text(state.queue)}")
    return "\n".join(lines) + "\n"


def _mode(state: StepperState) -> str:
    mode = ", dry run" if state.is_dry_run else ""
    if state.breakpoint:
        mode += f", breakpoint {plain(state.breakpoint, limit=60)}"
    if state.breakpoint_error:
        mode += f", breakpoint refused: {plain(state.breakpoint_error, limit=160)}"
    return mode


def _step_text(step: StepState) -> list[str]:
    lines = [f"step {step.number}: {plain(step.key, limit=120)}, attempt {step.attempt}"]
    if step.sentence:
        lines.append(f"  {plain(step.sentence, limit=400)}")
    lines.append(f"  queue before: {queue_text(step.before)}")
    for title, texts in (
        ("triggers", step.triggers),
        ("log", step.log),
        ("came back", step.events_back),
    ):
        if texts:
            lines.append(f"  {title}:")
            lines += [f"    {plain(text, limit=200)}" for text in texts[:MAX_LINES]]
    if step.calls:
        lines.append("  calls:")
        for call in step.calls[:MAX_ROWS]:
            lines.append(f"    {call_text(call)}")
            lines += [f"      {line}" for line in diff_text(call.diff)]
    lines.append(f"  result: {plain(step.result, limit=200)}")
    lines += [
        f"    {line}" for line in plain(step.error, limit=MAX_TEXT, multiline=True).splitlines()
    ]
    return [*lines, f"  queue after: {queue_text(step.after)}"]


def stepper_html(state: StepperState) -> Markup:
    """Return the last step; its result line is announced politely to screen readers."""
    step = state.step
    said = "No step yet: press Step to take the first key of the queue."
    if step:
        said = f"Step {step.number}: {step.key} → {step.result}"
    notes = []
    if state.is_dry_run:
        notes.append(H.div(H.b("◐ Dry run:"), " writes are validated, not stored", cls="note busy"))
    if state.breakpoint_error:
        notes.append(H.div(H.b("✖ Breakpoint:"), " ", state.breakpoint_error, cls="note bad"))
    return joined(
        [
            notes,
            H.div(plain(said, limit=300), role="status", aria_live="polite", cls="said"),
            _step_html(step) if step else None,
            _queue_html("The queue now", state.queue) if not step else None,
            _history(state),
        ]
    )


def _step_html(step: StepState) -> Markup:
    told = None
    if step.sentence:
        rule = H.div(plain(step.rule, limit=400), cls="dim") if step.rule else None
        told = H.div(plain(step.sentence, limit=600), rule)
    error = None
    if step.error:
        text = esc(step.error, limit=MAX_TEXT, multiline=True)
        error = joined([H.h4("✖ Your reconcile raised"), H.pre(text, tabindex=0)])
    left = H.div(
        H.h4(f"Why {plain(step.key, limit=80)} (attempt {step.attempt})"),
        _lines(step.triggers, "nothing recorded", "Triggers"),
        H.h4("The queue"),
        H.div(_queue_html("before", step.before), _queue_html("after", step.after), cls="two slim"),
    )
    cached = esc(step.object_text, limit=MAX_TEXT, multiline=True)
    right = H.div(
        H.h4("As cached"),
        H.pre(cached, tabindex=0) if cached else H.div("not in the cache (deleted)", cls="dim"),
    )
    return joined(
        [
            told,
            error,
            H.div(left, right, cls="two"),
            H.h4("What it read and wrote"),
            _calls(step.calls),
            H.h4("Log") if step.log else None,
            _lines(step.log, "", "Log") if step.log else None,
            H.h4("What came back as watch events") if step.events_back else None,
            _lines(step.events_back, "", "Events that came back") if step.events_back else None,
        ]
    )


def _lines(texts: tuple[str, ...], empty: str, label: str) -> Markup:
    if not texts:
        return H.div(empty, cls="dim")
    items = [H.li(plain(text, limit=240)) for text in texts[:MAX_LINES]]
    if len(texts) > MAX_LINES:
        items.append(H.li(f"… {count(len(texts) - MAX_LINES)} more", cls="dim"))
    return H.ol(items, cls="plain", aria_label=label)


def _queue_html(label: str, queue: QueueState) -> Markup:
    due = [f"{plain(key, limit=60)} in {lag(max(0.0, s))}" for key, s in queue.delayed[:10]]
    tries = [f"{plain(key, limit=60)} ×{n}" for key, n in queue.attempts[:10]]
    pairs = [
        ("ready", _keys(queue.ready)),
        ("processing", _keys(queue.processing)),
        ("delayed", (", ".join(due) or "-") + _rest(len(queue.delayed), 10)),
    ]
    if tries:
        pairs.append(("failures", ", ".join(tries)))
    facts = H.dl([joined([H.dt(k), H.dd(v)]) for k, v in pairs], cls="kv")
    return H.div(H.b(label), facts, role="group", aria_label=f"Queue {label}")


def _calls(calls: tuple[CallState, ...]) -> Markup:
    if not calls:
        return H.div("nothing", cls="dim")
    rows = []
    is_timed = any(call.duration_seconds is not None for call in calls)
    for call in calls[:MAX_ROWS]:
        sign, tone = _sign(call)
        what = plain(call.target, limit=120) + (" (cache)" if call.is_cached else "")
        dry = " dry run" if call.is_dry_run else ""
        diff = diff_html(call.diff) if call.diff else None
        failed = H.div(plain(call.error, limit=300), cls="bad") if call.error else None
        rows.append(
            H.tr(
                H.td(sign, cls=f"mark {tone}"),
                H.td(plain(call.verb, limit=24), H.span(dry, cls="busy") if dry else None),
                H.td(what, diff, failed, cls="wrap"),
                H.td("" if call.code is None else call.code, cls="num"),
                H.td(lag(call.duration_seconds), cls="num") if is_timed else None,
            )
        )
    heads = [
        H.th(H.span("read or write", cls="sr"), scope="col", cls="mark"),
        "verb",
        "object",
        H.th("code", scope="col", cls="num"),
        *([H.th("took", scope="col", cls="num")] if is_timed else []),
    ]
    return grid("What it read and wrote", heads, rows)


def _sign(call: CallState) -> tuple[Markup, str]:
    if call.error or (call.code or 0) >= 400:
        return joined(["✖", H.span("failed", cls="sr")]), "bad"
    if call.is_write:
        return joined(["✎", H.span("write", cls="sr")]), "busy"
    return joined(["○", H.span("read", cls="sr")]), "dim"


def _history(state: StepperState) -> Markup | None:
    if len(state.history) < 2:
        return None
    rows = [
        H.tr(H.td(number, cls="mark"), H.td(plain(key, limit=80)), H.td(plain(result, limit=120)))
        for number, key, result in state.history[-10:]
    ]
    heads = (H.th("step", scope="col", cls="mark"), "key", "result")
    return joined([H.h4("Steps so far"), grid("Steps so far", heads, rows)])
