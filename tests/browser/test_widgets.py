"""Every view in a real JupyterLab: drawn, following, clicked, typed at, reopened.

The tests share one notebook and run in the order they are written; each leaves it usable.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser.lab_page import Notebook, write_notebook

SETUP = """
import crlab
lab = crlab.sandbox()
maps = lab.informer("configmaps").wait_for_sync()
def make(name):
    lab.client.create("configmaps", {"metadata": {"name": name, "namespace": "default"}})
for i in range(4):
    make(f"web-{i}")
@lab.controller(maps)
def reconcile(request, ctx):
    ctx.log("saw " + request.name)
"""
BUSY = """
import time
for i in range(30):
    make(f"busy-{i}")
    time.sleep(0.1)
"""
COUNT = "from crlab.widgets.view import open_views; print('open', len(open_views()))"
CELLS = {
    "table": "maps.watch()",
    "events": "maps.events.watch()",
    "rate": "maps.rates.watch()",
    "pipeline": "lab.pipeline()",
    "stepper": "reconcile.stepper()",
    "faults": "lab.faults.panel()",
    "time": "lab.time_slider(maps)",
}
SHOWN = {
    "table": "web-0",
    "events": "ADDED",
    "rate": "events in",
    "pipeline": "Reflector",
    "stepper": "The queue now",
    "faults": "watch",
    "time": "live, at record",
}
LOOKS = (
    ("table", "td:nth-child(2)", {"text-align": "left"}),
    ("pipeline", "ol.boxes", {"padding-left": "0px"}),
    ("events", "td code", {"padding-left": "0px"}),
)
NAMES = list(CELLS)
CLOSE = "[view.close() for view in open_views() if view.kind == 'Event rate']"
SOURCES = [SETUP, *CELLS.values(), BUSY, COUNT, CLOSE]
AT = {name: 1 + i for i, name in enumerate(NAMES)}
AT |= {"busy": len(NAMES) + 1, "count": len(NAMES) + 2, "close": len(NAMES) + 3}


@pytest.fixture(scope="module")
def notebook(root: Path, address: str, chromium: Any) -> Iterator[Notebook]:
    write_notebook(root / "work" / "views.ipynb", SOURCES)
    made = Notebook(chromium, address, "views.ipynb")
    made.run(0)
    yield made
    made.close()


@pytest.mark.parametrize("name", NAMES)
def test_each_view_draws(notebook: Notebook, name: str) -> None:
    """Header with place and state, and its content."""
    notebook.run(AT[name])
    output = notebook.scroll_to(AT[name])
    expect(output).to_contain_text(SHOWN[name])
    expect(output.locator(".head")).to_contain_text("writable")


def test_a_view_follows_while_a_cell_runs(notebook: Notebook) -> None:
    """The table shows an object that the running cell has just made."""
    output = notebook.scroll_to(AT["table"])
    notebook.start(AT["busy"])
    notebook.scroll_to(AT["table"])
    expect(output).to_contain_text("busy-3", timeout=10_000)
    assert notebook.is_busy()
    notebook.await_idle()


def test_the_filter_box_takes_the_keyboard(notebook: Notebook) -> None:
    """Typed words filter; a bad one is told beside the box and the rows stay."""
    output = notebook.scroll_to(AT["table"])
    box = output.get_by_label("Filter")
    box.fill("name=web-1")
    box.press("Enter")
    expect(output.locator(".foot")).to_contain_text("rows 1-1 of 1")
    box.fill("nam=web-1")
    box.press("Enter")
    expect(output.get_by_role("alert")).to_contain_text("nearest: name")
    expect(output.locator(".foot")).to_contain_text("rows 1-1 of 1")
    box.fill("")
    box.press("Enter")
    expect(output.locator("tbody tr")).to_have_count(20)


def test_a_box_of_the_pipeline_is_clicked_and_keyed(notebook: Notebook) -> None:
    """A click opens the Indexer; Tab and Enter on the next box open that."""
    output = notebook.scroll_to(AT["pipeline"])
    output.get_by_role("button", name="Indexer", exact=True).click()
    expect(output).to_contain_text("In Indexer")
    notebook.page.keyboard.press("Tab")
    notebook.page.keyboard.press("Enter")
    expect(output).to_contain_text("In Handlers")


def test_the_stepper_steps_by_the_space_bar(notebook: Notebook) -> None:
    """One key, with its log line."""
    output = notebook.scroll_to(AT["stepper"])
    output.get_by_role("button", name="Step", exact=True).focus()
    notebook.page.keyboard.press("Space")
    expect(output).to_contain_text("Step 1:")
    expect(output).to_contain_text("saw ")


def test_a_band_of_the_time_slider_travels(notebook: Notebook) -> None:
    """A click on the band leaves the present, Live comes back."""
    output = notebook.scroll_to(AT["time"])
    output.locator(".crlab-places button").nth(10).click()
    expect(output).to_contain_text("looking back at seq")
    output.get_by_role("button", name="Live").click()
    expect(output).to_contain_text("live, at record")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_of_axe(notebook: Notebook, theme: str) -> None:
    """In either theme, in every view."""
    notebook.theme(theme)
    found = []
    for name in NAMES:
        view = notebook.scroll_to(AT[name]).locator(".crlab-view").first
        for finding in notebook.axe(view):
            nodes = [(n["target"], n["failureSummary"][:300]) for n in finding["nodes"][:3]]
            found.append((name, finding["id"], nodes))
    notebook.theme("light")
    assert not found, found


def test_running_a_cell_again_replaces_its_view(notebook: Notebook) -> None:
    """The number of live views stays."""
    notebook.run(AT["count"])
    before = notebook.scroll_to(AT["count"]).inner_text()
    notebook.run(AT["table"])
    expect(notebook.scroll_to(AT["table"])).to_contain_text("rows 1-20 of")
    notebook.run(AT["count"])
    assert notebook.scroll_to(AT["count"]).inner_text() == before


def test_views_live_on_after_a_reload(notebook: Notebook) -> None:
    """The saved notebook reconnects to its kernel, and goes on following."""
    notebook.save()
    notebook.open()
    output = notebook.scroll_to(AT["pipeline"])
    expect(output.locator(".boxes")).to_contain_text("Reflector")
    output.get_by_role("button", name="Indexer", exact=True).click()
    expect(output).to_contain_text("In Indexer")


def test_a_view_closed_after_a_reload_keeps_its_last_picture(notebook: Notebook) -> None:
    """The page no longer knows display ids; the widget itself stays, without controls."""
    notebook.run(AT["close"])
    output = notebook.scroll_to(AT["rate"])
    expect(output.locator(".head")).to_contain_text("writable")
    expect(output.get_by_role("combobox")).to_have_count(0)
    expect(output).not_to_contain_text("model not found")


def test_a_dead_kernel_leaves_a_stale_mark(notebook: Notebook) -> None:
    """Without script: the header's own style rule shows it after some seconds."""
    output = notebook.scroll_to(AT["pipeline"])
    mark = output.locator(".stale").first
    expect(mark).to_be_hidden()
    notebook.page.evaluate(  # twelve seconds pass for this one mark
        "() => document.getAnimations().filter(a => a.animationName === 'crlab-stale')"
        ".forEach(a => { a.currentTime = 13000; })"
    )
    expect(mark).to_be_visible()
    expect(mark).to_contain_text("stale")


def test_closed_saved_and_opened_again_there_is_content(
    root: Path, address: str, chromium: Any
) -> None:
    """Static HTML of the last state, and nowhere "model not found"."""
    write_notebook(root / "work" / "closing.ipynb", [SETUP, *CELLS.values(), "lab.close()"])
    first = Notebook(chromium, address, "closing.ipynb")
    for cell in range(len(CELLS) + 2):
        first.run(cell)
    first.save()
    first.close()
    text = (root / "work" / "closing.ipynb").read_text()
    assert "application/vnd.jupyter.widget-view+json" not in text
    again = Notebook(chromium, address, "closing.ipynb")
    try:
        for name in NAMES:
            output = again.scroll_to(AT[name])
            expect(output.locator(".head")).to_contain_text("closed")
            expect(output).not_to_contain_text("model not found")
        for name, part, style in LOOKS:  # JupyterLab's own rules for rendered HTML lose
            shown = again.scroll_to(AT[name]).locator(part).first
            for field, value in style.items():
                expect(shown).to_have_css(field, value)
    finally:
        again.page.close()
