"""Joins people want: pods with their owners and nodes, clusters side by side, owner trees.

Thread: pure functions on frames the caller holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from crlab.errors import UnknownColumn, nearest
from crlab.frame.array import texts
from crlab.model.object import KubeObject
from crlab.model.printer import dig, maps


def join_owners(frame: pd.DataFrame, owners: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `frame` with the columns of each row's owner beside it, as owner_<column>.

    Args:
        frame: made with ``owner=True`` (it has owner_kind and owner_name).
        owners: kind → its frame, e.g. ``{"ReplicaSet": replicasets.df}``.

    Raises:
        UnknownColumn: `frame` was made without owner columns.

    Shape: the index and columns of `frame`, then owner_<column> for every column of the
        owners' frames; missing where there is no such owner.
    """
    _need(frame, "owner_kind", "owner_name")
    namespaces = frame["namespace"] if "namespace" in frame else pd.Series("", index=frame.index)
    parts = []
    for kind, owner in owners.items():
        right = owner.rename(columns=lambda name: f"owner_{name}")
        right = right[[name for name in right.columns if name not in frame.columns]]
        is_namespaced = "namespace" in owner
        keys = [
            f"{ns}/{name}" if is_namespaced and isinstance(ns, str) and ns else name
            for ns, name in zip(namespaces, frame["owner_name"], strict=True)
        ]
        mine = (frame["owner_kind"] == kind).to_numpy(dtype=bool, na_value=False)
        places = owner.index.get_indexer(pd.Index(keys, dtype="object"))
        parts.append(right.take(np.where(mine & (places >= 0), places, -1)[mine & (places >= 0)]))
        parts[-1].index = frame.index[mine & (places >= 0)]
    if not parts:
        return frame.copy(deep=False)
    joined = pd.concat(parts) if len(parts) > 1 else parts[0]
    return frame.join(joined)


def join_nodes(pods: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """Return pods with the columns of their node beside them, as node_<column>.

    Args:
        pods: made with a "node" column (``wide=True``, or ``columns=["node", …]``).

    Raises:
        UnknownColumn: there is no "node" column.
    """
    _need(pods, "node")
    right = nodes.rename(columns=lambda name: f"node_{name}")
    joined = pods.merge(right, how="left", left_on="node", right_index=True)
    joined.index = pods.index
    return joined


def concat_clusters(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return frames of several clusters as one, with a "cluster" column in front.

    Shape: index "key" (repeats where clusters share keys); the union of the columns.
    """
    parts = []
    for name, frame in frames.items():
        part = frame.copy(deep=False)
        part.attrs = {}
        part.insert(0, "cluster", pd.Series([name] * len(part), index=part.index, dtype="str"))
        parts.append(part)
    if not parts:
        return pd.DataFrame({"cluster": pd.array([], dtype="str")})
    return pd.concat(parts)


def tree_frame(root: KubeObject, objects: Iterable[KubeObject]) -> pd.DataFrame:
    """Return an object and what it owns, directly and through others, in tree order.

    Shape: RangeIndex; depth (int64), kind, key, uid, owner_uid ("" for the root).
    """
    children: dict[str, list[KubeObject]] = {}
    for obj in objects:
        for owner in maps(dig(obj, "metadata", "ownerReferences")):
            children.setdefault(str(owner.get("uid", "")), []).append(obj)
    rows: list[tuple[int, KubeObject, str]] = []
    seen: set[str] = set()
    stack: list[tuple[int, KubeObject, str]] = [(0, root, "")]
    while stack:
        depth, obj, owner_uid = stack.pop()
        if obj.uid in seen:
            continue  # a loop of owners, or two ways down
        seen.add(obj.uid)
        rows.append((depth, obj, owner_uid))
        below = sorted(
            children.get(obj.uid, ()), key=lambda o: (str(o.get("kind")), o.key), reverse=True
        )
        stack.extend((depth + 1, child, obj.uid) for child in below)
    return pd.DataFrame(
        {
            "depth": np.array([depth for depth, _, _ in rows], dtype=np.int64),
            "kind": texts(str(obj.get("kind", "")) for _, obj, _ in rows),
            "key": texts(obj.key for _, obj, _ in rows),
            "uid": texts(obj.uid for _, obj, _ in rows),
            "owner_uid": texts(uid for _, _, uid in rows),
        }
    )


def _need(frame: pd.DataFrame, *names: str) -> None:
    for name in names:
        if name not in frame.columns:
            near = nearest(name, [str(column) for column in frame.columns])
            raise UnknownColumn(
                f"this join needs a column {name!r}; ask for it when the frame is made "
                "(owner=True, wide=True or columns=[…])",
                name=name,
                nearest=near,
            )
