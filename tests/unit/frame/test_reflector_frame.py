"""A reflector's log reads as what happened, in order."""

from __future__ import annotations

import crlab

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


def test_a_start_a_change_and_a_break_can_be_read() -> None:
    """What a lesson on the reflector prints."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        configs = lab.informer("configmaps", list_mode="list").wait_for_sync()
        lab.settle()
        lab.apply(CONFIG_MAP)
        lab.settle()
        lab.faults.expire_watch("configmaps")
        lab.settle()
        lab.faults.clear()
        log = configs.reflector_log

    assert list(log["kind"]) == [
        "state", "request", "state", "listed", "request", "state", "watch_event", "error", "state",
    ]  # fmt: skip
    assert log["what"].iloc[0] == "idle → listing"
    assert log["what"].iloc[1] == "list limit=500 resourceVersion=0 → 200"
    assert log["what"].iloc[3] == "0 objects in 1 page"
    assert log["what"].iloc[-1].startswith("watching → backing_off for ")
    assert "410" in log["what"].iloc[-2]
    assert "410" not in log["what"].iloc[-1]  # told once
    assert log["key"].iloc[6] == "default/a"


def test_other_resources_and_other_actors_are_left_out() -> None:
    """The reader asked about one reflector."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.informer("services").wait_for_sync()
        lab.apply(CONFIG_MAP)
        log = lab.informer("configmaps", start=False).reflector_log

    assert len(log) == 0
    assert list(log.columns) == ["time", "kind", "key", "resource_version", "what"]
