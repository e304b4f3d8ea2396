"""Try a write again when somebody else wrote first.

Thread: the caller's.
Source: kubernetes/client-go:util/retry/util.go (DefaultRetry).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast

from crlab.errors import Conflict
from crlab.model.argument import checked_answer, checked_function
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.ids import Ids

T = TypeVar("T")
Pause = Callable[[float], None]

TRIES = 5
DELAY_SECONDS = 0.01
JITTER = 0.1


def pause_on(clock: Clock) -> Pause | None:
    """Return a way to wait on a clock; None for one that only the caller moves."""
    if not isinstance(clock, RealClock):
        return None
    condition = threading.Condition()

    def pause(seconds: float) -> None:
        with condition:
            clock.wait(condition, seconds)

    return pause


def retry_on_conflict(
    function: Callable[[], T],
    *,
    pause: Pause | None = None,
    ids: Ids | None = None,
    tries: int = TRIES,
    delay_seconds: float = DELAY_SECONDS,
    jitter: float = JITTER,
) -> T:
    """Call `function` until it does not end in a `Conflict`, and return its value.

    It must read the object again each time. Other errors pass at once.

    Args:
        pause: how to wait between tries; None waits on the machine's clock.

    Raises:
        Conflict: the last try's.
        ConfigError: it is no function without arguments that runs when called.
    """
    checked_function(function, "what retry_on_conflict() tries")
    wait = pause or pause_on(RealClock())
    chance = ids or Ids()
    for left in range(tries - 1, -1, -1):
        try:
            return cast("T", checked_answer(function(), "what retry_on_conflict() tries"))
        except Conflict:
            if not left:
                raise
            if wait is not None:
                wait(delay_seconds * (1 + chance.uniform(0.0, jitter)))
    raise AssertionError("unreachable: the last try returns or raises")
