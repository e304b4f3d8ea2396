"""The live table: a window over any number of rows, with marks on what changed.

Guarantees:
  1. At most `MAX_ROWS` rows and `MAX_COLUMNS` columns are rendered; the rest is counted.
  2. A change is told by a sign ("+", "~", "-") and a word for screen readers, then colour.
  3. An age that ticks is no change: times are kept as times and aged when shown.

Thread: pure functions.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, joined, plain
from crlab.views.format import MARKS, cell, count, date_time, text_table, window_note
from crlab.views.grid import grid
from crlab.views.state import MAX_ROWS, ColumnState, Row, TableState
from crlab.views.style import MARK_SECONDS

MAX_COLUMNS = 16


def table_text(state: TableState) -> str:
    """Return the window as aligned text."""
    columns, rows = state.columns[:MAX_COLUMNS], state.rows[:MAX_ROWS]
    now = state.status.at
    lines = []
    if rows:
        heads = ["", *(plain(column.name, limit=30) for column in columns)]
        body = [
            [
                MARKS.get(row.mark, ""),
                *(
                    cell(value, column.kind, now)
                    for value, column in zip(row.cells, columns, strict=False)
                ),
            ]
            for row in rows
        ]
        right = [i + 1 for i, column in enumerate(columns) if column.kind == "number"]
        if not any(line[0] for line in body):
            heads, body = heads[1:], [line[1:] for line in body]
            right = [i - 1 for i in right]
        lines += text_table(heads, body, right)
    return "\n".join([*lines, *_notes(state)]) + "\n"


def _notes(state: TableState) -> list[str]:
    notes = [window_note(state.offset, len(state.rows[:MAX_ROWS]), state.matching, state.total)]
    if len(state.columns) > MAX_COLUMNS:
        notes.append(f"{len(state.columns) - MAX_COLUMNS} more columns")
    if state.sort:
        order = "descending" if state.is_descending else "ascending"
        notes.append(f"by {plain(state.sort, limit=30)} {order}")
    if state.filter_text:
        notes.append(f"filter {plain(state.filter_text, limit=80)}")
    if state.is_paused:
        notes.append(f"paused, +{count(state.pending)} new")
    line = [" · ".join(notes)]
    if state.filter_error:
        line.append(f"filter refused: {plain(state.filter_error, limit=200)}")
    return line


def table_html(state: TableState) -> Markup:
    """Return the window as a table with caption and scopes, and a foot line."""
    columns, rows = state.columns[:MAX_COLUMNS], state.rows[:MAX_ROWS]
    heads = [
        H.th(H.span("change", cls="sr"), scope="col", cls="mark"),
        *(_heading(column, state) for column in columns),
    ]
    body = [_row(row, columns, state.status.at) for row in rows]
    if not rows:
        text = "no row passes the filter" if state.total else "no rows yet"
        body = [H.tr(H.td(text, colspan=len(columns) + 1, cls="dim"))]
    label = f"{plain(state.title, limit=80)} rows"
    return joined([grid(label, heads, body), H.div(_notes(state)[0], cls="foot")])


def _heading(column: ColumnState, state: TableState) -> Markup:
    is_sorted = column.name == state.sort
    arrow = (" ▼" if state.is_descending else " ▲") if is_sorted else ""
    order = "descending" if state.is_descending else "ascending"
    return H.th(
        plain(column.name, limit=30),
        arrow,
        scope="col",
        cls="num" if column.kind == "number" else None,
        title=plain(column.description, limit=200) or None,
        aria_sort=order if is_sorted else None,
    )


def _row(row: Row, columns: tuple[ColumnState, ...], now: float) -> Markup:
    mark = row.mark if row.mark in MARKS and row.mark_age_seconds < MARK_SECONDS else ""
    # The browser fades; a negative delay lets it go on where the last picture was.
    delay = f"animation-delay:-{row.mark_age_seconds:.1f}s" if mark else None
    cells = []
    for i, (value, column) in enumerate(zip(row.cells, columns, strict=False)):
        changed = mark == "modified" and i in row.changed
        is_time = column.kind == "time" and isinstance(value, int | float)
        classes = ["num"] if column.kind == "number" else []
        classes += ["ch"] if changed else []
        cells.append(
            H.td(
                cell(value, column.kind, now),
                cls=" ".join(classes) or None,
                style=delay if changed or mark in ("added", "deleted") else None,
                title=date_time(value) if is_time else None,  # type: ignore[arg-type]
            )
        )
    sign = joined([MARKS[mark], H.span(mark, cls="sr")]) if mark else None
    return H.tr(H.td(sign, cls="mark", style=delay), cells, cls=mark or None)
