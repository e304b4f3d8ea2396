"""What every part of the server shares: store, registry, clock, ids, alarm.

Thread: the members say; `lock` is the store's lock, held by every verb.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from crlab.apiserver.alarm import Alarm
from crlab.apiserver.registry import Registry
from crlab.apiserver.storage import Storage
from crlab.model.timestamp import timestamp
from crlab.runtime.clock import Clock
from crlab.runtime.ids import Ids


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
