"""All objects of one resource, and the tail of their history.

Thread: guarded by the store's lock.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from crlab.apiserver.stored import DELETED, Commit, Stored

KEEP_PER_RESOURCE = 100


@dataclass(slots=True)
class Collection:
    """All objects of one resource and the tail of their history."""

    items: dict[str, Stored] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    log: list[Commit] = field(default_factory=list)
    first: int = 0  # log[:first] is dropped already, cut off in bulk
    horizon: int = 0  # the oldest revision `at` knows
    lost: int = 0  # the newest commit that is no longer in the log
    floor: int = 0  # the oldest revision a watch may start from
    epoch: int = 0
    listeners: dict[object, Callable[[], None]] = field(default_factory=dict)

    def put(self, key: str, stored: Stored | None) -> None:
        """Make an object current; None takes it away."""
        if stored is None:
            del self.items[key]
            del self.keys[bisect.bisect_left(self.keys, key)]
            return
        if key not in self.items:
            bisect.insort(self.keys, key)
        self.items[key] = stored

    def after(self, revision: int) -> list[Commit]:
        """Return the commits above a revision, in order."""
        start = bisect.bisect_right(self.log, revision, lo=self.first, key=revision_of)
        return self.log[start:]

    def drop_until(self, revision: int) -> None:
        """Forget history up to a revision."""
        cut = bisect.bisect_right(self.log, revision, lo=self.first, key=revision_of)
        if cut > self.first:
            self.lost = self.log[cut - 1].revision
        self.horizon = max(self.horizon, revision)
        self.floor = max(self.floor, revision)
        del self.log[:cut]
        self.first = 0

    def drop_oldest(self) -> None:
        """Forget the oldest commit."""
        self.horizon = self.lost = self.log[self.first].revision
        self.floor = max(self.floor, self.horizon)
        self.log[self.first] = TOMBSTONE
        self.first += 1
        if self.first > 1000 and self.first * 2 > len(self.log):
            del self.log[: self.first]
            self.first = 0


def revision_of(entry: Commit) -> int:
    """Return the revision of a commit, for bisecting."""
    return entry.revision


TOMBSTONE = Commit(0, "", "", DELETED, Stored(b"", 0, None, 0), None)


def scope(keys: list[str], namespace: str) -> Iterable[str]:
    """Return the keys of a namespace ("" for all), in order."""
    if not namespace:
        return keys
    start = bisect.bisect_left(keys, f"{namespace}/")
    return _while_in(keys, start, f"{namespace}/")


def _while_in(keys: list[str], start: int, prefix: str) -> Iterator[str]:
    for index in range(start, len(keys)):
        if not keys[index].startswith(prefix):
            return
        yield keys[index]
