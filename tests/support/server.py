"""A fresh API server in milliseconds, in-process or on a socket.

`api_server` is the fixture; `make_server` the same as a function. The clock is a
`FakeClock` unless a test brings another, so nothing waits unless the test advances it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crlab.apiserver import SYSTEM, ApiServer, HttpRequest, WatchResponse
from crlab.client.dynamic import DynamicClient
from crlab.controller.builtin import ControllerManager
from crlab.lab.in_process import InProcessTransport
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace

TRANSCRIPTS = Path(__file__).parents[1] / "contract" / "transcripts"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"


def make_server(clock: Any = None, *, seed: int = 0, **options: Any) -> ApiServer:
    """Return a server that is ready for `handle`; `.start()` puts it on a socket."""
    return ApiServer(clock or FakeClock(), Ids(seed), **options)


def start_controllers(server: ApiServer, *groups: str, driver: Any) -> ControllerManager:
    """Run built-in controllers ("namespace", "gc", "workloads") beside a server."""
    core = server.core
    trace = Trace(core.clock)
    transport = InProcessTransport(server, identity=SYSTEM)
    client = DynamicClient(transport, clock=core.clock, trace=trace, allow_writes=True)
    return ControllerManager(
        server.storage,
        client,
        driver=driver,
        clock=core.clock,
        ids=core.ids.fork("controllers"),
        trace=trace,
        groups=groups,
    ).start()


@contextmanager
def serving(clock: Any = None, *, seed: int = 0, **options: Any) -> Iterator[ApiServer]:
    """Serve on a socket for the length of a block."""
    server = make_server(clock, seed=seed, **options)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    """A fresh server, in-process."""
    with make_server() as server:
        yield server


def crd(use: str = "widgets", group: str = "demo.crlab.dev") -> dict[str, Any]:
    """Return one of the CRDs of the transcripts under a group."""
    text = (TRANSCRIPTS / "crds" / f"{use}.json").read_text()
    return dict(json.loads(text.replace("GROUP", group)))


def install(server: ApiServer, use: str = "widgets", group: str = "demo.crlab.dev") -> str:
    """Create a CRD; return the path of its objects in the default namespace."""
    status, body = server.request("POST", CRDS, crd(use, group))
    assert status == 201, body
    spec = body["spec"]
    place = "/namespaces/default" if spec["scope"] == "Namespaced" else ""
    return f"/apis/{group}/{spec['versions'][0]['name']}{place}/{spec['names']['plural']}"


def widget(name: str, group: str = "demo.crlab.dev", **spec: Any) -> dict[str, Any]:
    """Return a Widget."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 1, **spec},
    }


def open_watch(server: ApiServer, path: str, **query: str) -> WatchResponse:
    """Open a watch in-process."""
    pairs = tuple({"watch": "1", **query}.items())
    answer = server.handle(HttpRequest("GET", path, pairs))
    assert isinstance(answer, WatchResponse), answer
    return answer


def events(watch: WatchResponse) -> list[dict[str, Any]]:
    """Return the events that are ready now."""
    return [json.loads(line) for line in watch.poll().splitlines()]
