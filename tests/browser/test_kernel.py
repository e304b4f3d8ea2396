"""Widgets in a real kernel, without a browser: what is sent, and what is left after close.

Other versions of ipykernel are tried where `CRLAB_KERNELS` names a folder that holds them,
one folder each (``pip install --no-deps --target $CRLAB_KERNELS/7.0.1 ipykernel==7.0.1``);
7.0 is the one that drops messages of threads without a context.
"""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

FOLDER = os.environ.get("CRLAB_KERNELS", "")
VERSIONS = sorted(p.name for p in Path(FOLDER).iterdir()) if FOLDER else []
TESTS = Path(__file__).parent.parent
SETUP = """
import threading, time
from support.fake_source import FakeTable
from crlab.runtime.thread import StageThread
from crlab.widgets.table import TableView
source = FakeTable(size=5)
stop = threading.Event()
def follow():
    while not stop.wait(0.05):
        source.bump("default/web-1")
StageThread("crlab-follow", follow).start()
view = TableView(source, title="pods")
view
"""


class Kernel:
    """A kernel and what it said."""

    def __init__(self, version: str) -> None:
        environment = dict(os.environ)
        paths = [str(TESTS)] if version == "installed" else [f"{FOLDER}/{version}", str(TESTS)]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        environment["CRLAB_DISPLAY"] = "widget"
        self.manager = KernelManager(kernel_name="python3")
        self.manager.kernel_cmd = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ]
        self.manager.start_kernel(env=environment)
        self.client: Any = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=40)

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell; return its messages; fails if it raised."""
        found: list[dict[str, Any]] = []
        self.client.execute_interactive(code, timeout=40, output_hook=found.append)
        errors = [m["content"]["traceback"] for m in found if m["msg_type"] == "error"]
        assert not errors, "\n".join(errors[0])
        return found

    def messages(self, seconds: float) -> list[dict[str, Any]]:
        """Return what comes on iopub meanwhile."""
        found: list[dict[str, Any]] = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                found.append(self.client.get_iopub_msg(timeout=left))
            except queue.Empty:
                break
        return found


@pytest.fixture(params=["installed", *VERSIONS])
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    made = Kernel(request.param)
    yield made
    made.client.stop_channels()
    made.manager.shutdown_kernel(now=True)


def updates(messages: list[dict[str, Any]]) -> int:
    return sum(m["msg_type"] == "comm_msg" for m in messages)


def test_a_background_thread_reaches_the_front_end(kernel: Kernel) -> None:
    """While idle, and while a cell runs; after close not one comm message comes."""
    shown = kernel.run(SETUP)
    data = [m["content"]["data"] for m in shown if m["msg_type"] == "display_data"]
    assert data[0]["text/plain"] == "TableView(pods)"
    assert "application/vnd.jupyter.widget-view+json" in data[0]
    idle = updates(kernel.messages(2.0))
    assert 2 <= idle <= 12
    kernel.client.execute("time.sleep(2.5)")
    busy = updates(kernel.messages(2.0))
    assert 2 <= busy <= 12
    closing = kernel.run("view.close()")
    replaced = [m["content"] for m in closing if m["msg_type"] == "update_display_data"]
    assert "text/html" in replaced[0]["data"]
    assert replaced[0]["transient"]["display_id"] == "crlab-table-1"
    assert updates(kernel.messages(1.0)) == 0
    kernel.run("stop.set(); time.sleep(0.2)")
    left = kernel.run("print([t.name for t in threading.enumerate() if 'crlab' in t.name])")
    assert [m["content"]["text"].strip() for m in left if m["msg_type"] == "stream"] == ["[]"]


def test_a_kernel_that_ends_leaves_static_output(kernel: Kernel) -> None:
    """What was live is replaced at exit, so that the notebook can be saved with content."""
    kernel.run(SETUP)
    kernel.manager.shutdown_kernel(now=False)
    kinds = [m["msg_type"] for m in kernel.messages(3.0)]
    assert "update_display_data" in kinds
