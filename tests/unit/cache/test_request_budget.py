"""What a failing server may see."""

from __future__ import annotations

from crlab.cache.request_budget import RequestBudget
from crlab.runtime.clock import FakeClock


def ask_for(seconds, budget, clock):
    count = 0
    for _ in range(int(seconds * 20)):
        while budget.delay_seconds() == 0:
            budget.take()
            count += 1
        clock.advance(0.05)
    return count


def test_a_burst_and_then_one_a_second():
    """Five at once, ten more in ten seconds."""
    clock = FakeClock()

    assert ask_for(10, RequestBudget(clock), clock) in (14, 15)


def test_a_request_that_was_worth_it_costs_nothing():
    """And never more than the burst is saved up."""
    clock = FakeClock()
    budget = RequestBudget(clock)

    for _ in range(100):
        assert budget.delay_seconds() == 0
        budget.take()
        budget.give_back()

    clock.advance(1000)
    assert ask_for(0.05, budget, clock) == 5
