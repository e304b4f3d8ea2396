"""What stands for an object whose deletion was not seen, only inferred.

Thread: an immutable value.
Source: kubernetes/client-go:tools/cache/delta_fifo.go (DeletedFinalStateUnknown).
"""

from __future__ import annotations

from dataclasses import dataclass

from crlab.model.object import KubeObject


@dataclass(frozen=True, slots=True)
class DeletedFinalStateUnknown:
    """An object that was gone from a list; its delete event was missed.

    Attributes:
        key: "namespace/name" or "name".
        obj: the last state that was known, possibly stale; None if none was.
    """

    key: str
    obj: KubeObject | None
