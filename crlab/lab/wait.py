"""Waiting for several caches at once, as client-go's `cache.WaitForCacheSync` does.

Thread: any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.errors import ConfigError
from crlab.model.argument import checked_timeout
from crlab.runtime.clock import RealClock
from crlab.runtime.deadline import Deadline

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.lab.informer import Informer


def wait_for_cache_sync(
    *informers: Informer | SharedInformer, timeout_seconds: float = 10.0
) -> None:
    """Return once every one of these informers has synced.

    Args:
        timeout_seconds: for all of them together.

    Raises:
        SyncTimeout: one had not in time; carries its state and the cause.
        ConfigError: no informer was named; `lab.wait_for_cache_sync()` takes all of a lab.
    """
    if not informers:
        raise ConfigError("name the informers to wait for, or use lab.wait_for_cache_sync()")
    checked_timeout(timeout_seconds)
    for informer in informers:
        if not hasattr(informer, "wait_for_sync"):
            raise ConfigError(f"wait_for_cache_sync() takes informers, not {informer!r}")
    deadline = Deadline(RealClock(), timeout_seconds)
    for informer in informers:
        informer.wait_for_sync(deadline.remaining_seconds() or 0.0)
