"""What every queue does alike: wait, wake, close, and know when its first list is through.

From: the reflector. To: the processor; what a queue keeps is the subclasses' business.

Thread: see `fifo.py`; `_cond` guards every field.
Source: kubernetes/client-go:tools/cache/delta_fifo.go, the_real_fifo.go (HasSynced).
"""

from __future__ import annotations

from collections.abc import Iterable

from crlab.cache import revision
from crlab.runtime import fork
from crlab.runtime.clock import Clock


class BlockingQueue:
    """The common part of `RealFIFO` and `DeltaFIFO`."""

    def __init__(self, clock: Clock) -> None:
        self._cond = fork.condition()
        self._clock = clock
        self._is_populated = False
        self._initial = 0  # entries of the first population that are not processed yet
        self._reached: dict[str, str] = {}  # scope → version
        self._unapplied: dict[str, set[str]] = {}  # scope → keys of its first list
        self._is_woken = False
        self._is_closed = False

    def __len__(self) -> int:
        raise NotImplementedError

    def wait(self) -> None:
        with self._cond:
            # The flag keeps a `wake` that comes between the last step and this wait; a bare notify
            # would be lost.
            while not len(self) and not self._is_woken and not self._is_closed:
                self._clock.wait(self._cond, None)
            self._is_woken = False

    def wake(self) -> None:
        with self._cond:
            self._is_woken = True
            self._cond.notify_all()

    def close(self) -> None:
        with self._cond:
            self._is_closed = True
            self._cond.notify_all()

    @property
    def has_synced(self) -> bool:
        with self._cond:
            return self._has_synced_locked()

    def _has_synced_locked(self) -> bool:
        assert fork.held(self._cond)
        return self._is_populated and self._initial == 0

    def _populated_locked(self, size: int) -> None:
        """Count `size` entries as the first population, if there was none before."""
        assert fork.held(self._cond)
        if not self._is_populated:
            self._is_populated = True
            self._initial = size

    def _reach_locked(self, scope: str, version: str, *, new_epoch: bool = False) -> str:
        """Move a scope's version on; return what it is then."""
        assert fork.held(self._cond)
        held = self._reached.get(scope, "")
        if not version or (not new_epoch and revision.is_older(version, held)):
            return held
        self._reached[scope] = version
        return version

    # One list per scope ------------------------------------------------------------------

    def has_applied(self, scope: str) -> bool:
        with self._cond:
            return scope in self._unapplied and not self._unapplied[scope]

    def _listed_locked(self, scope: str, keys: Iterable[str]) -> None:
        """Note what the first list of a scope is made of."""
        assert fork.held(self._cond)
        if scope not in self._unapplied:
            self._unapplied[scope] = set(keys)

    def _applied_locked(self, keys: Iterable[str]) -> None:
        """Note that what was queued of these keys has been processed."""
        assert fork.held(self._cond)
        waiting = [left for left in self._unapplied.values() if left]
        if waiting:
            done = set(keys)
            for left in waiting:
                left -= done

    def _is_first_locked(self, key: str) -> bool:
        """Whether a key is of a first list that is not through."""
        assert fork.held(self._cond)
        return any(key in left for left in self._unapplied.values())
