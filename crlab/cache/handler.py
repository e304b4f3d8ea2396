"""What `add_event_handler` returns: a handler's sync, backlog, errors and removal.

Thread: any.
Source: kubernetes/client-go:tools/cache/shared_informer.go (ResourceEventHandlerRegistration).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crlab.cache.listener import Listener

MAX_BACKLOG = 10_000  # notifications that wait for one handler before those of a key are merged


class HandlerRegistration:
    """One handler of one informer."""

    def __init__(
        self,
        listener: Listener,
        informer_has_synced: Callable[[], bool],
        detach: Callable[[Listener, bool], None],
    ) -> None:
        self._listener = listener
        self._informer_has_synced = informer_has_synced
        self._detach = detach
        self._is_removed = False

    @property
    def name(self) -> str:
        """The handler's name."""
        return self._listener.handler_name

    @property
    def has_synced(self) -> bool:
        """Whether every object of the initial list was offered to this handler."""
        listener = self._listener
        return self._informer_has_synced() and listener.has_joined and listener.initial_left == 0

    @property
    def backlog(self) -> int:
        """How many notifications wait."""
        return self._listener.backlog

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and the handler is not running."""
        return self._listener.is_idle

    @property
    def initial_left(self) -> int:
        """How many objects of the initial list have not been offered yet."""
        return self._listener.initial_left

    @property
    def delivered(self) -> int:
        """How many notifications were offered."""
        return self._listener.delivered

    @property
    def coalesced(self) -> int:
        """How many notifications were merged into an earlier one of their key."""
        return self._listener.coalesced

    @property
    def error_count(self) -> int:
        """How often the handler raised."""
        return self._listener.error_count

    @property
    def errors(self) -> Sequence[BaseException]:
        """The newest exceptions it raised, oldest first (at most 100)."""
        return tuple(self._listener.errors)

    @property
    def is_removed(self) -> bool:
        """Whether it was removed."""
        return self._is_removed

    def remove(self, *, discarding: bool = False) -> None:
        """Tell it nothing more. Returns at once; what waits is still delivered (rule 54).

        Args:
            discarding: drop what waits instead; a call that is running goes on.

        Thread: any, the handler itself included.
        """
        self._is_removed = True
        self._detach(self._listener, discarding)

    def shut_down(self, timeout_seconds: float | None = 10.0) -> bool:
        """Remove it and wait until what waited has been delivered.

        Returns:
            False if it was still busy at the end; at once, if called by the handler itself
            (client-go would hang there).
        """
        self.remove()
        return self._listener.drained(timeout_seconds)

    def __repr__(self) -> str:
        return f"<handler {self.name}>"  # no counts: it is the same on every run
