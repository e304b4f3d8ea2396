"""The picture: API server → Reflector → queue → Indexer → handlers → workqueue →
reconcile, and back to the API server through its writes.

The loop is drawn as one: the upper row runs to the right, the lower one back. The order
in the document is the order of the flow, for readers without eyes on it.

Thread: pure functions.
Source: client-go's and controller-runtime's own pictures of the same flow.
"""

from __future__ import annotations

from crlab.model.escape import H, Markup, joined, plain
from crlab.model.plural import unit_of
from crlab.views.format import TONES, age, count, counted, lag, text_table
from crlab.views.grid import grid
from crlab.views.state import STAGES, Item, PipelineState, StageState

TITLES = {
    "server": "API server",
    "reflector": "Reflector",
    "queue": "FIFO",
    "indexer": "Indexer",
    "handlers": "Handlers",
    "workqueue": "Workqueue",
    "reconcile": "Reconcile",
    "client": "Client",
}
WHAT = {
    "server": "holds the truth; every write gets the next resourceVersion",
    "reflector": "lists once, then watches; reconnects and lists again when it must",
    "queue": "keeps deltas in order between the watch and the cache",
    "indexer": "the cache: objects by key, with indices; the live DataFrame reads it",
    "handlers": "are told of each change, each from its own backlog",
    "workqueue": "holds keys, not objects: many events of a key become one",
    "reconcile": "your function: reads the cache, writes what is missing",
    "client": "requests of this lab; each write comes back as a watch event",
}


MAX_ITEMS = 12  # of the opened box; the rest is counted


def stages_of(state: PipelineState) -> list[StageState]:
    """Return the eight boxes in order; one that the state lacks is absent."""
    known = {stage.name: stage for stage in state.stages}
    return [known.get(name, StageState(name, is_absent=True)) for name in STAGES]


def title_of(stage: StageState) -> str:
    """Return a box's title as plain text."""
    return plain(stage.title or TITLES.get(stage.name, stage.name), limit=24)


def pipeline_text(state: PipelineState) -> str:
    """Return the boxes, one a line, and what happened last."""
    rows = []
    for stage in stages_of(state):
        is_active = "▶" if stage.name in state.active else ""
        number = "" if stage.count is None else counted(stage.count, plain(stage.unit, limit=20))
        facts = "  ".join(f"{plain(k, limit=20)}={plain(v, limit=40)}" for k, v in stage.facts)
        badge = "absent" if stage.is_absent else plain(stage.state, limit=24)
        rows.append([is_active, title_of(stage), badge, number.strip(), facts])
    if not any(row[0] for row in rows):
        rows = [row[1:] for row in rows]
    lines = text_table([""] * len(rows[0]), rows)
    if state.sentence:
        lines += ["", f"last: {plain(state.sentence, limit=400)}"]
    if state.rule:
        lines.append(f"rule: {plain(state.rule, limit=400)}")
    selected = next((s for s in state.stages if s.name == state.selected), None)
    if selected:
        lines += ["", f"in {title_of(selected)}:", *_items_text(selected)]
    return "\n".join(lines) + "\n"


def _items_text(stage: StageState) -> list[str]:
    if not stage.items:
        return ["  nothing"]
    rows = [
        [plain(i.mark, limit=2), plain(i.name, limit=60), plain(i.detail, limit=100), _due(i)]
        for i in stage.items[:MAX_ITEMS]
    ]
    lines = [f"  {line}" for line in text_table([""] * 4, rows)]
    return [*lines, *([f"  {note}"] if (note := _items_note(stage)) else [])]


def _due(item: Item) -> str:
    return "" if item.due_seconds is None else f"due in {lag(max(0.0, item.due_seconds))}"


def _items_note(stage: StageState) -> str:
    shown = len(stage.items[:MAX_ITEMS])
    return f"first {shown} of {count(stage.total)}" if stage.total > shown else ""


def pipeline_html(state: PipelineState) -> Markup:
    """Return boxes and arrows, the sentence, and the opened box's content."""
    return joined([pipeline_boxes_html(state), pipeline_detail_html(state)])


def pipeline_boxes_html(state: PipelineState) -> Markup:
    """Return boxes and arrows."""
    return H.ol(
        [_box(stage, state) for stage in stages_of(state)],
        cls="boxes",
        aria_label="Stages, in the order of the flow",
    )


def pipeline_detail_html(state: PipelineState) -> Markup:
    """Return what is said under the boxes: the sentence and the opened box's content."""
    said = None
    if state.sentence:
        rule = H.small(plain(state.rule, limit=400)) if state.rule else None
        said = H.div(plain(state.sentence, limit=400), rule, cls="said")
    selected = next((s for s in state.stages if s.name == state.selected), None)
    return joined([said, _content(selected) if selected else None])


def _arrow() -> Markup:
    return H.svg(
        H.line(x1=3, y1=7, x2=25, y2=7),
        H.path(d="M24 2 L32 7 L24 12 Z"),
        cls="arrow",
        viewBox="0 0 34 14",
        aria_hidden="true",
    )


def _box(stage: StageState, state: PipelineState) -> Markup:
    is_active, is_selected = stage.name in state.active, stage.name == state.selected
    classes = ["box", f"b-{stage.name}"]
    classes += ["act"] if is_active else []
    classes += ["sel"] if is_selected else []
    classes += ["absent"] if stage.is_absent else []
    tone = stage.tone if stage.tone in TONES else ""
    badge = None
    if stage.state:
        text = (TONES[tone], " ", plain(stage.state, limit=18))
        badge = H.span(text, cls=f"badge {tone}".strip())
    number = None
    if stage.count is not None:
        unit = unit_of(stage.count, plain(stage.unit, limit=22))
        number = H.div(count(stage.count), " ", H.small(unit), cls="n")
    facts = H.dl(
        [
            H.div(H.dt(plain(k, limit=18)), H.dd(plain(v, limit=40), title=plain(v, limit=200)))
            for k, v in stage.facts[:4]
        ],
        cls="f",
    )
    if stage.is_absent:
        facts = H.div("none yet" if stage.name == "handlers" else "no controller", cls="dim")
    return H.li(
        H.div(
            H.div("▶ " if is_active else "", title_of(stage), cls="t"),
            number,
            H.div(badge, cls="b") if badge else None,
            facts if stage.is_absent or stage.facts else None,
            cls="in",
        ),
        _arrow(),
        cls=" ".join(classes),
        title=WHAT.get(stage.name),
        aria_current="step" if is_active else None,
    )


def _content(stage: StageState) -> Markup:
    shown = stage.items[:MAX_ITEMS]
    is_timed = any(item.due_seconds is not None for item in shown)
    rows = [
        H.tr(
            H.td(plain(item.mark, limit=2), cls="mark"),
            H.td(plain(item.name, limit=80)),
            H.td(plain(item.detail, limit=160)),
            H.td(age(item.due_seconds or 0.0), cls="num") if item.due_seconds is not None else None,
        )
        for item in shown
    ] or [H.tr(H.td("nothing is in it now", colspan=4, cls="dim"))]
    heads = [
        H.th(H.span("mark", cls="sr"), scope="col", cls="mark"),
        "name",
        "detail",
        *([H.th("due in", scope="col", cls="num")] if is_timed else []),
    ]
    thread = f", thread {plain(stage.thread, limit=40)}" if stage.thread else ""
    note = _items_note(stage)
    return H.section(
        H.h3(f"In {title_of(stage)}", H.span(f" — {WHAT.get(stage.name, '')}{thread}", cls="dim")),
        grid(f"In {title_of(stage)}", heads, rows),
        H.div(note, cls="foot") if note else None,
        aria_label=f"Content of {title_of(stage)}",
    )
