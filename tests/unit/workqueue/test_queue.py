"""The queue under real threads, and what it shows of itself."""

import sys
import threading

import pytest

from crlab.runtime.clock import FakeClock, RealClock
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from crlab.workqueue import Histogram, PriorityQueue, RateLimitingQueue, Trigger, WorkQueue


@pytest.fixture
def hurried():
    """Switch threads as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_many_producers_and_consumers_lose_and_double_nothing(hurried):
    """P9: 8 × 4 threads over 20 keys; every key runs after its last add, never twice at once."""
    queue, running, overlaps = WorkQueue(clock=RealClock()), set(), []
    versions, seen, guard = dict.fromkeys(range(20), 0), {}, threading.Lock()

    def produce(number):
        ids = Ids(number)
        for _ in range(250):
            key = int(ids.uniform(0, 20))
            with guard:
                versions[key] += 1
            queue.add(key)

    def consume():
        while (key := queue.get()) is not None:
            with guard:
                overlaps.extend([key] if key in running else [])
                running.add(key)
                seen[key] = versions[key]
            with guard:
                running.discard(key)
            queue.done(key)

    producers = [threading.Thread(target=produce, args=(n,)) for n in range(8)]
    consumers = [threading.Thread(target=consume) for _ in range(4)]
    for thread in [*producers, *consumers]:
        thread.start()
    for thread in producers:
        thread.join(20)
    queue.shut_down_with_drain(20, strict=True)
    for thread in consumers:
        thread.join(20)
    assert (overlaps, seen) == ([], versions)


def test_delayed_adds_from_many_threads_all_come(hurried):
    """The earliest is always watched over by somebody."""
    queue, got, guard = WorkQueue(clock=RealClock()), [], threading.Lock()

    def consume():
        while (key := queue.get()) is not None:
            with guard:
                got.append(key)
            queue.done(key)

    consumers = [threading.Thread(target=consume) for _ in range(3)]
    for thread in consumers:
        thread.start()
    for number in range(200):
        queue.add_after(number, 0.001 * (number % 20))
    until = threading.Event()
    for _ in range(500):
        if len(got) == 200:
            break
        until.wait(0.01)
    queue.shut_down()
    for thread in consumers:
        thread.join(10)
    assert sorted(got) == list(range(200))


def test_a_trace_listener_may_look_at_the_queue():
    """The record of an add is made under the lock; looking does not deadlock."""
    clock = FakeClock()
    trace, depths = Trace(clock), []
    queue = WorkQueue("q", clock=clock, trace=trace)
    trace.tap(lambda record: depths.append(queue.snapshot().metrics.depth))
    queue.add("a")
    queue.add("a")
    assert depths == [1, 1]


def test_the_trace_tells_a_keys_way():
    """added (with its trigger), got (caused by it), done, requeued, forgotten."""
    clock = FakeClock()
    trace = Trace(clock)
    queue = RateLimitingQueue("q", clock=clock, trace=trace, resource="pods")
    queue.add("a", trigger=Trigger("created", "pods", "a", "7"))
    queue.get()
    queue.add_rate_limited("a")
    queue.done("a")
    queue.forget("a")
    clock.advance(1)
    queue.get()
    kinds = [record.kind for record in trace]
    assert kinds == ["added", "got", "requeued", "done", "forgotten", "added", "got"]
    added, got, requeued, _, _, again, last = trace.records()
    assert (got.causes, again.causes) == ((added.seq,), (requeued.seq,))
    assert (added.get("trigger").resource_version, last.causes) == ("7", (again.seq,))


def test_the_snapshot_is_one_line():
    """What is where, with marks for what is special."""
    clock = FakeClock()
    queue = RateLimitingQueue("q", clock=clock)
    for key in "aab":
        queue.add(key, trigger=Trigger("updated"))
    queue.get()
    queue.add("a")
    queue.add_rate_limited("c")
    assert str(queue.snapshot()) == (
        "processing: a (×2, dirty) | queued: b | delayed: c (in 0.005 s, attempt 2)"
    )


def test_reasons_are_bounded_and_still_counted():
    """The newest are kept."""
    queue = WorkQueue(clock=FakeClock(), keep_triggers=3)
    for number in range(10):
        queue.add("a", trigger=Trigger("updated", resource_version=str(number)))
    (state,) = queue.snapshot().queued
    assert ([t.resource_version for t in state.triggers], state.collapsed) == (["7", "8", "9"], 10)


def test_none_is_no_key():
    """It would look like a shut-down."""
    from crlab.errors import ConfigError

    with pytest.raises(ConfigError):
        WorkQueue(clock=FakeClock()).add(None)


def test_get_gives_up_in_time():
    """None, and the key that comes later is not lost."""
    queue = WorkQueue(clock=RealClock())
    assert queue.get(0.001) is None
    queue.add("a")
    assert queue.get(0.001) == "a"


def test_a_histogram_sorts_by_powers_of_ten():
    """10 ns to 1000 s, and beyond."""
    histogram = Histogram()
    for seconds in (0, 1e-8, 0.5, 2000):
        histogram.observe(seconds)
    assert (histogram.count, histogram.mean_seconds) == (4, pytest.approx(500.125))
    assert (histogram.buckets[0], histogram.buckets[8], histogram.buckets[-1]) == (2, 1, 1)


def test_a_queue_and_its_priorities_are_readable():
    """One line without addresses: notebooks compare it."""
    queue = PriorityQueue("jobs", clock=FakeClock())
    queue.add("old", priority=-100)
    queue.add_after("later", 5)

    assert repr(queue) == "<jobs: PriorityQueue 1 queued, 0 processing, 1 delayed>"
    assert "queued: old (priority -100)" in str(queue.snapshot())
