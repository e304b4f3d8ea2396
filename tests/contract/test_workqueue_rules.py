"""Rules 57-62 and 65 of the workqueue, one test per sentence, on a clock that stands still."""

import threading

import pytest

from crlab.runtime.clock import FakeClock, RealClock
from crlab.workqueue import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    ItemFastSlowRateLimiter,
    MaxOfRateLimiter,
    PriorityQueue,
    RateLimitingQueue,
    Trigger,
    WithMaxWaitRateLimiter,
    WorkQueue,
    default_controller_rate_limiter,
    default_item_based_rate_limiter,
)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def queue(clock):
    return RateLimitingQueue("q", clock=clock, limiter=ItemExponentialFailureRateLimiter())


class TestRule57:
    def test_many_adds_before_the_run_are_one_run(self, queue):
        """N adds of a waiting key collapse."""
        for _ in range(100):
            queue.add("a")
        assert (len(queue), queue.try_get(), queue.try_get()) == (1, "a", None)

    def test_an_add_during_the_run_is_one_more_run(self, queue):
        """A key in processing becomes dirty and returns after done, once."""
        queue.add("a")
        assert queue.get() == "a"
        queue.add("a")
        queue.add("a")
        assert queue.try_get() is None
        queue.done("a")
        assert queue.try_get() == "a"
        queue.done("a")
        assert queue.try_get() is None

    def test_keys_are_taken_in_the_order_they_became_dirty(self, queue):
        """Fair: a second add does not move a key."""
        for key in "abcab":
            queue.add(key)
        assert [queue.try_get() for _ in range(3)] == ["a", "b", "c"]

    def test_touch_is_called_only_for_a_waiting_key(self, clock):
        """Already dirty and not in processing: the hook sees it."""
        touched = []
        queue = WorkQueue(clock=clock, touch=touched.append)
        queue.add("a")
        queue.add("a")
        queue.get()
        queue.add("a")
        queue.add("a")
        assert touched == ["a"]

    def test_done_without_get_changes_nothing(self, queue):
        """A stray done must not queue a key twice."""
        queue.add("a")
        queue.done("a")
        assert [queue.try_get(), queue.try_get()] == ["a", None]

    def test_every_collapsed_add_is_kept_as_a_trigger(self, queue):
        """100 events become 1 run with 100 reasons."""
        for number in range(100):
            queue.add("a", trigger=Trigger("updated", "pods", "a", str(number)))
        queue.get()
        versions = [t.resource_version for t in queue.running_triggers("a")]
        assert versions == [str(number) for number in range(100)]
        queue.done("a")
        assert queue.running_triggers("a") == ()

    def test_triggers_during_the_run_belong_to_the_next_one(self, queue):
        """The ledger keeps the run in hand and the next one apart."""
        queue.add("a", trigger=Trigger("created"))
        queue.get()
        queue.add("a", trigger=Trigger("updated"))
        assert [t.reason for t in queue.running_triggers("a")] == ["created"]
        queue.done("a")
        queue.get()
        assert [t.reason for t in queue.running_triggers("a")] == ["updated"]


class TestRule58:
    def test_shut_down_drains_then_returns_none(self, queue):
        """What is queued is still taken; new adds are refused."""
        queue.add("a")
        queue.shut_down()
        queue.add("b")
        assert [queue.get(), queue.get()] == ["a", None]

    def test_a_dirty_key_still_returns_after_shut_down(self, queue):
        """It was added before: done queues it."""
        queue.add("a")
        queue.get()
        queue.add("a")
        queue.shut_down()
        queue.done("a")
        assert queue.get() == "a"

    def test_drain_waits_for_processing_only(self, clock):
        """It returns as soon as nothing is in hand, queued keys or not."""
        queue = WorkQueue(clock=clock)
        queue.add("a")
        assert queue.shut_down_with_drain(0) is True
        assert queue.shut_down_with_drain(0, strict=True) is False

    def test_drain_returns_once_the_worker_is_done(self):
        """The last done releases it."""
        queue = WorkQueue(clock=RealClock())
        queue.add("a")
        queue.get()
        drained = []
        thread = threading.Thread(target=lambda: drained.append(queue.shut_down_with_drain(10)))
        thread.start()
        queue.done("a")
        thread.join(10)
        assert drained == [True]

    def test_a_later_shut_down_releases_a_drain(self):
        """A worker that never calls done does not hold it for ever."""
        queue = WorkQueue(clock=RealClock())
        queue.add("a")
        queue.get()
        drained = []
        thread = threading.Thread(target=lambda: drained.append(queue.shut_down_with_drain(10)))
        thread.start()
        while not queue.is_shutting_down:
            pass
        queue.shut_down()
        thread.join(10)
        assert drained == [False]

    def test_shut_down_wakes_every_taker(self):
        """Nobody is left waiting."""
        queue = WorkQueue(clock=RealClock())
        got = []
        threads = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(3)]
        for thread in threads:
            thread.start()
        queue.shut_down()
        for thread in threads:
            thread.join(10)
        assert got == [None] * 3


class TestRule59:
    def test_a_delayed_key_is_ready_when_its_time_has_come(self, queue, clock):
        """Not before."""
        queue.add_after("a", 10)
        clock.advance(9.99)
        assert (len(queue), queue.try_get()) == (0, None)
        clock.advance(0.01)
        assert (len(queue), queue.try_get()) == (1, "a")

    @pytest.mark.parametrize("delay", [0, -1, -1e9])
    def test_no_delay_adds_now(self, queue, delay):
        """Zero and less: at once."""
        queue.add_after("a", delay)
        assert queue.try_get() == "a"

    def test_the_earlier_time_wins(self, queue, clock):
        """In either order, and the later entry fires no second time."""
        queue.add_after("a", 10)
        queue.add_after("a", 5)
        queue.add_after("a", 20)
        clock.advance(5)
        assert queue.try_get() == "a"
        queue.done("a")
        clock.advance(100)
        assert queue.try_get() is None

    def test_a_plain_add_does_not_cancel_a_delayed_one(self, queue, clock):
        """Both lead to a run."""
        queue.add_after("a", 5)
        queue.add("a")
        assert queue.try_get() == "a"
        queue.done("a")
        clock.advance(5)
        assert queue.try_get() == "a"

    def test_shut_down_drops_delayed_keys_and_refuses_new_ones(self, queue, clock):
        """They never fire."""
        queue.add_after("a", 5)
        queue.shut_down()
        queue.add_after("b", 0)
        clock.advance(10)
        assert queue.get() is None

    def test_every_call_counts_one_retry(self, queue):
        """Also one without a delay."""
        queue.add_after("a", 5)
        queue.add_after("a", 0)
        assert queue.metrics.retries == 2

    def test_a_blocked_taker_wakes_for_an_earlier_time(self):
        """A real taker waits for the first due key, also one that came later."""
        queue = WorkQueue(clock=RealClock())
        queue.add_after("late", 30)
        got = []
        thread = threading.Thread(target=lambda: got.append(queue.get(20)))
        thread.start()
        queue.add_after("soon", 0.01)
        thread.join(10)
        assert got == ["soon"]

    def test_a_delayed_key_wakes_a_second_taker_when_the_first_is_busy(self):
        """The taker that leaves with a key hands the watch over the rest on."""
        queue = WorkQueue(clock=RealClock())
        got = []
        lock = threading.Lock()

        def take():
            key = queue.get(10)
            with lock:
                got.append(key)

        threads = [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        queue.add_after("b", 0.02)
        queue.add("a")
        for thread in threads:
            thread.join(10)
        assert sorted(got) == ["a", "b"]


class TestRule60:
    def test_exponential_ladder(self):
        """5, 10, 20 ms … 655.36 s, then 1000 s from the 19th failure."""
        limiter = ItemExponentialFailureRateLimiter()
        ladder = [limiter.when("a") for _ in range(2000)]
        assert ladder[:3] == [0.005, 0.01, 0.02]
        assert ladder[17:19] == [655.36, 1000.0]
        assert ladder[-1] == 1000.0

    def test_requeues_count_until_forgotten(self):
        """Per item."""
        limiter = ItemExponentialFailureRateLimiter()
        for _ in range(3):
            limiter.when("a")
        limiter.when("b")
        assert [limiter.num_requeues(k) for k in "abc"] == [3, 1, 0]
        limiter.forget("a")
        assert (limiter.num_requeues("a"), limiter.when("a")) == (0, 0.005)

    def test_bucket_takes_its_burst_then_its_rate(self, clock):
        """100 at once, then one per 0.1 s, reserved ahead."""
        limiter = BucketRateLimiter(clock)
        delays = [limiter.when(n) for n in range(103)]
        assert delays[:100] == [0.0] * 100
        assert delays[100:] == pytest.approx([0.1, 0.2, 0.3])
        clock.advance(1)
        assert limiter.when("x") == 0.0
        assert limiter.num_requeues("x") == 0

    def test_max_of_spends_a_token_even_when_the_item_delay_wins(self, clock):
        """Every limiter is asked."""
        bucket = BucketRateLimiter(clock, rate_per_second=1, burst=1)
        limiter = MaxOfRateLimiter(ItemExponentialFailureRateLimiter(5.0), bucket)
        assert limiter.when("a") == 5.0
        assert bucket.when("b") == 1.0

    def test_fast_slow(self):
        """Fast for the first tries, slow after, fast again once forgotten."""
        limiter = ItemFastSlowRateLimiter(0.005, 10.0, 3)
        assert [limiter.when("a") for _ in range(5)] == [0.005] * 3 + [10.0] * 2
        limiter.forget("a")
        assert limiter.when("a") == 0.005

    def test_with_max_wait(self):
        """The delay is cut, the count is not."""
        limiter = WithMaxWaitRateLimiter(ItemExponentialFailureRateLimiter(1.0), 3.0)
        assert [limiter.when("a") for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]
        assert limiter.num_requeues("a") == 4

    def test_defaults(self, clock):
        """Item 5 ms with the bucket; item only 1 ms."""
        assert default_controller_rate_limiter(clock).when("a") == 0.005
        assert default_item_based_rate_limiter().when("a") == 0.001

    def test_add_rate_limited_is_add_after_when(self, queue, clock):
        """The key waits as long as the limiter said, each time longer."""
        assert [queue.add_rate_limited("a"), queue.add_rate_limited("a")] == [0.005, 0.01]
        assert queue.next_due_seconds() == pytest.approx(0.005)
        clock.advance(0.005)
        assert queue.try_get() == "a"


class TestRule61:
    def test_forget_clears_the_limiter_only(self, queue):
        """The key stays in hand until done."""
        queue.add("a")
        queue.get()
        queue.add_rate_limited("a")
        queue.forget("a")
        assert queue.num_requeues("a") == 0
        assert [state.key for state in queue.snapshot().processing] == ["a"]

    def test_metrics(self, queue, clock):
        """Depth, adds, latency, work, unfinished, longest, retries, limiter delay."""
        queue.add("a")
        queue.add("a")
        clock.advance(2)
        queue.get()
        clock.advance(3)
        queue.add("b")
        seen = queue.metrics
        assert (seen.depth, seen.adds, seen.collapsed) == (1, 2, 1)
        assert (seen.unfinished_work_seconds, seen.longest_running_seconds) == (3, 3)
        queue.done("a")
        queue.add_rate_limited("a")
        seen = queue.metrics
        assert (seen.queue_latency.sum_seconds, seen.work_duration.sum_seconds) == (2, 3)
        assert (seen.retries, seen.rate_limited.sum_seconds) == (1, 0.005)

    def test_a_finished_key_is_forgotten_altogether(self, queue, clock):
        """Promise P11: nothing holds it, also not the times that were overtaken."""
        import gc
        import weakref

        class Key:
            pass

        key = Key()
        for seconds in range(400, 0, -1):
            queue.add_after(key, seconds)
        assert len(queue._delayed.heap) <= 68
        clock.advance(500)
        queue.done(queue.get())
        gone = weakref.ref(key)
        del key
        gc.collect()
        assert gone() is None

    def test_next_due_time_is_shown_per_key(self, queue, clock):
        """What is stuck in back-off is visible (missing upstream)."""
        for _ in range(19):
            queue.limiter.when("a")
        queue.add_rate_limited("a")
        clock.advance(1)
        state = queue.snapshot().delayed[0]
        assert (state.key, state.due_in_seconds, state.attempts) == ("a", 999, 20)


class TestRule65:
    @pytest.fixture
    def queue(self, clock):
        return PriorityQueue(clock=clock)

    def test_higher_first_and_in_order_within(self, queue):
        """-100 comes after 0, equals in order of arrival."""
        for key, priority in (("a", -100), ("b", 0), ("c", 5), ("d", 0)):
            queue.add(key, priority=priority)
        assert [queue.try_get() for _ in range(4)] == ["c", "b", "d", "a"]

    def test_merged_adds_take_the_higher_priority(self, queue):
        """In either order."""
        queue.add("a", priority=-100)
        queue.add("b", priority=0)
        queue.add("a", priority=10)
        queue.add("a", priority=-100)
        assert [queue.try_get(), queue.try_get()] == ["a", "b"]

    def test_an_immediate_add_absorbs_a_delayed_one(self, queue, clock):
        """One run, where the plain queue makes two."""
        queue.add_after("a", 5)
        queue.add("a")
        assert queue.try_get() == "a"
        queue.done("a")
        clock.advance(5)
        assert queue.try_get() is None

    def test_a_delay_does_not_hold_back_a_ready_key(self, queue, clock):
        """The earlier time wins, and that is now."""
        queue.add("a")
        queue.add_after("a", 5)
        assert queue.try_get() == "a"
        queue.done("a")
        clock.advance(5)
        assert queue.try_get() is None

    def test_a_key_in_processing_is_held_back(self, queue):
        """Whatever its priority."""
        queue.add("a")
        queue.get()
        queue.add("a", priority=100)
        queue.add("b")
        assert queue.try_get() == "b"
        queue.done("a")
        assert queue.try_get() == "a"

    def test_a_retry_keeps_the_priority_of_its_run(self, queue, clock):
        """A low one stays low."""
        queue.add("a", priority=-100)
        queue.get()
        queue.add_rate_limited("a")
        queue.done("a")
        queue.add("b", priority=-50)
        clock.advance(1)
        assert [queue.try_get(), queue.try_get()] == ["b", "a"]

    def test_low_priority_starves_under_steady_load(self, queue):
        """Upstream's known trap, kept and visible."""
        queue.add("low", priority=-100)
        for number in range(50):
            queue.add(str(number % 2))
            key = queue.try_get()
            assert key != "low"
            queue.done(key)
        assert [state.key for state in queue.snapshot().queued] == ["low"]


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), "5", None, True])
def test_a_delay_that_is_no_number_is_refused(queue, delay):
    """At once, with the value in the text."""
    from crlab.errors import ConfigError

    with pytest.raises(ConfigError, match="delay_seconds"):
        queue.add_after("a", delay)
    assert queue.snapshot().keys == []
