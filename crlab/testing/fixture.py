"""The pytest fixture ``crlab_lab``.

Thread: the test's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from crlab.testing.fake import fake_lab

if TYPE_CHECKING:
    from crlab.lab.lab import Lab


@pytest.fixture
def crlab_lab() -> Iterator[Lab]:
    """Give a fresh manual sandbox, closed after the test."""
    with fake_lab() as lab:
        yield lab
