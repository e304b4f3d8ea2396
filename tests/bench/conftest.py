"""One table for all measurements of a run, printed at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.bench.table import Table

_TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = Table()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """Where a bench puts what it measured; afterwards a missed target is a failure."""
    found = request.config.stash[_TABLE]
    since = len(found.rows)
    yield found
    if missed := found.missed(since):
        pytest.fail("; ".join(missed), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash[_TABLE].lines()
    if lines:
        terminalreporter.section("measured in this run")
        for line in lines:
            terminalreporter.write_line(line)
