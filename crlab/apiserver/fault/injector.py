"""Faults: what can go wrong between a client and an API server, on demand.

From: a test, a lesson or the panel, which add rules. To: the `FaultGate`, which every request
and every open watch meets. A rule says which requests it is about and what happens to them;
what it did is counted and written to the journal.

Guarantees:
  1. Without rules nothing changes and next to nothing is paid.
  2. Every injection is counted in its `InjectedFault.hits`, kept in `journal` and told to
     the gate's `on_inject`: a test can prove that the fault happened.
  3. Chance comes from the server's seeded ids: the same calls give the same faults.
  4. What no real API server does is marked so: `InjectedFault.is_legal`.

Thread: any; one lock guards the rules.
Source: docs/apiserver.md#faults; what client-go and operators meet in the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crlab.apiserver.core import Core
from crlab.apiserver.fault.fault_rule import InjectedFault, Injection, Match
from crlab.apiserver.fault.gate import FaultGate
from crlab.apiserver.request import RequestInfo
from crlab.apiserver.status import StatusError, expired
from crlab.errors import ConfigError, UnknownResource, nearest
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

#: the kinds of `status` that have a name of their own
_KIND_OF_STATUS = {429: "busy", 503: "down"}


class Faults:
    """All faults of one server; each method adds one and returns a handle on it.

    Common keywords: namespace, name, subresource, user_agent (a piece of it) say which
    requests are meant; nth (only the n-th of them), probability and times say how often.
    """

    def __init__(self, gate: FaultGate, core: Core) -> None:
        self._gate = gate
        self._core = core

    @property
    def journal(self) -> list[Injection]:
        """What was injected, the oldest first; the last 10,000."""
        return self._gate.injections()

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
            "mid_line" if mid_line else "cut",
            f"watches of {resource or 'everything'} are {how}{after}",
            resource,
            times,
            which,
            after_events=after_events,
            is_clean=clean,
        )

    def expire_watch(
        self, resource: str = "", *, after_events: int = 0, times: int | None = None, **which: Any
    ) -> InjectedFault:
        """End watches with an ERROR event, 410 Expired; `times` as in `cut_watch`."""
        error = expired("The resourceVersion for the provided watch is too old.")
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
            self._core.alarm.call_in(seconds, fault.remove)
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
        rule = _take_chance(which)
        match = self._match(resource, ("watch",), which)
        return self._gate.add("no_bookmarks", "no bookmarks are sent", match, **rule)

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
        rule = _take_chance(which)
        match = self._match(resource, verb, which)
        return self._gate.add(
            _KIND_OF_STATUS.get(code, "status"),
            f"requests are answered with {code}",
            match,
            times=times,
            error=error,
            **rule,
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
        rule = _take_chance(which)
        match = self._match(resource, verb, which)
        return self._gate.add("conflict", "writes meet a conflict", match, times=times, **rule)

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
        rule = _take_chance(which)
        match = self._match(resource, verb, which)
        return self._gate.add(
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
        rule = _take_chance(which)
        match = self._match(resource, verb, which)
        when = "after" if after_commit else "before"
        return self._gate.add(
            "reset_after" if after_commit else "reset",
            f"the connection breaks {when} the request takes effect",
            match,
            times=times,
            **rule,
        )

    def refuse(self, *, times: int | None = None, **which: Any) -> InjectedFault:
        """Refuse connections, as a server that is not there."""
        rule = _take_chance(which)
        match = self._match(which.pop("resource", ""), which.pop("verb", ()), which)
        return self._gate.add("refuse", "connections are refused", match, times=times, **rule)

    def stale_reads(self, resource: str = "", *, behind: int = 1, **which: Any) -> InjectedFault:
        """Answer lists with resourceVersion=0 from `behind` revisions ago."""
        if behind < 1:
            raise ConfigError(f"behind is {behind}; a stale read is at least 1 revision old")
        rule = _take_chance(which)
        match = self._match(resource, ("list",), which)
        text = f"cached lists are {behind} revisions old"
        return self._gate.add("stale", text, match, behind=behind, **rule)

    def watch_window(self, resource: str = "", *, events: int = 0, **which: Any) -> InjectedFault:
        """Keep only the last `events` changes for watches that resume; older ones get 410."""
        rule = _take_chance(which)
        match = self._match(resource, ("watch",), which)
        text = f"watches can resume over {events} events at most"
        return self._gate.add("window", text, match, events=events, **rule)

    def refuse_watch_list(self, *, ignores: bool = False, **which: Any) -> InjectedFault:
        """Behave as a server without WatchList: 422 for sendInitialEvents.

        Args:
            ignores: do not refuse, but do not know the parameter either (before 1.27).
        """
        rule = _take_chance(which)
        match = self._match(which.pop("resource", ""), ("watch",), which)
        return self._gate.add("no_watch_list", "WatchList is off", match, ignores=ignores, **rule)

    def compact(self) -> InjectedFault:
        """Forget all history now: older revisions are gone (410)."""
        revision = self._core.storage.compact()
        fault = self._gate.make("compact", f"history up to {revision} was dropped", times=1)
        fault.take(RequestInfo(False, "compact", ""))
        return fault

    def rebuild(self, resource: str) -> InjectedFault:
        """End a resource's watches and forget what they could resume from, as a CRD change."""
        (name,) = self._resources(resource)
        self._core.storage.rebuild(name)
        fault = self._gate.make("rebuild", f"the storage of {name} was rebuilt", times=1)
        fault.take(RequestInfo(True, "rebuild", "", resource=name))
        return fault

    def clear(self) -> None:
        """Remove every fault."""
        for fault in self._gate.rules():
            fault.remove()

    def active(self) -> list[InjectedFault]:
        """Return the faults that may still happen, oldest first."""
        return [fault for fault in self._gate.rules() if fault.is_active]

    # --- inside ------------------------------------------------------------------------------

    def _aimed(
        self,
        kind: str,
        description: str,
        resource: str,
        times: int | None,
        which: dict[str, Any],
        **data: Any,
    ) -> InjectedFault:
        """Add a fault for the watches open now (each once), or for `times` of any."""
        rule = _take_chance(which)
        match = self._match(resource, ("watch",), which)
        found = self._gate.open_watches(match)
        targets = [watch for watch in found if not watch.ending] if times is None else []
        times = (len(targets) or 1) if times is None else times
        fault = self._gate.add(
            kind, description, match, targets=targets, times=times, **rule, **data
        )
        for nudge in found.values():
            nudge()
        return fault

    def _event(
        self,
        kind: str,
        description: str,
        resource: str,
        times: int | None,
        which: dict[str, Any],
        **data: Any,
    ) -> InjectedFault:
        rule = _take_chance(which)
        data["type"] = which.pop("type", None)
        data["event_name"] = which.pop("name", None)
        data["event_namespace"] = which.pop("namespace", None)
        match = self._match(resource, ("watch",), which)
        return self._gate.add(kind, description, match, times=times, **rule, **data)

    def _match(self, resource: str, verb: str | Sequence[str], which: dict[str, Any]) -> Match:
        verbs = (verb,) if isinstance(verb, str) and verb else tuple(verb)
        unknown = set(which) - {"namespace", "name", "subresource", "user_agent"}
        if unknown:
            raise ConfigError(
                f"a fault knows no {', '.join(sorted(unknown))}; it takes namespace, name, "
                "subresource, user_agent, nth, probability"
            )
        return Match(verbs, self._resources(resource), **which)

    def _resources(self, resource: str) -> tuple[str, ...]:
        """Return a resource's full name for a plural, kind, singular or short name.

        A name that nothing is served under is refused: its fault would never happen.
        """
        if not resource:
            return ()
        wanted, known = resource.lower(), self._core.registry.all()
        for found in known:
            names = (found.group_resource, found.plural, found.singular, found.kind.lower())
            if wanted in names or wanted in found.short_names:
                return (found.group_resource,)
        near = {name for found in known for name in (found.group_resource, found.plural)}
        raise UnknownResource(resource, nearest=nearest(resource, sorted(near)))


def _take_chance(which: dict[str, Any]) -> dict[str, Any]:
    """Take what concerns chance out of the keywords."""
    return {key: which.pop(key) for key in ("nth", "probability") if key in which}
