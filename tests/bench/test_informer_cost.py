"""What the informer costs beside the bytes it decodes; ratios of one run, in CPU seconds.

The targets (1.5 times the raw floor for a list, 60 % of its events) count the socket too;
here only decoding is the floor, so the limits are wider and catch a slip, not the noise.
"""

from __future__ import annotations

import time

import msgspec
import pytest
from support.informer_rig import Rig
from support.scripted import PODS, event

from crlab.client.list_watch import ListPage
from crlab.model.object import KubeObject

EVENTS = 4000


def realistic(number: int, version: int) -> bytes:
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": PODS.kind,
            "metadata": {
                "name": f"p{number}",
                "namespace": f"ns{number % 20}",
                "uid": f"u{number}",
                "resourceVersion": str(version),
                "managedFields": [{"manager": "m", "fields": "f" * 2000}],
            },
            "spec": {"env": [{"name": f"E{n}", "value": "v" * 20} for n in range(40)]},
        }
    )


def objects(count: int, version: int = 100) -> list[KubeObject]:
    return [KubeObject(realistic(n, version + n)) for n in range(count)]


def cpu(body) -> float:
    start = time.process_time()
    body()
    return time.process_time() - start


def cost_per_event(cached: int) -> float:
    rig = Rig().lists(ListPage(objects(cached), "100000")).start()
    changes = [KubeObject(realistic(n % 1000, 200_000 + n)) for n in range(EVENTS)]
    rig.server.stream.feed(*[event("MODIFIED", obj) for obj in changes])
    stages = rig.driver.stages()

    def flow():
        while sum(stage.step(1000) for stage in stages):
            pass

    return min(cpu(flow), 1e9) / EVENTS


@pytest.mark.slow
def test_an_events_cost_does_not_depend_on_how_much_is_cached():
    """Target: within 20 %; asserted within 60 %, best of three."""
    small = min(cost_per_event(1000) for _ in range(3))
    large = min(cost_per_event(10_000) for _ in range(3))
    print(f"\n{small * 1e6:.1f} us/event at 1k cached, {large * 1e6:.1f} at 10k")

    assert large < 1.6 * small


@pytest.mark.slow
def test_a_list_costs_little_more_than_its_bytes():
    """List, store, index, tell a handler and trace: beside making the objects alone."""
    raws = [realistic(n, 100 + n) for n in range(10_000)]
    floor = min(cpu(lambda: [KubeObject(raw) for raw in raws]) for _ in range(3))

    def sync():
        pages = [KubeObject(raw) for raw in raws]
        rig = Rig().lists(ListPage(pages, "100000"))
        rig.informer.start()
        stages = rig.driver.stages()
        while sum(stage.step(1000) for stage in stages):
            pass
        assert len(rig.calls.seen) == 10_000

    total = min(cpu(sync) for _ in range(3))
    print(f"\nlist and sync {total:.3f} s, {total / floor:.2f} times the floor")

    assert total < 5 * floor
