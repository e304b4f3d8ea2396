"""What is committed in notebooks/ was really executed, and nothing passes vacuously."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
IGNORED = "nbval-ignore-output"


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    """Return the code cells of a notebook."""
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_there_are_notebooks() -> None:
    """A glob that finds nothing would make every other test pass."""
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_every_cell_was_executed_in_order(path: Path) -> None:
    """A stripped cell is run by nbval but compared with nothing."""
    counts = [cell.execution_count for cell in code_cells(path)]

    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_half_of_the_cells_show_something_that_is_compared(path: Path) -> None:
    """Ignoring every output is another way of testing nothing."""
    cells = code_cells(path)
    compared = [c for c in cells if c.outputs and IGNORED not in c.metadata.get("tags", [])]

    assert len(compared) * 2 >= len(cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_no_unexpected_error_is_stored(path: Path) -> None:
    """An error in a committed notebook is a lesson (tagged) or a defect."""
    failed = [
        index
        for index, cell in enumerate(code_cells(path))
        if any(o.output_type == "error" for o in cell.outputs)
        and "raises-exception" not in cell.metadata.get("tags", [])
    ]

    assert failed == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_only_public_names_are_used(path: Path) -> None:
    """If a lesson needs a private name, the API is wrong."""
    text = "\n".join(cell.source for cell in code_cells(path))

    assert re.findall(r"\._(?!_|repr)\w*", text) == []  # .__name__ is Python's, not ours
    assert "sleep(" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_cells_are_short_and_no_widget_state_is_stored(path: Path) -> None:
    """A cell fits a glance; widget state could carry what was on screen."""
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)) <= 20
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
