"""The fifteen places a cluster's writers control, each with one string in it, rendered.

Each goes the way it goes in use: an object through its frame, its description, its tree and
its diff; a definition through the columns it declares; an error through the note of a view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crlab.errors import CrlabError, api_error
from crlab.frame.column_set import choose_columns
from crlab.frame.time_travel import Moment
from crlab.lab.source.event_source import diff_of, side_by_side
from crlab.lab.source.status_source import status_state
from crlab.lab.source.table_source import TableRows
from crlab.lab.view import place_of
from crlab.model.diff import Change, diff
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.views.describe import describe, describe_html, describe_text
from crlab.views.event import diff_html, diff_text, side_by_side_html
from crlab.views.state import ColumnState, Row, TableQuery, TableState
from crlab.views.table import table_html, table_text
from crlab.views.tree import owner_tree, tree_html, tree_text
from crlab.widgets.view import View

OBJECT_PLACES = (
    "name",
    "namespace",
    "label key",
    "label value",
    "annotation",
    "event message",
    "condition reason",
    "env",
    "image",
    "kind",
    "apiVersion",
)
PLACES = (*OBJECT_PLACES, "column name", "JSONPath", "column description", "status error")
RESOURCE = ApiResource(GroupVersionResource("example.com", "v1", "webs"), "Web", True)
IMAGE = ".spec.containers[0].image"
COLUMNS = {
    "image": IMAGE,
    "env": ".spec.containers[0].env[0].value",
    "message": ".message",
    "note": ".metadata.annotations.note",
    "reason": ".status.conditions[0].reason",
}


def object_with(place: str, text: str, number: int = 0) -> dict[str, Any]:
    """Return an object with `text` at one place and harmless words everywhere else."""

    def at(this: str, harmless: str) -> str:
        return text if this == place else harmless

    return {
        "apiVersion": at("apiVersion", "example.com/v1"),
        "kind": at("kind", "Web"),
        "metadata": {
            "name": at("name", f"web-{number}"),
            "namespace": at("namespace", "default"),
            "uid": f"u{number}",
            "labels": {at("label key", "app"): at("label value", "web")},
            "annotations": {"note": at("annotation", "web")},
        },
        "message": at("event message", "web"),
        "spec": {
            "containers": [
                {"image": at("image", "web"), "env": [{"name": "A", "value": at("env", "web")}]}
            ]
        },
        "status": {
            "conditions": [
                {"type": "Ready", "status": "False", "reason": at("condition reason", "web")}
            ]
        },
    }


def rendered(lab: Any, place: str, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (text, HTML, plain text) of every view that shows this place."""
    if place in OBJECT_PLACES:
        yield from _objects(lab, place, texts)
    elif place == "status error":
        for text in texts:
            body = {"message": text, "reason": text, "details": {"name": text}}
            yield text, *noted(api_error(409, body, tried=f"update {text}"))
    elif place == "column description":
        yield from _described(lab, texts)
    else:
        yield from _definitions(lab, place, texts)


def _as_description(tree: Any, before: Any) -> tuple[str, str]:
    shown = describe(tree)
    return str(describe_html(shown)), describe_text(shown)


def _as_diff(tree: Any, before: Any) -> tuple[str, str]:
    changes = tuple(diff_of([*diff(before, tree), Change("add", ".", None, tree)]))
    return str(diff_html(changes)), "\n".join(diff_text(changes))


def _as_tree(tree: Any, before: Any) -> tuple[str, str]:
    owned = owner_tree(tree, [])
    return str(tree_html(owned)), tree_text(owned)


def _side_by_side(tree: Any, before: Any) -> tuple[str, str]:
    both = side_by_side(KubeObject.of(before), KubeObject.of(tree))
    return str(side_by_side_html(both)), ""


#: An object's views take turns, so that each meets every string, at one place or another.
VIEWS = (_as_description, _as_diff, _as_tree, _side_by_side)


def _objects(lab: Any, place: str, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    objects: dict[str, KubeObject] = {}
    for number, text in enumerate(texts):
        tree = object_with(place, text, number)
        try:
            obj = KubeObject.of(tree)
        except (CrlabError, UnicodeEncodeError):
            continue  # no server could have sent it
        objects[obj.key] = obj
        show = VIEWS[(number + OBJECT_PLACES.index(place)) % len(VIEWS)]
        yield text, *show(tree, object_with(place, "before", number))
    columns = choose_columns(RESOURCE, COLUMNS, labels=["app"])
    yield from _table(lab, place, columns, objects)


def _definitions(lab: Any, place: str, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    obj = KubeObject.of(object_with("", ""))
    size = 10 if place == "column name" else 1
    for start in range(0, len(texts), size):
        some = texts[start : start + size]
        try:
            if place == "JSONPath":
                columns = choose_columns(RESOURCE, {"c": some[0]})
            else:
                columns = choose_columns(
                    RESOURCE,
                    definitions=[
                        {"name": text, "jsonPath": IMAGE, "type": "string"} for text in some
                    ],
                )
        except CrlabError as error:
            yield some[0], *noted(error)
        else:
            yield from _table(lab, some[0], columns, {obj.key: obj})


def _described(lab: Any, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    columns = tuple(
        ColumnState(f"c{number}", description=text) for number, text in enumerate(texts)
    )
    for start in range(0, len(columns), 10):
        some = columns[start : start + 10]
        row = Row("default/web", ("web",) * len(some))
        state = TableState("webs", some, (row,), 1, 1, status_state(place_of(lab)))
        yield texts[start], table_html(state), table_text(state)


def _table(
    lab: Any, text: str, columns: Sequence[Any], objects: dict[str, KubeObject]
) -> Iterator[tuple[str, str, str]]:
    frame = Moment(RESOURCE, tuple(columns), 0, 0.0, "1", objects).df
    rows = TableRows(place_of(lab), text[:200], lambda: frame)
    for offset in range(0, len(frame), 50):
        state = rows.table_state(TableQuery(limit=50, offset=offset))
        yield text, table_html(state), table_text(state)


def noted(error: BaseException) -> tuple[str, str]:
    """Return an error as a view shows it beside its controls."""
    view = View(None, title="pods")  # type: ignore[arg-type]
    told = view._told(error)
    return str(view._note_html(told)), told
