"""Storage keys: "namespace/name", or "name" for cluster-scoped objects.

Thread: pure functions.
Source: kubernetes/client-go:tools/cache/store.go (MetaNamespaceKeyFunc, SplitMetaNamespaceKey).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.errors import KeyFuncError


def join_key(namespace: str | None, name: str) -> str:
    """Return the key of a name in a namespace ("" or None: cluster-scoped)."""
    return f"{namespace}/{name}" if namespace else name


def meta_namespace_key(obj: Mapping[str, Any]) -> str:
    """Return an object's key.

    Raises:
        KeyFuncError: it has no ``metadata.name``.
    """
    key = getattr(obj, "key", None)
    if isinstance(key, str):
        return key
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        raise KeyFuncError(
            f"no key for this object: metadata.name is {name!r}; every stored object has one"
        )
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    return join_key(namespace if isinstance(namespace, str) else None, name)


def split_key(key: str) -> tuple[str, str]:
    """Return (namespace, name); namespace is "" for cluster-scoped objects.

    Raises:
        KeyFuncError: more than one slash, or an empty name.
    """
    namespace, slash, name = key.rpartition("/")
    if not name or "/" in namespace or (slash and not namespace):
        raise KeyFuncError(f'{key!r} is not a key; expected "namespace/name" or "name"')
    return namespace, name
