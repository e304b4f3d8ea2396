"""A Jupyter kernel for tests, of any installed version of ipykernel."""

from __future__ import annotations

import os
import queue
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

FOLDER = os.environ.get("CRLAB_KERNELS", "")
TESTS = Path(__file__).parent.parent


def versions() -> list[str]:
    """Return "installed" and the versions of ipykernel under `CRLAB_KERNELS`."""
    if not FOLDER:
        return ["installed"]
    found = sorted(p.name for p in Path(FOLDER).iterdir() if (p / "ipykernel").is_dir())
    return [*found, "installed"]


class Kernel:
    """A kernel and what it said."""

    def __init__(self, version: str = "installed") -> None:
        environment = dict(os.environ)
        paths = [str(TESTS)] if version == "installed" else [f"{FOLDER}/{version}", str(TESTS)]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        environment["CRLAB_DISPLAY"] = "widget"
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=environment)
        self.client: Any = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=40)

    def run(self, code: str, timeout_seconds: float = 40) -> list[dict[str, Any]]:
        """Run a cell; return its messages; fails if it raised."""
        found: list[dict[str, Any]] = []
        self.client.execute_interactive(code, timeout=timeout_seconds, output_hook=found.append)
        errors = [m["content"]["traceback"] for m in found if m["msg_type"] == "error"]
        assert not errors, "\n".join(errors[0])
        return found

    def printed(self, code: str) -> str:
        """Run a cell; return what it printed."""
        found = self.run(code)
        return "".join(m["content"]["text"] for m in found if m["msg_type"] == "stream").strip()

    def messages(self, seconds: float, until: str = "") -> list[dict[str, Any]]:
        """Return what comes on iopub meanwhile, or up to a message of kind `until`."""
        found: list[dict[str, Any]] = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                found.append(self.client.get_iopub_msg(timeout=left))
            except queue.Empty:
                break
            if found[-1]["msg_type"] == until:
                break
        return found

    def close(self) -> None:
        """End it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def updates(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages that update widgets."""
    return [m for m in messages if m["msg_type"] == "comm_msg"]
