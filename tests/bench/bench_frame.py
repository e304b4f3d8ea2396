"""Frames of 100,000 objects × 12 columns beside their floors and a plain rebuild, in one run.

    python tests/bench/bench_frame.py [objects]

Floors: a msgspec struct and lists of columns for the first build; copying the two changed
columns and making a frame for a patch. Targets: unchanged < 0.1 ms and the same object;
100 changed rows in 2 columns ≤ 2 × its floor; first build ≤ 1.3 × its floor. CPU
milliseconds, the best of several rounds (short ones: the median).
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from crlab.cache.indexer import Indexer
from crlab.frame import EventsFrame, LiveFrame, Rates, trace_frame
from crlab.model.object import KubeObject
from crlab.model.redaction import redact_kube_object
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace
from crlab.trace.recording import Recorder, Recording

ROUNDS = 5
THINGS = ApiResource(GroupVersionResource("example.com", "v1", "things"), "Thing", True)
COLUMNS = [
    {"name": "Image", "type": "string", "jsonPath": ".spec.image"},
    {"name": "Node", "type": "string", "jsonPath": ".spec.node"},
    {"name": "Team", "type": "string", "jsonPath": ".spec.team"},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "Weight", "type": "number", "jsonPath": ".spec.weight"},
    {"name": "Paused", "type": "boolean", "jsonPath": ".spec.paused"},
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Ready", "type": "integer", "jsonPath": ".status.ready"},
    {"name": "Message", "type": "string", "jsonPath": ".status.message"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    creationTimestamp: str = ""


class _Spec(msgspec.Struct, gc=False):
    image: str = ""
    node: str = ""
    team: str = ""
    replicas: int = 0
    weight: float = 0.0
    paused: bool = False


class _Status(msgspec.Struct, gc=False):
    phase: str = ""
    ready: int = 0
    message: str = ""


class _Thing(msgspec.Struct, gc=False):
    metadata: _Metadata
    spec: _Spec
    status: _Status


_thing = msgspec.json.Decoder(_Thing).decode


def thing(number: int, version: int = 1, phase: str = "Running", ready: int = 1) -> KubeObject:
    """One custom resource of about 1.7 KB."""
    managed = [{"manager": "kubectl", "fieldsV1": {f"f:field{n}": {} for n in range(60)}}]
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {
            "name": f"thing-{number:06d}",
            "namespace": f"ns-{number % 50}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": f"2026-01-01T{number % 24:02d}:{number % 60:02d}:00Z",
            "labels": {"app": f"app-{number % 7}"},
            "managedFields": managed,
        },
        "spec": {
            "image": f"registry.example.com/app:{number % 20}",
            "node": f"node-{number % 100}",
            "team": f"team-{number % 9}",
            "replicas": number % 5,
            "weight": number / 3,
            "paused": number % 2 == 0,
        },
        "status": {"phase": phase, "ready": ready, "message": f"reconciled {number}"},
    }
    return KubeObject(json.dumps(body, separators=(",", ":")).encode())


def floor_build(objects: list[KubeObject]) -> pd.DataFrame:
    """What a careful user would write for these very columns."""
    found = [_thing(obj.raw) for obj in objects]
    return pd.DataFrame(
        {
            "namespace": [t.metadata.namespace for t in found],
            "name": [t.metadata.name for t in found],
            "image": [t.spec.image for t in found],
            "node": [t.spec.node for t in found],
            "team": [t.spec.team for t in found],
            "replicas": [t.spec.replicas for t in found],
            "weight": [t.spec.weight for t in found],
            "paused": [t.spec.paused for t in found],
            "phase": [t.status.phase for t in found],
            "ready": [t.status.ready for t in found],
            "message": [t.status.message for t in found],
            "created": pd.to_datetime(
                [t.metadata.creationTimestamp for t in found], format="ISO8601", utc=True
            ),
        },
        index=pd.Index([obj.key for obj in objects], name="key"),
    )


def plain_rebuild(objects: list[KubeObject]) -> pd.DataFrame:
    """What most people write."""
    return pd.json_normalize([obj.to_dict() for obj in objects])


def cpu_ms(action: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """CPU milliseconds, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return best * 1e3


def median_ms(action: Callable[[int], Any], rounds: int = 15) -> float:
    """CPU milliseconds of a short action, the median."""
    found = []
    for number in range(rounds):
        began = time.process_time()
        action(number)
        found.append(time.process_time() - began)
    return statistics.median(found) * 1e3


def row(what: str, ours: float, floor: float | None = None, target: str = "") -> None:
    """Print one line of the table."""
    ratio = f"{ours / floor:6.2f} ×" if floor else " " * 8
    shown = f"{floor:10.2f}" if floor else " " * 10
    print(f"{what:44} {ours:10.2f} {shown} {ratio}  {target}")


def frames(count: int) -> None:
    """Build, read again, patch, move."""
    objects = [thing(n) for n in range(count)]
    indexer = Indexer()
    indexer.apply([(obj.key, obj) for obj in objects], "1")

    def build() -> LiveFrame:
        live = LiveFrame(indexer, resource=THINGS, definitions=COLUMNS)
        assert live.df.shape == (count, 12)
        live.close()
        return live

    row("first build", cpu_ms(build), cpu_ms(lambda: floor_build(objects)), "≤ 1.3 ×")
    few = objects[: max(1, count // 20)]
    row("  json_normalize of dicts (extrapolated)", cpu_ms(lambda: plain_rebuild(few), 1) * 20)

    live = LiveFrame(indexer, resource=THINGS, definitions=COLUMNS)
    first = live.df
    assert live.df is first
    row("nothing changed, the same object", median_ms(lambda n: live.df, 200), None, "< 0.1 ms")

    def change(number: int) -> None:
        step = max(1, count // 100)
        picked = range(number % step, count, step)
        fresh = [thing(n, number + 2, f"Phase{number}", number + 5) for n in picked]
        indexer.apply([(obj.key, obj) for obj in fresh], str(number + 2))

    patches = []
    for number in range(15):
        change(number)
        began = time.process_time()
        _ = live.df
        patches.append(time.process_time() - began)
    texts = first["phase"].to_numpy(dtype=object)
    numbers = first["ready"].to_numpy(dtype=object)

    def copy_two(number: int) -> None:
        copies = {"phase": texts.copy(), "ready": numbers.copy()}
        fresh = {
            name: pd.Series(copies[name], index=first.index, dtype=object)
            if name in copies
            else first[name]
            for name in first.columns
        }
        pd.DataFrame(fresh, index=first.index, copy=False)

    row(
        "100 rows changed in 2 columns",
        statistics.median(patches) * 1e3,
        median_ms(copy_two),
        "≤ 2 ×",
    )

    def come_and_go(number: int) -> None:
        change_of = objects[number] if number % 2 else None
        indexer.apply([(objects[number - number % 2].key, change_of)], str(number))
        _ = live.df

    row("one row added or removed", median_ms(come_and_go, 10))
    frame_bytes = int(live.df.memory_usage(deep=True).sum())
    raw_bytes = sum(len(obj.raw) for obj in objects)
    row("memory of the frame, MB (beside the cache's)", frame_bytes / 1e6, raw_bytes / 1e6)
    row(
        "redaction's look at an object, µs",
        cpu_ms(lambda: [redact_kube_object(o, THINGS) for o in few], 3) / len(few) * 1e3,
    )


def traces(count: int) -> None:
    """The trace held, as frames, as rates, written and read."""
    clock = FakeClock()
    trace = Trace(clock, max_records=count * 2)
    held = [thing(n) for n in range(200)]
    data = {"objects": tuple(held)}
    trace.append("reflector", "listed", resource="things.example.com", data=data)
    for number in range(count):
        clock.advance(0.001)
        obj = thing(number % 200, number, "ab"[number % 2]) if number < 400 else held[number % 200]
        trace.append(
            "reflector",
            "watch_event",
            resource="things.example.com",
            key=obj.key,
            resource_version=str(number),
            data={"type": "MODIFIED", "object": obj},
            payload_bytes=0,
        )
    row(f"{count:,} trace records as a frame", cpu_ms(lambda: trace_frame(trace), 3))
    row(f"{count:,} watch events as a frame", cpu_ms(lambda: EventsFrame(trace).df, 1))
    began = time.process_time()
    rates = Rates(trace, clock, max_events=2_000_000)
    _ = rates.df
    row(f"rates: {count:,} events taken in", (time.process_time() - began) * 1e3)
    for number in range(max(0, 1_000_000 - count)):
        rates.add(
            clock.now() - number / 20_000, "ADDED", "things.example.com", f"ns/{number % 500}"
        )
    for by in ("type", "key"):
        row(f"rates by {by} over 1,000,000 events", cpu_ms(lambda by=by: rates.frame(by=by), 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r"

        def write() -> None:
            path.unlink(missing_ok=True)
            with Recorder(trace, path, clock=clock, is_threaded=False):
                pass

        row(f"recording {count:,} records written", cpu_ms(write, 1))
        row("  the same read", cpu_ms(lambda: Recording.open(path), 1))


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'':44} {'CPU ms':>10} {'floor':>10}    ratio  target")
    frames(count)
    traces(count)


if __name__ == "__main__":
    main()
