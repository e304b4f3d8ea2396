"""`assert_converges`: what it accepts, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

import crlab
from crlab.errors import ConfigError
from crlab.examples import myservice
from crlab.testing import NotConverged, assert_converges, fake_lab

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"n": "0"}}


def phase(lab: crlab.Lab) -> str:
    """Return the phase of the example service."""
    return str(lab.get("myservices", "web", "default").get("status", {}).get("phase"))


def test_the_guides_controller_converges_and_rests() -> None:
    """The controller that people copy must pass what it teaches."""
    with fake_lab() as lab:
        reconcile = myservice.controller(lab)
        lab.apply(myservice.EXAMPLE)
        name = lab.client.list("myservices")["items"][0]["metadata"]["name"]

        done = assert_converges(
            lab,
            reconcile,
            lambda: (
                lab.get("myservices", name, "default").get("status", {}).get("phase") == "Ready"
            ),
        )

    assert done.writes >= 3


def test_a_controller_that_always_writes_is_not_at_rest() -> None:
    """A hot loop is the most common defect of a first controller."""
    with fake_lab(CONFIG) as lab:

        @lab.controller("configmaps")
        def count(request: Any, ctx: Any) -> None:
            n = int(ctx.object["data"]["n"])
            ctx.patch("configmaps", request.name, {"data": {"n": str(n + 1)}})

        with pytest.raises(NotConverged, match="count is still busy after 20 runs"):
            assert_converges(lab, count, lambda: True, max_runs=20)


def test_coming_to_rest_elsewhere_is_told() -> None:
    """The error says how far it came."""
    with fake_lab(CONFIG) as lab:

        @lab.controller("configmaps")
        def idle(request: Any, ctx: Any) -> None:
            """Do nothing."""

        with pytest.raises(NotConverged, match="idle came to rest elsewhere after 1 run "):
            assert_converges(lab, idle, lambda: False)


def test_a_controller_that_gives_up_is_told() -> None:
    """Coming to rest because every try failed is not convergence."""
    with fake_lab(CONFIG) as lab:

        @lab.controller("configmaps")
        def broken(request: Any, ctx: Any) -> None:
            raise ValueError("boom")

        with pytest.raises(NotConverged, match=r"given up: default/a"):
            assert_converges(lab, broken, lambda: True)


def test_requeues_are_waited_for_in_virtual_time() -> None:
    """An hour of requeues takes no time at all."""
    with fake_lab(CONFIG) as lab:
        seen: list[float] = []

        @lab.controller("configmaps")
        def patient(request: Any, ctx: Any) -> crlab.Result | None:
            seen.append(lab.clock.monotonic())
            return None if len(seen) > 2 else crlab.Result(requeue_after_seconds=1200)

        done = assert_converges(lab, patient, lambda: len(seen) > 2)

    assert done.seconds == 2400


def test_a_threaded_lab_is_refused() -> None:
    """Waiting in real time is not what this is for."""
    with crlab.sandbox(controllers=False) as lab:

        @lab.controller("configmaps")
        def idle(request: Any, ctx: Any) -> None:
            """Do nothing."""

        with pytest.raises(ConfigError, match="needs a manual lab"):
            assert_converges(lab, idle, lambda: True)
