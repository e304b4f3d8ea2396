"""No way of looking at a client shows what it authenticates with."""

import logging
import pickle
import traceback
from importlib.metadata import version

import pytest
from support.wire_server import wire_server

from crlab.client import DynamicClient, HttpTransport
from crlab.client.config import load_config
from crlab.errors import CrlabError, TransportError
from crlab.runtime.clock import RealClock
from crlab.trace.record import Trace

CANARY = "canary-77aa41"


def refuse(peer, request, server):
    peer.answer(401, b'{"kind":"Status","code":401,"message":"no"}')


def test_a_failing_request_shows_no_token_anywhere(caplog):
    """S10: repr, str, log at any level, trace, requests, errors, tracebacks with locals."""
    caplog.set_level(logging.DEBUG)
    with wire_server(refuse) as server:
        config = load_config(url=f"{server.url}/c/{CANARY}-prefix", token=CANARY)
        clock = RealClock()
        trace = Trace(clock)
        transport = HttpTransport(config.endpoint, config.credentials)
        client = DynamicClient(transport, clock=clock, trace=trace)
        with pytest.raises(CrlabError) as caught:
            client.get("pods", "x")
    shown = [config, transport, client, client.describe(), client.requests, trace.records()]
    text = f"{shown} {caught.value!r} {caplog.text} {vars(config)} {vars(transport)}"
    assert CANARY not in text + locals_of(caught.value)
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


def locals_of(error):
    """Return a traceback with the locals of crlab's own frames, as IPython's verbose mode has."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in report.stack if "/crlab/client/" in frame.filename]
    assert frames
    return "".join(traceback.StackSummary.from_list(frames).format())


@pytest.mark.parametrize("how", ["cut", "silent", "refused", "broken header"])
def test_a_failing_connection_shows_no_token_in_its_frames(how):
    """S10: locals on the way from the request to the socket."""

    def handle(peer, request, server):
        peer.reset() if how == "cut" else server.hold()

    with wire_server(handle) as server:
        port = 1 if how == "refused" else server.port
        config = load_config(url=f"http://127.0.0.1:{port}", token=CANARY)
        http = HttpTransport(config.endpoint, config.credentials, first_byte_seconds=0.1)
        headers = {"X": "a\nb"} if how == "broken header" else {}
        with pytest.raises(TransportError) as caught:
            http.request("POST", "/", headers=headers, body=b"{}")
        assert CANARY not in locals_of(caught.value)


@pytest.mark.parametrize("what", ["config", "transport", "credentials"])
def test_nothing_that_holds_a_token_is_pickled(what):
    """S10: a pickle is a file that somebody shares."""
    config = load_config(url="http://127.0.0.1:1", token=CANARY)
    holders = {
        "config": config,
        "transport": HttpTransport(config.endpoint, config.credentials),
        "credentials": config.credentials,
    }
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(holders[what])


def test_dependencies_are_at_fixed_versions():
    """S19: urllib3, which the kubernetes package brings, is past CVE-2026-44432."""
    assert tuple(map(int, version("urllib3").split(".")[:2])) >= (2, 7)
