"""The events inspector: the stream of watch events, and one event opened.

Thread: pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable

from crlab.model.escape import H, Markup, joined, plain
from crlab.model.plural import unit_of
from crlab.views.format import TYPE_MARKS, clock_time, count, lag, text_table, window_note
from crlab.views.grid import grid
from crlab.views.state import MAX_ROWS, Diff, EventDetail, EventRow, EventsState, SideBySide

_DIFF = {"+": ("add", "added"), "-": ("del", "removed"), "~": ("chg", "changed")}
MAX_DIFF = 40
MAX_LINES = 160
MAX_REACHED = 16
_CONTEXT = 3


def paths_text(paths: tuple[str, ...], limit: int = 3) -> str:
    """Return the first changed paths, and how many more there are."""
    text = ", ".join(plain(path, limit=48) for path in paths[:limit])
    return text + (f" +{len(paths) - limit}" if len(paths) > limit else "")


def diff_text(diff: Iterable[Diff]) -> list[str]:
    """Return one line per changed field."""
    lines = []
    for field in list(diff)[:MAX_DIFF]:
        path, old, new = plain(field.path, limit=120), _value(field.old), _value(field.new)
        if path in ("", "."):
            path = "the whole object"
        if field.op == "+":
            lines.append(f"+ {path}: {new}" if new else f"+ {path}")
        elif field.op == "-":
            lines.append(f"- {path}: {old}" if old else f"- {path}")
        else:
            lines.append(f"~ {path}: {old} → {new}")
    return lines + _more(len(list(diff)), MAX_DIFF, "fields")


def _value(text: str) -> str:
    return plain(text, limit=120)


def _more(total: int, limit: int, what: str) -> list[str]:
    return [f"… {count(total - limit)} more {what}"] if total > limit else []


def diff_html(diff: tuple[Diff, ...]) -> Markup:
    """Return the changed fields as a list; each line begins with its sign."""
    if not diff:
        return H.div("no field changed", cls="dim")
    items = []
    for field, line in zip(diff[:MAX_DIFF], diff_text(diff), strict=False):
        name, word = _DIFF.get(field.op, _DIFF["~"])
        items.append(H.li(H.span(word, cls="sr"), line, cls=name))
    items += [H.li(line, cls="dim") for line in _more(len(diff), MAX_DIFF, "fields")]
    return H.ul(items, cls="diff")


def events_text(state: EventsState) -> str:
    """Return the window as aligned text, and the opened event under it."""
    lines = []
    if state.rows:
        heads = ["SEQ", "TIME", "", "TYPE", "KEY", "RV", "CHANGED", "WRITER", "LAG"]
        body = [
            [
                str(row.seq),
                clock_time(row.at),
                TYPE_MARKS.get(row.type, " "),
                plain(row.type, limit=12),
                plain(row.key, limit=60),
                plain(row.resource_version, limit=20),
                paths_text(row.paths),
                plain(row.writer, limit=30),
                lag(row.lag_seconds),
            ]
            for row in state.rows[:MAX_ROWS]
        ]
        lines += text_table(heads, body, (0, 8))
    lines += _notes(state)
    if state.opened:
        lines += ["", *_detail_text(state.opened)]
    return "\n".join(lines) + "\n"


def _notes(state: EventsState) -> list[str]:
    shown = len(state.rows[:MAX_ROWS])
    notes = [window_note(state.offset, shown, state.matching, state.total, "events")]
    if state.dropped:
        notes.append(
            f"{count(state.dropped)} older {unit_of(state.dropped, 'records')} fell off the trace"
        )
    if state.filter_text:
        notes.append(f"filter {plain(state.filter_text, limit=80)}")
    if state.is_paused:
        notes.append(f"paused, +{count(state.pending)} new")
    lines = [" · ".join(notes)]
    if state.filter_error:
        lines.append(f"filter refused: {plain(state.filter_error, limit=200)}")
    return lines


def _facts(detail: EventDetail) -> list[tuple[str, str]]:
    row = detail.row
    facts = [
        ("event", f"{TYPE_MARKS.get(row.type, '')} {row.type} {row.key}".strip()),
        ("resource", row.resource),
        ("resourceVersion", row.resource_version),
        ("seen at", clock_time(row.at)),
        ("lag", lag(row.lag_seconds)),
        ("deleted by" if row.type == "DELETED" else "written by", detail.writer or row.writer),
        ("delta", detail.delta),
    ]
    return [(label, plain(value, limit=160)) for label, value in facts if value]


def _detail_text(detail: EventDetail) -> list[str]:
    lines = [f"event #{detail.row.seq}"]
    lines += [f"  {label}: {value}" for label, value in _facts(detail)]
    if detail.sentence:
        lines.append(f"  {plain(detail.sentence, limit=300)}")
    lines += ["  changed:", *(f"    {line}" for line in diff_text(detail.diff))]
    if detail.reached:
        lines.append("  reached:")
        for reach in detail.reached[:MAX_REACHED]:
            parts = (reach.stage, reach.name, reach.detail, lag(reach.lag_seconds))
            lines.append("    " + " ".join(plain(part, limit=120) for part in parts if part))
    if detail.side_by_side:
        both = detail.side_by_side
        lines.append(f"  {plain(both.left_title, limit=60)} | {plain(both.right_title, limit=60)}")
        for op, left, right in folded_lines(both.lines)[:MAX_LINES]:
            text = left if left == right else f"{plain(left, limit=80)} | {plain(right, limit=80)}"
            lines.append(f"  {op} {plain(text, limit=180)}")
    return lines


def events_html(state: EventsState) -> Markup:
    """Return the stream as a table, newest first, and the opened event under it."""
    opened = state.opened.row.seq if state.opened else None
    heads = ("seq", "time", "type", "key", "rv", "changed", "writer", "lag")
    rows = [_event_row(row, row.seq == opened) for row in state.rows[:MAX_ROWS]]
    if not rows:
        text = "no event passes the filter" if state.total else "no events yet"
        rows = [H.tr(H.td(text, colspan=len(heads), cls="dim"))]
    ths = [H.th(head, scope="col", cls="num" if head in ("seq", "lag") else None) for head in heads]
    return joined(
        [
            grid(f"{state.title}, newest first", ths, rows),
            H.div(_notes(state)[0], cls="foot"),
            detail_html(state.opened) if state.opened else None,
        ]
    )


def _event_row(row: EventRow, opened: bool) -> Markup:
    tone = {"ADDED": "good", "MODIFIED": "busy", "DELETED": "bad", "ERROR": "bad"}.get(row.type)
    return H.tr(
        H.td(row.seq, cls="num"),
        H.td(clock_time(row.at)),
        H.td(
            H.span(TYPE_MARKS.get(row.type, " "), " ", plain(row.type, limit=12), cls=tone),
        ),
        H.td(plain(row.key, limit=60)),
        H.td(plain(row.resource_version, limit=20)),
        H.td(H.code(paths_text(row.paths)), title=plain(", ".join(row.paths[:30]), limit=400)),
        H.td(plain(row.writer, limit=30)),
        H.td(lag(row.lag_seconds), cls="num"),
        cls="open" if opened else None,
        aria_current="true" if opened else None,
    )


def detail_html(detail: EventDetail) -> Markup:
    """Return one event: its facts, its field diff, what it reached, both objects."""
    facts = H.dl([joined([H.dt(k), H.dd(v)]) for k, v in _facts(detail)], cls="kv")
    more = _more(len(detail.reached), MAX_REACHED, "records")
    reached = [
        H.tr(
            H.td(plain(reach.stage, limit=40)),
            H.td(plain(reach.name, limit=60)),
            H.td(plain(reach.detail, limit=120)),
            H.td(lag(reach.lag_seconds), cls="num"),
        )
        for reach in detail.reached[:MAX_REACHED]
    ]
    heads = ("stage", "name", "what", H.th("lag", scope="col", cls="num"))
    return H.section(
        H.h3(f"Event #{detail.row.seq}"),
        H.div(detail.sentence[:600], cls="said") if detail.sentence else None,
        H.div(
            H.div(H.h4("What it is"), facts),
            H.div(H.h4("Fields that changed"), diff_html(detail.diff)),
            cls="two",
        ),
        H.h4("What it reached") if reached else None,
        grid("What the event reached", heads, reached) if reached else None,
        H.div(more[0], cls="foot") if more else None,
        side_by_side_html(detail.side_by_side) if detail.side_by_side else None,
        aria_label=f"Event {detail.row.seq}",
    )


def folded_lines(lines: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str, str]]:
    """Return the changed lines with a little context; what lies between is counted."""
    near = {
        i + by
        for i, line in enumerate(lines)
        if line[0].strip()
        for by in range(-_CONTEXT, _CONTEXT + 1)
    }
    shown: list[tuple[str, str, str]] = []
    hidden = 0
    for i, line in enumerate(lines):
        if i in near or not near:
            if hidden:
                shown.append(("…", f"{hidden} equal lines", f"{hidden} equal lines"))
            hidden = 0
            shown.append(line)
        else:
            hidden += 1
    return [*shown, *([("…", f"{hidden} equal lines", f"{hidden} equal lines")] * bool(hidden))]


def side_by_side_html(both: SideBySide) -> Markup:
    """Return two forms of one object next to each other; changed lines carry a sign."""
    names = {"+": "added", "-": "deleted", "~": "modified", "…": "left out"}
    lines = folded_lines(both.lines)
    rows = [
        H.tr(
            H.td(op.strip(), H.span(names.get(op, ""), cls="sr"), cls="mark"),
            H.td(H.code(plain(left, limit=160)), cls="wrap"),
            H.td(H.code(plain(right, limit=160)), cls="wrap"),
            cls="open" if op in ("+", "-", "~") else None,
        )
        for op, left, right in lines[:MAX_LINES]
    ]
    heads = (
        H.th(H.span("change", cls="sr"), scope="col", cls="mark"),
        plain(both.left_title, limit=60),
        plain(both.right_title, limit=60),
    )
    more = _more(len(lines), MAX_LINES, "lines")
    label = "The object at two resourceVersions"
    return joined(
        [
            H.h4(label),
            grid(label, heads, rows),
            H.div(more[0], cls="foot") if more else None,
        ]
    )
