"""JSON Merge Patch against the RFC's own examples."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.apiserver.patch import merge_patch
from crlab.apiserver.status import StatusError


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386_hold(target, patch, expected):
    """Appendix A, line by line."""
    assert merge_patch.merge(target, patch) == expected


@pytest.mark.parametrize(("patch", "name"), [([], "array"), ("x", "string"), (1, "number")])
def test_a_patch_that_is_no_object_is_400(patch, name):
    """The message names its JSON type."""
    with pytest.raises(StatusError, match=f"cannot unmarshal {name} into Go value") as caught:
        merge_patch.apply({}, patch)
    assert caught.value.code == 400


trees = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(
    target=st.dictionaries(st.sampled_from("abc"), trees),
    patch=st.dictionaries(st.sampled_from("abc"), trees),
)
def test_a_patch_twice_is_a_patch_once(target, patch):
    """Merge patches are idempotent and change neither operand."""
    before = copy.deepcopy((target, patch))
    once = merge_patch.merge(target, patch)
    assert merge_patch.merge(once, patch) == once
    assert (target, patch) == before
