"""The embedded server answers as a recorded kube-apiserver 1.36.2 did, scenario by scenario.

A scenario that does not pass yet stands in `transcripts/baseline.json` with its reason; it
is expected to fail, and must leave the list as soon as it passes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.scenario import TICK_SECONDS, Scenario
from support.server import make_server, start_controllers
from support.transcript import TRANSCRIPTS

from crlab.runtime.clock import FakeClock
from crlab.runtime.driver import ManualDriver

FILES = sorted((TRANSCRIPTS / "scenarios").glob("*.json"))
BASELINE: dict[str, str] = json.loads((TRANSCRIPTS / "baseline.json").read_text())
TOKENS = {"root": ("admin", ("system:masters",)), "plain": ("alice", ("dev",))}


def run(path: Path) -> list[str]:
    """Play one scenario against a fresh server; return the differences."""
    document = json.loads(path.read_text())
    needs = document.get("needs", [])
    clock = FakeClock(1_800_000_000.0)  # no time that a scenario spells out
    driver = ManualDriver()

    def tick() -> None:
        driver.settle()
        clock.advance(TICK_SECONDS)
        driver.settle()

    with make_server(clock, tokens=TOKENS if "auth" in needs else None) as server:
        if "controllers" in needs:
            start_controllers(server, "namespace", "gc", driver=driver)
        server.start()
        users = {"admin": "root", "alice": "plain"} if "auth" in needs else {}
        return Scenario(document, server, tick, users).differences()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_answers_as_recorded(path: Path, request: pytest.FixtureRequest) -> None:
    """Every status, header, body and event equals the recording."""
    reason = BASELINE.get(path.stem)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    found = run(path)
    assert not found, "\n".join(found[:5])


def test_every_scenario_is_held() -> None:
    """The baseline names only scenarios that exist, each with a reason; the rest must pass."""
    names = {path.stem for path in FILES}
    assert set(BASELINE) <= names
    assert all(reason.strip() for reason in BASELINE.values())
    print(f"{len(names) - len(BASELINE)} of {len(names)} recorded scenarios pass")
    assert len(names) == 237
