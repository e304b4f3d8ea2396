"""The README is true: its ten lines run, its picture is what the code prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import crlab
from crlab.examples import myservice

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_ten_lines_run_and_print_their_frame() -> None:
    """The first thing a newcomer copies."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None

    done = subprocess.run(
        [sys.executable, "-c", code.group(1)], cwd=ROOT, capture_output=True, text=True, timeout=50
    )

    assert done.stderr == ""
    assert done.stdout.split() == ["image", "replicas", "key", "default/web", "web:1", "3"]


def test_the_picture_is_made_by_the_code() -> None:
    """A picture drawn by hand is true once."""
    picture = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert picture is not None
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(myservice.CRD)
        services = lab.informer("myservices").wait_for_sync()

        @lab.controller(services)
        def reconcile(request: crlab.Request, ctx: object) -> None:
            """Look, and find nothing to do."""

        for replicas in (1, 2):
            lab.apply(
                {
                    "apiVersion": "example.com/v1alpha1",
                    "kind": "MyService",
                    "metadata": {"name": "web"},
                    "spec": {"image": "web:1", "replicas": replicas},
                }
            )
            if replicas == 1:
                reconcile.step()
        lab.settle()
        lines = lab.pipeline().to_text().splitlines()

    drawn = [line for line in lines if line[:1] in " ▶" and line.strip() and "·" not in line]
    assert drawn[:8] == picture.group(1).splitlines()


def test_every_link_of_the_docs_leads_somewhere() -> None:
    """A dead link is an untrue sentence."""
    missing = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")

    assert missing == []
