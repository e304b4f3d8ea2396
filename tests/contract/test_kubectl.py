"""kubectl cannot tell the embedded server from the recorded one: its sessions, word for word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.kubectl import KUBECTL, Session, client_version
from support.server import crd, make_server, start_controllers
from support.transcript import TRANSCRIPTS

from crlab.apiserver import ApiServer
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver

FILES = sorted((TRANSCRIPTS / "kubectl").glob("*.json"))
BASELINE: dict[str, str] = json.loads((TRANSCRIPTS / "kubectl_baseline.json").read_text())
KEEPS_PREFIX = 36  # minor version of the first kubectl whose `get --raw` keeps a URL's path
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on PATH"),
]


@contextmanager
def controlled(server: ApiServer, needs: list[str]) -> Iterator[None]:
    """Run the controllers that a session needs, each in its thread."""
    if "controllers" not in needs:
        yield
        return
    driver = ThreadDriver(server.core.clock)
    manager = start_controllers(server, "namespace", "gc", driver=driver)
    try:
        yield
    finally:
        manager.stop()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_session_prints_as_recorded(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Exit codes and output of every command equal the recording."""
    reason = BASELINE.get(path.stem)
    if reason is not None and int(client_version().split(".")[1]) < KEEPS_PREFIX:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    document = json.loads(path.read_text())
    setup = document.get("setup", {})
    with make_server(RealClock()) as server, controlled(server, document.get("needs", [])):
        server.start()
        for name in setup.get("namespaces", []):
            server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for entry in setup.get("crds", []):
            server.request("POST", CRDS, crd(entry["use"], entry["group"]))
        found = Session(document, server.url, tmp_path).differences(client_version())
    assert not found, "\n".join(found[:40])
