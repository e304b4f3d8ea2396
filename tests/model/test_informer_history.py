"""Random histories with faults: in the end the cache is the truth, and so is what was told.

The machine is in support.informer_history; support.seeded_bug proves that it notices bugs.
"""

from __future__ import annotations

from hypothesis import settings
from support.informer_history import History

TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
