"""One object, readable: `describe` makes the state, the renderers show it.

Works on any Kubernetes object of any shape: a field of the wrong type is shown as it is,
never an error.

Thread: pure functions.
Source: kubectl describe (its order of sections).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from crlab.model.escape import H, Markup, esc, joined, plain
from crlab.views.format import text_table
from crlab.views.grid import grid
from crlab.views.state import DescribeState, Section

MAX_PAIRS = 60
MAX_VALUE = 300
_HIDDEN = frozenset({"managedFields", "labels", "annotations", "ownerReferences", "finalizers"})
_NOISE = "kubectl.kubernetes.io/last-applied-configuration"


def describe(
    obj: Mapping[str, Any], *, deltas: Sequence[Sequence[str]] = (), more: Sequence[Section] = ()
) -> DescribeState:
    """Return what there is to say about `obj`.

    Args:
        deltas: rows (time, type, resourceVersion, changed) of its last events, oldest first.
        more: further sections, e.g. its Kubernetes Events.
    """
    meta = _mapping(obj.get("metadata"))
    namespace, name = _text(meta.get("namespace")), _text(meta.get("name"))
    sections = [
        Section("Metadata", _pairs({k: v for k, v in meta.items() if k not in _HIDDEN})),
        Section("Labels", _pairs(_mapping(meta.get("labels")))),
        Section("Annotations", _pairs(_mapping(meta.get("annotations")), skip=_NOISE)),
        Section("Finalizers", _pairs({str(f): "" for f in _list(meta.get("finalizers"))})),
        Section("Owners", rows=_owners(meta), columns=("kind", "name", "controller", "uid")),
    ]
    for field, value in obj.items():
        if field in ("apiVersion", "kind", "metadata"):
            continue
        if field == "status":
            value = {k: v for k, v in _mapping(value).items() if k != "conditions"} or None
        if value is not None:
            sections.append(Section(field.capitalize(), _pairs(flat(value))))
    sections.append(
        Section(
            "Conditions",
            rows=_conditions(_mapping(obj.get("status"))),
            columns=("type", "status", "reason", "message", "since"),
        )
    )
    rows = tuple(tuple(_text(c) for c in row) for row in deltas)
    sections.append(Section("Last deltas", rows=rows, columns=("time", "type", "rv", "changed")))
    kept = [s for s in (*sections, *more) if s.pairs or s.rows or s.text]
    key = f"{namespace}/{name}" if namespace else name
    version = _text(meta.get("resourceVersion"))
    return DescribeState(_text(obj.get("kind")), key, tuple(kept), version)


def flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the scalar leaves of a JSON value by dotted path (deep parts as JSON)."""
    if depth < 6 and isinstance(value, Mapping) and value:
        out: dict[str, Any] = {}
        for name, item in value.items():
            out.update(flat(item, f"{prefix}.{name}" if prefix else str(name), depth + 1))
        return out
    if depth < 6 and isinstance(value, Sequence) and not isinstance(value, str) and value:
        out = {}
        for i, item in enumerate(value):
            out.update(flat(item, f"{prefix}[{i}]", depth + 1))
        return out
    return {prefix: value}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple) or hasattr(value, "to_dict"):
        return json.dumps(value, default=_plainer, ensure_ascii=False)[: 2 * MAX_VALUE]
    return plain(value)


def _plainer(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else plain(value)


def _pairs(values: Mapping[str, Any], skip: str = "") -> tuple[tuple[str, str], ...]:
    pairs = [(str(k), _text(v)) for k, v in values.items() if k != skip]
    if len(pairs) > MAX_PAIRS:
        pairs = [*pairs[:MAX_PAIRS], ("…", f"{len(pairs) - MAX_PAIRS} more")]
    return tuple(pairs)


def _owners(meta: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(_text(_mapping(o).get(f)) for f in ("kind", "name", "controller", "uid"))
        for o in _list(meta.get("ownerReferences"))[:MAX_PAIRS]
    )


def _conditions(status: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    fields = ("type", "status", "reason", "message", "lastTransitionTime")
    return tuple(
        tuple(_text(_mapping(c).get(f)) for f in fields)
        for c in _list(status.get("conditions"))[:MAX_PAIRS]
    )


def describe_text(state: DescribeState) -> str:
    """Return the description as kubectl would lay it out."""
    lines = [f"{plain(state.kind, limit=60)} {plain(state.key, limit=260)}"]
    for section in state.sections:
        lines.append(f"{plain(section.title, limit=60)}:")
        if section.pairs:
            rows = [[_short(k, 60), _short(v)] for k, v in section.pairs]
            lines += [f"  {line}" for line in text_table(["", ""], rows)]
        if section.rows:
            rows = [[_short(c, 100) for c in row] for row in section.rows[:MAX_PAIRS]]
            lines += [f"  {line}" for line in text_table([*section.columns], rows)]
        if section.text:
            lines += [f"  {line}" for line in plain(section.text, multiline=True).splitlines()]
    return "\n".join(lines) + "\n"


def _short(text: str, limit: int = MAX_VALUE) -> str:
    return plain(text, limit=limit)


def describe_html(state: DescribeState) -> Markup:
    """Return the description, one section after the other."""
    parts = [H.h3(plain(state.kind, limit=60), " ", H.bdi(plain(state.key, limit=260)))]
    for section in state.sections:
        title = plain(section.title, limit=60)
        parts.append(H.h4(title))
        if section.pairs:
            pairs = [joined([H.dt(_short(k, 80)), H.dd(_short(v))]) for k, v in section.pairs]
            parts.append(H.dl(pairs, cls="kv"))
        if section.rows:
            rows = [H.tr([H.td(_short(c, 200)) for c in row]) for row in section.rows[:MAX_PAIRS]]
            parts.append(grid(title, section.columns, rows))
        if section.text:
            parts.append(H.pre(esc(section.text, limit=6000, multiline=True), tabindex=0))
    return joined(parts)
