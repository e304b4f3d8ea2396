"""Labs for these tests: manual (no thread, no socket) and threaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crlab
from crlab.examples import myservice


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    """A seeded manual sandbox that knows MyService."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as opened:
        opened.apply(myservice.CRD)
        yield opened


@pytest.fixture
def threaded() -> Iterator[crlab.Lab]:
    """A seeded sandbox in threads, over HTTP."""
    with crlab.sandbox(seed=0, controllers=False) as opened:
        opened.apply(myservice.CRD)
        yield opened
