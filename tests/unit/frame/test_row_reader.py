"""Columns whose paths no struct can have are read all the same."""

from __future__ import annotations

import pytest

from crlab.frame.column_set import choose_columns
from crlab.frame.row_reader import RowReader
from crlab.model.object import KubeObject

OBJECT = KubeObject.of({"metadata": {"name": "web", "a\x00b": "c"}, 'q"q': "q", "b\\s": "b"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.metadata['a\x00b']", "c"),
        ("$['q\"q']", "q"),
        ("$['b\\\\s']", "b"),
        ("$", OBJECT.to_dict()),
    ],
)
def test_any_path_can_be_a_column(path: str, value: object) -> None:
    """A control character, a quote, a backslash, the whole object: beside ordinary columns."""
    columns = [c for c in choose_columns(None, {"x": (path, "object")}) if c.name in ("name", "x")]
    assert RowReader(columns).read([OBJECT])[-1][0] == value
