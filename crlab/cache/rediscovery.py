"""After a 404: is the resource gone, or only the version of it that is watched?

From: the reflector's lister-watcher, if it can tell. To: the state machine, with the error.

Thread: the reflector's; a few requests, only after a 404; each is said to `on_request`.
Source: crlab's own (fault 38); client-go goes on asking for the version.
"""

from __future__ import annotations

from collections.abc import Callable

from crlab.cache.watch_error import WatchFault, classify
from crlab.client.list_watch import ListerWatcher


def served_as(
    lister_watcher: ListerWatcher, error: BaseException, on_request: Callable[[], None]
) -> tuple[str, ...]:
    """Return the resource's names in other versions, () unless it answered 404 in its own."""
    if classify(error) is not WatchFault.NOT_FOUND:
        return ()
    find = getattr(lister_watcher, "other_versions", None)
    found: tuple[str, ...] = () if find is None else find(on_request)
    return found
