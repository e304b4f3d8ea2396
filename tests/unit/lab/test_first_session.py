"""The first session of docs/architecture.md, word by word, with and without widgets."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import crlab
from crlab.examples import myservice

NO_WIDGETS = """
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ipywidgets", "IPython"):
            raise ImportError(f"{name} is not installed here")


sys.meta_path.insert(0, Absent())
"""

SESSION = """
import crlab

lab = crlab.sandbox({options})
lab.apply("crd.yaml")
services = lab.informer("myservices")
services.wait_for_sync(timeout_seconds=10)
services.df
lab.apply("web.yaml")
lab.settle()
services.watch()
services.events.df
services.rates.plot()


@lab.controller(services, owns=["deployments"])
def reconcile(request, ctx):
    if ctx.object is None:
        return None
    ctx.apply(ctx.own({{
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {{"name": request.name, "namespace": request.namespace}},
        "spec": {{"selector": {{"matchLabels": {{"app": request.name}}}},
                 "template": {{"metadata": {{"labels": {{"app": request.name}}}},
                              "spec": {{"containers": [{{"name": "a", "image": "a:1"}}]}}}}}}}}))


print(reconcile.step())
reconcile.stepper()
reconcile.start(workers=2)
lab.settle()
lab.pipeline()
print(lab.explain("default/web"))
lab.faults.cut_watch("myservices")
lab.settle()
print(services.status.state, len(services), len(lab.informer("deployments")))
print(services.watch().to_text().splitlines()[0][:20])
lab.close()
print([t.name for t in __import__("threading").enumerate() if t.name.startswith("crlab-")])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a newcomer's two manifests lie."""
    (tmp_path / "crd.yaml").write_text(manifest(myservice.CRD))
    (tmp_path / "web.yaml").write_text(manifest(myservice.EXAMPLE))
    return tmp_path


def manifest(what: object) -> str:
    """The example as YAML text."""
    import yaml

    return what if isinstance(what, str) else yaml.safe_dump(what)


@pytest.mark.parametrize(
    ("options", "prelude"),
    [("", NO_WIDGETS), ('seed=0, driver="manual"', "")],
    ids=["in threads, without widgets", "by hand"],
)
def test_the_first_session_runs(folder: Path, options: str, prelude: str) -> None:
    """In threads and by hand, in a notebook's kernel and in plain Python."""
    code = prelude + textwrap.dedent(SESSION).format(options=options)

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "step 1 of reconcile: default/web, try 1"
    assert any(line.startswith("  wrote     apply deployments.apps default/web") for line in lines)
    assert "1 event became 1 reconcile of default/web" in done.stdout
    assert lines[-3] == "live 1 1"
    assert lines[-1] == "[]"


def test_a_loop_that_ran_twenty_times_leaves_nothing() -> None:
    """Opened and closed, also twice, in any state."""
    before = {thread.name for thread in threading.enumerate()}
    for number in range(20):
        lab = crlab.sandbox(controllers=False)
        if number % 2:
            lab.informer("pods")
        assert lab.close() == []
        assert lab.close() == []

    left = {t.name for t in threading.enumerate() if t.name.startswith("crlab-")} - before
    assert not left
