"""How many random histories a property is tried on: few by default, more on request."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

ASKED = os.environ.get("CRLAB_HISTORIES", "")


def histories(usual: int) -> settings:
    """Return settings for `usual` histories, or for as many as CRLAB_HISTORIES says."""
    slow = [HealthCheck.too_slow]
    return settings(max_examples=int(ASKED or usual), deadline=None, suppress_health_check=slow)
