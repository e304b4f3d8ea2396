"""Rows put in and out of planes, against lists."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.frame import plane
from crlab.frame.codec import CODECS
from crlab.frame.column import Column
from crlab.frame.plane import Splice, is_same

TEXTS = st.none() | st.text(max_size=3)


@st.composite
def splices(draw):
    """Rows of text, what happens to each place, and what is put in before it."""
    old = draw(st.lists(TEXTS, max_size=12))
    fates = [draw(st.sampled_from(["keep", "keep", "change", "remove"])) for _ in old]
    before = [draw(st.integers(0, 2)) if draw(st.booleans()) else 0 for _ in [*old, None]]
    return old, fates, before


@pytest.mark.parametrize("many", [0, 10_000], ids=["gathered", "in pieces"])
@pytest.mark.parametrize("kind", ["string", "object"])
@given(splices(), st.data())
def test_a_spliced_plane_is_the_spliced_list(kind, many, splice, data):
    """By pieces and by gathering, Arrow and numpy; the old plane stays as it was."""
    old, fates, before = splice
    places = {fate: [n for n, f in enumerate(fates) if f == fate] for fate in fates}
    changed, removed = places.get("change", []), places.get("remove", [])
    added = [n for n, count in enumerate(before) for _ in range(count)]
    size = len(changed) + len(added)
    new = data.draw(st.lists(TEXTS, min_size=size, max_size=size))
    expected, fresh, extra = [], iter(new[: len(changed)]), iter(new[len(changed) :])
    for place, count in enumerate(before):
        expected += [next(extra) for _ in range(count)]
        if place < len(old) and fates[place] != "remove":
            expected.append(next(fresh) if fates[place] == "change" else old[place])
    codec, found = CODECS[kind], Splice(len(old), changed, removed, added)
    (first,), (second,) = codec.planes(old), codec.planes(new)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plane, "_MANY", many)
        assert found.applied(first, second).tolist() == expected
    assert first.tolist() == old
    assert found.listed(old, new) == expected


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "date", "object"])
def test_a_changed_row_is_told_from_an_equal_one(kind):
    """Missing is equal to missing, and to nothing else."""
    values = [None, {"date": "2026-01-01T00:00:00Z", "string": "", "number": 0.0}.get(kind, 0)]
    if kind == "boolean":
        values[1] = False
    column, splice = Column("c", kind), Splice(4, [1, 2], [], [])

    def is_idle(new):
        old = column.planes([*values, *values])
        return all(map(splice.is_idle, old, column.planes(new)))

    assert is_idle([values[1], None])
    assert not is_idle([None, None])
    assert not is_idle([values[1], values[1]])


def test_cells_are_compared_by_value_and_kind():
    """1 is not True; what does not compare is different."""
    assert is_same({"a": [1, 2.0]}, {"a": [1, 2.0]})
    assert not is_same([1], [True])
    assert not is_same([1], [1, 2])
    assert not is_same(np.array([1, 2]), np.array([1, 2]))


def test_text_lies_in_arrow():
    """Which is what makes a splice cheap."""
    assert isinstance(CODECS["string"].planes(["a"])[0], pa.LargeStringArray)
