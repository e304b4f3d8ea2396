"""The hostile corpus, rendered by a real browser: nothing runs, nothing grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import hostile_place
from support.hostile import corpus
from unit.views.test_hostile import PLACES, STYLE

import crlab

TEXTS = [text[:2000] for text in corpus() if text.strip()]
COUNT = "() => document.querySelectorAll('*').length"
KINDS = """() => [...new Set([...document.querySelectorAll('*')].map(
    e => e.localName + ' ' + e.getAttributeNames().sort().join(' ')))]"""


class Watched:
    """A page, and everything that something on it did by itself."""

    def __init__(self, chromium: Any) -> None:
        self.page = chromium.new_page()
        self.acts: list[str] = []
        self.page.on("dialog", lambda d: (self.acts.append(d.message), d.dismiss()))
        self.page.on("request", lambda r: self.acts.append(r.url))

    def show(self, parts: list[str]) -> Any:
        """Show parts of HTML; return the page."""
        self.page.set_content("<p></p>" + "".join(f"<div>{part}</div>" for part in parts))
        self.page.mouse.move(200, 200)
        return self.page

    def did(self) -> list[str]:
        """Return what ran, opened or was asked for."""
        ran = self.page.evaluate("() => window.__crlab_x")
        return self.acts + [f"payload ran {ran} times"] * bool(ran)


@pytest.fixture(scope="module")
def watched(chromium: Any) -> Iterator[Watched]:
    made = Watched(chromium)
    yield made
    made.page.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Any]:
    with crlab.sandbox(driver="manual", seed=0) as made:
        yield made


@pytest.mark.parametrize("place", PLACES)
def test_nothing_runs_and_no_element_is_new(watched: Watched, place: str) -> None:
    """As many elements as with a harmless string, for every string of the corpus."""
    render = PLACES[place][0]
    empty = watched.show([]).evaluate(COUNT)
    each = watched.show([str(render("web")).replace(STYLE, "")]).evaluate(COUNT) - empty
    page = watched.show([str(render(text)).replace(STYLE, "") for text in TEXTS])
    assert page.evaluate(COUNT) == empty + each * len(TEXTS)
    assert not watched.did()


def test_no_place_of_an_object_makes_a_new_kind_of_element(watched: Watched, lab: Any) -> None:
    """The elements and attributes are those of harmless strings, whose every third stands at
    each place (tests/unit/views has them all at all places)."""
    for number, place in enumerate(hostile_place.PLACES):
        harmless = [*(f"web-{n}" for n in range(8)), ".spec.image", "[", ""]
        parts = [html for _, html, _ in hostile_place.rendered(lab, place, harmless)]
        some = [text[:300] for text in TEXTS[number % 3 :: 3]]
        allowed = set(watched.show(parts).evaluate(KINDS))
        parts = [html for _, html, _ in hostile_place.rendered(lab, place, some)]
        new = set(watched.show(parts).evaluate(KINDS)) - allowed
        assert not new, (place, new)
        assert not watched.did(), place
