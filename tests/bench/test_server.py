"""The embedded server: creates over HTTP, watch lines fanned out, memory per object."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from support.bench.table import Table
from support.server import CRDS, crd, make_server, serving, widget

from crlab.apiserver.storage import Storage
from crlab.runtime.clock import RealClock

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

CREATES = 1_000
WATCHERS = 40
GROUP = "demo.crlab.dev"
PATH = f"/apis/{GROUP}/v1/namespaces/default/widgets"
CLIENT = """
import http.client, json, sys, urllib.parse
url, count, prefix = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
connection = http.client.HTTPConnection(url.hostname, url.port)
path = url.path + "/apis/demo.crlab.dev/v1/namespaces/default/widgets"
bodies = []
for number in range(count):
    spec = {"size": 3, "color": "green", "tags": ["a", "b"], "ports": [{"port": 80}]}
    body = {"apiVersion": "demo.crlab.dev/v1", "kind": "Widget", "spec": spec,
            "metadata": {"name": "%s%d" % (prefix, number), "labels": {"app": "demo"}}}
    bodies.append(json.dumps(body))
for body in bodies:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    assert response.status == 201, response.status
"""


def creates_per_cpu_second(url: str, prefix: str) -> float:
    """Let another process create objects one after another; count this process's CPU."""
    before = time.process_time()
    arguments = [url, str(CREATES), prefix]
    subprocess.run([sys.executable, "-c", CLIENT, *arguments], check=True)
    return CREATES / (time.process_time() - before)


@contextmanager
def echoing() -> Iterator[str]:
    """The floor: aiohttp, a body parsed and sent back, nothing else."""
    from aiohttp import web

    async def create(request: web.Request) -> web.Response:
        return web.json_response(json.loads(await request.read()), status=201)

    loop, url = asyncio.new_event_loop(), []
    is_ready = threading.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post(PATH, create)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        is_ready.set()
        await stopping.wait()
        await runner.cleanup()

    stopping = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    is_ready.wait()
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


def test_creates(table: Table):
    """Validated, defaulted, with CEL and managed fields, over HTTP."""
    with serving(RealClock()) as server, echoing() as floor_url:
        server.request("POST", CRDS, crd("widgets", GROUP))
        found = [creates_per_cpu_second(server.url, f"a{turn}-") for turn in range(3)]
        lowest = [creates_per_cpu_second(floor_url, "b") for _ in range(3)]
    ours = statistics.median(found)
    table.add("embedded server: validated creates over HTTP", ours, "per CPU s",
              floor=statistics.median(lowest), target="≥ 600/s", is_met=ours >= 600)  # fmt: skip


def test_fan_out(table: Table):
    """Each create goes to many watches over HTTP; the creates' own CPU is in it."""
    with serving(RealClock()) as server:
        server.request("POST", CRDS, crd("widgets", GROUP))
        split = urlsplit(server.url)
        count, lines = CREATES // 2, [0]
        target = f"GET {split.path}{PATH}?watch=1 HTTP/1.1\r\nHost: {split.netloc}\r\n\r\n".encode()
        sockets = []
        for _ in range(WATCHERS):
            made = socket.create_connection((split.hostname or "", split.port or 0))
            made.sendall(target)
            assert b" 200 " in made.recv(65536)
            sockets.append(made)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, *(str(made.fileno()) for made in sockets)],
            pass_fds=[made.fileno() for made in sockets],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(f"{count * WATCHERS}\n")
        reader.stdin.flush()
        reader.stdout.readline()
        before = time.process_time()
        for number in range(count):
            server.request("POST", PATH, widget(f"w{number}", GROUP))
        lines[0] = int(reader.stdout.readline())
        spent = time.process_time() - before
        reader.communicate()
        for made in sockets:
            made.close()
    ours = lines[0] / spent
    table.add(f"embedded server: watch lines to {WATCHERS} watches over HTTP", ours, "per CPU s",
              target="≥ 10,000/s", is_met=ours >= 10_000)  # fmt: skip


READER = """
import selectors, socket, sys
wanted, found = int(input()), 0
selector = selectors.DefaultSelector()
for number in sys.argv[1:]:
    selector.register(socket.socket(fileno=int(number)), selectors.EVENT_READ)
print("ready", flush=True)
rest = {}
while found < wanted:
    ready = selector.select(10)
    for key, _ in ready:
        data = rest.get(key.fd, b"") + key.fileobj.recv(1 << 18)
        *lines, rest[key.fd] = data.split(b'"type":"ADDED"')
        found += len(lines)
        rest[key.fd] = rest[key.fd][-14:]
    if not ready:
        break
print(found, flush=True)
"""


def test_memory_kept(table: Table):
    """A small object, its place in the log and its managed fields included."""
    store = Storage()
    fields = {"f:spec": {"f:size": {}, "f:color": {}}}
    manager = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsV1": fields}
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(5000):
        metadata = {"name": f"w{number}", "labels": {"app": "demo"}, "managedFields": [manager]}
        tree = {"metadata": metadata, "spec": {"size": number, "color": "red"}}
        store.commit("widgets", f"default/w{number}", tree)
    ours = (tracemalloc.get_traced_memory()[0] - before) / 5000
    tracemalloc.stop()
    table.add("embedded server: a small object kept", ours, "bytes", target="≤ 1,500",
              is_met=ours <= 1500)  # fmt: skip


def test_sandbox(table: Table):
    """A fresh server in-process, ready for requests."""
    before = time.process_time()
    for _ in range(10):
        with make_server():
            pass
    table.add("  a fresh server in-process", (time.process_time() - before) * 100, "ms")
