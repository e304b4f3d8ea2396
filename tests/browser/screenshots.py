"""The pictures of docs/, made anew: ``make screenshots``, or this file with a folder.

Every view of a sandbox with the MyService example at work, in light and dark.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser.lab_page import (
    THEMES,
    Notebook,
    browser,
    jupyter,
    missing,
    temporary_root,
    write_notebook,
)

ROOT = Path(__file__).resolve().parents[2]
SETUP = """
import time, crlab
from crlab.examples import myservice
lab = crlab.sandbox()
lab.apply(myservice.CRD)
services = lab.informer("myservices").wait_for_sync()
"""
WORLD = """
reconcile = myservice.controller(lab)
def service(name, image, replicas):
    lab.apply({"apiVersion": "example.com/v1alpha1", "kind": "MyService",
               "metadata": {"name": name, "namespace": "default"},
               "spec": {"image": image, "replicas": replicas, "port": 8080}})
for name, image, replicas in [("web", "nginx:1.27", 3), ("api", "example/api:2.4", 2),
                              ("cache", "redis:7.4", 1), ("jobs", "example/jobs:0.9", 2)]:
    service(name, image, replicas)
time.sleep(0.5)
"""
START = "_ = reconcile.start(workers=2)"
RUN = """
for i in range(12):
    service("web", "nginx:1.27", 1 + i % 4)
    time.sleep(0.35)
"""
CELLS = (
    ("stepper", "reconcile.stepper()"),
    ("pipeline", "lab.pipeline(services)"),
    ("table", "services.watch()"),
    ("events", "services.events.watch(rows=8)"),
    ("rate", "services.rates.watch()"),
    ("time", "lab.time_slider(services)"),
    ("faults", "lab.faults.panel()"),
)


def take(folder: Path) -> list[Path]:
    """Make all pictures; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with temporary_root() as root, jupyter(root) as address, browser() as chromium:
        sources = [SETUP, WORLD, *(cell for _, cell in CELLS), START, RUN]
        run = len(sources) - 1
        write_notebook(root / "work" / "crlab.ipynb", sources)
        notebook = Notebook(chromium, address, "crlab.ipynb", width=1280)
        notebook.page.set_viewport_size({"width": 1280, "height": 2400})
        notebook.command("application:toggle-left-area")
        for index in range(3):
            notebook.run(index)
        stepper = notebook.scroll_to(2)
        for number in range(1, 3):
            stepper.get_by_role("button", name="Step", exact=True).click()
            stepper.get_by_text(f"Step {number}:").wait_for()
        made += both(notebook, 2, folder, "stepper")
        for index in range(3, 2 + len(CELLS)):
            notebook.run(index)
        notebook.run(run - 1)
        notebook.run(run)
        events = notebook.scroll_to(5)
        options = events.get_by_label("Open").locator("option")
        events.get_by_label("Open").select_option(index=min(3, options.count() - 1))
        events.get_by_text("Fields that changed").wait_for()
        pipeline = notebook.scroll_to(3)
        pipeline.get_by_role("button", name="Reconcile", exact=True).click()
        pipeline.get_by_role("region", name="Content of Reconcile").wait_for()
        for index, (name, _) in enumerate(CELLS[1:], start=3):
            busy = run if name == "pipeline" else None
            made += both(notebook, index, folder, name, busy)
        notebook.close()
    return made


def both(
    notebook: Notebook, index: int, folder: Path, name: str, busy: int | None = None
) -> list[Path]:
    """Take one cell's view in both themes, while the cell `busy` runs."""
    made = []
    for theme in THEMES:
        notebook.theme(theme)
        view: Any = notebook.scroll_to(index).locator(".crlab-view").first
        view.wait_for()
        notebook.page.mouse.move(5, 5)
        if busy is not None:
            notebook.start(busy)
            notebook.scroll_to(index)
        notebook.page.wait_for_timeout(900 if busy is None else 2500)
        path = folder / f"{name}-{theme}.png"
        view.screenshot(path=path, animations="allow")
        shrink(path)
        notebook.await_idle()
        made.append(path)
    notebook.theme("light")
    return made


def shrink(path: Path) -> None:
    """Store a picture with 200 colours: a third of its bytes, the same to the eye."""
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB").quantize(200, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"no pictures: {reason}")
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "images")
    for path in take(target):
        print(path)
