"""What every part of the server shares: store, registry, clock, ids, alarm.

Thread: the members say; `lock` is the store's lock, held by every verb.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from crlab.apiserver.alarm import Alarm
from crlab.apiserver.registry import Registry
from crlab.apiserver.storage import Storage
from crlab.runtime.clock import Clock
from crlab.runtime.ids import Ids


def timestamp(seconds: float) -> str:
    """Return a metav1.Time: UTC, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def micro_timestamp(seconds: float) -> str:
    """Return a metav1.MicroTime: UTC, six decimals."""
    whole = int(seconds)
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        + f".{int((seconds - whole) * 1e6):06d}Z"
    )


@dataclass(slots=True)
class Core:
    """The shared parts of one server."""

    storage: Storage
    registry: Registry
    clock: Clock
    ids: Ids
    alarm: Alarm
    wait_seconds: float = 3.0

    @property
    def lock(self) -> threading.RLock:
        """The one lock of the server."""
        return self.storage.lock

    def now(self) -> str:
        """Return the present as a metav1.Time."""
        return timestamp(self.clock.now())
