"""One JupyterLab and one Chromium for all browser tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.lab_page import browser, jupyter, missing, temporary_root

REASON = missing()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and skip it with its reason where there is no browser."""
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(120))
            if REASON:
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    with temporary_root() as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with browser() as made:
        yield made


@pytest.fixture(scope="session")
def address(root: Path) -> Iterator[str]:
    with jupyter(root) as made:
        yield made
