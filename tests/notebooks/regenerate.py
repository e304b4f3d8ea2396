"""Execute notebooks and store their outputs: the only way outputs get into the repository.

    python tests/notebooks/regenerate.py                 all of notebooks/
    python tests/notebooks/regenerate.py 00-start.ipynb  one of them
    python tests/notebooks/regenerate.py --check         write nothing, exit 1 on a difference

What a kernel or a machine adds (ids, versions, times of execution) is normalised, so two
runs give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path, timeout_seconds: int = 120) -> Any:
    """Run a notebook in a fresh kernel and return it with its outputs, normalised."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["CRLAB_DISPLAY"] = "html"
    NotebookClient(
        notebook,
        timeout=timeout_seconds,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return normalise(notebook)


def normalise(notebook: Any) -> Any:
    """Drop what differs between two runs of the same notebook."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    count = 0
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = merge_streams(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            output.pop("transient", None)
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


def merge_streams(outputs: list[Any]) -> list[Any]:
    """Join neighbouring pieces of one stream: how it was cut up depends on timing."""
    merged: list[Any] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if (
            last is not None
            and output.output_type == last.output_type == "stream"
            and output.name == last.name
        ):
            last.text += output.text
        else:
            merged.append(output)
    return merged


def text_of(notebook: Any) -> str:
    """Return the file's text."""
    return nbformat.writes(notebook) + "\n"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    paths = [NOTEBOOKS / name for name in options.names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    differing = []
    for path in paths:
        text = text_of(execute(path))
        same = path.read_text() == text
        print(f"{'same' if same else 'changed':8} {path.name}", flush=True)
        if not same:
            differing.append(path.name)
            if not options.check:
                path.write_text(text)
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
