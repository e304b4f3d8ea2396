"""The history test is no decoration: seeded bugs make it fail."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from support.informer_history import History
from support.seeded_bug import BUGS, seeded

QUICK = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.generate],
    database=None,
    derandomize=True,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught(bug):
    """Each of them; the same machine passes without it (test_informer_history)."""
    with seeded(bug), pytest.raises(AssertionError):
        run_state_machine_as_test(History, settings=QUICK)
