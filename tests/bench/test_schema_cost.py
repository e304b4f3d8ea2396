"""What an object's way through the schema costs; printed, with a generous ceiling."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support.server import crd

from crlab.apiserver.schema.structural import compile_schema

CEILING_MICROSECONDS = 1500.0


def microseconds(work: Callable[[], Any], rounds: int = 5, turns: int = 400) -> float:
    """Return the best average of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(turns):
            work()
        best = min(best, (time.perf_counter() - start) / turns * 1e6)
    return best


def test_a_widget_costs_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Prune, default, validate without and with rules, and an update."""
    version = crd("widgets")["spec"]["versions"][0]
    openapi = version["schema"]["openAPIV3Schema"]
    plain, full = compile_schema(openapi, with_cel=False), compile_schema(openapi)
    widget: dict[str, Any] = {
        "metadata": {"name": "a", "labels": {"a": "b"}},
        "spec": {
            "size": 5,
            "color": "red",
            "name": "abc",
            "tags": ["a", "b"],
            "ports": [{"port": 1}, {"port": 2}],
            "raw": {"x": {"y": 1}},
            "amount": "5%",
            "when": "2024-01-01T00:00:00Z",
        },
        "status": {"phase": "Ready"},
    }
    plain.default(widget)
    costs = {
        "prune": microseconds(lambda: plain.prune(widget)),
        "default": microseconds(lambda: plain.default(widget)),
        "validate": microseconds(lambda: plain.validate(widget)),
        "validate with rules": microseconds(lambda: full.validate(widget)),
        "update with rules": microseconds(lambda: full.validate(widget, widget)),
    }
    with capsys.disabled():
        shown = ", ".join(f"{name} {cost:.1f}" for name, cost in costs.items())
        print(f"\nwidget, microseconds per object: {shown}")

    assert max(costs.values()) < CEILING_MICROSECONDS
