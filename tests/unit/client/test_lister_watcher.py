"""Lists and watches of one collection, over real sockets."""

import json
import threading
import time

import pytest
from support.wire_server import wire_server

from crlab.client.endpoint import parse_endpoint
from crlab.client.http import HttpTransport
from crlab.client.list_watch import EndOfStream, ListOptions
from crlab.client.lister_watcher import ResourceListerWatcher
from crlab.errors import (
    DecodeError,
    Forbidden,
    ResourceExpired,
    ServerFailure,
    ServerTimeout,
    TooManyRequests,
    TransportError,
)
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.thread import StageThread

PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)


def listed(*names, **metadata):
    items = [
        {"metadata": {"name": name, "namespace": "d", "resourceVersion": "1"}} for name in names
    ]
    metadata = {"resourceVersion": "5", **metadata}
    return json.dumps(
        {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}
    ).encode()


def line(name, kind="ADDED"):
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "resourceVersion": "2"}}
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def lister(server, *args, **options):
    return ResourceListerWatcher(HttpTransport(parse_endpoint(server.url)), PODS, *args, **options)


def test_a_list_asks_for_what_the_options_say():
    """Rules 5-7: page size, token, revision; selectors of both are joined."""
    with wire_server(lambda peer, request, server: peer.answer(200, listed("a"))) as server:
        found = lister(server, "ns", "app=x", "spec.nodeName=n")
        options = ListOptions("7", "NotOlderThan", 500, "tok", label_selector="b")
        assert [o.key for o in found.list(options).items] == ["d/a"]
        found.list(ListOptions())
    assert server.requests[0].target == (
        "/api/v1/namespaces/ns/pods?limit=500&continue=tok&resourceVersion=7"
        "&resourceVersionMatch=NotOlderThan&labelSelector=app%3Dx%2Cb&fieldSelector=spec.nodeName%3Dn"
    )
    assert "limit" not in server.requests[1].target


def test_a_watch_asks_for_what_the_options_say():
    """Rules 10, 20: bookmarks, a server-side time-out, initial events."""

    def handle(peer, request, server):
        peer.begin_stream()
        peer.chunk(b"")

    with wire_server(handle) as server:
        options = ListOptions(
            "9", "NotOlderThan", send_initial_events=True, allow_watch_bookmarks=True,
            timeout_seconds=312.7,
        )  # fmt: skip
        lister(server).watch(options)
    assert server.requests[0].target == (
        "/api/v1/pods?watch=1&resourceVersion=9&resourceVersionMatch=NotOlderThan"
        "&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=312"
    )


ANSWERS = [
    (410, {"reason": "Expired"}, ResourceExpired),
    (504, {"reason": "Timeout", "message": "Too large resource version: 9"}, ServerTimeout),
    (500, {"reason": "InternalError"}, ServerFailure),
    (403, {"reason": "Forbidden"}, Forbidden),
    (429, {"reason": "TooManyRequests"}, TooManyRequests),
]


@pytest.mark.parametrize(("code", "status", "error"), ANSWERS)
def test_a_refusal_is_the_error_it_says(code, status, error):
    """Faults 23, 26, 31, 34: for a list and for the opening of a watch."""
    body = json.dumps({"kind": "Status", "code": code, **status}).encode()
    handle = lambda peer, request, server: peer.answer(code, body, Retry_After="3")  # noqa: E731
    with wire_server(handle) as server:
        for call in (lister(server).list, lister(server).watch):
            with pytest.raises(error, match="pods") as caught:
                call(ListOptions())
    if code in (429, 500, 504):
        assert caught.value.retry_after_seconds == 3


def test_a_gateways_page_is_named_as_one():
    """Fault 18: an HTML answer is somebody else's; its text is not repeated."""
    page = b"<html>canary bad gateway</html>"
    handle = lambda peer, request, server: peer.answer(502, page, Content_Type="text/html")  # noqa: E731
    text = "a proxy or gateway answered"
    with wire_server(handle) as server, pytest.raises(ServerFailure, match=text) as caught:
        lister(server).list(ListOptions())
    assert "canary" not in str(caught.value)


def test_a_captive_portal_is_not_an_empty_list():
    """Fault 39: HTML with 200."""
    page = b"<html>log in</html>"
    with wire_server(lambda peer, request, server: peer.answer(200, page)) as server:
        with pytest.raises(DecodeError):
            lister(server).list(ListOptions())
        assert read_all(lister(server).watch(ListOptions())) == ([], TransportError)


def streaming(*chunks, end="clean"):
    def handle(peer, request, server):
        peer.begin_stream()
        for chunk in chunks:
            peer.chunk(chunk)
        if end == "clean":
            peer.chunk(b"")
        elif end == "hold":
            server.hold()
        else:
            threading.Event().wait(0.05)
            peer.reset() if end == "reset" else peer.sock.close()

    return handle


def read_all(stream):
    events = []
    while True:
        try:
            events += [event.object.name for event in stream.read(5)]
        except (EndOfStream, TransportError, DecodeError) as error:
            return events, type(error)


CUTS = [
    ("6 between events", streaming(line("a"), line("b")), ["a", "b"], EndOfStream),
    ("15 nothing at all", streaming(), [], EndOfStream),
    ("5 clean end inside a line", streaming(line("a"), line("b")[:-5]), ["a"], TransportError),
    ("5 FIN inside a line", streaming(line("a"), line("b")[:-5], end="fin"), ["a"], TransportError),
    ("4 RST inside a line", streaming(line("a"), b'{"type', end="reset"), ["a"], TransportError),
    ("4 RST between events", streaming(line("a"), end="reset"), ["a"], TransportError),
    ("8 byte by byte", streaming(*(bytes([b]) for b in line("é"))), ["é"], EndOfStream),
    ("40 a damaged line", streaming(line("a") + b"{]\n" + line("c")), ["a"], DecodeError),
]


@pytest.mark.parametrize(("name", "handle", "events", "error"), CUTS, ids=[c[0] for c in CUTS])
def test_a_watch_ends_as_it_ended(name, handle, events, error):
    """Faults 4-6, 8, 15, 40: whole events, then how it ended; a clean end is not a cut."""
    with wire_server(handle) as server:
        assert read_all(lister(server).watch(ListOptions())) == (events, error)


def test_a_quiet_watch_returns_nothing_in_time():
    """Fault 1: the reflector decides when silence is too long; the stream stays usable."""
    with wire_server(streaming(line("a"), end="hold")) as server:
        stream = lister(server).watch(ListOptions())
        assert [len(stream.read(5)), stream.read(0), stream.read(0.02)] == [1, [], []]
        stream.close()
        with pytest.raises(TransportError):
            stream.read(5)


@pytest.mark.parametrize("phase", ["list", "watch", "read"])
def test_abort_ends_what_is_under_way(phase):
    """Rule: no call outlives `abort`; the transport's other users are not touched."""
    failed = []

    def handle(peer, request, server):
        if phase == "read":
            peer.begin_stream()
        server.hold()

    with wire_server(handle) as server:
        found = lister(server)

        def call():
            try:
                stream = (found.list if phase == "list" else found.watch)(ListOptions())
                stream.read(None)
            except TransportError:
                failed.append(time.monotonic())

        thread = StageThread("caller", call)
        thread.start()
        while not server.requests:
            threading.Event().wait(0.005)
        threading.Event().wait(0.05)
        aborted = time.monotonic()
        found.abort()
        assert thread.join(2)
        assert failed[0] - aborted < 0.2
        for later in (found.list, found.watch):
            with pytest.raises(TransportError, match="aborted"):
                later(ListOptions())


def test_metadata_only_asks_for_it():
    """Both verbs name PartialObjectMetadata in Accept."""
    with wire_server(lambda peer, request, server: peer.answer(406)) as server:
        found = lister(server, metadata_only=True)
        for call in (found.list, found.watch):
            with pytest.raises(Exception, match="406"):
                call(ListOptions())
    kinds = [r.headers["accept"].split(";")[1] for r in server.requests]
    assert kinds == ["as=PartialObjectMetadataList", "as=PartialObjectMetadata"]
