"""What the reflector's state machine is told, what it answers, and what it remembers.

From: `reflector.py` (inputs). To: `reflector.py` (actions). The decisions between are in
`reflector_state.py`.

Thread: immutable values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from crlab.client.list_watch import ListOptions


class Phase(StrEnum):
    """Where the reflector is."""

    IDLE = "idle"
    LISTING = "listing"
    STREAMING_LIST = "streaming_list"
    OPENING = "opening"
    WATCHING = "watching"
    PROBING = "probing"
    BACKING_OFF = "backing_off"
    POLLING = "polling"
    STOPPED = "stopped"


#: Phases that end when their time is over.
RESTING = (Phase.BACKING_OFF, Phase.POLLING)


class Health(StrEnum):
    """What the last answers of the server say about the cache."""

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    DEGRADED = "degraded"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user chose.

    Attributes:
        is_streaming: whether to ask for WatchList first (list_mode "auto", "watchlist").
        page_size: 500 unless set; one the user set forces paging.
        internal_retry_seconds: how long a 500 in the stream is answered by watching on.
        poll_seconds: how often to list where only the watch is forbidden; None: not at all.
    """

    is_streaming: bool = True
    page_size: int = 500
    is_page_size_forced: bool = False
    has_bookmarks: bool = True
    internal_retry_seconds: float = 0.0
    poll_seconds: float | None = None


class State(msgspec.Struct, frozen=True):
    """Everything the decisions depend on.

    Attributes:
        after: where BACKING_OFF leads.
        asked: the list or watch request under way or due.
        first_page: the request of page one, while later pages are read.
        list_version: the revision of the pages read so far.
        gone: answers in a row that were 404.
        distrusted: resumptions since the last good event.
        is_unordered: the watch began at no version, so its first ADDEDs are in no order.
        silent: streams in a row that ended at the idle limit.
        has_retried_auth: whether the one immediate retry after a 401 was spent.
        internal_since: when the first 500 of the present window came.
        is_fresh: nothing was asked since the list that the cache is of.
        is_polling: the watch was forbidden when last tried, and lists take its place.
        polls: lists since the watch was last tried.
        cause: why `health` is not live, for people; or that it is kept live by polling.
    """

    phase: Phase = Phase.IDLE
    after: Phase = Phase.LISTING
    asked: ListOptions | None = None
    first_page: ListOptions | None = None
    list_version: str = ""
    last_version: str = ""
    is_version_unavailable: bool = False
    is_unordered: bool = False
    is_paginated: bool = False
    has_listed: bool = False
    is_emptied: bool = False
    gone: int = 0
    distrusted: int = 0
    silent: int = 0
    has_retried_auth: bool = False
    internal_since: float | None = None
    is_fresh: bool = False
    is_polling: bool = False
    polls: int = 0
    health: Health = Health.STARTING
    cause: str = ""


# Inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """Start, or go on after a delay."""


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page came."""

    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A watch was accepted."""


@dataclass(frozen=True, slots=True)
class InitialEnd:
    """The bookmark that ends the initial events came."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A request failed, or the stream brought an ERROR event.

    `served_as`: after a 404, the resource's names in other versions.
    """

    error: BaseException
    is_in_stream: bool = False
    at: float = 0.0
    served_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream closed, cleanly or cut."""

    events: int
    lasted_seconds: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Distrusted:
    """The stream brought something that cannot be applied."""

    reason: str


@dataclass(frozen=True, slots=True)
class Silent:
    """No whole event came within the idle limit (or the deadline of the initial events)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Slept:
    """The machine slept: what was open is dead, what is cached is of before.

    `is_asking`: a request is due already, over a new connection.
    """

    seconds: float
    is_asking: bool = False


@dataclass(frozen=True, slots=True)
class Drifted:
    """An audit found that the cache is not what the server holds."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End for good."""


Input = (
    Begin
    | PageRead
    | Opened
    | InitialEnd
    | Failed
    | Ended
    | Distrusted
    | Silent
    | Slept
    | Drifted
    | Stop
)

# Actions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class List:
    """Ask for a page."""

    options: ListOptions


@dataclass(frozen=True, slots=True)
class Watch:
    """Open a stream."""

    options: ListOptions


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait one back-off delay, and at least `at_least_seconds`; or exactly `exactly_seconds`."""

    reason: str
    at_least_seconds: float = 0.0
    exactly_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Hand the collected objects on as the whole truth."""

    resource_version: str
    is_new_epoch: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """Hand on that nothing exists any more."""


@dataclass(frozen=True, slots=True)
class Collect:
    """Keep the page with those before it."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Drop what was collected."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the stream."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Throw the cached credentials away."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the watch-error handler."""

    error: BaseException | str


Action = List | Watch | Wait | Replace | Empty | Collect | Discard | Close | Renew | Report
Step = tuple[State, tuple[Action, ...]]
