"""Run a notebook in Chromium against a JupyterLab that is running: for binder_job.sh.

python -m notebooks.binder_page ADDRESS TOKEN NOTEBOOK PREFIX
"""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
from browser.lab_page import Notebook, browser

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
FRAME = "dataframe"
PROBE = "() => window.jupyterapp.shell.currentWidget.content.widgets[{}].model.outputs.toJSON()"
ASK = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, silent: false, store_history: false});
  let text = '';
  future.onIOPub = m => { if (m.header.msg_type === 'stream') text += m.content.text; };
  await future.done;
  return text.trim();
}"""


class SignedIn:
    """A browser whose pages have shown the server its token."""

    def __init__(self, chromium: Any, address: str, token: str) -> None:
        self._chromium = chromium
        self._front_door = f"{address}/lab?token={token}"

    def new_page(self, **options: Any) -> Any:
        page = self._chromium.new_page(**options)
        page.goto(self._front_door, wait_until="domcontentloaded")  # answered with a cookie
        return page


def wait_for(address: str, token: str) -> None:
    """Return once the server answers."""
    end = time.monotonic() + START_SECONDS
    request = urllib.request.Request(
        f"{address}/api/status", headers={"Authorization": f"token {token}"}
    )
    while True:
        try:
            urllib.request.urlopen(request, timeout=2).read()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            threading.Event().wait(0.2)


def frames(outputs: list[Any]) -> list[str]:
    """Return the text of the frames among a cell's outputs."""
    found = [o["data"] for o in outputs if FRAME in "".join(o.get("data", {}).get("text/html", ""))]
    return ["".join(data["text/plain"]) for data in found]


def main(address: str, token: str, name: str, prefix: str) -> int:
    """Run every cell; 1 if a frame is not the one that is stored."""
    stored = nbformat.read(ROOT / name, as_version=4)
    wait_for(address, token)
    with browser() as chromium:
        notebook = Notebook(SignedIn(chromium, address, token), address, name)
        where = notebook.page.evaluate(ASK, "import sys; print(sys.prefix)")
        if Path(where) != Path(prefix):
            sys.stderr.write(f"the kernel runs in {where}, not in {prefix}\n")
            return 1
        differences, compared = [], 0
        for index, cell in enumerate(stored.cells):
            if cell.cell_type != "code":
                continue
            notebook.scroll_to(index)
            notebook.run(index)
            got, expected = (
                frames(notebook.page.evaluate(PROBE.format(index))),
                frames(cell.outputs),
            )
            compared += len(expected)
            if got != expected:
                differences.append(f"cell {index}:\n{expected}\n{got}")
        left = notebook.page.evaluate(
            ASK,
            "import threading; print([t.name for t in threading.enumerate()"
            " if t.name.startswith('crlab-')])",
        )
        notebook.close()
    sys.stdout.write(f"{compared} frames compared, threads left: {left}\n")
    sys.stderr.write("\n".join(differences))
    return 1 if differences or not compared or left != "[]" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
