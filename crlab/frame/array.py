"""Arrays of declared dtypes for the frames that are made of records.

Thread: pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crlab.frame.cell import cell


def times(stamps: Sequence[float]) -> Any:
    """Return an array of wall times (seconds since the epoch)."""
    whole = np.array([round(stamp * 1e6) for stamp in stamps], dtype=np.int64)
    return pd.DatetimeIndex(whole.view("M8[us]")).tz_localize("UTC").array


def texts(values: Iterable[str]) -> Any:
    """Return an array of texts."""
    return pd.array(list(values), dtype="str")


def floats(values: Sequence[float | None]) -> Any:
    """Return an array of numbers, None for missing."""
    return pd.array(values, dtype="Float64")


def seqs(values: Sequence[int]) -> pd.Index:
    """Return an array of trace seqs, as an index."""
    return pd.Index(np.array(values, dtype=np.int64), name="seq")


def cells(values: Sequence[Any]) -> Any:
    """Return an array of any values, as read-only cells."""
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        array[place] = cell(value)
    return array
