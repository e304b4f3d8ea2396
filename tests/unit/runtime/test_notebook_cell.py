"""Which cell runs: as the front end says, or none."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from crlab.runtime.notebook_cell import ByCell, current_cell


def shell_with(monkeypatch: pytest.MonkeyPatch, parent: Any) -> None:
    shell = SimpleNamespace(get_parent=lambda: parent)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_a_cell_and_its_run_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell's id stays, the request that runs it is another each time."""
    shell_with(monkeypatch, {"metadata": {"cellId": "c"}, "header": {"msg_id": "1"}})
    assert current_cell() == ("c", "1")


@pytest.mark.parametrize("parent", [None, {}, {"metadata": None, "header": None}, "nonsense"])
def test_a_front_end_that_names_no_cell_replaces_nothing(
    monkeypatch: pytest.MonkeyPatch, parent: Any
) -> None:
    """Whatever it sends instead."""
    shell_with(monkeypatch, parent)
    made: ByCell[str] = ByCell()
    assert current_cell()[0] == ""
    assert (made.add("first"), made.add("second")) == ([], [])


def test_the_next_run_of_a_cell_replaces_what_the_last_one_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of it, once; another cell's things stay."""
    made: ByCell[str] = ByCell()
    replaced = []
    for cell, run in (("c", "1"), ("c", "1"), ("other", "2"), ("c", "3"), ("c", "4")):
        shell_with(monkeypatch, {"metadata": {"cellId": cell}, "header": {"msg_id": run}})
        replaced.append(made.add(f"{cell}{run}"))
    assert replaced == [[], [], [], ["c1", "c1"], ["c3"]]
