"""Waiting for what other threads do, with a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


def pause(seconds: float) -> None:
    """Let time pass."""
    threading.Event().wait(seconds)


def until(
    predicate: Callable[[], Any], seconds: float = 10.0, describe: Callable[[], Any] = str
) -> None:
    """Return once something holds, or fail with a description."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {describe()}")
        pause(0.005)
