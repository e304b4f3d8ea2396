"""Which queues there are, by the word a user says.

Thread: pure.
"""

from __future__ import annotations

from typing import Literal

from crlab.cache.delta_fifo import DeltaFIFO
from crlab.cache.fifo import KnownObjects, Queue
from crlab.cache.per_item_fifo import PerItemFIFO
from crlab.cache.real_fifo import RealFIFO
from crlab.runtime.clock import Clock

QueueKind = Literal["real", "real-per-item", "delta"]


def make_queue(kind: QueueKind, clock: Clock, known_objects: KnownObjects) -> Queue:
    """Return an empty queue in front of a store."""
    match kind:
        case "real":
            return RealFIFO(clock)
        case "real-per-item":
            return PerItemFIFO(clock, known_objects)
        case "delta":
            return DeltaFIFO(clock, known_objects)
