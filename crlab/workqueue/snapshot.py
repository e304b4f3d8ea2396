"""What a queue holds at one moment, for views and step records.

Thread: immutable values.
"""

from __future__ import annotations

import msgspec

from crlab.workqueue.metrics import QueueMetrics
from crlab.workqueue.trigger import Trigger


class KeyState(msgspec.Struct, frozen=True):
    """One key in a queue.

    Attributes:
        key: the key as text.
        state: "queued", "processing" or "delayed" (a key can be delayed as well as queued
            or in processing: it then appears twice).
        attempts: failures the rate limiter remembers.
        is_dirty: in processing and added again: one more run follows.
        due_in_seconds: for delayed keys, when they become ready; else 0.
        since_seconds: how long the key has been in this state.
        triggers: the adds collapsed into the next run (in processing: into this run),
            oldest first.
        collapsed: how many adds that run stands for, also those no longer listed.
        priority: of a priority queue, else 0.
    """

    key: str
    state: str
    attempts: int = 0
    is_dirty: bool = False
    due_in_seconds: float = 0.0
    since_seconds: float = 0.0
    triggers: tuple[Trigger, ...] = ()
    collapsed: int = 0
    priority: int = 0


class QueueSnapshot(msgspec.Struct, frozen=True):
    """All keys of a queue: ready ones in order of their turn, delayed ones by due time."""

    name: str
    queued: tuple[KeyState, ...]
    processing: tuple[KeyState, ...]
    delayed: tuple[KeyState, ...]
    is_shutting_down: bool
    metrics: QueueMetrics

    @property
    def keys(self) -> list[KeyState]:
        """Every key: in processing, ready, delayed."""
        return [*self.processing, *self.queued, *self.delayed]

    def __repr__(self) -> str:
        return f"<QueueSnapshot {self.name}: {self}>"

    def __str__(self) -> str:
        parts = [
            f"{label}: {', '.join(_label(state) for state in states) or '-'}"
            for label, states in (
                ("processing", self.processing),
                ("queued", self.queued),
                ("delayed", self.delayed),
            )
        ]
        return " | ".join(parts)


def _label(state: KeyState) -> str:
    marks = []
    if state.collapsed > 1:
        marks.append(f"×{state.collapsed}")
    if state.is_dirty:
        marks.append("dirty")
    if state.state == "delayed":
        marks.append(f"in {state.due_in_seconds:g} s")
    if state.priority:
        marks.append(f"priority {state.priority}")
    if state.attempts:
        marks.append(f"attempt {state.attempts + 1}")
    return f"{state.key} ({', '.join(marks)})" if marks else state.key
