"""One client against the static server, in a process of its own; prints what it cost as JSON.

    python -m support.bench.client NAME SCENARIO KIND URL OBJECTS EVENTS

Scenarios: "sync" (list into a cache, a handler told of each object), "watch" (sync, then a
flood of events), "latency" (sync, then metered events), "stall" (sync, while the main
thread measures how long it is kept waiting).
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from support.bench import payload
from support.bench.subject import SUBJECTS, Seen

LIMIT_SECONDS = 900.0
PAUSE = threading.Event()  # never set: a wait that nothing ends
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return how much memory this process has."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * PAGE_BYTES


def wait_for(is_done: Callable[[], bool], pause_seconds: float = 0.005) -> None:
    """Look again and again, cheaply, until something holds."""
    limit = time.monotonic() + LIMIT_SECONDS
    while not is_done():
        if time.monotonic() > limit:
            raise TimeoutError("the client did not get there")
        PAUSE.wait(pause_seconds)


def ask_to_start(url: str) -> None:
    """Let the server send its events."""
    split = urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port)
    connection.request("GET", "/start")
    connection.getresponse().read()
    connection.close()


def stalls(is_done: Callable[[], bool]) -> dict[str, float]:
    """Tick every millisecond; return the longest gaps, by the clock and in this process's CPU.

    The second is what the other threads of this process worked meanwhile: it does not grow
    when the machine gives the processor to somebody else.
    """
    wall, cpu = [], []
    last, used = time.perf_counter(), time.process_time()
    while not is_done():
        PAUSE.wait(0.001)
        now, spent = time.perf_counter(), time.process_time()
        wall.append(now - last - 0.001)
        cpu.append(spent - used)
        last, used = now, spent
    wall.sort()
    cpu.sort()
    return {
        "ticks": len(wall),
        "longest_ms": wall[-1] * 1e3,
        "longest_cpu_ms": cpu[-1] * 1e3,
        "p99_ms": wall[int(len(wall) * 0.99)] * 1e3,
    }


def run(name: str, scenario: str, kind: payload.Kind, url: str, count: int, events: int) -> Any:
    """Return what a scenario cost this client."""
    subject = SUBJECTS[name](kind, url)  # imports are paid here
    seen = Seen(is_keeping=scenario == "latency", initial=count)
    gc.collect()
    memory, used, began = resident_bytes(), time.process_time(), time.perf_counter()
    subject.start(seen)
    found: dict[str, Any] = {"objects": count}
    if scenario == "stall":
        found |= stalls(lambda: seen.count >= count)
    else:
        wait_for(lambda: seen.count >= count)
    found["wall_seconds"] = time.perf_counter() - began
    found["cpu_seconds"] = time.process_time() - used
    gc.collect()
    found["bytes_per_object"] = (resident_bytes() - memory) / count
    if scenario in ("watch", "latency"):
        wait_for(lambda: subject.is_watching, 0.05)
        PAUSE.wait(0.2)  # what is left of the sync
        used, began = time.process_time(), time.perf_counter()
        ask_to_start(url)
        wait_for(lambda: seen.count >= count + events, 0.05)
        found["events"] = events
        found["event_cpu_seconds"] = time.process_time() - used
        found["event_wall_seconds"] = time.perf_counter() - began
    if scenario == "latency":
        lags = sorted((at - subject.sent_at(obj)) / 1e6 for at, obj in seen.kept)
        found["p50_ms"] = statistics.median(lags)
        found["p99_ms"] = lags[int(len(lags) * 0.99)]
    found["threads"] = threading.active_count()
    return found


def main(name: str, scenario: str, kind: str, url: str, count: str, events: str) -> None:
    """Print the result and leave at once, whatever threads the client still has."""
    found = run(name, scenario, payload.KINDS[kind], url, int(count), int(events))
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
