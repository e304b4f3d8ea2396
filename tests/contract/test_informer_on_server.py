"""The informer on the embedded server: threads, real sockets, real history."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from support.server import serving

from crlab.cache import SharedInformer
from crlab.cache.reflector import Timing
from crlab.client import DynamicClient, HttpTransport, ResourceListerWatcher
from crlab.client.endpoint import parse_endpoint
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace

CONFIG_MAPS = ApiResource(GroupVersionResource("", "v1", "configmaps"), "ConfigMap", True)
BRISK = Timing(backoff_first_seconds=0.01, backoff_cap_seconds=0.05, max_requests_per_second=1e6)


@contextmanager
def running(transport, **options):
    clock = RealClock()
    informer = SharedInformer(
        ResourceListerWatcher(transport, CONFIG_MAPS),
        driver=ThreadDriver(clock),
        clock=clock,
        ids=Ids(0),
        trace=Trace(clock),
        timing=BRISK,
        **options,
    )
    informer.start()
    try:
        informer.wait_for_sync(10)
        yield informer
    finally:
        assert informer.close(5) == ()


def reaches(informer, keys, timeout_seconds=10):
    """Wait until the cache holds exactly `keys`."""
    ok = informer.driver.wait_until(
        informer.condition, lambda: informer.indexer.list_keys() == sorted(keys), timeout_seconds
    )
    assert ok, (informer.indexer.list_keys(), informer.status)


@pytest.fixture
def stack():
    with serving(RealClock()) as server:
        transport = HttpTransport(parse_endpoint(server.url))
        client = DynamicClient(
            transport, clock=RealClock(), trace=Trace(RealClock()), allow_writes=True
        )
        yield server, transport, client
        transport.close()


def config_map(name, **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


@pytest.mark.parametrize("mode", ["list", "auto"])
@pytest.mark.parametrize("queue", ["real", "real-per-item", "delta"])
def test_the_cache_follows_writes(stack, mode, queue):
    """Created before and after, changed, deleted; then an exact audit is clean."""
    _, transport, client = stack
    client.create("configmaps", config_map("before"))

    with running(transport, list_mode=mode, queue=queue) as informer:
        reaches(informer, ["default/before"])
        client.create("configmaps", config_map("after", a="1"))
        client.delete("configmaps", "before", namespace="default")
        reaches(informer, ["default/after"])

        assert informer.audit().rows == ()
        assert informer.status.state.value == "live"


def test_the_servers_cache_answers_a_first_list_whole(stack):
    """Rule 5: at resourceVersion 0 the limit is ignored, so there are no pages."""
    _, transport, client = stack
    names = [f"c{n}" for n in range(7)]
    for name in names:
        client.create("configmaps", config_map(name))

    with running(transport, list_mode="list", page_size=2) as informer:
        reaches(informer, [f"default/{name}" for name in names])
        assert informer.status.state.value == "live"
        listed = next(r for r in informer.trace if r.kind == "listed")
        assert (listed.get("count"), listed.get("pages")) == (7, 1)


def test_a_compacted_history_is_survived(stack):
    """410 with an unseen deletion: told once, as a tombstone or as what was seen."""
    server, transport, client = stack
    client.create("configmaps", config_map("gone"))
    deleted = []

    with running(transport) as informer:
        informer.add_event_handler(on_delete=lambda obj: deleted.append(obj.key))
        server.faults.expire_watch("configmaps")
        client.delete("configmaps", "gone", namespace="default")
        client.create("configmaps", config_map("new"))
        reaches(informer, ["default/new"])
        assert informer.driver.wait_until(informer.condition, lambda: informer.is_settled, 10)

    assert deleted == ["default/gone"]


def test_fifty_lives_leave_no_thread(stack):
    """Fault 78, small: every start has its stop."""
    _, transport, _ = stack
    for _ in range(50):
        with running(transport):
            pass

    assert not [t.name for t in threading.enumerate() if "configmaps" in t.name]
