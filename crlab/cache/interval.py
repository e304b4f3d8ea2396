"""Intervals that a user may choose, or leave out.

Thread: pure.
"""

from __future__ import annotations

import math

from crlab.errors import ConfigError


def checked(name: str, seconds: float | None) -> float | None:
    """Return an interval as it is.

    Raises:
        ConfigError: it is neither None nor a positive number of seconds.
    """
    if seconds is None:
        return None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not seconds > 0 or math.isinf(seconds):
        raise ConfigError(f"{name} is a positive number of seconds, or None, not {seconds!r}")
    return seconds
