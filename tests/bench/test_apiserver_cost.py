"""What the embedded server costs, in CPU seconds so that a busy machine does not matter."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc

import pytest
from support.server import CRDS, crd, make_server, open_watch, widget

from crlab.apiserver.storage import Storage
from crlab.runtime.clock import RealClock

CREATES_PER_SECOND = 600
LINES_PER_SECOND = 10_000
BYTES_PER_OBJECT = 1_500
START_SECONDS = 0.3
GROUP = "demo.crlab.dev"
PATH = f"/apis/{GROUP}/v1/namespaces/default/widgets"

CLIENT = """
import http.client, json, sys, urllib.parse
url, count = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2])
connection = http.client.HTTPConnection(url.hostname, url.port)
for number in range(count):
    spec = {"size": 3, "color": "green", "tags": ["a", "b"], "ports": [{"port": 80}]}
    body = {"apiVersion": "demo.crlab.dev/v1", "kind": "Widget", "spec": spec,
            "metadata": {"name": "w%d" % number, "labels": {"app": "demo"}}}
    path = url.path + "/apis/demo.crlab.dev/v1/namespaces/default/widgets"
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    assert response.status == 201, response.status
"""


def test_creates_over_http_are_fast(capsys: pytest.CaptureFixture[str]) -> None:
    """Validated, defaulted, with CEL and managed fields: at least 600 a second of one core."""
    with make_server(RealClock()) as server:
        server.start()
        server.request("POST", CRDS, crd("widgets", GROUP))
        server.request("POST", PATH, widget("warm", GROUP))
        before = time.process_time()
        subprocess.run([sys.executable, "-c", CLIENT, server.url, "400"], check=True)
        rate = 400 / (time.process_time() - before)
    with capsys.disabled():
        print(f"\n{rate:.0f} validated creates per CPU second over HTTP")
    assert rate >= CREATES_PER_SECOND


def test_watch_lines_are_shared(capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty watchers of the same events: at least 10 000 lines a second of one core."""
    with make_server() as server:
        server.request("POST", CRDS, crd("widgets", GROUP))
        watches = [open_watch(server, PATH) for _ in range(20)]
        for number in range(200):
            server.request("POST", PATH, widget(f"w{number}", GROUP))
        before = time.process_time()
        lines = sum(watch.poll().count(b"\n") for watch in watches)
        rate = lines / (time.process_time() - before)
    with capsys.disabled():
        print(f"\n{rate:.0f} watch lines per CPU second")
    assert lines == 4000
    assert rate >= LINES_PER_SECOND


def test_a_small_object_takes_little_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes are kept, not trees: at most 1.5 KB, its place in the log included."""
    store = Storage()
    fields = {"f:spec": {"f:size": {}, "f:color": {}}}
    manager = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsV1": fields}
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(2000):
        metadata = {"name": f"w{number}", "labels": {"app": "demo"}, "managedFields": [manager]}
        tree = {"metadata": metadata, "spec": {"size": number, "color": "red"}}
        store.commit("widgets", f"default/w{number}", tree)
    size = (tracemalloc.get_traced_memory()[0] - before) / 2000
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\n{size:.0f} bytes per small object")
    assert size <= BYTES_PER_OBJECT


def test_a_server_is_there_at_once() -> None:
    """Ready for requests, with its namespaces, in a fraction of the promised time."""
    before = time.process_time()
    make_server()
    assert time.process_time() - before < START_SECONDS
