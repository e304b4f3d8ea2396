"""The proxy really does what it says: a client of plain sockets sees every fault.

A proxy that silently did nothing would let every informer pass.
"""

from __future__ import annotations

import gzip
import json
import ssl
import time
from contextlib import contextmanager

import pytest
import trustme
from support.fault_proxy import FaultProxy, semantic, toxic
from support.plain_client import PlainClient
from support.poll import until
from support.server import serving

from crlab.runtime.clock import RealClock

LIST = "/api/v1/namespaces/default/configmaps"
WATCH = f"{LIST}?watch=1&resourceVersion=0"


@pytest.fixture
def server():
    with serving(RealClock()) as server:
        put(server, "first")
        yield server


@pytest.fixture
def proxy(server):
    with FaultProxy(server.url) as proxy:
        yield proxy


def put(server, name, **data):
    body = {"metadata": {"name": name}, "data": {"pad": "x" * 200, **data}}
    status, _ = server.request("POST", LIST, body)
    if status == 409:
        assert server.request("PUT", f"{LIST}/{name}", body)[0] == 200


@contextmanager
def asked(proxy, path=LIST, **options):
    with PlainClient(proxy.url, **options) as client:
        yield client.get(path)


@contextmanager
def watching(proxy, server):
    """A watch that has seen the first object."""
    with asked(proxy, WATCH) as client:
        client.read(b'"first"')
        until(proxy.streams)
        client.received = b""
        yield client


def test_without_rules_it_only_forwards(proxy, server):
    """Lists and watches, byte for byte; nothing in the journal but requests."""
    with asked(proxy) as client:
        client.read(b"]}\n")
        assert client.status == 200
        assert json.loads(client.body)["kind"] == "ConfigMapList"
    with watching(proxy, server) as client:
        put(server, "forwarded")
        assert b'"forwarded"' in client.read(b'"forwarded"')
    assert proxy.journal.count("fault") == 0
    assert proxy.journal.count("request") == 2


STATUS = [
    (semantic.Status(500), 500, b'"InternalError"'),
    (semantic.TooLarge(), 504, b"ResourceVersionTooLarge"),
    (semantic.RetryAfter("seconds", seconds=5), 429, b"retry-after: 5"),
    (semantic.RetryAfter("date"), 429, b"GMT"),
    (semantic.RetryAfter("absurd"), 429, b"1000000000"),
    (semantic.RetryAfter("negative"), 429, b"-5"),
    (semantic.Redirect("http://127.0.0.1:1/"), 302, b"location: http://127.0.0.1:1/"),
]


@pytest.mark.parametrize(("fault", "code", "text"), STATUS, ids=lambda x: getattr(x, "name", None))
def test_a_status_takes_the_place_of_the_answer(proxy, fault, code, text):
    """Code, headers and body."""
    proxy.add(fault)
    with asked(proxy) as client:
        assert client.status == code
        assert text in client.read()
    assert proxy.journal.happened(fault.name)


def test_a_script_counts_matches(proxy):
    """The second list only, once; the watch is another match."""
    proxy.add(semantic.Status(500), "list", nth=2, times=1)
    seen = []
    for _ in range(3):
        with asked(proxy) as client:
            seen.append(client.status)
    assert seen == [200, 500, 200]


def test_a_script_keeps_its_time(proxy):
    """A rule of no seconds is over at once."""
    proxy.add(semantic.Status(500), seconds=-1)
    with asked(proxy) as client:
        assert client.status == 200


def test_a_blackhole_never_answers(proxy):
    """The connection stays open and silent."""
    proxy.add(toxic.Blackhole())
    with asked(proxy) as client:
        assert client.read(seconds=0.3) == b""
        assert client.ended == ""
    assert proxy.journal.happened("blackhole")


def test_a_reset_is_a_rst(proxy, server):
    """Instead of an answer, and in an open stream."""
    proxy.add(toxic.ResetPeer(), "list")
    with asked(proxy) as client:
        client.read()
        assert client.ended == "rst"
    with watching(proxy, server) as client:
        assert proxy.inject(toxic.ResetPeer()) == 1
        client.read()
        assert client.ended == "rst"


def test_down_refuses_until_it_is_up(proxy):
    """On the same port, afterwards."""
    proxy.down()
    with pytest.raises(ConnectionRefusedError):
        PlainClient(proxy.url)
    proxy.up()
    with asked(proxy) as client:
        assert client.status == 200


def test_half_open_mutes_a_stream(proxy, server):
    """No byte, no end, though the object changes."""
    with watching(proxy, server) as client:
        proxy.inject(toxic.HalfOpen())
        put(server, "unseen")
        assert client.read(seconds=0.3) == b""
        assert client.ended == ""
    assert proxy.journal.happened("half_open")


MID_LINE = [
    (toxic.RstMidLine(), "rst", False),
    (toxic.FinMidLine(), "fin", False),
    (toxic.FinMidLine(is_clean=True), "fin", True),
    (toxic.FinMidLine(is_clean=True, is_whole=True), "fin", True),
]


@pytest.mark.parametrize(("fault", "end", "is_clean"), MID_LINE)
def test_a_line_is_cut(proxy, server, fault, end, is_clean):
    """Part of a line without its newline, and the end."""
    with watching(proxy, server) as client:
        proxy.inject(fault)
        put(server, "cut")
        text = client.read()
        assert client.ended == end
        assert b'{"type"' in text
        assert b"}\n" not in text
        assert text.endswith(b"0\r\n\r\n") is is_clean


def test_bytes_are_sliced_and_throttled(proxy):
    """Slices, latency and bandwidth change when bytes come, not which."""
    with asked(proxy) as client:
        client.read(b"]}\n")
        plain = client.body
    for fault in (toxic.Slicer(7), toxic.Latency(0.2), toxic.Bandwidth(20_000)):
        proxy.clear()
        proxy.add(fault)
        began = time.monotonic()
        with asked(proxy) as client:
            client.read(b"]}\n", seconds=5)
            assert client.body == plain
        assert isinstance(fault, toxic.Slicer) or time.monotonic() - began >= 0.2
        assert proxy.journal.happened(fault.name)


def test_limit_data_ends_after_its_bytes(proxy):
    """FIN after exactly so many."""
    proxy.add(toxic.LimitData(100))
    with asked(proxy) as client:
        assert len(client.read()) == 100
        assert client.ended == "fin"


def test_a_slow_close_comes_late(proxy, server):
    """The connection outlives its stream."""
    proxy.add(toxic.SlowClose(0.3))
    with watching(proxy, server) as client:
        began = time.monotonic()
        proxy.inject(semantic.End())
        client.read()
        assert client.ended == "fin"
        assert time.monotonic() - began >= 0.3


def test_one_bit_is_flipped(proxy, server):
    """The line differs in one bit."""
    with watching(proxy, server) as client:
        proxy.inject(toxic.Corrupt(bit=7))
        put(server, "flipped")
        line = client.read(b"}}\n").partition(b"\r\n")[2]
        odd = [byte for byte in line if byte >= 0x80]
        assert len(odd) == 1


def test_a_trickle_and_a_flood_have_no_newline(proxy, server):
    """Slowloris, and a line without an end."""
    for fault, least in ((toxic.Trickle(0.005), 20), (toxic.Flood(1 << 20), 1 << 20)):
        with watching(proxy, server) as client:
            proxy.inject(fault)
            text = client.read(seconds=0.5)
            assert len(text) > least
            assert b"}\n" not in text


def test_a_handshake_stalls(server):
    """TLS: connected, and no hello ever comes back."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with FaultProxy(server.url, tls=context) as proxy:
        with asked(proxy, tls=trusting) as client:
            assert client.status == 200
        proxy.add(toxic.StallHandshake(), "connect")
        with pytest.raises(TimeoutError):
            PlainClient(proxy.url, tls=trusting, timeout=0.3)
        assert proxy.journal.happened("stall_handshake")


def test_ipv6_is_spoken(server):
    """[::1] too."""
    with FaultProxy(server.url, host="::1") as proxy, asked(proxy) as client:
        assert "[::1]" in proxy.url
        assert client.status == 200


EVENTS = [
    (semantic.Duplicate(), lambda events: events[0] == events[1]),
    (semantic.Drop(), lambda events: names(events) == ["two", "three"]),
    (semantic.Reorder(2), lambda events: names(events) == ["two", "one", "three"]),
    (semantic.RewriteRv("7"), lambda events: version(events[0]) == "7"),
    (semantic.StripMetadata(), lambda events: "metadata" not in events[0]["object"]),
    (semantic.Edit(lambda e: e.update(object=None)), lambda events: events[0]["object"] is None),
    (semantic.Garble(), lambda events: events[0] is None and names(events[1:]) == ["two", "three"]),
    (semantic.Framing(), lambda events: names(events) == ["one", "two", "three"]),
    (semantic.Batch(5), lambda events: names(events)[:5] == ["one"] * 5),
]


def names(events):
    return [event["object"]["metadata"]["name"] for event in events]


def version(event):
    return event["object"]["metadata"]["resourceVersion"]


def decoded(text):
    """Return the events of chunked text; None for one that cannot be read."""
    events = []
    for line in text.splitlines():
        if line.startswith((b"{", b"\xef\xbb\xbf")) and line.strip():
            try:
                events.append(json.loads(line.decode("utf-8-sig")))
            except ValueError:
                events.append(None)
    return events


@pytest.mark.parametrize(("fault", "holds"), EVENTS, ids=[f.name for f, _ in EVENTS])
def test_events_are_changed(proxy, server, fault, holds):
    """What the client gets instead of three creations."""
    for name in ("one", "two", "three"):
        server.request("DELETE", f"{LIST}/{name}")
    revision = server.storage.revision
    with asked(proxy, f"{LIST}?watch=1&resourceVersion={revision}") as client:
        client.read(b"\r\n\r\n")
        client.received = b""
        until(proxy.streams)
        proxy.inject(fault)
        for name in ("one", "two", "three"):
            put(server, name)
        client.read(b'"three"', seconds=3)
        assert holds(decoded(client.read(seconds=0.05)))
    assert proxy.journal.happened(fault.name)


def test_a_stale_state_comes_late(proxy, server):
    """The first state of a key after its second."""
    with watching(proxy, server) as client:
        proxy.inject(semantic.Stale())
        put(server, "late", n="1")
        put(server, "late", n="2")
        client.read(b"MODIFIED")
        events = decoded(client.read(seconds=0.2))
        assert [event["object"]["data"]["n"] for event in events] == ["1", "2", "1"]
        assert version(events[0]) == version(events[2])


def test_lines_are_put_in_and_streams_ended(proxy, server):
    """Inject; a clean end; a FIN alone; nothing at all after 200."""
    with watching(proxy, server) as client:
        proxy.inject(semantic.Inject(b'{"type":"ODD"}\n'))
        assert b'"ODD"' in client.read(b"ODD")
        proxy.inject(semantic.End())
        assert client.read().endswith(b"0\r\n\r\n")
    with watching(proxy, server) as client:
        proxy.inject(semantic.End(is_clean=False))
        assert client.read() == b""
        assert client.ended == "fin"
    proxy.add(semantic.CloseAfter(0), "watch")
    with asked(proxy, WATCH) as client:
        assert client.status == 200
        client.read()
        assert client.body == b"0\r\n\r\n"


def test_a_stream_is_buffered(proxy):
    """The server answered and sent; the client got nothing."""
    proxy.add(semantic.Buffered(), "watch")
    with asked(proxy, WATCH) as client:
        assert client.read(seconds=0.3) == b""
    assert proxy.journal.happened("buffered")


def test_a_stream_ends_after_its_events(proxy, server):
    """One of the initial two."""
    put(server, "second")
    proxy.add(semantic.CloseAfter(1), "watch")
    with asked(proxy, WATCH) as client:
        assert len(decoded(client.read())) == 1
        assert client.ended == "fin"


def test_a_body_is_changed_or_compressed(proxy):
    """JSON edited; gzip good, cut, and a bomb."""
    proxy.add(semantic.Body(lambda tree: tree.pop("items") and None))
    with asked(proxy) as client:
        client.read(b"\r\n\r\n")
        assert b"items" not in client.read(seconds=0.2)
    sizes = {}
    for form in ("good", "truncated", "bomb"):
        proxy.clear()
        proxy.add(semantic.Gzip(form, bomb_bytes=1 << 20))
        with asked(proxy) as client:
            client.read(seconds=0.3)
            sizes[form] = client.body
    assert b"first" in gzip.decompress(sizes["good"])
    assert len(sizes["truncated"]) < len(sizes["good"])
    assert len(gzip.decompress(sizes["bomb"])) > 500 * len(sizes["bomb"])
