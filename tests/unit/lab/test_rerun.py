"""A notebook cell that is run again replaces what it made: labs, controllers, handlers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import crlab
from crlab.runtime import notebook_cell as cells

RunCell = Callable[[str, int], None]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> RunCell:
    """Say which cell is being run, and the how manieth time."""

    def run(name: str, number: int) -> None:
        monkeypatch.setattr(cells, "current_cell", lambda: (name, f"{name}-{number}"))

    return run


def test_a_controller_takes_the_place_of_the_one_its_cell_made(
    lab: crlab.Lab, cell: RunCell
) -> None:
    """Edit the function, run the cell: one function reconciles, the new one."""
    calls: list[str] = []
    for number in range(3):
        cell("define", number)

        @lab.controller("configmaps")
        def reconcile(request, ctx, number=number):  # type: ignore[no-untyped-def]
            calls.append(f"{number} {request}")

        reconcile.start()
    lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
    lab.settle()

    assert calls == ["2 default/a"]
    assert lab.controllers == [reconcile]


def test_two_controllers_of_one_cell_both_stay(lab: crlab.Lab, cell: RunCell) -> None:
    """Only an earlier run is replaced, and only by the same cell."""
    cell("define", 1)
    first = lab.controller("configmaps", name="a")(lambda request, ctx: None)
    second = lab.controller("configmaps", name="b")(lambda request, ctx: None)
    cell("other", 1)
    third = lab.controller("configmaps", name="c")(lambda request, ctx: None)

    assert lab.controllers == [first, second, third]


def test_a_handler_takes_the_place_of_the_one_its_cell_added(lab: crlab.Lab, cell: RunCell) -> None:
    """Nothing is printed twice."""
    heard: list[str] = []
    configmaps = lab.informer("configmaps").wait_for_sync()
    for number in range(3):
        cell("listen", number)
        configmaps.add_event_handler(on_add=lambda obj, initial, n=number: heard.append(f"{n}"))
    lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
    lab.settle()

    assert heard == ["2"]
    assert len(configmaps.shared.registrations) == 1


def test_a_lab_opened_twenty_times_by_one_cell_is_one_lab(cell: RunCell) -> None:
    """With whatever else it made."""
    for number in range(20):
        cell("open", number)
        lab = crlab.sandbox(seed=0, driver="manual", controllers=False)
        lab.informer("configmaps")

    assert crlab.open_labs() == [lab]
    lab.close()


def test_outside_of_a_notebook_nothing_is_replaced(lab: crlab.Lab) -> None:
    """A loop in a script makes what it says."""
    made = [lab.controller("configmaps", name=n)(lambda request, ctx: None) for n in "ab"]

    assert lab.controllers == made
