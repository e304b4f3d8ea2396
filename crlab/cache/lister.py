"""Reading a cache by name and namespace, as client-go's listers do.

Thread: any; every call is one consistent snapshot.
Source: kubernetes/client-go:tools/cache/listers.go (rule 46).
"""

from __future__ import annotations

from collections.abc import Callable

from crlab.cache.index import NAMESPACE_INDEX
from crlab.cache.indexer import Indexer
from crlab.errors import NotFound
from crlab.model.argument import checked_answer, checked_function
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource

Predicate = Callable[[KubeObject], bool]


class Lister:
    """Reads one resource's cache."""

    def __init__(self, indexer: Indexer, resource: ApiResource) -> None:
        self._indexer = indexer
        self._resource = resource

    def list(self, matches: Predicate | None = None) -> list[KubeObject]:
        """Return the objects `matches` accepts (None: all), sorted by key."""
        return _filtered(self._indexer.list(), matches)

    def get(self, name: str, namespace: str | None = None) -> KubeObject:
        """Return one object.

        Raises:
            NotFound: it is not in the cache; the server was not asked.
        """
        obj = self._indexer.get_by_key(join_key(namespace, name))
        if obj is None:
            raise NotFound(
                f'{self._resource.gvr.group_resource} "{name}" not found in the cache',
                code=404,
                reason="NotFound",
                tried=f"read {join_key(namespace, name)} from the cache",
            )
        return obj

    def namespace(self, namespace: str) -> NamespaceLister:
        """Return a lister of one namespace."""
        return NamespaceLister(self, self._indexer, namespace)


class NamespaceLister:
    """Reads one namespace of a resource's cache, by the index "namespace"."""

    def __init__(self, lister: Lister, indexer: Indexer, namespace: str) -> None:
        self._lister = lister
        self._indexer = indexer
        self._namespace = namespace

    def list(self, matches: Predicate | None = None) -> list[KubeObject]:
        """Return the namespace's objects that `matches` accepts, sorted by key."""
        return _filtered(list(self._indexer.by_index(NAMESPACE_INDEX, self._namespace)), matches)

    def get(self, name: str) -> KubeObject:
        """Return one object.

        Raises:
            NotFound: it is not in the cache.
        """
        return self._lister.get(name, self._namespace)


def _filtered(found: list[KubeObject], matches: Predicate | None) -> list[KubeObject]:
    if matches is None:
        return found
    checked_function(matches, "what list() takes", ("obj",))
    return [obj for obj in found if checked_answer(matches(obj), "what list() takes")]
