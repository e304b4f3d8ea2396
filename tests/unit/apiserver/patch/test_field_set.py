"""Field sets against plain Python sets of paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.apiserver.patch.field_set import FieldSet, path_text

ELEMENTS = ["f:a", "f:b", 'k:{"n":1}', 'v:"x"', "i:0"]
paths = st.lists(st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=3).map(tuple), max_size=6)


def build(members):
    """Make a set path by path, the slow and obvious way."""
    root = {}
    for path in members:
        node = root
        for element in path:
            node = node.setdefault(element, {"marked": False})
        node["marked"] = True

    def finish(node):
        children = {k: finish(v) for k, v in node.items() if k != "marked"}
        return {".": {}, **children} if node.get("marked") and children else children

    return FieldSet({k: finish(v) for k, v in root.items()})


@given(paths, paths)
def test_operations_are_those_of_sets(left, right):
    """Union, difference and intersection agree with Python's."""
    a, b = build(left), build(right)
    assert set((a | b).paths()) == set(left) | set(right)
    assert set((a - b).paths()) == set(left) - set(right)
    assert set((a & b).paths()) == set(left) & set(right)


@given(paths)
def test_a_set_survives_fields_v1(members):
    """Out and in again, with each member found."""
    fields = build(members)
    again = FieldSet.from_fields_v1(fields.to_fields_v1())
    assert again == fields
    assert all(path in again for path in members)


def test_keys_are_read_in_any_order():
    """Two spellings of one list item are one element."""
    one = FieldSet.from_fields_v1({'k:{"b":1,"a":2}': {}})
    two = FieldSet.from_fields_v1({'k:{"a": 2, "b": 1}': {}})
    assert one == two


@pytest.mark.parametrize("bad", [{"x": {}}, {"f:a": 1}, {"k:{": {}}, {"k:1": {}}, {"i:x": {}}])
def test_what_is_no_field_set_is_refused(bad):
    """Unknown elements and nodes that are no objects."""
    with pytest.raises(ValueError, match=r"element|node"):
        FieldSet.from_fields_v1(bad)


def test_a_path_is_printed_as_in_conflicts():
    """Fields by dots, items by their keys or value."""
    path = ("f:spec", 'k:{"name":"one","port":80}', 'v:"x"', "i:3")
    assert path_text(path) == '.spec[name="one",port=80][="x"][3]'
