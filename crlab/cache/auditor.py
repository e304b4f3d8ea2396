"""Compares the cache with the server now and then, and has it listed again if they differ.

From: a clock and `informer.audit`. To: the reflectors, which list again; the trace.

What a server never sent, or lost on the way, no stream can tell (faults 54, 55). An audit
can, for the price of one unpaged list per namespace; so it runs only where it was asked for.

Guarantees:
  1. It is a stage of its own: no event waits for an audit.
  2. At most two audits an interval, and never two within `least_seconds`: a difference
     counts only if a second look, after `CONFIRM_SECONDS`, finds the same key at the same
     cached version, so that an event on its way is no drift.
  3. It looks only when the cache claims to be current; an audit that fails changes nothing.

Thread: ``crlab-auditor-<resource>``; `drifted` and the other counts are read by the status.
Source: crlab's own; the comparison is that of the reflector's consistency detector (rule 24).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from crlab.cache.audit import Audit, AuditRow
from crlab.model.plural import counted
from crlab.runtime.clock import Clock
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace, TraceStage

CONFIRM_SECONDS = 2.0
_MAX_NAMED = 5


class Auditor:
    """A `Stage` that has something to do once an interval.

    Attributes:
        audits: how many were made.
        drifted: how many keys were found wrong, all audits together.
        last: what the newest audit found; None before the first.
        error: why the last one could not be made; None if it was.
    """

    def __init__(
        self,
        name: str,
        audit: Callable[[], Audit],
        *,
        interval_seconds: float,
        least_seconds: float,
        is_ready: Callable[[], bool],
        on_drift: Callable[[list[AuditRow], str], None],
        resource: str,
        source: str,
        clock: Clock,
        trace: Trace,
    ) -> None:
        """Prepare; the first audit is one interval away.

        Args:
            least_seconds: between two requests, whatever the interval.
            is_ready: whether the cache claims to be current; if not, it is asked again soon.
            on_drift: told the rows that are wrong, and a sentence about them.
        """
        self._name = name
        self._audit = audit
        self._interval_seconds = max(interval_seconds, least_seconds)
        self._soon_seconds = min(self._interval_seconds, max(CONFIRM_SECONDS, least_seconds))
        self._is_ready = is_ready
        self._on_drift = on_drift
        self._resource = resource
        self._source = source
        self._clock = clock
        self._trace = trace
        self._cond = threading.Condition()
        self._is_woken = False
        self._at = clock.monotonic() + self._interval_seconds
        self._doubted: frozenset[tuple[str, str, str]] = frozenset()
        self.audits = 0
        self.drifted = 0
        self.last: Audit | None = None
        self.error: BaseException | None = None

    @property
    def name(self) -> str:
        return self._name

    def step(self, limit: int) -> int:
        if self._clock.monotonic() < self._at:
            return 0
        self._look()
        return 1

    def wait(self) -> None:
        with self._cond:
            # The flag keeps a `wake` that comes between the last step and this wait.
            if not self._is_woken:
                self._clock.wait(self._cond, max(0.0, self._at - self._clock.monotonic()))
            self._is_woken = False

    def wake(self) -> None:
        with self._cond:
            self._is_woken = True
            self._cond.notify_all()

    def _look(self) -> None:
        again = self._soon_seconds
        if self._is_ready():
            wrong = self._wrong()
            # The list and the cache are read at two moments: an event on its way between them
            # looks like drift, but not in two looks.
            confirmed = [row for row in wrong if _mark(row) in self._doubted]
            if confirmed:
                self._drifts(confirmed)
            if confirmed or not wrong:
                self._doubted = frozenset()
                again = self._interval_seconds
            else:
                self._doubted = frozenset(_mark(row) for row in wrong)
        self._at = self._clock.monotonic() + again

    def _wrong(self) -> list[AuditRow]:
        """Audit; return the rows that are wrong."""
        try:
            with caused_by((), f"informer/{self._resource}"):
                audit = self._audit()
        except Exception as error:  # noqa: BLE001 - whatever fails, the cache is no worse for it
            self.error = error
            self._trace.failures.failed("audit", f"informer/{self._source}", "", error)
            return []
        self.error = None
        self._trace.failures.worked("audit", f"informer/{self._source}")
        self.audits += 1
        self.last = audit
        # "moving" rows changed while the audit ran: that proves nothing.
        wrong = [row for row in audit.rows if row.problem != "moving"]
        self._trace.append(
            TraceStage.REFLECTOR,
            "audited",
            resource=self._resource,
            resource_version=audit.cache_version,
            data={
                "compared": audit.compared,
                "wrong": tuple(f"{row.key} ({row.problem})" for row in wrong),
                "is_exact": audit.is_exact,
                "source": self._source,
            },
        )
        return wrong

    def _drifts(self, rows: list[AuditRow]) -> None:
        self.drifted += len(rows)
        found, where = _sentence(rows), f"informer/{self._source}"
        then = "it is listed again"
        self._trace.failures.failed("audit", where, "", found, then=then, present=False)
        self._on_drift(rows, found)


def _mark(row: AuditRow) -> tuple[str, str, str]:
    """Return what must be the same in two looks; the server's version may move on."""
    return row.key, row.problem, row.cached_version


def _sentence(rows: Iterable[AuditRow]) -> str:
    told = [f"{row.key} ({row.problem})" for row in rows]
    more = f" and {len(told) - _MAX_NAMED} more" if len(told) > _MAX_NAMED else ""
    return (
        f"an audit found {counted(len(told), 'keys')} that the server holds "
        f"otherwise: {', '.join(told[:_MAX_NAMED])}{more}"
    )
