"""What an informer can say of itself now: live, stale, degraded, failed, gone.

Present tense: computed when asked, from the last whole answer of the server and the clock;
nothing latches. `has_synced` tells that there was a first list; this tells whether the
cache is worth believing.

Thread: immutable values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InformerState(StrEnum):
    """One word for it.

    STARTING  no first list yet.
    LIVE      the watch is open and brought something (or was opened) within the idle limit.
    STALE     nothing came within the idle limit; the cache may be behind.
    DEGRADED  requests fail; the cache is of `age_seconds` ago, retrying.
    FAILED    the server refuses (401, 403) or a stage died; somebody must act.
    GONE      the server does not serve the resource (404).
    STOPPED   stopped; the cache stays readable.
    """

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    DEGRADED = "degraded"
    FAILED = "failed"
    GONE = "gone"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class InformerStatus:
    """An informer's word on itself, at one moment.

    Attributes:
        state: see `InformerState`.
        age_seconds: since the server last proved the cache current; None if it never did.
        cause: why the state is not live, "" if it is.
        phase: what the reflector does ("watching", "backing_off", …).
        retry_in_seconds: until the next try, None when not waiting.
        resource_version: of the last change applied to the cache.
        objects: how many are cached.
        queued: deltas on their way to the cache.
        requests: lists and watches asked so far.
        violations: things the server sent that could not be believed.
        ignored_older, ignored_repeated: events that were old news.
        parts: of a multi-namespace informer, namespace → status.
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
    parts: tuple[tuple[str, InformerStatus], ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether the cache is current as far as anybody can know."""
        return self.state is InformerState.LIVE

    def __str__(self) -> str:
        age = "never current" if self.age_seconds is None else f"{self.age_seconds:.1f} s ago"
        text = f"{self.state.value} ({age})"
        if self.cause:
            text += f": {self.cause}"
        if self.retry_in_seconds is not None:
            text += f"; next try in {self.retry_in_seconds:.1f} s"
        return text
