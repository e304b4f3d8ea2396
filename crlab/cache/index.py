"""Indices of a store: which keys have which value. Knows nothing of locks or threads.

Three strings are kept apart: the storage key ("default/web"), the name of an index
("namespace"), and an indexed value ("default").

Guarantees:
  1. An empty value set is removed (a leak in client-go once, k/k#84959).
  2. A value that did not change moves nothing.
  3. An index function that raises leaves its object out of that index, and is counted.

Thread: the caller locks; `values_of` runs the user's function and is called without lock.
Source: kubernetes/client-go:tools/cache/index.go, thread_safe_store.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from crlab.model.argument import checked_answer, checked_function
from crlab.model.object import KubeObject

IndexFunc = Callable[[KubeObject], Iterable[str]]
NAMESPACE_INDEX = "namespace"


def meta_namespace_index(obj: KubeObject) -> tuple[str, ...]:
    """Index an object by its namespace; cluster-scoped ones under ""."""
    return (obj.namespace,)


def checked_indexers(indexers: Mapping[str, IndexFunc]) -> Mapping[str, IndexFunc]:
    """Return index functions that can be called.

    Raises:
        ConfigError: one cannot.
    """
    for name, func in indexers.items():
        checked_function(func, f"index {name!r}", ("obj",), may_yield=True)
    return indexers


def values_of(func: IndexFunc, obj: KubeObject) -> tuple[str, ...]:
    """Return what `func` says of `obj`, checked.

    Raises:
        TypeError: it is not a sequence of strings (a lone string is a common slip).
        ConfigError: it is something to await.
    """
    values = checked_answer(func(obj), "an index function")
    if isinstance(values, str | bytes) or values is None:
        raise TypeError(
            f"an index function returns a list of strings, not {type(values).__name__}: "
            "return [value], or [] for none"
        )
    found = tuple(dict.fromkeys(values))
    for value in found:
        if not isinstance(value, str):
            raise TypeError(f"an indexed value is a string, not {type(value).__name__}")
    return found


class Index:
    """One index: value → keys."""

    __slots__ = ("_values", "func", "keys", "name")

    def __init__(self, name: str, func: IndexFunc) -> None:
        self.name = name
        self.func = func
        self.keys: dict[str, set[str]] = {}
        self._values: dict[str, tuple[str, ...]] = {}

    def put(self, key: str, values: tuple[str, ...]) -> None:
        """Make `values` the values of a key; () takes it out."""
        old = self._values.get(key, ())
        if old == values:
            return
        for value in old:
            if value not in values:
                self._take(value, key)
        for value in values:
            if value not in old:
                self.keys.setdefault(value, set()).add(key)
        if values:
            self._values[key] = values
        else:
            del self._values[key]

    def fill(self, items: Mapping[str, KubeObject], values: Iterable[tuple[str, ...]]) -> None:
        """Put many keys into an empty index; equal value tuples are kept once."""
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        keys, known = self.keys, self._values
        for key, found in zip(items, values, strict=True):
            if not found:
                continue
            known[key] = found = shared.setdefault(found, found)
            for value in found:
                having = keys.get(value)
                if having is None:
                    keys[value] = {key}
                else:
                    having.add(key)

    def _take(self, value: str, key: str) -> None:
        keys = self.keys[value]
        keys.discard(key)
        if not keys:
            del self.keys[value]
