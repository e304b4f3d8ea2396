"""House rules for every test: no leaked thread, no silent skip, every stack on a hang."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# how busy the machine is says nothing about what is tested
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

FORBID_SKIPS = os.environ.get("CRLAB_FORBID_SKIPS") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run browser tests last: Playwright keeps an event loop running on the main thread."""
    items.sort(key=lambda item: "browser" in item.path.parts)


def crlab_threads() -> list[str]:
    """Return the names of crlab's threads that are alive."""
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("crlab-"))


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Each test ends with the crlab threads it began with, within one second."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 1.0
    while True:
        leaked = [
            thread
            for thread in threading.enumerate()
            if thread not in before and thread.name.startswith("crlab-") and thread.is_alive()
        ]
        if not leaked or time.monotonic() > deadline:
            break
        leaked[0].join(0.05)
    assert not leaked, f"threads left behind: {sorted(t.name for t in leaked)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where skips are forbidden (CI)."""
    report = yield
    if FORBID_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skips are forbidden here (CRLAB_FORBID_SKIPS): {report.longrepr}"
    return report
