"""What a list has brought so far: pages, or the initial events of a streamed list.

From: the reflector, page by page. To: one replace, whole. Each page is transformed when it
comes, so that no long piece of work is left for the end.

Thread: the reflector's.
Source: kubernetes/client-go:tools/pager/pager.go, reflector.go (the temporary store).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crlab.client.list_watch import ListPage, WatchEvent
from crlab.errors import ConfigError, CrlabError, DecodeError, describe_error
from crlab.model.argument import checked_answer
from crlab.model.object import KubeObject

Transform = Callable[[KubeObject], KubeObject]


def kept(transform: Callable[[KubeObject], Any], obj: KubeObject) -> KubeObject:
    """Return what a user's transform keeps of an object, under the identity the server gave it.

    uid and resourceVersion may be dropped from what is kept: they stay beside it, so that the
    cache can tell old from new, and an audit compare it with the server. What is not the
    object itself is `is_partial`, so that no write of it drops the rest.

    Raises:
        ConfigError: it answers with no object, or with one of another key.
        Exception: what it raised.
    """
    answer: Any = checked_answer(transform(obj), "transform")
    is_same = answer is obj
    if is_same:  # untouched, or made by a transform before
        return obj
    if not isinstance(answer, Mapping):
        raise ConfigError(
            f"a transform returns the object, or a smaller one, not {type(answer).__name__}: "
            "nothing can be left out of a cache so; a selector can"
        )
    found = KubeObject.of(answer)
    if found.key != obj.key:
        raise ConfigError(
            f"a transform keeps metadata.name and metadata.namespace, and this one made {found.key}"
        )
    return found.kept_of(obj)


class Listing:
    """A list in the making."""

    def __init__(
        self,
        resource: str,
        transform: Transform | None,
        max_bytes: int,
        *,
        on_transform: Callable[[str, BaseException | None], None] = lambda key, error: None,
    ) -> None:
        """Begin.

        Args:
            on_transform: told that the transform raised on a key, or (None) that it did not
                on a whole page (key "").
        """
        self._resource = resource
        self.transform = transform
        self._on_transform = on_transform
        self._max_bytes = max_bytes
        self._page: list[KubeObject] = []
        self._items: list[KubeObject] = []
        self._fresh: dict[str, KubeObject] = {}
        self._size_bytes = 0
        self.pages = 0
        self.was_empty = False

    def read(self, page: ListPage) -> None:
        """Take a page in hand; `collect` keeps it.

        Raises:
            DecodeError: the list is over its size limit.
            CrlabError: the transform raised; the whole list fails (rule 32).
        """
        self._grow(page.size_bytes, len(page.items))
        self._page = self._transformed(page.items)
        self.was_empty = not page.items

    def collect(self) -> None:
        """Keep the page in hand with those before it."""
        self._items.extend(self._page)
        self._page = []
        self.pages += 1

    def keep(self, events: Sequence[WatchEvent]) -> None:
        """Apply initial events to the temporary store (rule 21).

        Raises:
            DecodeError, CrlabError: as `read`.
        """
        self._grow(sum([event.size_bytes for event in events]), len(events))
        objects = [event.object for event in events if event.object is not None]
        kept = self._transformed(objects)
        fresh = self._fresh
        for event, before, after in zip(events, objects, kept, strict=True):
            if event.type == "DELETED":
                fresh.pop(before.key, None)
            else:
                fresh[before.key] = after

    def finish_kept(self) -> None:
        """Make the initial events a list."""
        self._items = list(self._fresh.values())
        self._fresh = {}

    def take(self) -> list[KubeObject]:
        """Return everything, and start again with nothing."""
        items = self._items
        self.discard()
        return items

    def discard(self) -> None:
        """Drop everything."""
        self._page, self._items, self._fresh = [], [], {}
        self._size_bytes = 0
        self.pages = 0

    def _grow(self, size_bytes: int, more: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > self._max_bytes:
            count = len(self._items) + len(self._fresh) + more
            raise DecodeError(
                f"the list of {self._resource} is over {self._max_bytes} bytes ({count} "
                f"objects, {self._size_bytes} bytes read so far); narrow it with a selector "
                "or a namespace, or use a metadata-only informer"
            )

    def _transformed(self, items: list[KubeObject]) -> list[KubeObject]:
        transform = self.transform
        if transform is None:
            return items
        try:
            kept = [transform(obj) for obj in items]
        except Exception as error:
            self._on_transform("", error)
            raise CrlabError(
                f"the transform raised on the list of {self._resource}: {describe_error(error)}"
            ) from error
        self._on_transform("", None)
        return kept
