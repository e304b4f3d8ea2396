"""Waiting for SIGTERM or SIGINT.

Thread: the main thread only, as signals are.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

LOOK_SECONDS = 0.25


def wait_for_signal(is_over: Callable[[], bool] = lambda: False) -> int:
    """Return the number of the first SIGTERM or SIGINT; 0 if `is_over()` came first."""
    came = threading.Event()
    numbers: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        numbers.append(number)
        came.set()

    before = {each: signal.signal(each, note) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not came.wait(LOOK_SECONDS) and not is_over():
            pass
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return numbers[0] if numbers else 0
