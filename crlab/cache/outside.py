"""What a reflector learns from elsewhere than the server: the machine slept, an audit failed.

From: the clocks, and the auditor. To: the reflector, at its next step.

Thread: `take` by the reflector; `slept_seconds` and `distrust` by any thread. `_drift` is
replaced whole.
"""

from __future__ import annotations

from crlab.cache.reflector_message import Drifted, Slept
from crlab.runtime.clock import Clock
from crlab.runtime.sleep import SleepWatch


class Outside:
    """Holds what happened until the reflector takes it."""

    def __init__(self, clock: Clock) -> None:
        self._sleep = SleepWatch(clock)
        self._drift = ""

    @property
    def slept_seconds(self) -> float:
        """How long the machine slept, as long as the reflector has not heard of it."""
        return self._sleep.slept_seconds

    def distrust(self, reason: str) -> None:
        """Let the cache be listed again."""
        self._drift = reason

    def take(self, *, asking: bool) -> Slept | Drifted | None:
        """Return what happened since the last time, None if nothing did.

        Args:
            asking: a request is due anyway; of a sleep only its mark is left.
        """
        if slept := self._sleep.notice():
            return Slept(slept, is_asking=asking)
        if self._drift and not asking:
            reason, self._drift = self._drift, ""
            return Drifted(reason)
        return None
