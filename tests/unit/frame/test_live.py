"""Expressions over live frames."""

import pytest
from support.frame_rig import frame_of, indexer_of, put, thing

from crlab.frame import live
from crlab.runtime.clock import FakeClock


@pytest.fixture
def scene():
    indexer = indexer_of(thing("a", status={"phase": "Ready"}))
    frame = frame_of(indexer)
    clock = FakeClock()
    clock.advance(100)
    sizes = live(lambda: frame.df.groupby("phase").size(), clock=clock, min_interval_seconds=1)
    yield indexer, clock, sizes
    sizes.close()


def test_it_is_worked_out_again_only_after_a_change(scene):
    """Nothing changed: the same object."""
    indexer, clock, sizes = scene
    first = sizes.value
    clock.advance(5)
    assert sizes.value is first
    put(indexer, thing("b", 2, status={"phase": "Ready"}))
    assert sizes.is_dirty
    assert sizes.value["Ready"] == 2
    assert sizes.evaluations == 2


def test_changes_within_the_interval_are_put_together(scene):
    """Throttled."""
    indexer, clock, sizes = scene
    assert sizes.value["Ready"] == 1
    for n in range(5):
        put(indexer, thing(f"n{n}", n + 2, status={"phase": "Ready"}))
        assert sizes.value["Ready"] == 1
    clock.advance(1)
    assert sizes.value["Ready"] == 6
    assert sizes.evaluations == 2


def test_listeners_hear_of_changes_of_what_it_reads(scene):
    """A view marks itself dirty."""
    indexer, _, sizes = scene
    heard = []
    undo = sizes.on_live_change(lambda: heard.append(1))
    _ = sizes.value
    put(indexer, thing("b", 2))
    undo()
    put(indexer, thing("c", 3))
    assert heard == [1]


def test_an_error_keeps_the_last_good_value(scene):
    """And is kept, not swallowed."""
    indexer, clock, _ = scene
    frame = frame_of(indexer)
    inverse = live(lambda: 1 / (2 - len(frame.df)), clock=clock, min_interval_seconds=0)
    assert inverse.value == 1
    put(indexer, thing("b", 2))
    assert inverse.value == 1
    assert isinstance(inverse.error, ZeroDivisionError)
    put(indexer, thing("c", 3))
    assert inverse.value == -1
    assert inverse.error is None


def test_an_expression_that_never_worked_raises():
    """There is no value to show."""
    broken = live(lambda: 1 / 0, clock=FakeClock())
    with pytest.raises(ZeroDivisionError):
        _ = broken.value
