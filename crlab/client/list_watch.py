"""Listing and watching one collection, with the server's answers taken at their word only.

From: a `Transport`. To: the reflector, which decides what an error means.

Guarantees:
  1. A page is a list of the asked kind with a resourceVersion, or an error; what is not
     a list (a Status, a Table, HTML, no ``items``) is never an empty list.
  2. A line that does not decode is an error with its place, never skipped; the events
     before it are delivered first.
  3. No call outlives `abort`.

Thread: one owner per lister-watcher and per stream; `abort` and `close` from any thread.
Source: kubernetes/client-go:tools/cache/listwatch.go, tools/pager/pager.go,
kubernetes/apimachinery:pkg/watch/streamwatcher.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from crlab.errors import CrlabError
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class EndOfStream(CrlabError):
    """The server ended the watch in good order, after whole lines."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What is asked of a list or a watch; the names are those of meta/v1 ListOptions.

    Attributes:
        resource_version: None leaves it out (the newest); "0" is any the server has.
        resource_version_match: "NotOlderThan", "Exact", or None to leave it out.
        limit: page size; None asks for everything.
        label_selector, field_selector: added to those of the lister-watcher.
        send_initial_events: None leaves it out.
        timeout_seconds: the server ends the watch after this long.
    """

    resource_version: str | None = None
    resource_version_match: str | None = None
    limit: int | None = None
    continue_token: str = ""
    label_selector: str = ""
    field_selector: str = ""
    send_initial_events: bool | None = None
    allow_watch_bookmarks: bool = False
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list.

    Attributes:
        continue_token: "" on the last page.
        remaining: how many items follow, None if the server does not say.
        size_bytes: of the body.
    """

    items: list[KubeObject]
    resource_version: str
    continue_token: str = ""
    remaining: int | None = None
    size_bytes: int = 0


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch.

    Attributes:
        type: "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", or whatever came.
        object: None for a BOOKMARK, an ERROR and an unknown type.
        resource_version: of the object or bookmark, "" if none.
        is_initial_events_end: whether this bookmark ends the initial events.
        status: the Status of an ERROR.
        size_bytes: of the line.
    """

    type: str
    object: KubeObject | None = None
    resource_version: str = ""
    is_initial_events_end: bool = False
    status: dict[str, Any] | None = None
    size_bytes: int = 0


class WatchStream(Protocol):
    """An open watch."""

    def read(self, timeout_seconds: float | None) -> list[WatchEvent]:
        """Return the events that are there, waiting for the first; [] if none came in time.

        Args:
            timeout_seconds: how long to wait; 0 polls, None waits without limit.

        Raises:
            EndOfStream: the server ended the watch in good order.
            TransportError: the connection was cut, or the stream was closed here.
            DecodeError: a line is not a watch event of this kind.
        """

    def close(self) -> None:
        """End the watch and wake a blocked reader. Idempotent; any thread."""


class ListerWatcher(Protocol):
    """Lists and watches one collection."""

    @property
    def resource(self) -> ApiResource:
        """What it lists."""

    @property
    def namespace(self) -> str | None:
        """Where; None is everywhere (or cluster-scoped)."""

    def list(self, options: ListOptions) -> ListPage:
        """Return one page.

        Raises:
            ApiError: the server refused.
            TransportError: no whole answer came.
            DecodeError: the answer is not a list of this kind.
        """

    def watch(self, options: ListOptions) -> WatchStream:
        """Open a watch; returns once the server has accepted it.

        Raises:
            ApiError: the server refused.
            TransportError: no answer came.
        """

    def abort(self) -> None:
        """End the call and the watch under way; later ones fail. Idempotent; any thread."""
