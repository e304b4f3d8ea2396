"""The header of every view, and how a source says that something changed.

Thread: any; reading takes no lock for longer than the parts themselves do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crlab.views.state import StatusState

if TYPE_CHECKING:
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab


def status_state(
    lab: Lab,
    informer: Informer | None = None,
    moment: int | None = None,
    resource_version: str | None = None,
) -> StatusState:
    """Return where a view is, what may be done there and how fresh it is.

    Args:
        moment: the record of the trace that is looked back at; None: now.
        resource_version: what the cache had reached then; None: what it has now.
    """
    state, cause, age, version = "live", "", None, ""
    if informer is not None:
        status = informer.status
        state, cause, age = str(status.state), status.cause, status.age_seconds
        version = informer.last_sync_resource_version
    at = lab.clock.now()
    if moment is not None:
        record = lab.trace.get(moment)
        at = record.at if record is not None else at
        state, cause, age, version = "past", "", None, resource_version or ""
    if lab.state != "open":
        state, cause = "closed", "the lab is closed; this is its last state"
    return StatusState(
        place=lab.kind,
        name=lab.name,
        server="" if lab.is_seeded else host_of(lab.url),  # a port differs by run
        writable=rights(lab),
        state=state,
        cause=cause,
        age_seconds=age if lab.is_seeded is False else None,
        resource_version=version,
        at=at,
        moment=moment,
    )


def host_of(url: str) -> str:
    """Return scheme, host and port of a URL, without its secret prefix."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


def rights(lab: Lab) -> str:
    """Return "" (read-only), "all", or the namespaces that may be written."""
    allowed = lab.allow_writes
    return "all" if "*" in allowed else ", ".join(sorted(allowed))


class Changing:
    """A source that changes whenever the trace grows, and when its lab closes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` (which only sets a flag) after each thing that happens."""
        untap = self.lab.trace.tap(lambda record: changed())
        unclose = self.lab.on_close(changed)

        def unsubscribe() -> None:
            untap()
            unclose()

        return unsubscribe
