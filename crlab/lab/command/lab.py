"""Start JupyterLab on the first notebook; ``--headless`` runs it and prints its final frame.

Needs the repository's notebooks/ folder, or one named with --notebook.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from crlab.errors import ConfigError

FIRST = "00-start.ipynb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--headless", action="store_true", help="run it here, print its frame")
    parser.add_argument("--notebook", type=Path, help="another notebook")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--no-browser", action="store_true")


def perform(options: argparse.Namespace) -> int:
    """Start JupyterLab, or execute the notebook."""
    path = options.notebook or find_first()
    if not path.is_file():
        raise ConfigError(f"no notebook {path}")
    return headless(path) if options.headless else browse(path, options)


def find_first() -> Path:
    """Return the first notebook of the course.

    Raises:
        ConfigError: it is not below the working folder nor beside the package.
    """
    places = [Path.cwd(), Path(__file__).resolve().parents[3]]
    for place in places:
        path = place / "notebooks" / FIRST
        if path.is_file():
            return path
    raise ConfigError(f"no notebooks/{FIRST} below {places[0]}; run this in a checkout of crlab")


def browse(path: Path, options: argparse.Namespace) -> int:
    """Start JupyterLab with the notebook open."""
    root = path.resolve().parent.parent
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        f"--ServerApp.port={options.port}",
        f"--LabApp.default_url=/lab/tree/{path.resolve().relative_to(root).as_posix()}",
    ]
    if options.no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    try:
        return subprocess.call(command, env={**os.environ, "JUPYTER_PLATFORM_DIRS": "1"})
    except KeyboardInterrupt:
        return 0


def headless(path: Path) -> int:
    """Execute the notebook in a fresh kernel and print the last frame it showed."""
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        raise ConfigError("--headless needs nbclient: pip install 'crlab[notebook]'") from error
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    os.environ["CRLAB_DISPLAY"] = "html"
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # it would warn of its loopback ports
        timeout=120,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.store_widget_state = False
    try:
        client.execute()
    except CellExecutionError as error:
        sys.stderr.write(f"{path.name} failed:\n{error}\n")
        return 1
    sys.stdout.write(f"{last_frame(notebook)}\n")
    return 0


def last_frame(notebook: object) -> str:
    """Return the text of the last output that is a DataFrame."""
    cells = getattr(notebook, "cells", [])
    for cell in reversed(cells):
        for output in reversed(cell.get("outputs", [])):
            data = output.get("data", {})
            if "dataframe" in "".join(data.get("text/html", "")):
                return "".join(data.get("text/plain", ""))
    return "(the notebook showed no frame)"
