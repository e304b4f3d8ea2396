"""Faults: what can go wrong between a client and an API server, on demand.

From: a test or a lesson, which adds rules. To: `ApiServer.handle` (`before`, `after`,
`delay_seconds`) and every open watch (`WatchFaults.shape`). A rule says which requests it
is about and what happens to them; what it did is counted and written to the journal.

Guarantees:
  1. Without rules nothing changes and next to nothing is paid.
  2. Every injection is counted in its `InjectedFault.hits`, kept in `journal` and told to
     `on_inject`: a test can prove that the fault happened.
  3. Chance comes from the server's seeded ids: the same calls give the same faults.
  4. What no real API server does is marked ``is_legal=False``.

Thread: any; one lock guards the rules.
Source: apiserver.md 4.5; what client-go and operators meet in the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crlab.apiserver import status as answer
from crlab.apiserver.fault.fault_rule import InjectedFault, Injection, Match
from crlab.apiserver.fault.gate import FaultGate, take_chance
from crlab.apiserver.fault.watch_fault import WatchFaults
from crlab.apiserver.request import RequestInfo
from crlab.apiserver.status import StatusError
from crlab.errors import ConfigError
from crlab.model.argument import checked_count, checked_number

_TEXTS = {
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    500: ("InternalError", "Internal error occurred: injected fault"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


class Faults(FaultGate):
    """All faults of one server; each method adds one and returns a handle on it.

    Common keywords: namespace, name, subresource, user_agent (a piece of it) say which
    requests are meant; nth (only the n-th of them), probability and times say how often.
    """

    def cut_watch(
        self,
        resource: str = "",
        *,
        after_events: int = 0,
        mid_line: bool = False,
        clean: bool = False,
        times: int | None = None,
        **which: Any,
    ) -> InjectedFault:
        """Cut watches from the server's side.

        Args:
            after_events: let so many more events through first.
            mid_line: cut within the next event's line instead of between events.
            clean: end the stream as a server that shuts down, not by a reset.
            times: how many cuts, of watches open now or later. Default: each watch that
                is open now, once; if none is, the next one to open.
            which: namespace, user_agent, nth, probability.
        """
        how = "ended" if clean else "cut in mid-line" if mid_line else "cut"
        after = f" after {after_events} events" if after_events else ""
        return self._aimed(
            "cut",
            f"watches of {resource or 'everything'} are {how}{after}",
            resource,
            times,
            which,
            after_events=after_events,
            mid_line=mid_line,
            is_clean=clean,
        )

    def expire_watch(
        self, resource: str = "", *, after_events: int = 0, times: int | None = None, **which: Any
    ) -> InjectedFault:
        """End watches with an ERROR event, 410 Expired; `times` as in `cut_watch`."""
        error = answer.expired("The resourceVersion for the provided watch is too old.")
        return self._aimed(
            "expire",
            f"watches of {resource or 'everything'} get 410 Expired",
            resource,
            times,
            which,
            after_events=after_events,
            error=error,
        )

    def stall_watch(
        self,
        resource: str = "",
        *,
        after_events: int = 0,
        seconds: float | None = None,
        times: int | None = None,
        **which: Any,
    ) -> InjectedFault:
        """Make watches fall silent without closing, as behind a dead connection.

        Args:
            seconds: until the held lines arrive after all; None: until the fault is removed.
            times: as in `cut_watch`.
        """
        fault = self._aimed(
            "stall",
            f"watches of {resource or 'everything'} fall silent",
            resource,
            times,
            which,
            after_events=after_events,
        )
        if seconds is not None:
            self._alarm.call_in(seconds, fault.remove)
        return fault

    def drop_event(
        self, resource: str = "", *, times: int | None = 1, **which: Any
    ) -> InjectedFault:
        """Lose events (no real server does). `which` may hold type, name and namespace."""
        return self._event("drop", "an event is lost", resource, times, which)

    def duplicate_event(
        self, resource: str = "", *, times: int | None = 1, **which: Any
    ) -> InjectedFault:
        """Send events twice (no real server does); see `drop_event`."""
        return self._event("duplicate", "an event is sent twice", resource, times, which)

    def reorder_event(
        self, resource: str = "", *, times: int | None = 1, **which: Any
    ) -> InjectedFault:
        """Send an event after the one that follows it (no real server does)."""
        return self._event("reorder", "an event comes late", resource, times, which)

    def garble_event(
        self, resource: str = "", *, times: int | None = 1, **which: Any
    ) -> InjectedFault:
        """Send a line that is no JSON (a broken proxy, not an API server)."""
        return self._event("garble", "an event is not JSON", resource, times, which)

    def rewind_revision(
        self, resource: str = "", *, by: int = 10, times: int | None = 1, **which: Any
    ) -> InjectedFault:
        """Let an event's resourceVersion go back (as after a restored backup)."""
        text = f"an event's resourceVersion goes back by {by}"
        return self._event("rewind", text, resource, times, which, by=by)

    def no_bookmarks(self, resource: str = "", **which: Any) -> InjectedFault:
        """Send no bookmarks, not even the one that ends initial events."""
        rule = take_chance(which)
        match = self._match(resource, ("watch",), which)
        return self._add("no_bookmarks", "no bookmarks are sent", match, **rule)

    def status(
        self,
        code: int,
        *,
        resource: str = "",
        verb: str | Sequence[str] = (),
        message: str = "",
        reason: str = "",
        retry_after_seconds: int | None = None,
        times: int | None = 1,
        **which: Any,
    ) -> InjectedFault:
        """Answer requests with an error Status instead of handling them.

        Args:
            retry_after_seconds: adds Retry-After (429 has 1 if not told otherwise).
            which: namespace, name, subresource, user_agent, nth, probability.
        """
        if not 400 <= checked_count(code, "code") <= 599:
            raise ConfigError(f"status {code} is no error; give 400 to 599")
        default = _TEXTS.get(code, ("", f"injected fault: {code}"))
        if code == 429 and retry_after_seconds is None:
            retry_after_seconds = 1
        details: dict[str, Any] = {}
        headers = []
        if retry_after_seconds is not None:
            details["retryAfterSeconds"] = retry_after_seconds
            headers.append(("Retry-After", str(retry_after_seconds)))
        error = StatusError(
            code, reason or default[0], message or default[1], details, headers=headers
        )
        rule = take_chance(which)
        match = self._match(resource, verb, which)
        return self._add(
            "status", f"requests are answered with {code}", match, times=times, error=error, **rule
        )

    def conflict(
        self,
        resource: str = "",
        *,
        times: int | None = 1,
        verb: str | Sequence[str] = ("update", "patch"),
        **which: Any,
    ) -> InjectedFault:
        """Answer writes with 409, as if another writer had always been faster."""
        rule = take_chance(which)
        match = self._match(resource, verb, which)
        return self._add("conflict", "writes meet a conflict", match, times=times, **rule)

    def latency(
        self,
        seconds: float,
        *,
        jitter_seconds: float = 0.0,
        resource: str = "",
        verb: str | Sequence[str] = (),
        times: int | None = None,
        **which: Any,
    ) -> InjectedFault:
        """Let requests wait before they are handled."""
        checked_number(seconds, "latency: seconds")
        checked_number(jitter_seconds, "latency: jitter_seconds")
        rule = take_chance(which)
        match = self._match(resource, verb, which)
        return self._add(
            "latency",
            f"requests take {seconds:g} s longer",
            match,
            times=times,
            seconds=seconds,
            jitter_seconds=jitter_seconds,
            **rule,
        )

    def reset(
        self,
        *,
        after_commit: bool = False,
        resource: str = "",
        verb: str | Sequence[str] = (),
        times: int | None = 1,
        **which: Any,
    ) -> InjectedFault:
        """Hang up without an answer, before the request is handled or after it took effect."""
        rule = take_chance(which)
        match = self._match(resource, verb, which)
        when = "after" if after_commit else "before"
        return self._add(
            "reset_after" if after_commit else "reset",
            f"the connection breaks {when} the request takes effect",
            match,
            times=times,
            **rule,
        )

    def refuse(self, *, times: int | None = None, **which: Any) -> InjectedFault:
        """Refuse connections, as a server that is not there."""
        rule = take_chance(which)
        match = self._match(which.pop("resource", ""), which.pop("verb", ()), which)
        return self._add("refuse", "connections are refused", match, times=times, **rule)

    def stale_reads(self, resource: str = "", *, behind: int = 1, **which: Any) -> InjectedFault:
        """Answer lists with resourceVersion=0 from `behind` revisions ago."""
        if behind < 1:
            raise ConfigError(f"behind is {behind}; a stale read is at least 1 revision old")
        rule = take_chance(which)
        match = self._match(resource, ("list",), which)
        text = f"cached lists are {behind} revisions old"
        return self._add("stale", text, match, behind=behind, **rule)

    def watch_window(self, resource: str = "", *, events: int = 0, **which: Any) -> InjectedFault:
        """Keep only the last `events` changes for watches that resume; older ones get 410."""
        rule = take_chance(which)
        match = self._match(resource, ("watch",), which)
        text = f"watches can resume over {events} events at most"
        return self._add("window", text, match, events=events, **rule)

    def refuse_watch_list(self, *, ignores: bool = False, **which: Any) -> InjectedFault:
        """Behave as a server without WatchList: 422 for sendInitialEvents.

        Args:
            ignores: do not refuse, but do not know the parameter either (before 1.27).
        """
        rule = take_chance(which)
        match = self._match(which.pop("resource", ""), ("watch",), which)
        return self._add("no_watch_list", "WatchList is off", match, ignores=ignores, **rule)

    def compact(self) -> InjectedFault:
        """Forget all history now: older revisions are gone (410)."""
        revision = self._storage.compact()
        fault = InjectedFault(
            self, "compact", f"history up to {revision} was dropped", Match(), times=1
        )
        self.take(fault, RequestInfo(False, "compact", ""))
        return fault

    def rebuild(self, resource: str) -> InjectedFault:
        """End a resource's watches and forget what they could resume from, as a CRD change."""
        (name,) = self._resources(resource)
        self._storage.rebuild(name)
        fault = InjectedFault(
            self, "rebuild", f"the storage of {name} was rebuilt", Match(), times=1
        )
        self.take(fault, RequestInfo(True, "rebuild", "", resource=name))
        return fault

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            rules, self._rules = self._rules, []
        for fault in rules:
            fault.remove()

    def active(self) -> list[InjectedFault]:
        """Return the faults that may still happen, oldest first."""
        with self._lock:
            return [fault for fault in self._rules if fault.is_active]


__all__ = ["Faults", "InjectedFault", "Injection", "WatchFaults"]
