"""Whether the machine slept, told by two clocks."""

from __future__ import annotations

from crlab.runtime.clock import FakeClock, RealClock, TickingClock
from crlab.runtime.sleep import THRESHOLD_SECONDS, SleepWatch


def test_a_gap_is_told_once():
    """Guarantee 1: until it is noticed anybody may see it."""
    clock = FakeClock()
    watch = SleepWatch(clock)
    clock.jump(3600)
    assert (watch.slept_seconds, watch.slept_seconds) == (3600, 3600)
    assert (watch.notice(), watch.notice()) == (3600, 0)
    assert watch.slept_seconds == 0


def test_time_that_only_passes_is_no_sleep():
    """A machine that is awake: both clocks go on."""
    clock = FakeClock()
    watch = SleepWatch(clock)
    clock.advance(3600)
    assert watch.notice() == 0


def test_drift_does_not_add_up():
    """Guarantee 1: each look starts anew, also one that found nothing."""
    clock = FakeClock()
    watch = SleepWatch(clock)
    for _ in range(100):
        clock.jump(THRESHOLD_SECONDS)
        assert watch.notice() == 0


def test_a_clock_set_back_is_no_sleep_and_hides_none():
    """Guarantee 2: the gap is counted from where the clock was put."""
    clock = FakeClock()
    watch = SleepWatch(clock)
    clock.jump(-3600)
    assert watch.notice() == 0
    clock.jump(60)
    assert watch.notice() == 60


def test_a_wall_clock_that_ticks_with_writes_says_nothing():
    """A seeded lab in threads: a thousand writes are no sleep."""
    clock = TickingClock()
    watch = SleepWatch(clock)
    clock.tick(3600)
    assert watch.notice() == 0


def test_the_machines_clocks_agree_while_it_is_awake():
    """A moment apart: no sleep."""
    watch = SleepWatch(RealClock())
    assert watch.notice() == 0
