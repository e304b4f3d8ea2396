"""Read your own writes: what a controller did, until its cache has caught up.

From: the answers to a controller's requests. To: its cached reads. The cache itself is never
touched: an answer can be older than what the watch brought meanwhile, and folding it in
would roll the cache back or bring a deleted object back to life. Here the newer of the two
wins at every read, and an entry is dropped once the cache has passed it.

A deletion's revision is told by few servers. It is known by the uid instead: what had that
uid never comes back, and the cache has passed its deletion once it has seen the object
(`after`) and holds it no more.

Thread: any; `_lock` guards the entries.
Source: kubernetes/client-go:tools/cache/mutation_cache.go.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from crlab.cache.revision import is_older
from crlab.model.object import KubeObject
from crlab.runtime.clock import Clock

_Key = tuple[str, str]


class _OwnWrite:
    """One key's newest state.

    Attributes:
        object: as the cache will hold it; None: not there.
        version: what the cache has to reach; of a deletion, to have seen the object; "" unknown.
        uid: of a deletion, whose; "" for all else.
        earlier: of a deletion, the uid that the key had in the cache when it was asked for: a
            cache that holds it, or has it no more, is behind the deletion.
        is_certain: of a deletion: False if the object may still be there, terminating.
    """

    __slots__ = ("earlier", "is_certain", "object", "uid", "until", "version")

    def __init__(
        self,
        obj: KubeObject | None,
        version: str,
        uid: str = "",
        *,
        earlier: str = "",
        certain: bool = True,
    ) -> None:
        self.object = obj
        self.version = version
        self.uid = uid
        self.earlier = earlier
        self.is_certain = certain
        self.until = 0.0

    def is_passed(self, held: KubeObject | None, cache_version: str) -> bool:
        """Whether the cache, which holds `held` and has reached a version, knows better."""
        has_reached = cache_version != "" and not is_older(cache_version, self.version)
        if not self.uid:
            return has_reached or (held is not None and _is_newer(held, self.version))
        if held is None:
            return bool(self.version) and has_reached
        if held.uid not in ("", self.uid, self.earlier):
            return not is_older(held.resource_version, self.version)
        return held.uid != self.earlier and not self.is_certain and _is_terminating(held)


class MutationOverlay:
    """The newest writes of one controller, by resource and key."""

    def __init__(self, clock: Clock, *, ttl_seconds: float = 300.0, max_entries: int = 1000):
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._entries: OrderedDict[_Key, _OwnWrite] = OrderedDict()

    def written(
        self, resource: str, key: str, obj: KubeObject | None, resource_version: str
    ) -> None:
        """Remember a state; None: as of that version the cache is not of the object."""
        if resource_version:
            self._put((resource, key), _OwnWrite(obj, resource_version))

    def deleted(
        self,
        resource: str,
        key: str,
        uid: str,
        after: str = "",
        *,
        earlier: str = "",
        certain: bool = True,
    ) -> None:
        """Remember that the object of a uid is gone; it was there at the version `after`.

        Args:
            earlier: the uid of another object that had the key when the deletion was asked for.
        """
        if uid:
            entry = _OwnWrite(None, after, uid, earlier=earlier, certain=certain)
            self._put((resource, key), entry)

    def _put(self, key: _Key, entry: _OwnWrite) -> None:
        with self._lock:
            known = self._entries.get(key)
            if known is not None and _outlives(known, entry):
                return
            entry.until = self._clock.monotonic() + self._ttl_seconds
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def keys(self, resource: str) -> list[str]:
        """Return the keys of a resource that have an entry."""
        with self._lock:
            return [key for kind, key in self._entries if kind == resource]

    def newest(
        self, resource: str, key: str, held: KubeObject | None, cache_version: str
    ) -> KubeObject | None:
        """Return the newer of the cached state and what is remembered.

        Args:
            cache_version: the revision the cache had reached before `held` was read.
        """
        entry = self._ahead((resource, key), held, cache_version)
        return held if entry is None else entry.object

    def is_ahead(
        self, resource: str, key: str, held: KubeObject | None, cache_version: str
    ) -> bool:
        """Whether the cache is known to be behind in a key; arguments as for `newest`."""
        entry = self._ahead((resource, key), held, cache_version)
        return entry is not None and (entry.version != "" or held is not None)

    def _ahead(self, key: _Key, held: KubeObject | None, cache_version: str) -> _OwnWrite | None:
        """Return the entry of a key; drop it if the cache has passed it."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            is_old = entry.until < self._clock.monotonic()
            if is_old or entry.is_passed(held, cache_version):
                del self._entries[key]
                return None
            return entry


def _outlives(known: _OwnWrite, entry: _OwnWrite) -> bool:
    """Whether what is remembered is newer than what comes; answers overtake each other."""
    if is_older(entry.version, known.version):
        return True
    is_same = known.uid != "" and entry.object is not None and entry.object.uid == known.uid
    return is_same and known.is_certain


def _is_newer(held: KubeObject, version: str) -> bool:
    """Whether a cached state is certainly no older; a transform may have dropped what tells."""
    return held.resource_version != "" and not is_older(held.resource_version, version)


def _is_terminating(obj: KubeObject) -> bool:
    metadata = obj.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))
