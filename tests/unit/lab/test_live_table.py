"""The table of a live expression."""

from __future__ import annotations

import pandas as pd
import pytest

import crlab
from crlab.lab.source.table_source import TableRows, as_frame
from crlab.lab.view import place_of
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
        (pd.DataFrame({"name": ["x"]}, index=pd.Index(["x"], name="key")), ["name"]),
        (pd.DataFrame({"name": ["x"]}, index=pd.Index(["d/x"], name="key")), ["key", "name"]),
        (
            pd.DataFrame({"namespace": "d", "name": "x"}, index=pd.Index(["d/x"], name="key")),
            ["namespace", "name"],
        ),
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
    rows = TableRows(place_of(lab), "counts", lambda: counts)
    rows.table_state(TableQuery())
    before = rows._frame
    rows.table_state(TableQuery())
    assert rows._frame is before


def test_a_table_is_found_by_the_objects_own_names(lab: crlab.Lab) -> None:
    """Whatever a definition calls its columns: rows keep their key, filters find them."""
    columns = [
        {"name": name.title(), "type": "string", "jsonPath": f".spec.{name}"}
        for name in ("namespace", "name", "key")
    ]
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.ex.io"},
        "spec": {"group": "ex.io", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    widget = {
        "apiVersion": "ex.io/v1",
        "kind": "Widget",
        "metadata": {"name": "a", "namespace": "default", "labels": {"name": "shown"}},
        "spec": {"namespace": "target", "name": "Pretty", "key": "K"},
    }
    lab.apply([definition, widget])
    widgets = lab.informer("widgets").wait_for_sync()
    lab.settle()

    for wanted in ("namespace=default", "name=a", "key=default/a", "printer_name=Pretty"):
        view = widgets.watch(filter=wanted)
        assert "rows 1-1 of 1" in view.to_text()
        assert [[row.key, *row.cells[:2]] for row in view.state().rows] == [
            ["default/a", "default", "a"]
        ]
    labelled = widgets.with_columns(labels=["name"]).df
    assert (labelled["name"].iloc[0], labelled["label_name"].iloc[0]) == ("a", "shown")


def test_the_failing_columns_of_all_frames_are_told_by_their_informer(
    lab: crlab.Lab, services: crlab.Informer
) -> None:
    """Until they work, or their frame is closed."""
    frame = services.with_columns({"n": lambda obj: {"x": 1}[obj.spec.image]})
    assert frame.df["n"].notna().sum() == 2
    assert [(each.column, each.rows) for each in services.column_errors] == [("n", 1)]
    framed = lab.informer("myservices", columns={"m": lambda obj: {"y": 1}[obj.spec.image]})
    assert framed.df["m"].notna().sum() == 1
    assert [each.column for each in services.column_errors] == ["n", "m"]
    frame.close()
    assert [each.column for each in services.column_errors] == ["m"]
