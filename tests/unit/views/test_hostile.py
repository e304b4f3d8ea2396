"""No string of a cluster becomes an element, an attribute or a control character."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import hostile_place
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

import crlab
from crlab.model.escape import Markup
from crlab.views.chart import rate_html, rate_text
from crlab.views.describe import describe, describe_html, describe_text
from crlab.views.event import events_html, events_text
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
from crlab.views.style import style_sheet
from crlab.views.table import table_html, table_text
from crlab.views.time_slider import time_band_svg, time_html, time_text
from crlab.views.tree import owner_tree, tree_html, tree_text

CORPUS = corpus()
STYLE = str(style_sheet())
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
        lambda t: status_html(status(t), title=t, live=True),
        lambda t: static_text(status(t), "", title=t),
    ),
    "page": (
        lambda t: static_page(status(t), Markup(""), title=t),
        lambda t: static_text(status(t), "", title=t),
    ),
}


TAG = re.compile(r"<[^<>]*>")
VALUE = re.compile(r'="[^"]*"')


def shape(html: str) -> set[str]:
    """The tags of a page with the names of their attributes, without values and texts.

    A quote, "<" or ">" that came from a text makes a tag that no harmless page has, or one
    that is not closed. (A real parser judges the same pages in tests/browser.)
    """
    tags = TAG.findall(html)
    assert html.count("<") == html.count(">") == len(tags), html[:300]
    return {VALUE.sub("", tag) for tag in set(tags)}


@pytest.fixture(scope="module")
def lab() -> Iterator[Any]:
    with crlab.sandbox(driver="manual", seed=0) as made:
        yield made


def test_the_corpus_is_large_enough() -> None:
    """At least 300 strings, at 14 places, and at once in every field of twelve renderers."""
    assert len(CORPUS) >= 300
    assert len(hostile_place.PLACES) >= 14
    assert len(PLACES) >= 12


@pytest.mark.parametrize("place", PLACES)
def test_no_string_makes_an_element_or_deceives(place: str) -> None:
    """The page has the tags of the same page with a harmless string; neither it nor the text
    carries a control, bidirectional or zero-width character, and both stay small."""
    render_html, render_text = PLACES[place]
    # An empty string leaves optional parts out: its tags are allowed too.
    plain_pages = [str(render_html(text)).replace(STYLE, "") for text in ("web", "")]
    allowed = shape(plain_pages[0]) | shape(plain_pages[1])
    for text in CORPUS:
        html = str(render_html(text)).replace(STYLE, "")
        assert shape(html) <= allowed, text[:60]
        judge(text, html, render_text(text))


@pytest.mark.parametrize("place", hostile_place.PLACES)
def test_no_string_at_its_place_makes_an_element_or_deceives(lab: Any, place: str) -> None:
    """One place of an object, a definition or an error at a time, on its way through the
    frame, the description, the tree, the diff and the note that show it."""
    harmless = ["web", ".spec.image", "$.x", "[", "a.b/c", ""]
    allowed = {
        tag for _, html, _ in hostile_place.rendered(lab, place, harmless) for tag in shape(html)
    }
    seen = 0
    corpus = [text[:4000] for text in CORPUS]
    for text, html, said in hostile_place.rendered(lab, place, corpus):
        assert shape(html) <= allowed, (text[:60], shape(html) - allowed)
        judge(text, html, said)
        seen += 1
    assert seen >= 30


def judge(text: str, *outputs: str) -> None:
    """Fail if an output carries a character that deceives, or is large."""
    for out in outputs:
        assert not ALLOWED_CONTROL.search(out), text[:60]
        assert not DECEIVING.search(out), text[:60]
        out.encode("utf-8")
        assert len(out) < 300_000, text[:60]
