"""Joins: owners, nodes, clusters, trees."""

import pandas as pd
import pytest
from support.frame_rig import frame_of, indexer_of, thing

from crlab.errors import UnknownColumn
from crlab.frame.join import concat_clusters, join_nodes, join_owners, tree_frame


def owned(name, *owners, **parts):
    references = [
        {"kind": "MyService", "name": owner, "uid": f"uid-{owner}", "controller": True}
        for owner in owners
    ]
    return thing(name, metadata={"ownerReferences": references}, **parts)


def test_rows_get_the_columns_of_their_owner():
    """Missing where there is none; the rows and their order stay."""
    objects = [owned("c1", "top"), owned("c2", "gone"), thing("c3")]
    children = frame_of(indexer_of(*objects), owner=True).df
    tops = frame_of(indexer_of(thing("top", spec={"image": "i"}))).df
    joined = join_owners(children, {"MyService": tops})
    assert list(joined.index) == ["d/c1", "d/c2", "d/c3"]
    assert joined.loc["d/c1", "owner_image"] == "i"
    assert joined["owner_image"].isna().tolist() == [False, True, True]
    with pytest.raises(UnknownColumn, match="owner=True"):
        join_owners(tops, {"MyService": tops})


def test_pods_get_the_columns_of_their_node():
    """By the node column."""
    pods = pd.DataFrame({"node": ["n1", "nx"]}, index=pd.Index(["d/a", "d/b"], name="key"))
    nodes = pd.DataFrame({"status": ["Ready"]}, index=pd.Index(["n1"], name="key"))
    joined = join_nodes(pods, nodes)
    assert joined.loc["d/a", "node_status"] == "Ready"
    assert pd.isna(joined.loc["d/b", "node_status"])


def test_clusters_stand_side_by_side():
    """The same key may be in both; dtypes stay."""
    one, two = (frame_of(indexer_of(thing("a", rv))) for rv in (1, 2))
    both = concat_clusters({"east": one.df, "west": two.df})
    assert both["cluster"].tolist() == ["east", "west"]
    assert str(both["replicas"].dtype) == "Int64"
    assert len(concat_clusters({})) == 0
    assert "cluster" not in one.df


def test_a_tree_is_walked_once_even_in_a_loop():
    """Owners that own each other."""
    top, middle, leaf = owned("top", "leaf"), owned("mid", "top"), owned("leaf", "mid")
    tree = tree_frame(top, [top, middle, leaf])
    assert tree[["depth", "key"]].to_numpy().tolist() == [[0, "d/top"], [1, "d/mid"], [2, "d/leaf"]]
