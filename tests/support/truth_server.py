"""A small true server behind the lister-watcher protocol, that fails when told to.

One revision counter, a log, pages, streamed lists, bookmarks, compaction, and every fault
that a history may want; all in memory and without a thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from crlab.client.list_watch import EndOfStream, ListOptions, ListPage, WatchEvent
from crlab.errors import api_error
from crlab.model.object import KubeObject
from support.scripted import PODS, bookmark, event, pod


def gone():
    return api_error(410, {"reason": "Expired", "message": "too old resource version"})


def too_large():
    return api_error(504, {"reason": "Timeout", "message": "Too large resource version"})


class TruthStream:
    """A watch: a cursor on the log, with extra lines and an end a fault may put in."""

    def __init__(self, server: TruthServer, cursor: int, initial: Sequence[WatchEvent]) -> None:
        self.server = server
        self.cursor = cursor
        self.extra: deque = deque(initial)
        self.is_closed = False
        self.is_mute = False

    def read(self, timeout_seconds):
        events: list[WatchEvent] = []
        if self.is_mute:
            return events
        while self.extra:
            if isinstance(self.extra[0], BaseException):
                if events:
                    return events
                raise self.extra.popleft()
            events.append(self.extra.popleft())
        for revision, kind, obj in self.server.log:
            if revision > self.cursor:
                events.append(event(kind, obj))
                self.cursor = revision
        return events

    def close(self):
        self.is_closed = True
        if self in self.server.streams:
            self.server.streams.remove(self)


class TruthServer:
    """The truth: `objects` at `revision`."""

    def __init__(self, *, has_watch_list: bool = True) -> None:
        self.resource = PODS
        self.namespace = None
        self.supports_watch_list = has_watch_list
        self.revision = 95  # soon three digits: versions are numbers, not text
        self.objects: dict = {}
        self.log: list[tuple[int, str, KubeObject]] = []
        self.compacted = 0
        self.streams: list[TruthStream] = []
        self.list_faults: deque = deque()
        self.watch_faults: deque = deque()
        self.saved: tuple[int, dict, list] | None = None
        self._uids = 0

    # Writing -----------------------------------------------------------------------------

    def put(self, name: str, **spec) -> None:
        """Create or update."""
        self.revision += 1
        old = self.objects.get(f"default/{name}")
        if old is None:
            self._uids += 1
        uid = old.uid if old is not None else f"uid-{self._uids}"
        obj = pod(name, self.revision, uid=uid, **spec)
        self.objects[obj.key] = obj
        self.log.append((self.revision, "ADDED" if old is None else "MODIFIED", obj))

    def delete(self, name: str) -> None:
        """Delete, if it is there."""
        old = self.objects.pop(f"default/{name}", None)
        if old is not None:
            self.revision += 1
            self.log.append((self.revision, "DELETED", pod(name, self.revision, uid=old.uid)))

    def compact(self) -> None:
        """Forget the history; streams that are behind are ended with 410."""
        for stream in self.streams:
            if stream.cursor < self.revision:
                stream.extra.append(WatchEvent("ERROR", status={"code": 410, "reason": "Expired"}))
        self.compacted = self.revision
        self.log.clear()

    def save(self) -> None:
        """Take a backup."""
        self.saved = (self.revision, dict(self.objects), list(self.log))

    def restore(self) -> None:
        """Go back to the backup: the revision too."""
        if self.saved is not None:
            self.revision, objects, log = self.saved
            self.objects, self.log = dict(objects), list(log)
            self.compacted = min(self.compacted, self.revision)

    def bookmark(self) -> None:
        """Send every stream that is up to date a bookmark."""
        for stream in self.streams:
            if not stream.extra:
                stream.extra.extend(event(k, o) for rv, k, o in self.log if rv > stream.cursor)
                stream.cursor = max(stream.cursor, self.revision)
                stream.extra.append(bookmark(self.revision))

    def mute(self) -> None:
        """Let every stream bring nothing any more, and never end (half-open)."""
        for stream in self.streams:
            stream.is_mute = True

    def damage(self, *lines) -> None:
        """Let the newest change reach the streams as something unreadable only."""
        for stream in self.streams:
            behind = [entry for entry in self.log if entry[0] > stream.cursor]
            stream.extra.extend(event(kind, obj) for _, kind, obj in behind[:-1])
            stream.extra.extend(lines)
            stream.cursor = self.revision

    def inject(self, *what) -> None:
        """Put lines, or an exception that ends it, into every stream."""
        for stream in self.streams:
            stream.extra.extend(what)

    # Serving -----------------------------------------------------------------------------

    def list(self, options: ListOptions) -> ListPage:
        if self.list_faults:
            raise self.list_faults.popleft()
        asked = options.resource_version
        if asked not in (None, "", "0") and int(asked) > self.revision:
            raise too_large()
        start = 0
        if options.continue_token:
            at, start = (int(part) for part in options.continue_token.split(":"))
            if at != self.revision:
                raise gone()
        items = [self.objects[key] for key in sorted(self.objects)]
        end = start + (options.limit or len(items))
        token = f"{self.revision}:{end}" if end < len(items) else ""
        return ListPage(items[start:end], str(self.revision), token)

    def watch(self, options: ListOptions) -> TruthStream:
        if self.watch_faults:
            raise self.watch_faults.popleft()
        asked = int(options.resource_version or 0)
        if options.send_initial_events:
            if asked > self.revision:
                raise too_large()
            items = [event("ADDED", obj) for obj in self.objects.values()]
            initial = [*items, bookmark(self.revision, is_end=True)]
            return self._opened(self.revision, initial)
        if asked < self.compacted:
            raise gone()
        return self._opened(asked, [])  # a future version is accepted, and silent

    def _opened(self, cursor: int, initial: Sequence[WatchEvent]) -> TruthStream:
        stream = TruthStream(self, cursor, initial)
        self.streams.append(stream)
        return stream

    def abort(self) -> None:
        for stream in list(self.streams):
            stream.extra.append(EndOfStream())
