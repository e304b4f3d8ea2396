"""Start and stop an informer on a real socket many times, and count what is left."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from crlab.cache import SharedInformer
from crlab.client import HttpTransport, ResourceListerWatcher
from crlab.client.endpoint import parse_endpoint
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from support.fault_rig import CONFIG_MAPS

_SERVER = """
import sys
from crlab.apiserver import ApiServer
with ApiServer().start() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass
class Counts:
    """What a number of cycles left, and what stopping took."""

    cycles: int
    threads_left: int = 0
    descriptors_left: int = 0
    sockets_left: int = 0
    stop_seconds: list[float] = field(default_factory=list)
    rss_kib: list[int] = field(default_factory=list)


def descriptors() -> tuple[int, int]:
    """Return how many descriptors this process has, and how many of them are sockets."""
    total = sockets = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            sockets += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
            total += 1
        except OSError:
            pass  # the one that listed the folder
    return total, sockets


def rss_kib() -> int:
    """Return the resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def cycle_counts(cycles: int, warm_up: int = 5) -> Counts:
    """Run them; the first few only warm up."""
    counts = Counts(cycles)
    with _server_apart() as url:
        for number in range(warm_up + cycles):
            if number == warm_up:
                gc.collect()
                threads, (total, sockets) = threading.active_count(), _settled(None)
            began = _one(url)
            if number >= warm_up:
                counts.stop_seconds.append(began)
                if number % 10 == 0:
                    counts.rss_kib.append(rss_kib())
        gc.collect()
        left, left_sockets = _settled((total, sockets))
        counts.threads_left = threading.active_count() - threads
        counts.descriptors_left, counts.sockets_left = left - total, left_sockets - sockets
    return counts


@contextlib.contextmanager
def _server_apart() -> Iterator[str]:
    """Serve in a process of its own, so that what it keeps is not counted."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.communicate(timeout=10)


def _settled(expected: tuple[int, int] | None) -> tuple[int, int]:
    """Return the descriptors once the server's side has closed too (within 2 s)."""
    deadline = time.monotonic() + 2
    last = descriptors()
    while time.monotonic() < deadline:
        threading.Event().wait(0.05)
        now = descriptors()
        if now == (expected or last):
            return now
        last = now
    return last


def _one(url: str) -> float:
    """Start, sync, stop; return how long stopping took."""
    clock = RealClock()
    transport = HttpTransport(parse_endpoint(url, env={}))
    informer = SharedInformer(
        ResourceListerWatcher(transport, CONFIG_MAPS),
        driver=ThreadDriver(clock),
        clock=clock,
        ids=Ids(0),
        trace=Trace(clock, max_records=100),
    )
    informer.add_event_handler(on_add=lambda obj, is_in_initial_list: None)
    informer.start()
    informer.wait_for_sync(10)
    began = time.monotonic()
    abandoned = informer.close(2)
    took = time.monotonic() - began
    transport.close()
    assert abandoned == ()
    return took
