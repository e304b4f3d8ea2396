"""What a controller needs of an informer, whoever made it.

From: `SharedInformer`, and the `FeedInformer` of the server's own controllers. To: the
sources of a controller.

Thread: every method from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource


class HandlerLike(Protocol):
    """A handler that was added to an informer."""

    @property
    def has_synced(self) -> bool:
        """Whether the handler has been offered the first list."""

    def remove(self) -> None:
        """Take the handler away; a second time does nothing."""


class InformerLike(Protocol):
    """The resource of an informer, and its events."""

    @property
    def resource(self) -> ApiResource:
        """The resource whose objects it tells of."""

    def add_event_handler(
        self,
        *,
        on_add: Callable[[KubeObject, bool], object],
        on_update: Callable[[KubeObject, KubeObject], object],
        on_delete: Callable[[KubeObject], object],
        name: str = "",
    ) -> HandlerLike:
        """Call functions with each event."""
