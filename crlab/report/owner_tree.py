"""Objects under what owns them.

Thread: any; lists each kind once, from the cache where there is an informer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from crlab.errors import CrlabError
from crlab.frame.join import tree_frame
from crlab.model.escape import H, joined
from crlab.model.key import split_key
from crlab.model.object import KubeObject
from crlab.views.style import style_sheet
from crlab.views.tree import owner_tree, tree_html, tree_text

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.client import DynamicClient


class OwnerTree:
    """An owner with everything it owns: text, HTML and a frame."""

    def __init__(self, root: KubeObject, objects: Sequence[KubeObject]) -> None:
        self._root = root
        self._objects = objects

    @property
    def df(self) -> pd.DataFrame:
        """The tree as a frame.

        Shape:
            RangeIndex; depth (int64), kind, key, uid, owner_uid (str).
        """
        return tree_frame(self._root, self._objects)

    def __str__(self) -> str:
        return tree_text(owner_tree(self._root, self._objects)).rstrip()

    def __repr__(self) -> str:
        return f"OwnerTree({self._root['kind']} {self._root.key})"

    def _repr_html_(self) -> str:
        body = tree_html(owner_tree(self._root, self._objects))
        return str(joined([style_sheet(), H.section(body, cls="crlab")]))


def owner_tree_of(
    client: DynamicClient,
    informers: Sequence[SharedInformer],
    resource: str,
    key: str,
    among: Sequence[str],
    *,
    cached: bool = False,
) -> OwnerTree:
    """Read an object and what may be owned by it.

    Args:
        informers: whose caches are looked into where they hold everything of a resource.
        cached: take the root from them too; a recording has no server to ask.
    """
    namespace, name = split_key(key)
    whole = {
        informer.resource.gvr.group_resource: informer
        for informer in informers
        if informer.selection.is_whole and informer.has_synced
    }
    home = whole.get(client.resolve(resource).gvr.group_resource) if cached else None
    root = home.indexer.get_by_key(key) if home is not None else None
    if root is None:
        root = KubeObject.of(client.get(resource, name, namespace=namespace or None))
    objects: list[KubeObject] = []
    for each in among:
        try:
            found = client.resolve(each)
            informer = whole.get(found.gvr.group_resource)
            if informer is not None:
                objects += informer.indexer.list()
                continue
            place = namespace if found.is_namespaced and namespace else None
            objects += [KubeObject.of(obj) for obj in client.list(found, namespace=place)["items"]]
        except CrlabError:
            continue  # not served here, or not ours to list
    return OwnerTree(root, objects)
