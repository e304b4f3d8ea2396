"""Voilà serves a notebook with the stepper as an app: no editor, the same widgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from browser.lab_page import voila, write_notebook

CELLS = (
    """
import crlab
lab = crlab.sandbox()
maps = lab.informer("configmaps", namespace="default").wait_for_sync()
@lab.controller(maps)
def reconcile(request, ctx):
    ctx.log("saw " + request.name)
lab.client.create("configmaps", {"metadata": {"name": "web", "namespace": "default"}})
lab.settle()
""",
    "reconcile.stepper()",
)


def test_the_stepper_is_an_app(root: Path, chromium: Any) -> None:
    """A visitor presses Step and sees the step, its key and its log; nothing else is shown."""
    folder = root / "app"
    folder.mkdir()
    write_notebook(folder / "stepper.ipynb", CELLS)
    with voila(folder / "stepper.ipynb", folder) as address:
        page = chromium.new_page()
        try:
            page.goto(address)
            expect(page.locator(".crlab .head")).to_contain_text("Stepper", timeout=30_000)
            assert "import crlab" not in page.inner_text("body")
            page.get_by_role("button", name="Step", exact=True).click()
            expect(page.locator("body")).to_contain_text("Step 1:", timeout=15_000)
            expect(page.locator("body")).to_contain_text("saw ")
        finally:
            page.close()
