"""Every view of a real sandbox: the same bytes on every run, commands that act."""

from __future__ import annotations

from typing import Any

import pytest

import crlab
from crlab.apiserver import HttpRequest
from crlab.apiserver.fault.fault_kind import FAULT_KINDS
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


def test_a_view_waits_for_what_was_pressed_in_another() -> None:
    """A click in the stepper is seen by the pipeline that is asked next."""
    for _ in range(20):
        with crlab.sandbox(driver="manual", seed=0) as lab:
            made = history(lab)
            made["stepper"].step_button.click()
            made["stepper"].step_button.click()
            boxes = {stage.name: stage for stage in made["pipeline"].state().stages}

            assert boxes["reconcile"].count == 2


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


def test_a_created_object_is_shown_as_the_lines_of_its_yaml() -> None:
    """What the reconcile asked for, without what the server fills in around it."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        maps = lab.informer("configmaps", namespace="default")

        @lab.controller(maps, name="copy")
        def copy(request: Any, ctx: Any) -> None:
            metadata = {"name": "copy", "namespace": "kube-public"}
            kind = {"apiVersion": "v1", "kind": "ConfigMap"}
            ctx.apply({**kind, "metadata": metadata, "data": {"n": "1"}})

        lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
        lab.settle()
        view = copy.stepper()
        view.step()
        text = view.to_text()
    assert "      + data:\n      +   n: '1'\n" in text
    assert "the whole object" not in text
    assert "uid" not in text


def test_events_are_filtered_by_any_of_their_paths() -> None:
    """One event that changed several fields is found by each of them, dot or not."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        maps = lab.informer("configmaps", namespace="default")
        lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
        change = {"data": {"n": "1"}, "metadata": {"labels": {"app": "web"}}}
        lab.settle()
        lab.client.patch("configmaps", "a", change, namespace="default")
        lab.settle()
        view = maps.events.watch()
        for text, found in {
            "path=.data": 1,
            "path=data": 1,
            "path=.metadata.labels": 1,
            "path~label": 1,
            "path=.spec": 0,
            "path!=.data": 0,
        }.items():
            view.filter.value = text
            assert view.state().matching == found, (text, view.state())


def test_a_table_is_filtered_by_age() -> None:
    """ "created<5m" compares the age that is shown, not the number behind it."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        maps = lab.informer("configmaps", namespace="default")
        lab.client.create("configmaps", {"metadata": {"name": "old", "namespace": "default"}})
        lab.settle()
        lab.advance(600)
        lab.client.create("configmaps", {"metadata": {"name": "new", "namespace": "default"}})
        lab.settle()
        view = maps.watch(filter="created<5m")
        assert [row.key for row in view.state().rows] == ["default/new"]
        view.filter.value = "created>5m"
        assert [row.key for row in view.state().rows] == ["default/old"]


@pytest.mark.parametrize("name", [k.name for k in FAULT_KINDS.values() if k.inject is not None])
def test_a_fault_of_the_panel_is_shown_and_cleared_under_its_own_name(name: str) -> None:
    """Active while it may happen, counted when it did, gone when its row is cleared."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        view = history(lab)["faults"]

        def lit() -> set[str]:
            return {row.name for row in view.state().faults if row.is_active}

        view.inject(name)
        assert lit() == ({name} if FAULT_KINDS[name].place != "now" else set())
        assert {fault.is_legal for fault in lab.faults.active()} <= {FAULT_KINDS[name].is_legal}
        view.clear(name)
        assert lit() == set()


def test_an_injection_is_counted_in_its_row() -> None:
    """Also the two that are made of one error with different codes."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        view = lab.faults.panel()
        for name, code in (("busy", 429), ("down", 503)):
            view.inject(name)
            assert lab.server is not None
            path = "/api/v1/namespaces/default/configmaps"
            assert lab.server.handle(HttpRequest("GET", path)).status == code
            view.clear(name)
        counts = {row.name: row.count for row in view.state().faults if row.count}
        assert counts == {"busy": 1, "down": 1}
        assert list(lab.faults.df["fault"]) == ["busy", "down"]


def test_faults_complete_to_a_users_verbs() -> None:
    """What the server asks its faults is not offered behind the dot."""
    with crlab.sandbox(driver="manual", seed=0) as lab:
        names = [name for name in dir(lab.faults) if not name.startswith("_")]
    machinery = {"before", "after", "take", "chance", "sleep", "register", "watch_rules", "forget"}
    assert len(names) <= 25
    assert not machinery & set(names)
