"""One fault: which requests it is about, whether it happens now, how often it did.

From: `injector.py`, where tests add rules. To: `gate.py` and `watch_fault.py`, which
ask `fits` and `take`.

Guarantees:
  1. `take` is the only way to happen: it counts, and the gate records it.
  2. A fault that is over or removed never fits.

Thread: any; the gate's lock guards the counters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crlab.apiserver.fault.fault_kind import FaultKind
from crlab.apiserver.request import HttpRequest, RequestInfo
from crlab.errors import ConfigError

if TYPE_CHECKING:
    from crlab.apiserver.audit_log import AuditRecord
    from crlab.apiserver.fault.gate import FaultGate
    from crlab.apiserver.fault.watch_fault import WatchFaults, WatchLine


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing a fault did."""

    at: float
    fault: str
    is_legal: bool
    verb: str
    resource: str
    namespace: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a fault is about; an empty field means any.

    Attributes:
        verbs: "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection".
        resources: plurals or "plural.group".
        user_agent: a piece of the User-Agent.
    """

    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespace: str = ""
    name: str = ""
    subresource: str | None = None
    user_agent: str = ""

    def fits(self, info: RequestInfo, request: HttpRequest | None) -> bool:
        """Whether a request is meant."""
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.resources and not _names(info).intersection(self.resources):
            return False
        if self.namespace and info.namespace != self.namespace:
            return False
        if self.name and info.name != self.name:
            return False
        if self.subresource is not None and info.subresource != self.subresource:
            return False
        if not self.user_agent:
            return True
        return request is not None and self.user_agent in request.header("user-agent")


ANY_REQUEST = Match()


def _names(info: RequestInfo) -> set[str]:
    full = f"{info.resource}.{info.group}" if info.group else info.resource
    return {info.resource, full}


class InjectedFault:
    """A rule that was added; a handle on it.

    Attributes:
        kind: the name of what it does, "cut", "busy", …; see `FAULT_KINDS`.
        place: where it happens.
        description: the same as a sentence.
        is_legal: whether a real API server may behave so.
        hits: how often it happened.
        data: its settings.
    """

    def __init__(
        self,
        owner: FaultGate,
        kind: FaultKind,
        description: str,
        match: Match,
        *,
        times: int | None = None,
        nth: int | None = None,
        probability: float = 1.0,
        **data: Any,
    ) -> None:
        if times is not None and times < 0:
            raise ConfigError(f"times is {times}; it is None (for ever) or 0 and more")
        if nth is not None and nth < 1:
            raise ConfigError(f"nth is {nth}; the first matching request is 1")
        if not 0 <= probability <= 1:
            raise ConfigError(f"probability is {probability}; it lies between 0 and 1")
        self.kind = kind.name
        self.place = kind.place
        self.description = description
        self.match = match
        self.is_legal = kind.is_legal
        self.hits = 0
        self.data = data
        self._owner = owner
        self._times = times
        self._nth = nth
        self._probability = probability
        self._seen = 0
        self._is_removed = False
        self._targets: frozenset[WatchFaults] | None = None
        self._holding: set[WatchFaults] = set()

    @property
    def is_active(self) -> bool:
        """Whether it may still happen."""
        if self._is_removed or (self._times is not None and self.hits >= self._times):
            return False
        if self._targets is not None and all(watch.is_over for watch in self._targets):
            return False
        return self._nth is None or self._seen < self._nth

    def remove(self) -> None:
        """Let it happen no more; what it holds back is released."""
        self._is_removed = True
        self._owner.forget(self)

    def fits(self, info: RequestInfo, request: HttpRequest | None) -> bool:
        """Whether it is active and about this request."""
        return self.is_active and self.match.fits(info, request)

    def fits_watch(self, watch: WatchFaults) -> bool:
        """Whether it is about this open watch."""
        if self._targets is not None and watch not in self._targets:
            return False
        return self.is_holding(watch) or self.fits(watch.info, watch.request)

    def hold(self, watch: WatchFaults) -> None:
        """Keep a watch stalled until the fault is removed."""
        self._holding.add(watch)

    def is_holding(self, watch: WatchFaults) -> bool:
        """Whether it keeps a watch stalled."""
        return not self._is_removed and watch in self._holding

    @property
    def is_needed(self) -> bool:
        """Whether it may still happen, or keeps a stream that is open stalled."""
        return self.is_active or (
            not self._is_removed and any(not watch.is_over for watch in self._holding)
        )

    def fits_event(self, event: WatchLine) -> bool:
        """Whether it is about this event."""
        if self.kind == "no_bookmarks":
            return event.type == "BOOKMARK"
        if event.type in ("BOOKMARK", "ERROR"):
            return False
        data = self.data
        return (
            data.get("type") in (None, event.type)
            and data.get("event_name") in (None, event.name)
            and data.get("event_namespace") in (None, event.namespace)
        )

    def aim(self, watches: Iterable[WatchFaults]) -> None:
        """Restrict it to these open watches."""
        self._targets = frozenset(watches)

    def take(self, info: RequestInfo, name: str = "", *, record: AuditRecord | None = None) -> bool:
        """Decide whether it happens now; if so, count and record it."""
        return self._owner.take(self, info, name, record)

    def decide(self) -> bool:
        """Count a chance; under the owner's lock."""
        if not self.is_active:
            return False
        # `nth` counts what fits, whether or not chance lets it happen.
        self._seen += 1
        if self._nth is not None and self._seen != self._nth:
            return False
        if self._probability < 1 and self._owner.chance() >= self._probability:
            return False
        self.hits += 1
        return True

    def __repr__(self) -> str:
        state = "active" if self.is_active else "over"
        return f"<Fault {self.kind}: {self.description}; {state}, {self.hits} hits>"
