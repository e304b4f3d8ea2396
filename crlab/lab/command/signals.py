"""Waiting for SIGTERM or SIGINT.

Thread: the main thread only, as signals are.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType


def wait_for_signal() -> int:
    """Return the number of the first SIGTERM or SIGINT."""
    came = threading.Event()
    numbers: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        numbers.append(number)
        came.set()

    before = {each: signal.signal(each, note) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        came.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return numbers[0]
