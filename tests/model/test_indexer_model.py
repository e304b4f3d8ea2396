"""The indexer against a dict: content, indices, order and generation, whatever is written."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted import pod

from crlab.cache.indexer import Indexer

NAMES = st.sampled_from("abcdef")
TAGS = st.lists(st.sampled_from("xyz"), unique=True)
WRITE = st.tuples(st.just("put"), NAMES, TAGS)
DELETE = st.tuples(st.just("delete"), NAMES, st.just([]))
REPLACE = st.tuples(st.just("replace"), st.lists(NAMES, unique=True), TAGS)


def by_tags(obj):
    return obj["spec"]["tags"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(WRITE, DELETE, REPLACE), max_size=25), st.integers(0, 25))
def test_the_indexer_is_a_dict_with_recomputable_indices(writes, late):
    """An index added between any two writes knows as much as one that was there first."""
    indexer, model = Indexer({"early": by_tags}), {}
    for number, (kind, what, tags) in enumerate(writes):
        if number == late:
            indexer.add_indexers({"late": by_tags})
        before = indexer.generation
        if kind == "replace":
            model = {f"default/{n}": pod(n, number, tags=tags) for n in what}
            indexer.replace(dict(model), str(number), ["any"])
        elif kind == "put":
            obj = pod(what, number, tags=tags)
            model[obj.key] = obj
            indexer.apply([(obj.key, obj)], str(number))
        else:
            model.pop(f"default/{what}", None)
            indexer.apply([(f"default/{what}", None)], str(number))
        assert indexer.generation > before

    assert indexer.read().rows == model
    assert indexer.list() == [model[key] for key in sorted(model)]
    for name in set(indexer.indexers()) - {"namespace"}:
        for tag in "xyz":
            expected = sorted(key for key, obj in model.items() if tag in by_tags(obj))
            assert indexer.index_keys(name, tag) == expected
            assert [obj.key for obj in indexer.by_index(name, tag)] == expected
