"""Read your own writes: what a controller wrote, until its cache has caught up.

From: the answers to a controller's writes. To: its cached reads. The cache itself is never
touched: an answer can be older than what the watch brought meanwhile, and folding it in
would roll the cache back or bring a deleted object back to life. Here the newer of the two
wins at every read, and an entry is dropped once the cache has reached its revision.

Thread: any; `_lock` guards the entries.
Source: kubernetes/client-go:tools/cache/mutation_cache.go.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from crlab.cache.revision import is_older
from crlab.model.object import KubeObject
from crlab.runtime.clock import Clock

_Key = tuple[str, str]


class _Entry:
    __slots__ = ("object", "resource_version", "until")

    def __init__(self, obj: KubeObject | None, resource_version: str, until: float) -> None:
        self.object = obj
        self.resource_version = resource_version
        self.until = until


class MutationOverlay:
    """The newest writes of one controller, by resource and key."""

    def __init__(self, clock: Clock, *, ttl_seconds: float = 300.0, max_entries: int = 1000):
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()

    def written(self, resource: str, obj: KubeObject) -> None:
        """Remember the answer to a create or a change."""
        self._put((resource, obj.key), obj, obj.resource_version)

    def deleted(self, resource: str, key: str, resource_version: str) -> None:
        """Remember that `key` is gone as of `resource_version` (the deletion's own)."""
        self._put((resource, key), None, resource_version)

    def _put(self, key: _Key, obj: KubeObject | None, resource_version: str) -> None:
        if not resource_version:
            return
        with self._lock:
            known = self._entries.get(key)
            if known is not None and is_older(resource_version, known.resource_version):
                return
            until = self._clock.monotonic() + self._ttl_seconds
            self._entries[key] = _Entry(obj, resource_version, until)
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def newest(
        self, resource: str, key: str, cached: KubeObject | None, cache_version: str
    ) -> KubeObject | None:
        """Return the newer of the cached state and what was written.

        Args:
            cache_version: the revision the cache has reached.
        """
        with self._lock:
            entry = self._live_entry((resource, key), cache_version)
            if entry is None:
                return cached
            if cached is not None and not is_older(cached.resource_version, entry.resource_version):
                del self._entries[resource, key]
                return cached
            return entry.object

    def ahead(self, resource: str, cache_version: str) -> dict[str, KubeObject | None]:
        """Return the writes that the cache has not reached; None for deletions."""
        with self._lock:
            keys = [key for kind, key in self._entries if kind == resource]
            entries = {key: self._live_entry((resource, key), cache_version) for key in keys}
            return {key: entry.object for key, entry in entries.items() if entry is not None}

    def _live_entry(self, key: _Key, cache_version: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        has_caught_up = cache_version != "" and not is_older(cache_version, entry.resource_version)
        if has_caught_up or entry.until < self._clock.monotonic():
            del self._entries[key]
            return None
        return entry
