"""Any Python value in any field of any write: it arrives as it is, or nothing is sent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from support.written_value import DOORS, World, check, spec

import crlab
from crlab.controller.draft import Draft
from crlab.model.object import frozen

LEAVES = st.one_of(
    st.booleans(),
    st.text(max_size=5),
    st.integers(-9, 9),
    st.integers(),
    st.floats(),
    st.integers(-9, 9).map(np.int64),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.sampled_from(
        [
            pd.NA,
            pd.NaT,
            pd.Timestamp("2024-01-02T03:04:05.5", tz="Asia/Tokyo"),
            pd.Timestamp("2024-01-02"),
            datetime(2024, 1, 2),
            np.str_("text"),
            np.datetime64("2024-01-02"),
            Decimal("1.5"),
            b"bytes",
            {1, 2},
            "<redacted: 3 bytes>",
            "x <redacted: 3 bytes> y",
            "<redacted>",
            "half \ud800",
            2**63,
            2**64 + 1,
            10**30,
            object(),
        ]
    ),
)
KEYS = st.one_of(
    st.text("abcxyz", min_size=1, max_size=3),
    st.sampled_from(["a.b/c", "<redacted: 3 bytes>", 5, None, "é"]),
)


def _branches(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    maps = st.dictionaries(KEYS, inner, max_size=3)
    lists = st.lists(inner, max_size=3)
    plain = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(0, 3), max_size=2)
    views = plain.map(frozen) | plain.map(Draft)
    return maps | lists | lists.map(tuple) | views


VALUES = st.recursive(LEAVES, _branches, max_leaves=6)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        yield World(lab)


@pytest.mark.parametrize("door", DOORS)
def test_a_value_arrives_as_it_is_or_is_refused(door: str, world: World) -> None:
    """By every verb of the client, the lab and a run."""

    @settings(max_examples=12, derandomize=True, database=None)
    @given(VALUES)
    def hold(value: Any) -> None:
        check(world, door, value)

    hold()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [math.nan, pd.NA, "<redacted: 3 bytes>"], ids=str)
def test_what_destroys_data_is_refused_by_every_door(door: str, value: Any, world: World) -> None:
    """Without chance: NaN is not null, and a mask is not a value."""
    check(world, door, value)
    check(world, door, [{"deep": value}])


def test_a_time_of_a_frame_is_a_time(world: World) -> None:
    """Aware times leave in UTC."""
    check(world, "patch", datetime(2024, 1, 2, tzinfo=UTC).isoformat())
    world.client.patch("things", "x", spec(pd.Timestamp("2024-01-02", tz="UTC")))
    assert world.stored()["spec"]["value"] == "2024-01-02T00:00:00Z"
