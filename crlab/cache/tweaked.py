"""A lister-watcher whose list options somebody changes on the way.

Thread: as the lister-watcher it wraps.
Source: kubernetes/client-go:informers/internalinterfaces (TweakListOptionsFunc).
"""

from __future__ import annotations

from collections.abc import Callable

from crlab.client.list_watch import ListerWatcher, ListOptions, ListPage, WatchStream
from crlab.model.argument import checked_function
from crlab.model.resource import ApiResource

TweakListOptions = Callable[[ListOptions], ListOptions]


class TweakedListerWatcher:
    """Applies `tweak` to the options of every list and watch."""

    def __init__(self, inner: ListerWatcher, tweak: TweakListOptions) -> None:
        self._inner = inner
        self._tweak = checked_function(tweak, "tweak_list_options", ("options",))

    @property
    def resource(self) -> ApiResource:
        return self._inner.resource

    @property
    def namespace(self) -> str | None:
        return self._inner.namespace

    @property
    def is_metadata_only(self) -> bool:
        return bool(getattr(self._inner, "is_metadata_only", False))

    def list(self, options: ListOptions) -> ListPage:
        return self._inner.list(self._tweak(options))

    def watch(self, options: ListOptions) -> WatchStream:
        return self._inner.watch(self._tweak(options))

    def abort(self) -> None:
        self._inner.abort()

    def other_versions(self, on_request: Callable[[], None] = lambda: None) -> tuple[str, ...]:
        find = getattr(self._inner, "other_versions", None)
        return () if find is None else find(on_request)

    def invalidate_credentials(self) -> None:
        renew = getattr(self._inner, "invalidate_credentials", None)
        if renew is not None:
            renew()
