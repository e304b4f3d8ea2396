"""The table of a live expression."""

from __future__ import annotations

import pandas as pd
import pytest

import crlab
from crlab.lab.source.table import TableRows, as_frame
from crlab.views.state import TableQuery


@pytest.fixture
def services(lab: crlab.Lab) -> crlab.Informer:
    """Three cached MyServices of two images."""
    for name, image in (("a", "x"), ("b", "x"), ("c", "y")):
        lab.apply(
            {
                "apiVersion": "example.com/v1alpha1",
                "kind": "MyService",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"image": image, "replicas": 1},
            }
        )
    found = lab.informer("myservices")
    lab.settle()
    return found


def test_a_series_keeps_its_index(lab: crlab.Lab, services: crlab.Informer) -> None:
    """What was counted stands beside its count."""
    text = lab.live(lambda: services.df.groupby("image").size()).watch().to_text()
    assert [line.split() for line in text.splitlines() if line[:1] in ("x", "y")] == [
        ["x", "2"],
        ["y", "1"],
    ]


@pytest.mark.parametrize(
    ("value", "titles"),
    [
        (pd.Series([1], index=["a"]), ["index", "value"]),
        (pd.Series([1, 2]), ["value"]),
        (pd.DataFrame({"a": [1], "b": [2], "n": [3]}).set_index(["a", "b"]), ["a", "b", "n"]),
        (pd.DataFrame({"a": [1]}, index=pd.Index(["d/x"], name="a")), ["index a", "a"]),
        (pd.DataFrame({"name": ["x"]}, index=pd.Index(["d/x"], name="key")), ["name"]),
        (pd.DataFrame({"image": ["i"]}, index=pd.Index(["d/x"], name="key")), ["key", "image"]),
        (pd.DataFrame({("n", "sum"): [1]}, index=["a"]), ["index", "n sum"]),
        (5, ["value"]),
    ],
)
def test_an_index_is_shown_where_it_says_something(value: object, titles: list[str]) -> None:
    """Groups and counted values are, row numbers and known keys are not."""
    found = as_frame(value)
    assert list(found.columns) == titles
    assert isinstance(value, int) or len(found) == len(value)


def test_a_series_that_did_not_change_is_not_compared_again(lab: crlab.Lab) -> None:
    """The same value is the same frame."""
    counts = pd.Series([1, 2], index=["a", "b"])
    rows = TableRows(lab, "counts", lambda: counts)
    rows.table_state(TableQuery())
    before = rows._frame
    rows.table_state(TableQuery())
    assert rows._frame is before
