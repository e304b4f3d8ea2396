"""Every view of a real sandbox: the same bytes on every run, commands that act."""

from __future__ import annotations

from typing import Any

import pytest

import crlab
from crlab.widgets import view as views


def history(lab: Any) -> dict[str, Any]:
    """A small history with a controller that fails once; return all views of it."""
    maps = lab.informer("configmaps")
    lab.settle()

    @lab.controller(maps, name="touch")
    def touch(request: Any, ctx: Any) -> None:
        ctx.log(f"saw {request.name}")
        if request.name == "bad" and ctx.attempt == 1:
            raise ValueError("not yet")

    for name in ("a", "bad"):
        lab.client.create("configmaps", {"metadata": {"name": name, "namespace": "default"}})
    lab.settle()
    return {
        "table": maps.watch(),
        "events": maps.events.watch(),
        "rate": maps.rates.watch(),
        "pipeline": lab.pipeline(),
        "stepper": touch.stepper(),
        "faults": lab.faults.panel(),
        "time": lab.time_slider(maps),
    }


def outputs() -> dict[str, tuple[str, str, str]]:
    with crlab.sandbox(driver="manual", seed=0) as lab:
        made = history(lab)
        made["stepper"].step_button.click()
        made["stepper"].step_button.click()
        made["pipeline"].select("workqueue")
        return {name: (repr(v), v.to_text(), v.to_html()) for name, v in made.items()}


def test_two_runs_give_the_same_bytes() -> None:
    """repr, text and HTML, clicks included: what nbval needs."""
    first, second = outputs(), outputs()
    for name, texts in first.items():
        assert texts == second[name], name


def test_the_stepper_shows_a_failure_and_its_back_off() -> None:
    """The user's frames, the outcome, the delayed key."""
    text = outputs()["stepper"][1]
    assert "ValueError: not yet" in text
    assert "in touch" in text
    assert "runner.py" not in text
    assert "delayed: default/bad" in text


def test_pipeline_buttons_move_a_manual_lab() -> None:
    """Step makes one transition, Settle all that are left."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        view = history(lab)["pipeline"]
        lab.client.create("configmaps", {"metadata": {"name": "z", "namespace": "default"}})
        view.step_button.click()
        assert "z" in view.state().sentence
        view.settle_button.click()
        boxes = {stage.name: stage for stage in view.state().stages}
        assert (boxes["queue"].count, boxes["indexer"].count) == (0, 3)


@pytest.mark.parametrize("driver", ["manual", "threads"])
def test_closing_the_lab_closes_its_views(driver: Any) -> None:
    """They say so, and keep their last picture."""
    lab = crlab.sandbox(driver=driver, seed=0)
    made = history(lab)
    for view in made.values():
        assert view.widget
    lab.close()
    assert views.open_views() == []
    for name, view in made.items():
        assert view.is_closed, name
        assert "closed" in view.to_text().splitlines()[1], name
