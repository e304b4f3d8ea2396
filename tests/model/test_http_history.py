"""Random histories over real sockets, through the fault proxy, with a controller at the end.

`CRLAB_HISTORY_EXAMPLES=1000 CRLAB_HISTORY_STEPS=50 pytest tests/model/test_http_history.py -s`
runs more, from new seeds. The machine and its invariants are in support.http_history.
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from support.http_history import HttpHistory

EXAMPLES = int(os.environ.get("CRLAB_HISTORY_EXAMPLES", "0"))
STEPS = int(os.environ.get("CRLAB_HISTORY_STEPS", "30"))
SETTINGS = settings(
    max_examples=EXAMPLES or 50,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    phases=[Phase.generate],  # time is real: a shrunk example would be another history
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.timeout(7200 if EXAMPLES else 300)
def test_every_history_ends_in_the_servers_state(capsys):
    """C1-C3, C8, C9: I1-I8 at every change or step, Q1-Q6 at every quiet."""
    began = time.monotonic()
    run_state_machine_as_test(HttpHistory, settings=SETTINGS)
    took, faults = time.monotonic() - began, HttpHistory.faults
    recoveries = sorted(HttpHistory.recoveries)
    with capsys.disabled():
        print(
            f"\n{HttpHistory.counts['examples']} examples, {HttpHistory.counts['steps']} checks, "
            f"{HttpHistory.counts['changes checked']} cache changes, {faults.total()} faults of "
            f"{len(faults)} kinds, {len(recoveries)} quiets (p50 "
            f"{recoveries[len(recoveries) // 2]:.2f} s, max {recoveries[-1]:.2f} s), {took:.0f} s"
        )
    if not EXAMPLES:
        assert faults.total() > 300
        assert len(faults) > 30
