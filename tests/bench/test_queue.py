"""The workqueue beside `queue.Queue`, and an event's way beside how much is cached."""

from __future__ import annotations

import os
import queue
import statistics
import threading
import time
from collections.abc import Callable

import pytest
from support.bench.payload import KINDS, objects
from support.bench.table import Table
from support.informer_rig import Rig
from support.scripted import event

from crlab.client.list_watch import ListPage
from crlab.model.object import KubeObject
from crlab.runtime.clock import RealClock
from crlab.workqueue import RateLimitingQueue, WorkQueue

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

COUNT = 50_000
EVENTS = 5_000
CACHED = [
    size * int(os.environ.get("CRLAB_BENCH_OBJECTS", "50000")) // 50_000
    for size in (1_000, 10_000, 100_000)
]


def in_two_threads(produce: Callable[[], None], consume: Callable[[], None]) -> float:
    """Return operations per CPU second."""
    consumer = threading.Thread(target=consume)
    began = time.process_time()
    consumer.start()
    produce()
    consumer.join()
    return COUNT / (time.process_time() - began)


def plain() -> float:
    made: queue.Queue[str] = queue.Queue()

    def consume() -> None:
        for _ in range(COUNT):
            made.get()
            made.task_done()

    return in_two_threads(lambda: [made.put(f"ns/{n}") for n in range(COUNT)], consume)


def ours(made: WorkQueue[str]) -> float:
    def consume() -> None:
        for _ in range(COUNT):
            key = made.get()
            assert key is not None
            made.done(key)

    return in_two_threads(lambda: [made.add(f"ns/{n}") for n in range(COUNT)], consume)


def median_of(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(5))


def test_queue(table: Table):
    """Add, get, done, producer and consumer in two threads."""
    lowest = median_of(plain)
    found = median_of(lambda: ours(WorkQueue(clock=RealClock())))
    limiting = median_of(lambda: ours(RateLimitingQueue(clock=RealClock())))
    table.add("  RateLimitingQueue, two threads", limiting, "operations/CPU s", floor=lowest)
    table.add("workqueue add, get, done, two threads", found, "operations/CPU s", floor=lowest,
              target="≥ 0.5 × queue.Queue", is_met=found >= 0.5 * lowest)  # fmt: skip


def flow(rig: Rig) -> None:
    """Let everything move, many steps at a time."""
    while sum(stage.step(1000) for stage in rig.driver.stages()):
        pass


def cost_of_event(cached: int) -> float:
    """Return CPU microseconds from a decoded event to a handler that was told."""
    kind = KINDS["crs"]
    page = [KubeObject(raw) for raw in objects(kind, cached)]
    rig = Rig().lists(ListPage(page, str(2000 + cached)))
    rig.informer.start()
    flow(rig)
    changed = objects(kind, EVENTS, first_version=3000 + cached, distinct=1000)
    rig.server.stream.feed(*[event("MODIFIED", KubeObject(raw)) for raw in changed])
    began = time.process_time()
    flow(rig)
    spent = time.process_time() - began
    rig.informer.stop()
    return spent / EVENTS * 1e6


def test_event_cost(table: Table):
    """The same at 1,000, 10,000 and 100,000 cached objects, in turns, medians of five."""
    found: dict[int, list[float]] = {size: [] for size in CACHED}
    for _ in range(5):
        for size in CACHED:
            found[size].append(cost_of_event(size))
    small, *larger = (statistics.median(costs) for costs in found.values())
    for size, cost in zip(CACHED[1:], larger, strict=True):
        table.add(f"an event with {size:,} cached", cost, "µs/event", floor=small,
                  target=f"within 20 % of {CACHED[0]:,} cached",
                  is_met=cost <= 1.2 * small)  # fmt: skip
