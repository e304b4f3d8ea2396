"""Queue operations per second beside `queue.Queue`.

    python tests/bench/test_workqueue_rate.py

One operation is a key's whole way: add, take, done (put, get, task_done). Best of five, in
one process, all in one run, so that the ratio means something on any machine.
"""

from __future__ import annotations

import functools
import queue
import time
from collections.abc import Callable

from crlab.runtime.clock import RealClock
from crlab.trace.record import Trace
from crlab.workqueue import PriorityQueue, RateLimitingQueue, Trigger, WorkQueue

COUNT = 20_000
KEYS = [f"default/object-{number}" for number in range(COUNT)]


def standard() -> None:
    made: queue.Queue[str] = queue.Queue()
    for key in KEYS:
        made.put(key)
    for _ in KEYS:
        made.get()
        made.task_done()


def drained(made: WorkQueue[str]) -> None:
    for key in KEYS:
        made.add(key)
    for _ in KEYS:
        key = made.get()
        assert key is not None
        made.done(key)


def collapsed() -> None:
    """100 adds per key; an operation is an add."""
    made: WorkQueue[str] = WorkQueue(clock=RealClock())
    few = KEYS[: COUNT // 100]
    for _ in range(100):
        for key in few:
            made.add(key)
    for _ in few:
        key = made.get()
        assert key is not None
        made.done(key)


def retried() -> None:
    made: RateLimitingQueue[str] = RateLimitingQueue(clock=RealClock())
    for key in KEYS:
        made.add_rate_limited(key)
        made.forget(key)


def triggered() -> None:
    clock = RealClock()
    made: WorkQueue[str] = WorkQueue(clock=clock, trace=Trace(clock))
    trigger = Trigger("updated", "pods", "default/a", "1")
    for key in KEYS:
        made.add(key, trigger=trigger)
    for _ in KEYS:
        key = made.get()
        assert key is not None
        made.done(key)


CASES: dict[str, Callable[[], None]] = {
    "queue.Queue: put, get, task_done": standard,
    "WorkQueue: add, get, done": lambda: drained(WorkQueue(clock=RealClock())),
    "PriorityQueue: add, get, done": lambda: drained(PriorityQueue(clock=RealClock())),
    "WorkQueue: add collapsed ×100": collapsed,
    "RateLimitingQueue: add_rate_limited, forget": retried,
    "WorkQueue with trace and triggers": triggered,
}


@functools.cache
def measure() -> dict[str, float]:
    """Return operations per second by case; measured once."""
    best = dict.fromkeys(CASES, 0.0)
    for _ in range(5):
        for name, run in CASES.items():
            start = time.perf_counter()
            run()
            best[name] = max(best[name], COUNT / (time.perf_counter() - start))
    return best


def test_the_workqueue_reaches_half_the_rate_of_a_plain_queue() -> None:
    """Collapsing, fairness and metrics cost at most as much again as queueing itself."""
    found = measure()

    ratio = found["WorkQueue: add, get, done"] / found["queue.Queue: put, get, task_done"]

    assert ratio >= 0.5, f"{ratio:.2f}"


def test_a_collapsed_add_is_cheaper_than_a_put() -> None:
    """A hot key costs next to nothing."""
    found = measure()

    assert found["WorkQueue: add collapsed ×100"] > found["queue.Queue: put, get, task_done"]


if __name__ == "__main__":
    found = measure()
    base = found["queue.Queue: put, get, task_done"]
    for name, rate in found.items():
        print(f"{name:45} {rate:12,.0f}/s  {rate / base:6.2f}×")
