"""What it costs to say ``import crlab``, and how soon a server is there."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest
from support.bench.table import Table

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROUNDS = 5
HEAVY = ("pandas", "matplotlib", "ipywidgets", "aiohttp", "kubernetes.client.models")
IMPORT = "import crlab"
SERVER = """
import aiohttp.web, crlab.apiserver.http_app, crlab.apiserver.server, crlab.lab.opening, time
from crlab.apiserver import ApiServer
from crlab.runtime.clock import RealClock
from crlab.runtime.ids import Ids
began = time.perf_counter()
server = ApiServer(RealClock(), Ids())
server.start()
import http.client, urllib.parse
url = urllib.parse.urlsplit(server.url)
connection = http.client.HTTPConnection(url.hostname, url.port)
connection.request("GET", url.path + "/readyz")
assert connection.getresponse().status == 200
print(time.perf_counter() - began)
server.stop()
"""
MEASURED = "import time; began = time.process_time()\n{}\nprint(time.process_time() - began)"


def seconds(program: str, rounds: int = ROUNDS) -> float:
    """Return what a fresh interpreter prints, the median of several."""
    found = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append(float(done.stdout))
    return statistics.median(found)


def test_import(table: Table):
    """CPU milliseconds in a fresh interpreter; none of the heavy packages comes along."""
    check = f"import sys; assert not [n for n in {HEAVY!r} if n in sys.modules]"
    ours = seconds(MEASURED.format(IMPORT) + "\n" + check) * 1e3
    others = {
        name: seconds(MEASURED.format(f"import {name}"), 1) * 1e3
        for name in ("kubernetes", "lightkube", "kr8s", "kopf", "pandas")
    }
    table.add("import crlab, CPU", ours, "ms", neighbours=others, target="< 150 ms, nothing heavy",
              is_met=ours < 150)  # fmt: skip


def test_start(table: Table):
    """From the constructor to the first answer over HTTP, imports paid, by the clock."""
    ours = seconds(SERVER)
    table.add("embedded server: start to first answer", ours, "s", target="< 0.3 s",
              is_met=ours < 0.3)  # fmt: skip
