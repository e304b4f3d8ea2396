"""The header of every view, and how a source says that something changed.

From: a lab's parts; an informer's status. To: every view.

Thread: any; reading takes no lock for longer than the parts themselves do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from crlab.client.endpoint import host_of
from crlab.views.state import StatusState

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.lab.parts import Parts


def status_state(
    parts: Parts,
    informer: SharedInformer | None = None,
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
    at = parts.clock.now()
    if moment is not None:
        record = parts.trace.get(moment)
        at = record.at if record is not None else at
        state, cause, age, version = "past", "", None, resource_version or ""
    if parts.life.state != "open":
        state, cause = "closed", "the lab is closed; this is its last state"
    return StatusState(
        place=parts.kind,
        name=parts.name,
        server="" if parts.is_seeded else host_of(parts.url),  # a port differs by run
        writable=rights(parts.client.allow_writes),
        state=state,
        cause=cause,
        age_seconds=None if parts.is_seeded else age,
        resource_version=version,
        at=at,
        moment=moment,
    )


def rights(allowed: tuple[str, ...]) -> str:
    """Return "" (read-only), "all", or the namespaces that may be written."""
    return "all" if "*" in allowed else ", ".join(sorted(allowed))


class Changing:
    """A source that changes whenever the trace grows, and when its lab closes."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` (which only sets a flag) after each thing that happens."""
        untap = self.parts.trace.tap(lambda record: changed())
        unclose = self.parts.life.on_close(changed)

        def unsubscribe() -> None:
            untap()
            unclose()

        return unsubscribe
