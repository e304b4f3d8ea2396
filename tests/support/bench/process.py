"""Starts the static server and the clients, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}


@contextmanager
def static_server(kind: str, count: int, events: int = 0, rate: float = 0.0) -> Iterator[str]:
    """Yield the URL of a server whose bytes are all encoded."""
    command = [sys.executable, "-m", "support.bench.server", kind, str(count), str(events)]
    server = subprocess.Popen(
        [*command, str(rate)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url, "the static server did not start"
        yield url
    finally:
        server.kill()
        server.communicate()


def client(
    name: str, scenario: str, kind: str, count: int, *, events: int = 0, rate: float = 0.0
) -> dict[str, Any]:
    """Run one client against a fresh server; return what it cost."""
    with static_server(kind, count, events, rate) as url:
        arguments = [name, scenario, kind, url, str(count), str(events)]
        done = subprocess.run(
            [sys.executable, "-m", "support.bench.client", *arguments],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=900,
        )
    assert done.returncode == 0, f"{name}, {scenario}: {done.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
