"""Objects under what owns them.

Thread: any; lists each kind once, from the cache where there is an informer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from crlab.errors import ConfigError, CrlabError
from crlab.frame.join import tree_frame
from crlab.lab.open_lab import open_labs
from crlab.model.escape import H, joined
from crlab.model.key import join_key, split_key
from crlab.model.object import KubeObject, thawed
from crlab.views.style import style_sheet
from crlab.views.tree import owner_tree, tree_html, tree_text

if TYPE_CHECKING:
    from crlab.lab.lab import Lab


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


def tree(obj: Mapping[str, Any], *, lab: Lab | None = None) -> OwnerTree:
    """Return an object with what it owns, directly and through others, by ownerReferences.

    ``crlab.tree(services["default/web"])``; `lab.tree(resource, key)` reads it for you.

    Args:
        obj: from a cache, a client or a file; its apiVersion, kind and name are used.
        lab: where to look; None is the open lab, if there is only one.

    Raises:
        ConfigError: no lab is open, or several are and none was named; or `obj` is none.
        NotFound: there is no such object any more.
    """
    labs = open_labs()
    if lab is None and len(labs) != 1:
        which = "none is open" if not labs else f"{len(labs)} are open: name one, lab=…"
        raise ConfigError(f"tree() needs a lab to look in; {which}")
    found = thawed(obj)
    meta = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(meta, dict) or not all((meta.get("name"), found.get("kind"))):
        raise ConfigError(
            "tree() takes an object with kind and metadata.name; "
            "to name one, use lab.tree(resource, key)"
        )
    group = str(found.get("apiVersion", "")).rpartition("/")[0]
    kind = f"{found['kind']}.{group}" if group else str(found["kind"])
    chosen = lab if lab is not None else labs[0]
    return chosen.tree(kind, join_key(meta.get("namespace"), str(meta["name"])))


def owner_tree_of(lab: Lab, resource: str, key: str, among: Sequence[str]) -> OwnerTree:
    """Read an object and what may be owned by it."""
    namespace, name = split_key(key)
    cached = {
        informer.resource.gvr.group_resource: informer
        for informer in lab.informers
        if not (informer.namespaces or informer.label_selector or informer.field_selector)
        and informer.has_synced
    }
    home = cached.get(lab.client.resolve(resource).gvr.group_resource)
    root = home.get(key) if home is not None and lab.kind == "replay" else None
    if root is None:
        root = KubeObject.of(lab.client.get(resource, name, namespace=namespace or None))
    objects: list[KubeObject] = []
    for each in among:
        try:
            found = lab.client.resolve(each)
            informer = cached.get(found.gvr.group_resource)
            if informer is not None:
                objects += informer.objects()
                continue
            place = namespace if found.is_namespaced and namespace else None
            objects += [
                KubeObject.of(obj) for obj in lab.client.list(found, namespace=place)["items"]
            ]
        except CrlabError:
            continue  # not served here, or not ours to list
    return OwnerTree(root, objects)
