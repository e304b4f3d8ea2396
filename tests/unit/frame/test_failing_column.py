"""Columns of functions, and of paths with several values: what fails is told."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.frame_rig import frame_of, indexer_of, put, thing

from crlab.errors import ColumnFailed
from crlab.frame import Column
from crlab.model.object import KubeObject
from crlab.model.quantity import parse_quantity


def of_cores(name: str, *cores: object, rv: int = 1) -> KubeObject:
    return thing(name, rv, spec={"parts": [{"cpu": each} for each in cores if each is not None]})


def cell_of(obj: KubeObject, spec: object, **options: object) -> object:
    return frame_of(indexer_of(obj), columns={"x": spec}, **options).df["x"].iloc[0]


PATH = ".spec.parts[*].cpu"


@given(st.lists(st.integers(0, 5000).map(lambda n: f"{n}m") | st.integers(0, 9), min_size=1))
def test_several_quantities_are_their_sum(cores):
    """Exactly, however many; asked for by type or by `quantities`."""
    total = float(sum(map(parse_quantity, cores)))
    assert cell_of(of_cores("a", *cores), (PATH, "quantity")) == total
    assert cell_of(of_cores("a", *cores), PATH, quantities=["x"]) == total


@pytest.mark.parametrize(
    ("kind", "values", "cell"),
    [
        ("integer", [1, 2, 4], 7),
        ("number", [0.5, 2], 2.5),
        ("string", ["a", 1], "a,1"),
        ("object", ["a", 1], ["a", 1]),
        ("integer", [1, "x"], pd.NA),
        ("quantity", ["100m", "no"], pd.NA),
        ("quantity", [], pd.NA),
    ],
)
def test_several_values_are_all_shown_or_none(kind, values, cell):
    """Never the first of them; one that is no number makes the sum missing."""
    found = cell_of(of_cores("a", *values), (PATH, kind))
    assert found is cell or found == cell


@pytest.mark.parametrize(
    ("kind", "values"), [("boolean", [True, True]), ("date", ["2026-01-01T00:00:00Z"] * 2)]
)
@pytest.mark.parametrize("beside", [{}, {"y": ".spec"}, {"y": "$"}])
def test_several_values_that_cannot_be_added_are_refused(kind, values, beside):
    """Where each row has several, by an error; else the cell is missing, and told."""
    indexer = indexer_of(of_cores("many", *values))
    live = frame_of(indexer, columns={**beside, "x": (PATH, kind)})
    with pytest.raises(ColumnFailed, match=f"2 values at .*and a {kind} is one"):
        _ = live.df
    put(indexer, of_cores("one", values[0], rv=2))
    assert live.df["x"].isna().to_dict() == {"d/many": True, "d/one": False}
    assert "'x' fails for 1 row" in live.df.attrs["column_errors"]["x"]


def test_a_printer_column_shows_what_kubectl_shows():
    """The first of several, until it is asked for as a quantity."""
    definitions = [{"name": "Cpu", "type": "string", "jsonPath": PATH}]
    indexer = indexer_of(of_cores("a", "1", "2"))
    assert frame_of(indexer, definitions=definitions).df["cpu"].iloc[0] == "1"
    assert frame_of(indexer, definitions=definitions, quantities=True).df["cpu"].iloc[0] == 3


def test_a_function_is_given_the_object():
    """As handlers, mappers and indexers are; also one that a Column holds."""
    given_to = []

    def image(obj):
        given_to.append(type(obj))
        return obj.spec.image

    obj = thing("a", spec={"image": "x", "deep": {"a": [1]}})
    columns = {
        "f": image,
        "c": Column("c", "string", value=image, looks_at=(("spec",),)),
        "tree": lambda obj: obj.spec.deep,
    }
    row = frame_of(indexer_of(obj), columns=columns).df.iloc[0]
    assert (row["f"], row["c"], row["tree"]) == ("x", "x", {"a": [1]})
    assert set(given_to) == {KubeObject}


def test_what_a_function_returns_is_masked_as_all_that_is_shown():
    """By its shape."""
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
    frame = frame_of(indexer_of(thing("a")), columns={"t": lambda obj: f"{token}"}).df
    assert token not in frame.to_string()
    assert "<redacted" in frame["t"].iloc[0]


def test_a_failing_function_is_counted_and_named_until_it_works():
    """Rows that fail are missing; the frame and its maker say which, why and how often."""
    indexer = indexer_of(of_cores("a", 1), of_cores("b"))
    live = frame_of(indexer, columns={"n": lambda obj: 1 / len(obj.spec.parts)})
    assert live.df["n"].to_dict() == {"d/a": 1.0, "d/b": None}
    (failing,) = live.column_errors
    assert (failing.column, failing.rows, failing.count, failing.key) == ("n", 1, 1, "d/b")
    assert isinstance(failing.error, ZeroDivisionError)
    assert failing.error.__traceback__ is None
    assert live.df is live.df
    put(indexer, of_cores("b", 1, 2, rv=2))
    assert live.df["n"].to_dict() == {"d/a": 1.0, "d/b": 0.5}
    assert live.column_errors == []
    assert "column_errors" not in live.df.attrs
    put(indexer, of_cores("c", rv=3))
    assert [each.key for each in (live.df, live.column_errors)[1]] == ["d/c"]
    put(indexer, gone=("d/c",))
    assert [each.key for each in (live.df, live.column_errors)[1]] == []


def test_a_function_that_fails_for_every_row_is_an_error():
    """It names column, key and cause; a row for which it works brings the frame back."""
    indexer = indexer_of(of_cores("b"))
    live = frame_of(indexer, columns={"n": lambda obj: 1 / len(obj.spec.parts)})
    for _ in range(2):
        with pytest.raises(ColumnFailed, match=r"'n' .* d/b: ZeroDivisionError") as caught:
            _ = live.df
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert (caught.value.name, caught.value.key) == ("n", "d/b")
    put(indexer, of_cores("a", 1, rv=2))
    assert live.df["n"].to_dict() == {"d/a": 1.0, "d/b": None}
