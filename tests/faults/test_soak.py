"""The soak itself runs, measures and notices; the long one is `make soak`."""

from __future__ import annotations

import pytest
from faults.soak import Soak, theil_sen


def test_a_short_soak_holds():
    """Fault 79, small: no divergence, no wrong call, nothing left; slopes are reported."""
    report = Soak(informers=3, objects=60, changes_per_second=200, seed=1).run(4.0, 0.2)
    assert report.divergent == []
    assert report.problems == []
    assert report.abandoned == ()
    assert report.stale_but_live == 0
    assert report.faults.total() >= 1
    assert report.changes >= 100
    assert "slope" in str(report)


def test_a_slope_is_not_moved_by_a_spike():
    """Theil-Sen: one odd sample of twenty changes little."""
    points = [(float(n), 2.0 * n) for n in range(20)]
    points[7] = (7.0, 500.0)
    low, middle, high = theil_sen(points)
    assert middle == pytest.approx(2.0)
    assert low <= 2.0 <= high
