"""No string of a cluster becomes an element, an attribute or a control character."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from support.fake_source import (
    FakeEvents,
    FakeFaults,
    FakePipeline,
    FakeRate,
    FakeStepper,
    FakeTable,
    FakeTime,
)
from support.hostile import corpus

from crlab.model.escape import Markup
from crlab.views.chart import rate_html, rate_text
from crlab.views.describe import describe, describe_html, describe_text
from crlab.views.events import events_html, events_text
from crlab.views.fault import fault_html, fault_text
from crlab.views.header import static_page, static_text, status_html
from crlab.views.pipeline import pipeline_html, pipeline_text
from crlab.views.state import (
    EventsQuery,
    PipelineQuery,
    RateQuery,
    StatusState,
    TableQuery,
)
from crlab.views.stepper import stepper_html, stepper_text
from crlab.views.table import table_html, table_text
from crlab.views.timeline import time_band_svg, time_html, time_text
from crlab.views.tree import owner_tree, tree_html, tree_text

CORPUS = corpus()
ALLOWED_CONTROL = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")
DECEIVING = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


def stepped(text: str) -> Any:
    source = FakeStepper(text)
    source.taken, source.error = 1, text
    return source.stepper_state()


def hostile_object(text: str) -> dict[str, Any]:
    """An object with the string at every place that a cluster's writer controls."""
    return {
        "apiVersion": text,
        "kind": text,
        "metadata": {
            "name": text,
            "namespace": text,
            "uid": "u",
            "labels": {text: text},
            "annotations": {text: text},
            "ownerReferences": [{"kind": text, "name": text, "uid": "o"}],
            "finalizers": [text],
        },
        "spec": {"containers": [{"image": text, "env": [{"name": text, "value": text}]}]},
        "status": {
            "phase": text,
            "conditions": [{"type": "Ready", "status": "False", "reason": text, "message": text}],
        },
    }


def trees(text: str) -> Any:
    root = hostile_object(text)
    child = hostile_object(text)
    child["metadata"] |= {"uid": "c", "ownerReferences": [{"uid": "u"}]}
    return owner_tree(root, [child])


def status(text: str) -> StatusState:
    return StatusState(text, text, text, text, "failed", text, 1.0, text, 0.0)


PLACES: dict[str, tuple[Callable[[str], Markup], Callable[[str], str]]] = {
    "table": (
        lambda t: table_html(FakeTable(t).table_state(TableQuery())),
        lambda t: table_text(FakeTable(t).table_state(TableQuery())),
    ),
    "events": (
        lambda t: events_html(FakeEvents(t).events_state(EventsQuery(opened=2))),
        lambda t: events_text(FakeEvents(t).events_state(EventsQuery(opened=2))),
    ),
    "rate": (
        lambda t: rate_html(FakeRate(t).rate_state(RateQuery(t))),
        lambda t: rate_text(FakeRate(t).rate_state(RateQuery(t))),
    ),
    "pipeline": (
        lambda t: pipeline_html(FakePipeline(t).pipeline_state(PipelineQuery(selected="queue"))),
        lambda t: pipeline_text(FakePipeline(t).pipeline_state(PipelineQuery(selected="queue"))),
    ),
    "stepper": (lambda t: stepper_html(stepped(t)), lambda t: stepper_text(stepped(t))),
    "fault": (
        lambda t: fault_html(FakeFaults(t).fault_state()),
        lambda t: fault_text(FakeFaults(t).fault_state()),
    ),
    "time": (
        lambda t: time_html(FakeTime(t).time_state(5)),
        lambda t: time_text(FakeTime(t).time_state(5)),
    ),
    "band": (
        lambda t: time_band_svg(FakeTime(t).time_state(5)),
        lambda t: time_text(FakeTime(t).time_state(5)),
    ),
    "describe": (
        lambda t: describe_html(describe(hostile_object(t), deltas=[(t, t, t, t)])),
        lambda t: describe_text(describe(hostile_object(t), deltas=[(t, t, t, t)])),
    ),
    "tree": (lambda t: tree_html(trees(t)), lambda t: tree_text(trees(t))),
    "header": (
        lambda t: status_html(status(t), title=t, is_live=True),
        lambda t: static_text(status(t), "", title=t),
    ),
    "page": (
        lambda t: static_page(status(t), Markup(""), title=t),
        lambda t: static_text(status(t), "", title=t),
    ),
}


class Shape(HTMLParser):
    """The elements and attribute names of a page, in order, without their texts."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Any] = []
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.urls += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(tag)

    def handle_comment(self, data: str) -> None:
        self.parts.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.parts.append("declaration")


def shape(html: str) -> Shape:
    found = Shape()
    found.feed(html)
    found.close()
    return found


def test_the_corpus_is_large_enough() -> None:
    """At least 300 strings, at 12 renderers with the string in every field of theirs."""
    assert len(CORPUS) >= 300
    assert sum(len(PLACES[name]) for name in PLACES) >= 24


@pytest.mark.parametrize("place", PLACES)
def test_no_string_makes_an_element(place: str) -> None:
    """The shape of the page is that of the same page with a harmless string."""
    render = PLACES[place][0]
    # An empty string leaves optional parts out: its shape is allowed too.
    plain_shape = {str(part) for text in ("web", "") for part in shape(render(text)).parts}
    for text in CORPUS:
        found = shape(render(text))
        new = set(map(str, found.parts)) - plain_shape
        assert not new, (text[:60], new)
        assert not found.urls


@pytest.mark.parametrize("place", PLACES)
def test_no_string_deceives(place: str) -> None:
    """Text and HTML carry no control, bidirectional or zero-width character, and stay small."""
    render_html, render_text = PLACES[place]
    for text in CORPUS:
        for out in (str(render_html(text)), render_text(text)):
            assert not ALLOWED_CONTROL.search(out), text[:60]
            assert not DECEIVING.search(out), text[:60]
            out.encode("utf-8")
            assert len(out) < 200_000, text[:60]
