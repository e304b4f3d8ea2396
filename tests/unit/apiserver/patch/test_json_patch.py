"""JSON Patch as the API server applies it."""

import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlab.apiserver.patch import json_patch
from crlab.apiserver.status import StatusError

DOC = {"spec": {"size": 1, "tags": ["a", "b"]}, "labels": {"x/y": "1", "t~u": "2"}}


def patched(*ops):
    return json_patch.apply(DOC, list(ops))


def code_of(ops):
    with pytest.raises(StatusError) as caught:
        json_patch.apply(DOC, ops)
    return caught.value.code


@pytest.mark.parametrize(
    ("op", "path", "expected"),
    [
        ({"op": "add", "path": "/spec/tags/-", "value": "c"}, "tags", ["a", "b", "c"]),
        ({"op": "add", "path": "/spec/tags/0", "value": "c"}, "tags", ["c", "a", "b"]),
        ({"op": "add", "path": "/spec/tags/2", "value": "c"}, "tags", ["a", "b", "c"]),
        ({"op": "remove", "path": "/spec/tags/0"}, "tags", ["b"]),
        ({"op": "remove", "path": "/spec/tags/-1"}, "tags", ["a"]),
        ({"op": "replace", "path": "/spec/tags/1", "value": "z"}, "tags", ["a", "z"]),
        ({"op": "replace", "path": "/spec/new", "value": 1}, "new", 1),
        ({"op": "copy", "from": "/spec/size", "path": "/spec/tags/0"}, "tags", [1, "a", "b"]),
        ({"op": "move", "from": "/spec/tags/1", "path": "/spec/tags/0"}, "tags", ["b", "a"]),
    ],
)
def test_each_operation_does_what_the_server_does(op, path, expected):
    """One operation, one field."""
    assert patched(op)["spec"][path] == expected


def test_escaped_keys_are_found():
    """~1 is a slash, ~0 a tilde."""
    result = patched(
        {"op": "remove", "path": "/labels/x~1y"},
        {"op": "test", "path": "/labels/t~0u", "value": "2"},
    )
    assert result["labels"] == {"t~u": "2"}


@pytest.mark.parametrize(
    "op",
    [
        {"op": "test", "path": "/spec/size", "value": 9},
        {"op": "test", "path": "/spec/size", "value": True},
        {"op": "remove", "path": "/spec/nope"},
        {"op": "move", "from": "/spec/nope", "path": "/spec/x"},
        {"op": "add", "path": "/no/such/path", "value": 1},
        {"op": "add", "path": "/spec/tags/5", "value": 1},
        {"op": "add", "path": "/spec/tags/x", "value": 1},
        {"op": "frob", "path": "/spec"},
        {"path": "/spec/size", "value": 1},
        {"op": "replace", "path": "", "value": {}},
    ],
)
def test_an_operation_that_cannot_be_done_is_422(op):
    """Failed tests, missing paths and unknown operations."""
    assert code_of([op]) == 422


def test_what_is_not_a_list_of_objects_is_400():
    """Each with Go's words."""
    assert code_of({"op": "add"}) == 400
    with pytest.raises(StatusError, match="cannot unmarshal number into Go value of type handlers"):
        json_patch.apply(DOC, [1])


def test_too_many_operations_are_413():
    """The limit is the server's."""
    assert code_of([{"op": "test", "path": "/spec/size", "value": 1}] * 10_001) == 413


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(
    doc=st.dictionaries(st.sampled_from("abc"), values),
    ops=st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "test", "move", "copy"]),
                "path": st.sampled_from(["/a", "/b/0", "/a/b", "/c/-", ""]),
                "from": st.sampled_from(["/a", "/b", "/b/0"]),
                "value": values,
            }
        ),
        max_size=4,
    ),
)
def test_a_patch_is_all_or_nothing(doc, ops):
    """Whatever happens, the document given stays as it was."""
    before = copy.deepcopy(doc)
    with contextlib.suppress(StatusError):
        json_patch.apply(doc, ops)
    assert doc == before


def test_copies_cannot_double_for_ever():
    """A few hundred bytes of patch would otherwise fill the machine."""
    double = [{"op": "copy", "from": "/spec", "path": f"/spec/x{n}"} for n in range(60)]
    assert code_of(double) == 422
