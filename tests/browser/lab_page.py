"""JupyterLab in Debian's Chromium, on loopback, for tests and screenshots.

Nothing is downloaded: the browser is the system's, the server is the environment's own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("CRLAB_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--force-color-profile=srgb",
)
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
_APP = "window.jupyterapp"


def missing() -> str:
    """Return why browser tests cannot run here, "" if they can."""
    if not CHROMIUM:
        return "no Chromium on PATH (apt-get install chromium)"
    for module in ("playwright", "jupyterlab", "voila"):
        try:
            __import__(module)
        except ImportError:
            return f"{module} is not installed (pip install -e .[dev])"
    return ""


@contextmanager
def jupyter(root: Path) -> Iterator[str]:
    """Run a JupyterLab server in `root`; yield its address."""
    port = _free_port()
    settings = root / "settings"
    (settings / "@jupyterlab" / "apputils-extension").mkdir(parents=True, exist_ok=True)
    (
        settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    ).write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "IPYTHONDIR": str(root / "ipython"),
        "CRLAB_DISPLAY": "auto",
    }
    arguments = (
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={root / 'work'}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extensions_in_dev_mode=False",
        "--LabServerApp.news_url=",
    )
    (root / "work").mkdir(exist_ok=True)
    address = f"http://127.0.0.1:{port}"
    with _serving(["jupyterlab", *arguments], f"{address}/api/status", root, environment):
        yield address


@contextmanager
def voila(notebook: Path, root: Path) -> Iterator[str]:
    """Serve one notebook as an app; yield its address."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "IPYTHONDIR": str(root / "ipython"),
        "CRLAB_DISPLAY": "auto",
    }
    arguments = (
        str(notebook),
        "--no-browser",
        f"--port={port}",
        "--Voila.ip=127.0.0.1",
        "--show_tracebacks=True",
    )
    ready = f"{address}/voila/static/favicon.ico"
    with _serving(["voila", *arguments], ready, root, environment):
        yield address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serving(
    command: Sequence[str], ready: str, root: Path, environment: dict[str, str]
) -> Iterator[None]:
    path = root / f"{command[0]}.log"
    log = path.open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=root, env=environment, stdout=log, stderr=log
    )
    try:
        _await(ready, process, path)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        log.close()


def _await(ready: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(ready, timeout=1).read()
            return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            threading.Event().wait(0.1)
    raise RuntimeError(f"the server did not start in 40 s: {log.read_text()[-2000:]}")


@contextmanager
def browser() -> Iterator[Any]:
    """Run Chromium without a window; yield playwright's Browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield made
        finally:
            made.close()


def write_notebook(path: Path, cells: Sequence[str], kernel: str = "python3") -> None:
    """Write a notebook of code cells without outputs."""
    import nbformat

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
    )
    nbformat.write(notebook, path)


class Notebook:
    """One notebook, open in a browser tab, driven by JupyterLab's own commands."""

    def __init__(self, browser: Any, address: str, name: str, *, width: int = 1100) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 1400})
        self.page.set_default_timeout(20_000)
        self.dialogs: list[str] = []
        self.page.on("dialog", self._dialog)
        self.address, self.name = address, name
        self.open()

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self) -> None:
        """Open the notebook (again)."""
        self.page.goto(f"{self.address}/lab/tree/{self.name}?reset", wait_until="domcontentloaded")
        self.page.wait_for_function(f"() => {_APP} && {_APP}.restored !== undefined")
        self.page.evaluate(f"() => {_APP}.restored")
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell")
        self.page.evaluate(
            f"async () => {{ const p = {_APP}.shell.currentWidget; await p.context.ready;"
            " await p.sessionContext.ready; }"
        )

    def command(self, name: str, **arguments: Any) -> None:
        """Run a JupyterLab command and wait for it."""
        self.page.evaluate(f"([n, a]) => {_APP}.commands.execute(n, a)", [name, arguments])

    def start(self, index: int) -> None:
        """Begin to run a cell without waiting."""
        self.page.evaluate(
            f"i => {{ const c = {_APP}.shell.currentWidget.content; c.activeCellIndex = i;"
            f" c.deselectAll(); {_APP}.commands.execute('notebook:run-cell'); }}",
            index,
        )

    def run(self, index: int) -> None:
        """Run a cell to its end; fails if it raised."""
        self.page.evaluate(
            f"i => {{ const c = {_APP}.shell.currentWidget.content; c.activeCellIndex = i;"
            f" c.deselectAll(); return {_APP}.commands.execute('notebook:run-cell'); }}",
            index,
        )
        outputs = self.page.evaluate(
            f"i => {_APP}.shell.currentWidget.content.widgets[i].model.outputs.toJSON()", index
        )
        errors = [output for output in outputs if output["output_type"] == "error"]
        if errors:
            raise AssertionError("\n".join(errors[0]["traceback"]))

    def is_busy(self) -> bool:
        """Whether the kernel runs a cell."""
        return bool(
            self.page.evaluate(
                f"() => {_APP}.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
            )
        )

    def await_idle(self) -> None:
        """Wait for the running cell to end."""
        self.page.wait_for_function(
            f"() => {_APP}.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
        )

    def output(self, index: int) -> Any:
        """Return the locator of a cell's output area."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(index)
        return cell.locator(".jp-Cell-outputArea")

    def scroll_to(self, index: int) -> Any:
        """Bring a cell into view (cells out of it are not in the document); return its output."""
        self.page.evaluate(
            f"i => {{ const c = {_APP}.shell.currentWidget.content; c.activeCellIndex = i;"
            " return c.scrollToItem(i, 'start'); }",
            index,
        )
        return self.output(index)

    def theme(self, name: str) -> None:
        """Switch to "light" or "dark"."""
        self.command("apputils:change-theme", theme=THEMES[name])
        light = "true" if name == "light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def axe(self, within: Any) -> list[dict[str, Any]]:
        """Return axe-core's serious and critical findings inside a located element."""
        import axe_playwright_python

        script = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js"))
        if not self.page.evaluate("() => typeof window.axe === 'object'"):
            self.page.evaluate(script.read_text() + "\n;undefined")
        found = within.evaluate("e => axe.run(e, {resultTypes: ['violations']})")
        return [v for v in found["violations"] if v["impact"] in ("serious", "critical")]

    def close(self) -> None:
        """Shut the kernel down and close the tab."""
        try:
            self.page.evaluate(f"() => {_APP}.shell.currentWidget.sessionContext.shutdown()")
        finally:
            self.page.close()


@contextmanager
def temporary_root() -> Iterator[Path]:
    """Yield a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="crlab-browser-") as name:
        yield Path(name)
