"""When an informer's state is a trouble, and the log lines about it.

An informer that starts, or reconnects, is no news; one that the server refuses is at once,
and one that is not live for `PATIENCE_SECONDS` is then. `status` stays the one place that
knows the state; this only says when it has to be told.

Thread: `look` from the reflectors' threads; two of one informer may tell the same once too
often, never too little.
"""

from __future__ import annotations

import logging

from crlab.cache.informer_status import InformerState, InformerStatus
from crlab.runtime.clock import Clock
from crlab.trace.failure import Failures

PATIENCE_SECONDS = 10.0
REMIND_SECONDS = 300.0

_WELL = (InformerState.LIVE, InformerState.STOPPED)
_FINAL = (InformerState.FAILED, InformerState.GONE)


class Trouble:
    """Tells of one informer's states.

    Attributes:
        since: wall time since when it is not live; None while it is, or was never looked at.
    """

    def __init__(self, where: str, failures: Failures, clock: Clock) -> None:
        self._where = where
        self._failures = failures
        self._clock = clock
        self._begun_at = 0.0
        self._told: tuple[InformerState, float] | None = None
        self.since: float | None = None

    def look(self, status: InformerStatus, error: BaseException | None = None) -> None:
        """Take note of a state and tell it if it is time.

        Args:
            error: what ended a stage, for its traceback.
        """
        now = self._clock.monotonic()
        if status.state in _WELL:
            self._over(status, now)
            return
        if self.since is None:
            self.since, self._begun_at = self._clock.now(), now
        is_final = status.state in _FINAL
        is_new = self._told is None or self._told[0] is not status.state
        is_due = is_final or now - self._begun_at >= PATIENCE_SECONDS
        if not is_due or not (is_new or now - self._told[1] >= REMIND_SECONDS):  # type: ignore[index]
            return
        self._told = (status.state, now)
        for_seconds = now - self._begun_at
        self._failures.failed(
            "informer",
            self._where,
            "",
            error if error is not None else str(status),
            then="" if for_seconds < 1 else f"not live for {for_seconds:.0f} s",
            level=logging.ERROR if is_final else logging.WARNING,
            present=False,
        )

    def _over(self, status: InformerStatus, now: float) -> None:
        if self._told is not None and status.is_live:
            text = f"live again after {now - self._begun_at:.0f} s"
            self._failures.failed(
                "informer", self._where, "", text, level=logging.INFO, present=False
            )
        self._told = self.since = None

    def is_troubled(self, status: InformerStatus, *, failed: bool) -> bool:
        """Whether a state belongs among the problems.

        Args:
            failed: whether a list or watch ever did.
        """
        if status.parts:
            return any(self.is_troubled(part, failed=failed) for part in status.parts)
        if status.state is not InformerState.STARTING:
            return status.state not in _WELL
        is_late = (
            self.since is not None and self._clock.monotonic() - self._begun_at >= PATIENCE_SECONDS
        )
        return failed or is_late
