"""Kubernetes' JSONPath."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.errors import JSONPathError
from crlab.model.jsonpath import compile_path

OBJ = {
    "spec": {"image": "i", "a.b/c": 5, "null": None},
    "list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}, {"name": "z", "n": 3}],
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.image", ["i"]),
        ("{.spec.image}", ["i"]),
        ("$.spec.image", ["i"]),
        ("spec.image", ["i"]),
        (".spec['a.b/c']", [5]),
        (".spec.a\\.b/c", [5]),
        (".spec.null", [None]),
        (".spec.none", []),
        (".spec.image.deeper", []),
        (".list[0].name", ["x"]),
        (".list[-1].name", ["z"]),
        (".list[9].name", []),
        (".list[*].name", ["x", "y", "z"]),
        (".list[0:2].name", ["x", "y"]),
        (".list[::2].name", ["x", "z"]),
        (".list[0,2].name", ["x", "z"]),
        (".list[?(@.n>1)].name", ["y", "z"]),
        (".list[?(@.n>=2)].name", ["y", "z"]),
        ('.conditions[?(@.type=="Ready")].status', ["True"]),
        (".conditions[?(@.type!='Ready')].status", ["False"]),
        (".list[?(@.missing)].name", []),
        ("..type", ["Ready", "Old"]),
        (".spec.*", ["i", 5, None]),
        (".", [OBJ]),
    ],
)
def test_paths_find_what_kubectl_finds(path, found):
    """The dialect of printer columns, one row per feature."""
    assert compile_path(path).find(OBJ) == found


@pytest.mark.parametrize(
    ("path", "position"),
    [("", 0), (".a[", 3), (".a[?(@.x=]", 8), ("{.a", 3), (".a..", 4), (".a b", 2), (".a['x", 5)],
)
def test_a_wrong_path_says_where(path, position):
    """The error has the place and what was expected there."""
    with pytest.raises(JSONPathError) as caught:
        compile_path(path)
    assert abs(caught.value.position - position) <= 1
    assert caught.value.expected


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_a_typed_error(text):
    """No other exception, whatever is typed."""
    try:
        compile_path(text).find(OBJ)
    except JSONPathError:
        pass


def test_a_compiled_path_is_shared():
    """Compiled once per text."""
    assert compile_path(".spec.image") is compile_path(".spec.image")
    assert compile_path(".spec.image").fields == ("spec", "image")
    assert compile_path(".list[0].name").prefix == ("list",)
