"""A soak: informers under random faults for a long time, and what it cost, by slopes.

    python tests/faults/soak.py                     twenty minutes (`make soak`)
    python tests/faults/soak.py --seconds 60        a short one
    python tests/faults/soak.py --cycles 1000       starts and stops instead

Twenty informers on one server through one proxy, two thousand objects, two hundred changes
a second, a random fault every 0.5-4 s; one slow handler, one that raises, one frame that is
read. Slopes are Theil-Sen over the second half of the samples, with an interval, never
last minus first. Exits with 1 if anything diverged or grew beyond its bound.

Server, proxy and informers share this process, so what is no leak must not look like one:

- Every ring is small enough to be full long before the second half: the rig's journal,
  errors and traces, and the backlogs of the first informer (`BACKLOG`).
- The peak is all informers listing at once: `_crest` makes them, before anything is measured.
- Python's own allocator keeps an arena of a MiB for one small object, so RSS would be the
  highest peak so far and would hide a leak below it. The soak runs itself again with the C
  library's (`ALLOCATOR`), which gives back what is free before each look (`malloc_trim`).
  `live_kib` is what it has handed out: all that Python and C code hold.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import itertools
import os
import random
import statistics
import sys
import threading
import time
import tracemalloc
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script

from support import poll
from support.cycle import cycle_counts, descriptors, rss_kib
from support.fault_proxy import semantic, toxic
from support.fault_rig import CONFIG_MAPS, PATH, FaultRig, cached, truth

from crlab.cache import SharedInformer
from crlab.cache.reflector import Timing
from crlab.client import ResourceListerWatcher
from crlab.frame.live_frame import LiveFrame
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace

TIMING = Timing(
    idle_seconds=3.0,
    stream_deadline_seconds=5.0,
    backoff_first_seconds=0.05,
    backoff_cap_seconds=1.0,
    max_requests_per_second=5.0,
)
COMPACT_EVERY = 1000
BACKLOG = 500
TRACE = 1000, 1 << 20  # records, bytes of objects: a record of a list holds all of it
CRESTS = 5
BOUND_KIB_PER_MINUTE = 512.0
ALLOCATOR = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}

STREAM_FAULTS = [
    semantic.End,
    toxic.ResetPeer,
    toxic.HalfOpen,
    toxic.RstMidLine,
    toxic.FinMidLine,
    semantic.Garble,
    semantic.Duplicate,
    semantic.Stale,
    lambda: semantic.Inject(semantic.error_line(410, "Expired")),
    lambda: semantic.Inject(semantic.error_line(500)),
    lambda: semantic.Edit(lambda event: event.update(object=None)),
]
REQUEST_FAULTS = [
    lambda: semantic.Status(500),
    lambda: semantic.Status(429),
    lambda: semantic.Status(410),
    lambda: semantic.Status(401),
    toxic.ResetPeer,
    lambda: semantic.Status(200, b"<html>"),
]


@dataclass
class Sample:
    """One look at the process."""

    at_seconds: float
    rss_kib: int
    live_kib: int
    heap_kib: float
    threads: int
    descriptors: int
    sockets: int
    queued: int
    age_seconds: float


@dataclass
class Report:
    """What a soak found."""

    seconds: float = 0.0
    changes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    divergent: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    abandoned: tuple[str, ...] = ()
    stale_but_live: int = 0

    def slope(self, name: str) -> tuple[float, float, float]:
        """Return a sample's growth a minute over the second half: (low, median, high)."""
        half = self.samples[len(self.samples) // 2 :]
        return theil_sen([(s.at_seconds / 60, getattr(s, name)) for s in half])

    @property
    def is_good(self) -> bool:
        return not (
            self.divergent
            or self.problems
            or self.abandoned
            or self.stale_but_live
            or self.slope("rss_kib")[0] > BOUND_KIB_PER_MINUTE
            or self.slope("live_kib")[0] > BOUND_KIB_PER_MINUTE
        )

    def __str__(self) -> str:
        lines = [
            f"{self.seconds:.0f} s, {self.changes} changes, {self.faults.total()} faults of "
            f"{len(self.faults)} kinds, {len(self.samples)} samples",
            f"divergent keys {len(self.divergent)}, wrong calls {len(self.problems)}, threads "
            f"left {len(self.abandoned)}, samples live beyond the idle limit "
            f"{self.stale_but_live}",
        ]
        for name in [each.name for each in fields(Sample)][1:-1]:
            low, middle, high = self.slope(name)
            last = getattr(self.samples[-1], name)
            lines.append(
                f"{name:12} last {last:9.0f}   slope {middle:+9.2f} a minute "
                f"(95 %: {low:+.2f} to {high:+.2f})"
            )
        return "\n".join([*lines, *self.divergent[:5], *self.problems[:5]])


def theil_sen(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the median of all pairwise slopes, and the interval that holds 95 % of them."""
    slopes = sorted(
        (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2)
    )
    if not slopes:
        return 0.0, 0.0, 0.0
    n = len(points)
    spread = 1.96 * (n * (n - 1) * (2 * n + 5) / 18) ** 0.5  # Kendall's, as Sen has it
    low = max(0, int((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, int((len(slopes) + spread) / 2) + 1)
    return slopes[low], statistics.median(slopes), slopes[high]


class _Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        *((f"_{number}", ctypes.c_size_t) for number in range(4)),
        ("mapped", ctypes.c_size_t),
        *((f"_{number}", ctypes.c_size_t) for number in range(5, 7)),
        ("used", ctypes.c_size_t),
        *((f"_{number}", ctypes.c_size_t) for number in range(8, 10)),
    ]


def memory_kib() -> tuple[int, int]:
    """Give free memory back; return the RSS and what the C library handed out (0: not glibc)."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return rss_kib(), 0
    library.malloc_trim(0)
    library.mallinfo2.restype = _Mallinfo
    found = library.mallinfo2()
    return rss_kib(), (found.used + found.mapped) // 1024


def least_memory_kib(seconds: float) -> tuple[int, int]:
    """Let time pass; return the least of each: what stays when no list is under way."""
    until = time.monotonic() + seconds
    looks = [memory_kib()]
    while (left := until - time.monotonic()) > 0:
        poll.pause(min(1.0, left))
        looks.append(memory_kib())
    return min(rss for rss, _ in looks), min(live for _, live in looks)


class Soak:
    """The rig of one soak."""

    def __init__(self, *, informers: int, objects: int, changes_per_second: float, seed: int):
        self.random = random.Random(seed)
        self.objects, self.rate = objects, changes_per_second
        self.stack = ExitStack()
        self.rig = self.stack.enter_context(
            FaultRig(
                timing=TIMING,
                bookmark_seconds=0.5,
                transport={"first_byte_seconds": 2},
                max_backlog=BACKLOG,
            )
        )
        self.rig.proxy.journal.keep(1000)
        self.rig.fold.calls = deque(maxlen=1000)  # what is measured must not be the measuring
        self.rig.fold.tombstones = deque(maxlen=1000)
        self.is_over = threading.Event()
        self.report = Report()
        self.informers = [self.rig.informer, *(self._another() for _ in range(informers - 1))]
        for informer in self.informers:
            informer.trace.max_records, informer.trace.max_payload_bytes = TRACE

    def _another(self) -> SharedInformer:
        clock = RealClock()
        source = ResourceListerWatcher(self.rig.transport, CONFIG_MAPS, "default")
        return SharedInformer(
            source,
            driver=ThreadDriver(clock),
            clock=clock,
            ids=Ids(self.random.randrange(1000)),
            trace=Trace(clock),
            timing=TIMING,
        )

    def run(self, seconds: float, sample_seconds: float) -> Report:
        """Run it, heal it, compare, close it."""
        for n in range(self.objects):
            self.rig.put(f"o{n}", n="0")
        first, last = self.informers[0], self.informers[-1]
        first.add_event_handler(on_update=lambda old, new: poll.pause(0.05), name="slow")
        last.add_event_handler(on_update=lambda old, new: 1 / 0, name="raising")
        frame = LiveFrame(first.indexer, resource=CONFIG_MAPS)
        for informer in self.informers:
            informer.start()
        for informer in self.informers:
            informer.wait_for_sync(60)
        self._crest()
        workers = [threading.Thread(target=work) for work in (self._write, self._break)]
        began = time.monotonic()
        for worker in workers:
            worker.start()
        while (at := time.monotonic() - began) < seconds:
            memory = least_memory_kib(min(sample_seconds, seconds - at + 0.01))
            len(frame.df)
            self._sample(time.monotonic() - began, *memory)
        self.is_over.set()
        for worker in workers:
            worker.join()
        self.report.seconds = time.monotonic() - began
        self._heal()
        left = [name for informer in self.informers for name in informer.close(5)]
        self.report.abandoned = tuple(left)
        self.stack.close()
        return self.report

    def _crest(self) -> None:
        """Let all informers list at once, so that no fault to come sets a new peak."""
        for _ in range(CRESTS):
            poll.until(lambda: len(self.rig.proxy.streams()) == len(self.informers), 60)
            asked = [informer.status.requests for informer in self.informers]
            for exchange in self.rig.proxy.streams():
                exchange.command(semantic.Inject(semantic.error_line(410, "Expired")))
            for informer, before in zip(self.informers, asked, strict=True):
                poll.until(lambda i=informer, n=before: i.status.requests > n, 60)
        poll.until(lambda: all(informer.status.is_live for informer in self.informers), 60)

    def _write(self) -> None:
        while not self.is_over.is_set():
            began = time.monotonic()
            if self.report.changes % COMPACT_EVERY == 0:  # as etcd does every five minutes
                self.rig.server.compact(max(0, self.rig.server.storage.revision - COMPACT_EVERY))
                self.rig.fold.dead.clear()
                self.rig.errors.clear()  # their tracebacks hold sockets and buffers
            for _ in range(10):
                self.report.changes += 1
                n = self.random.randrange(self.objects)
                if self.random.random() < 0.1:
                    self.rig.server.request("DELETE", f"{PATH}/o{n}")
                else:
                    self.rig.put(f"o{n}", n=str(self.report.changes))
            self.is_over.wait(max(0.0, 10 / self.rate - (time.monotonic() - began)))

    def _break(self) -> None:
        while not self.is_over.wait(self.random.uniform(0.5, 4.0)):
            if self.random.random() < 0.1:
                self.rig.proxy.down()
                poll.pause(0.2)
                self.rig.proxy.up()
                self.report.faults["down"] += 1
            elif self.random.random() < 0.5:
                fault = self.random.choice(REQUEST_FAULTS)()
                self.rig.proxy.add(fault, times=20)
                self.rig.proxy.inject(semantic.End())
                self.report.faults[f"request {fault.name}"] += 1
            else:
                make = self.random.choice(STREAM_FAULTS)
                for exchange in self.rig.proxy.streams():
                    exchange.command(make())
                self.report.faults[f"stream {make().name}"] += 1

    def _sample(self, at: float, rss: int, live: int) -> None:
        total, sockets = descriptors()
        statuses = [informer.status for informer in self.informers]
        for status in statuses:
            is_old = (status.age_seconds or 0) > TIMING.idle_seconds + 0.5
            self.report.stale_but_live += status.is_live and is_old
        heap = tracemalloc.get_traced_memory()[0] / 1024 if tracemalloc.is_tracing() else 0.0
        ages = [status.age_seconds or 0.0 for status in statuses]
        queued = sum(status.queued for status in statuses)
        threads = threading.active_count()
        self.report.samples.append(
            Sample(at, rss, live, heap, threads, total, sockets, queued, max(ages))
        )

    def _heal(self) -> None:
        """End the faults; whoever differs after half a minute has diverged."""
        self.rig.proxy.clear()
        expected = truth(self.rig.server)
        deadline = time.monotonic() + 30
        for number, informer in enumerate(self.informers):
            while cached(informer) != expected and time.monotonic() < deadline:
                poll.pause(0.1)
            rows = cached(informer)
            self.report.divergent += [
                f"informer {number}: {key}"
                for key in expected.keys() | rows.keys()
                if expected.get(key) != rows.get(key)
            ]
        poll.pause(0.2)
        self.report.problems += self.rig.fold.problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--informers", type=int, default=20)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--changes", type=float, default=200.0, help="a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--heap", action="store_true", help="trace the heap too (slow)")
    parser.add_argument("--cycles", type=int, default=0, help="start and stop so often instead")
    args = parser.parse_args()
    if args.cycles:
        counts = cycle_counts(args.cycles)
        stops = sorted(counts.stop_seconds)
        kib = theil_sen([(float(n), float(kib)) for n, kib in enumerate(counts.rss_kib)])
        print(
            f"{args.cycles} cycles: {counts.threads_left} threads, {counts.descriptors_left} "
            f"descriptors, {counts.sockets_left} sockets left; stop p50 "
            f"{stops[len(stops) // 2] * 1e3:.1f} ms, p99 {stops[int(len(stops) * 0.99)] * 1e3:.1f}"
            f" ms, max {stops[-1] * 1e3:.1f} ms; RSS {kib[1] / 10:+.2f} KiB a cycle"
        )
        return int(counts.threads_left + counts.descriptors_left + counts.sockets_left > 0)
    if not ALLOCATOR.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    if args.heap:
        tracemalloc.start()
    soak = Soak(
        informers=args.informers,
        objects=args.objects,
        changes_per_second=args.changes,
        seed=args.seed,
    )
    report = soak.run(args.seconds, sample_seconds=min(5.0, args.seconds / 40))
    gc.collect()
    print(report)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
