"""What an informer can say of itself now: live, stale, degraded, failed, gone.

Present tense: computed when asked, from the last whole answer of the server and the clock;
nothing latches. `has_synced` tells that there was a first list; this tells whether the
cache is worth believing.

Thread: immutable values; `status_of` and `combined` only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from crlab.cache.reflector import Reflector
from crlab.cache.reflector_message import Phase


class InformerState(StrEnum):
    """One word for it.

    STARTING  no first list yet.
    LIVE      the watch is open and brought something (or was opened) within the idle limit;
              or, where it is polled for, the last list is no older than two intervals.
    STALE     nothing came within the idle limit; the cache may be behind.
    DEGRADED  requests fail; the cache is of `age_seconds` ago, retrying. Of a
              multi-namespace informer: some namespaces are not live.
    FAILED    the server refuses (401, 403) or a stage died; somebody must act.
    GONE      the server does not serve the resource (404); if it does in another version,
              the cause names that one, and the cache is kept as it was.
    STOPPED   stopped; the cache stays readable.
    """

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    DEGRADED = "degraded"
    FAILED = "failed"
    GONE = "gone"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, repr=False)
class InformerStatus:
    """An informer's word on itself, at one moment.

    Attributes:
        state: see `InformerState`.
        age_seconds: since the server last proved the cache current; None if it never did.
        cause: why the state is not live, "" if it is; or that it is live by polling only.
        phase: what the reflector does ("watching", "backing_off", …).
        retry_in_seconds: until the next try, None when not waiting.
        resource_version: what the cache has reached.
        objects: how many are cached.
        queued: deltas on their way to the cache.
        requests: lists and watches asked so far.
        violations: things the server sent that could not be believed.
        ignored_older, ignored_repeated: events that were old news.
        audits, drifted: audits made by `audit_seconds`, and keys they found wrong.
        parts: of a multi-namespace informer, one status per namespace.
    """

    state: InformerState
    age_seconds: float | None
    cause: str = ""
    phase: str = ""
    retry_in_seconds: float | None = None
    resource: str = ""
    namespace: str | None = None
    resource_version: str = ""
    objects: int = 0
    queued: int = 0
    requests: int = 0
    violations: int = 0
    ignored_older: int = 0
    ignored_repeated: int = 0
    audits: int = 0
    drifted: int = 0
    parts: tuple[InformerStatus, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether the cache is current as far as anybody can know."""
        return self.state is InformerState.LIVE

    def __repr__(self) -> str:
        return f"<{self.resource or 'informer'}: {self}>"

    def __str__(self) -> str:
        age = "never current" if self.age_seconds is None else f"{self.age_seconds:.1f} s ago"
        text = f"{self.state.value} ({age})"
        if self.cause:
            text += f": {self.cause}"
        if self.retry_in_seconds is not None:
            text += f"; next try in {self.retry_in_seconds:.1f} s"
        return text


def status_of(
    reflector: Reflector,
    *,
    resource: str,
    namespace: str | None,
    now: float,
    applied: bool,
    resource_version: str,
) -> InformerStatus:
    """Return what one reflector's state says now.

    Args:
        applied: whether its first list has reached the cache.
        resource_version: what the cache has reached of it.
    """
    state, contact = reflector.state, reflector.contact_at
    slept = reflector.outside.slept_seconds
    age = None if contact is None else max(0.0, now - contact) + slept
    word, cause = InformerState(state.health.value), state.cause
    if word is InformerState.LIVE and slept and state.has_listed:
        word, cause = InformerState.STALE, f"the machine slept for {slept:.0f} s"
    elif word is InformerState.LIVE and not applied:
        word, cause = InformerState.STARTING, "the first list is being applied"
    elif word is InformerState.LIVE and age is not None and age > reflector.idle_seconds:
        word, cause = InformerState.STALE, f"nothing from the server for {age:.0f} s"
    elif word is InformerState.STARTING and not cause:
        cause = "not started" if state.phase is Phase.IDLE else state.phase.value
    return InformerStatus(
        state=word,
        age_seconds=age,
        cause=cause,
        phase=state.phase.value,
        retry_in_seconds=reflector.retry_in_seconds,
        resource=resource,
        namespace=namespace,
        resource_version=resource_version,
        requests=reflector.requests,
        violations=reflector.violations,
    )


def combined(parts: Sequence[InformerStatus]) -> InformerStatus:
    """Return the status of several namespaces together: live only if all are."""
    if len(parts) == 1:
        return parts[0]
    states = {part.state for part in parts}
    state = states.pop() if len(states) == 1 else InformerState.DEGRADED
    ages = [part.age_seconds for part in parts]
    retries = [p.retry_in_seconds for p in parts if p.retry_in_seconds is not None]
    return replace(
        parts[0],
        state=state,
        age_seconds=None if None in ages else max(age for age in ages if age is not None),
        cause="; ".join(f"{p.namespace}: {p.state.value}: {p.cause}" for p in parts if p.cause),
        phase=", ".join(dict.fromkeys(part.phase for part in parts)),
        retry_in_seconds=min(retries) if retries else None,
        namespace=None,
        requests=sum(part.requests for part in parts),
        violations=sum(part.violations for part in parts),
        parts=tuple(parts),
    )
