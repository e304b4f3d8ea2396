"""One heap of moments: what is due runs, what was cancelled is not kept."""

from __future__ import annotations

from crlab.apiserver.alarm import MIN_SWEEP, Alarm
from crlab.runtime.clock import FakeClock


def test_cancelled_appointments_do_not_pile_up_behind_one_that_waits():
    """Watches that end long before their time-out, while another stays open."""
    alarm = Alarm(FakeClock())
    alarm.call_in(1, lambda: None)
    for _ in range(10 * MIN_SWEEP):
        alarm.call_in(600, lambda: None).cancel()

    assert len(alarm._heap) <= MIN_SWEEP
    alarm.close()


def test_a_sweep_keeps_what_waits_and_its_order():
    """Those that were not cancelled ring, at their moments."""
    clock, rung = FakeClock(), []
    alarm = Alarm(clock)
    for n in range(4 * MIN_SWEEP):
        appointment = alarm.call_in(1 + n, lambda n=n: rung.append(n))
        if n % 4:
            appointment.cancel()

    for _ in range(4 * MIN_SWEEP):
        clock.advance(1)

    assert rung == list(range(0, 4 * MIN_SWEEP, 4))
    alarm.close()
