"""A controller's reads see its own writes, whatever lags, in several namespaces.

The machine is in support.own_writes; test_seeded_bugs_version proves that it notices bugs.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from support.own_writes import OwnWrites

TestOwnWrites = OwnWrites.TestCase
TestOwnWrites.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
