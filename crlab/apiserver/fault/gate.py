"""Where faults meet requests and watches.

From: `ApiServer` (`delay_seconds`, `before`, `after`, `open_watch`), `WatchFaults`
(`watch_rules`) and `Faults`, which adds the rules. To: an exception, another request, or lines
that differ.

Guarantees:
  1. Without rules nothing changes and next to nothing is paid.
  2. The server's own controllers (identity.is_system) meet no faults.
  3. Every injection is in `injections` (the last 10,000) and told to `on_inject`.

Thread: any; one lock guards rules and counters, it is never held while others are called.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from crlab.apiserver.audit_log import AuditLog, AuditRecord
from crlab.apiserver.core import Core
from crlab.apiserver.fault.fault_kind import FAULT_KINDS, FaultPlace
from crlab.apiserver.fault.fault_rule import ANY_REQUEST, InjectedFault, Injection, Match
from crlab.apiserver.fault.watch_fault import WatchFaults
from crlab.apiserver.request import HttpRequest, RequestInfo, read_info
from crlab.apiserver.status import Cause, conflict, expired, invalid
from crlab.apiserver.storage import Compacted
from crlab.apiserver.verb.option import revision_fault

KEEP_INJECTIONS = 10_000
_NO_WATCH_LIST = (
    "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
)


class FaultGate:
    """All faults of one server.

    Attributes:
        on_inject: called with each injection, in the thread it happened in.
    """

    def __init__(self, core: Core, audit: AuditLog) -> None:
        self._journal: deque[Injection] = deque(maxlen=KEEP_INJECTIONS)
        self._clock = core.clock
        self._ids = core.ids.fork("faults")
        self._storage = core.storage
        self._registry = core.registry
        self._audit = audit
        self.on_inject: Callable[[Injection], None] | None = None
        self._lock = threading.Lock()
        self._rules: list[InjectedFault] = []
        self._open: dict[WatchFaults, Callable[[], None]] = {}

    # --- what the server asks ----------------------------------------------------------------

    def delay_seconds(self, request: HttpRequest) -> float:
        """Return how long the request is to wait before it is handled."""
        # Read without the lock: who adds a fault at this very moment is not owed this request.
        if not self._rules:
            return 0.0
        total = 0.0
        info = read_info(request)
        for fault in self._fitting(request, info, "delay"):
            if fault.take(info):
                jitter = fault.data["jitter_seconds"]
                total += fault.data["seconds"] + (self._ids.uniform(0, jitter) if jitter else 0)
        return total

    def sleep(self, seconds: float) -> None:
        """Wait in the caller's thread; a clock that only moves when told to is moved."""
        advance = getattr(self._clock, "advance", None)
        if advance is not None:
            advance(seconds)
            return
        condition = threading.Condition()
        with condition:
            self._clock.wait(condition, seconds)

    def before(
        self, request: HttpRequest, info: RequestInfo, record: AuditRecord | None = None
    ) -> HttpRequest:
        """Return the request to handle, or fail it; note in the audit record what was done.

        Raises:
            ConnectionError: hang up without an answer.
            StatusError: answer with this.
        """
        for fault in self._fitting(request, info, "before"):
            if fault.kind == "stale":
                request = self._stale(fault, request, info, record)
            elif fault.kind == "no_watch_list":
                request = self._without_watch_list(fault, request, info, record)
            elif fault.kind == "conflict":
                if info.name and fault.take(info, record=record):
                    name = f"{info.resource}.{info.group}" if info.group else info.resource
                    raise conflict(name, info.name)
            elif fault.take(info, record=record):
                if fault.kind == "refuse":
                    raise ConnectionRefusedError("the connection was refused (injected fault)")
                if fault.kind == "reset":
                    raise ConnectionResetError("the server hung up (injected fault)")
                raise fault.data["error"]
        return request

    def after(
        self, request: HttpRequest, info: RequestInfo, record: AuditRecord | None = None
    ) -> None:
        """Fail a request that has taken effect.

        Raises:
            ConnectionError: hang up without an answer.
        """
        for fault in self._fitting(request, info, "after"):
            if fault.take(info, record=record):
                raise ConnectionResetError("the server hung up (injected fault)")

    def open_watch(
        self, request: HttpRequest, info: RequestInfo, record: AuditRecord
    ) -> WatchFaults:
        """Return what shapes the lines of a watch that is about to open."""
        watch = WatchFaults(self, info, request, record)
        for fault in self._fitting(request, info, "open"):
            self._check_window(fault, watch, request, info, record)
        return watch

    def register(self, watch: WatchFaults, nudge: Callable[[], None]) -> None:
        """Remember an open watch; `nudge` makes its reader poll."""
        with self._lock:
            self._open[watch] = nudge

    def unregister(self, watch: WatchFaults) -> None:
        """Forget a watch that was closed."""
        watch.is_over = True
        with self._lock:
            self._open.pop(watch, None)

    def watch_rules(self, watch: WatchFaults) -> list[InjectedFault]:
        """Return the faults that look at a watch's lines."""
        if not self._rules:
            return []
        with self._lock:
            rules = [fault for fault in self._rules if fault.place == "watch"]
        return [fault for fault in rules if fault.fits_watch(watch)]

    # --- what a fault asks --------------------------------------------------------------------

    def take(
        self,
        fault: InjectedFault,
        info: RequestInfo,
        name: str = "",
        record: AuditRecord | None = None,
    ) -> bool:
        """Decide whether a fault happens; record it if so."""
        with self._lock:
            if not fault.decide():
                return False
            injection = Injection(
                self._clock.now(),
                fault.kind,
                fault.is_legal,
                info.verb,
                f"{info.resource}.{info.group}" if info.group else info.resource,
                info.namespace,
                name or info.name,
                fault.description,
            )
            self._journal.append(injection)
        # Outside the lock: whoever listens may write to a trace, or add the next fault.
        if record is None:
            record = _record(self._audit.next_id(), injection)
            self._audit.add(record)
        else:
            record.fault = f"{record.fault},{fault.kind}".lstrip(",")
        if self.on_inject is not None:
            self.on_inject(injection)
        return True

    def chance(self) -> float:
        """Return the next number in [0, 1) of the seeded source."""
        return self._ids.uniform(0, 1)

    def forget(self, fault: InjectedFault) -> None:
        """Take a removed fault off the list and let held streams go on."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule is not fault]
            nudges = list(self._open.values())
        # Outside the lock: a reader that wakes asks for the rules of its watch at once.
        for nudge in nudges:
            nudge()

    # --- what `Faults` does ------------------------------------------------------------------

    def make(
        self, kind: str, description: str, match: Match = ANY_REQUEST, **settings: Any
    ) -> InjectedFault:
        """Return a fault that is not on the list: it happens when it is taken."""
        return InjectedFault(self, FAULT_KINDS[kind], description, match, **settings)

    def add(
        self,
        kind: str,
        description: str,
        match: Match,
        *,
        targets: Iterable[WatchFaults] = (),
        **settings: Any,
    ) -> InjectedFault:
        """Put a fault on the list; with targets, only for these open watches."""
        fault = self.make(kind, description, match, **settings)
        if targets:
            fault.aim(targets)
        with self._lock:
            self._rules = [rule for rule in self._rules if rule.is_needed]
            self._rules.append(fault)
        return fault

    def open_watches(self, match: Match) -> dict[WatchFaults, Callable[[], None]]:
        """Return the open watches that are meant, with what makes their readers poll."""
        with self._lock:
            return {w: n for w, n in self._open.items() if match.fits(w.info, w.request)}

    def injections(self) -> list[Injection]:
        """Return what was injected, the oldest first."""
        with self._lock:
            return list(self._journal)

    def rules(self) -> list[InjectedFault]:
        """Return the faults on the list, oldest first."""
        with self._lock:
            return list(self._rules)

    # --- inside ------------------------------------------------------------------------------

    def _fitting(
        self, request: HttpRequest, info: RequestInfo, place: FaultPlace
    ) -> list[InjectedFault]:
        if not self._rules or (request.identity is not None and request.identity.is_system):
            return []
        with self._lock:
            rules = [fault for fault in self._rules if fault.place == place]
        return [fault for fault in rules if fault.fits(info, request)]

    def _stale(
        self,
        fault: InjectedFault,
        request: HttpRequest,
        info: RequestInfo,
        record: AuditRecord | None,
    ) -> HttpRequest:
        if request.parameter("resourceVersion") != "0" or request.parameter("continue"):
            return request
        if not fault.take(info, record=record):
            return request
        oldest = self._storage.compacted_revision
        revision = max(1, oldest, self._storage.revision - fault.data["behind"])
        dropped = ("resourceVersion", "resourceVersionMatch", "limit")
        query = [(key, value) for key, value in request.query if key not in dropped]
        query += [("resourceVersion", str(revision)), ("resourceVersionMatch", "Exact")]
        return replace(request, query=tuple(query))

    def _without_watch_list(
        self,
        fault: InjectedFault,
        request: HttpRequest,
        info: RequestInfo,
        record: AuditRecord | None,
    ) -> HttpRequest:
        if not request.has("sendInitialEvents") or not fault.take(info, record=record):
            return request
        if fault.data["ignores"]:
            hidden = ("sendInitialEvents", "resourceVersionMatch")
            query = [(key, value) for key, value in request.query if key not in hidden]
            return replace(request, query=tuple(query))
        cause = Cause("FieldValueForbidden", f"Forbidden: {_NO_WATCH_LIST}", "sendInitialEvents")
        raise invalid("ListOptions", "meta.k8s.io", "", [cause])

    def _check_window(
        self,
        fault: InjectedFault,
        watch: WatchFaults,
        request: HttpRequest,
        info: RequestInfo,
        record: AuditRecord,
    ) -> None:
        asked = request.parameter("resourceVersion")
        found = self._registry.get(info.group, info.resource)
        if not asked or revision_fault(asked) or asked == "0" or found is None:
            return
        try:
            missed = self._storage.entries_after(found.storage_name, int(asked))
        except Compacted:
            return  # too old for the server itself
        if len(missed) > fault.data["events"] and fault.take(info, record=record):
            oldest = missed[-fault.data["events"] - 1].revision
            watch.fail_with(expired(f"too old resource version: {asked} ({oldest})"))


def _record(audit_id: str, injection: Injection) -> AuditRecord:
    """Return the audit record of what happened outside a request."""
    return AuditRecord(
        audit_id=audit_id,
        received_at=injection.at,
        verb=injection.verb,
        request_uri="",
        user="",
        user_agent="",
        resource=injection.resource,
        namespace=injection.namespace,
        name=injection.name,
        fault=injection.fault,
    )
