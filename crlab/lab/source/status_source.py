"""The header of every view, and how a source says that something changed.

From: a lab's parts and its life, as `Place`; an informer's status. To: every view.

Thread: any; reading takes no lock for longer than the parts themselves do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crlab.views.state import StatusState

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.lab.parts import Parts


@dataclass(frozen=True, slots=True)
class Place:
    """Where a view looks: the parts of a lab, and what is known of its life.

    Attributes:
        url: gives where its API server listens now, "" if nowhere.
        state: gives "open", "closing" or "closed".
        on_close: calls a function once, when all was closed; returns the undo.
    """

    parts: Parts
    url: Callable[[], str]
    state: Callable[[], str]
    on_close: Callable[[Callable[[], Any]], Callable[[], None]]

    @property
    def is_open(self) -> bool:
        """Whether nobody has begun to close it."""
        return self.state() == "open"


def status_state(
    place: Place,
    informer: SharedInformer | None = None,
    moment: int | None = None,
    resource_version: str | None = None,
) -> StatusState:
    """Return where a view is, what may be done there and how fresh it is.

    Args:
        moment: the record of the trace that is looked back at; None: now.
        resource_version: what the cache had reached then; None: what it has now.
    """
    parts = place.parts
    state, cause, age, version = "live", "", None, ""
    if informer is not None:
        status = informer.status
        state, cause, age = str(status.state), status.cause, status.age_seconds
        version = informer.last_sync_resource_version
    at = parts.clock.now()
    if moment is not None:
        record = parts.trace.get(moment)
        at = record.at if record is not None else at
        state, cause, age, version = "past", "", None, resource_version or ""
    if not place.is_open:
        state, cause = "closed", "the lab is closed; this is its last state"
    return StatusState(
        place=parts.kind,
        name=parts.name,
        server="" if parts.is_seeded else host_of(place.url()),  # a port differs by run
        writable=rights(parts.client.allow_writes),
        state=state,
        cause=cause,
        age_seconds=None if parts.is_seeded else age,
        resource_version=version,
        at=at,
        moment=moment,
    )


def host_of(url: str) -> str:
    """Return scheme, host and port of a URL, without its secret prefix."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


def rights(allowed: tuple[str, ...]) -> str:
    """Return "" (read-only), "all", or the namespaces that may be written."""
    return "all" if "*" in allowed else ", ".join(sorted(allowed))


class Changing:
    """A source that changes whenever the trace grows, and when its lab closes."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.parts = place.parts

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` (which only sets a flag) after each thing that happens."""
        untap = self.parts.trace.tap(lambda record: changed())
        unclose = self.place.on_close(changed)

        def unsubscribe() -> None:
            untap()
            unclose()

        return unsubscribe
