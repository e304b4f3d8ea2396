"""What changed between two objects."""

from hypothesis import given
from hypothesis import strategies as st

from crlab.model.diff import Change, diff

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def test_fields_are_named_by_their_path():
    """Odd keys are quoted."""
    old = {"spec": {"replicas": 1, "a.b": 1}}
    new = {"spec": {"replicas": 2, "x": 3}}
    assert diff(old, new) == [
        Change("replace", ".spec.replicas", 1, 2),
        Change("remove", ".spec['a.b']", 1, None),
        Change("add", ".spec.x", None, 3),
    ]


def test_list_items_are_matched_by_their_natural_key():
    """A container that moved has not changed; its order has."""
    old = {"c": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    new = {"c": [{"name": "b", "image": "2"}, {"name": "a", "image": "1"}]}
    changes = diff(old, new)
    assert Change("replace", ".c[name=b].image", "1", "2") in changes
    assert Change("replace", ".c[*].name", ["a", "b"], ["b", "a"]) in changes


def test_lists_of_scalars_change_as_a_whole():
    """Finalizers, arguments."""
    assert diff({"f": ["a"]}, {"f": ["a", "b"]}) == [Change("replace", ".f", ["a"], ["a", "b"])]


def test_noise_is_left_out_unless_asked_for():
    """resourceVersion changes on every write and says nothing."""
    old, new = {"metadata": {"resourceVersion": "1"}}, {"metadata": {"resourceVersion": "2"}}
    assert diff(old, new) == []
    assert len(diff(old, new, ignore=())) == 1


def test_true_and_one_are_different_and_1_and_1_0_are_not():
    """JSON's types, not Python's."""
    assert len(diff({"a": True}, {"a": 1})) == 1
    assert diff({"a": 1}, {"a": 1.0}) == []
    assert len(diff({"a": [[False]]}, {"a": [[0]]})) == 1


@given(JSON, JSON)
def test_equal_values_have_no_difference_and_others_have_one(old, new):
    """Whatever JSON holds."""
    assert diff(old, old) == []
    if old is not None and new is not None and not _same(old, new):
        assert diff(old, new, ignore=())


def _same(a, b):
    if isinstance(a, bool) != isinstance(b, bool) or type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b
