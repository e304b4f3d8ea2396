"""Declared dtypes and cells that cannot reach the cache."""

import copy

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.errors import ColumnTypeError
from crlab.frame.cell import CellDict, CellList, cell
from crlab.frame.column import DTYPES, Column, snake

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
HUGE = 10**400


@pytest.mark.parametrize("kind", DTYPES)
@given(st.lists(JSON, max_size=8))
def test_any_json_fits_a_declared_dtype(kind, values):
    """Missing where it does not fit; never an exception, never another dtype."""
    array = Column("c", kind).encode(values)
    assert len(array) == len(values)
    assert str(array.dtype) == DTYPES[kind]


@pytest.mark.parametrize("kind", DTYPES)
def test_huge_and_odd_values_are_defined(kind):
    """10^400, NaN, lone surrogates, naive times, dates far away (fault 90)."""
    odd = [HUGE, -HUGE, 2**63, float("nan"), "\ud800", "2026-01-01T00:00:00", "9999-12-31", {}, []]
    assert str(Column("c", kind).encode(odd).dtype) == DTYPES[kind]


def test_times_with_and_without_an_offset_are_utc():
    """RFC 3339 with any fraction; what is none is missing."""
    texts = ["2026-01-01T00:00:00Z", "2026-01-01T02:00:00.5+02:00", "2026-01-01T00:00:00", "x", 5]
    times = pd.Series(Column("c", "date").encode(texts))
    assert times[0] == times[2] == pd.Timestamp("2026-01-01", tz="UTC")
    assert times[1] - times[0] == pd.Timedelta("500ms")
    assert times[3:].isna().all()


def test_text_columns_show_what_is_no_text():
    """As kubectl does."""
    found = list(Column("c", "string").encode(["a", 1, True, None, {"a": [1]}]))
    assert found[:3] == ["a", "1", "true"]
    assert pd.isna(found[3])
    assert found[4] == '{"a":[1]}'


def test_quantities_are_numbers_on_request():
    """100m is 0.1."""
    assert list(Column("c", "quantity").encode(["100m", "1Ki"])) == [0.1, 1024.0]


def test_nested_cells_are_read_only_and_copies_are_not():
    """dict(cell) and deepcopy give ordinary ones."""
    held = cell({"a": [1, {"b": 2}]})
    for write in (
        lambda: held.update(a=1),
        lambda: held.__setitem__("a", 1),
        lambda: held["a"].append(3),
        lambda: held["a"][1].clear(),
    ):
        with pytest.raises(TypeError, match="read-only"):
            write()
    fresh = copy.deepcopy(held)
    fresh["a"][1]["b"] = 3
    assert type(fresh) is dict
    assert held == {"a": [1, {"b": 2}]}
    assert isinstance(held, CellDict)
    assert isinstance(held["a"], CellList)


def test_pandas_names_of_types_work_and_others_do_not():
    """Int64 is integer; int is nothing."""
    assert Column("c", "Int64").type == "integer"
    with pytest.raises(ColumnTypeError, match="no type 'int'"):
        Column("c", "int")


def test_headers_become_names():
    """Attribute access and df.query want names."""
    assert [snake(t) for t in ("Up-to-date", "Port(s)", "Cluster-IP", "StorageClass")] == [
        "up_to_date",
        "ports",
        "cluster_ip",
        "storage_class",
    ]
