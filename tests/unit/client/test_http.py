"""HTTP with deadlines, limits, and an end when told."""

import gzip
import threading
import time

import pytest
from support.wire_server import wire_server

from crlab.client.credential import Credential, Renewed, Static, token_credentials
from crlab.client.endpoint import parse_endpoint
from crlab.client.http import HttpTransport
from crlab.errors import CredentialError, TransportError
from crlab.runtime.clock import RealClock
from crlab.runtime.thread import StageThread


def transport(server, credentials=None, *, path="", **options):
    return HttpTransport(parse_endpoint(server.url + path, env={}), credentials, **options)


def ok(peer, request, server):
    peer.answer(200, b'{"a":1}', X_Two="1", Warning='299 - "old \\"api\\""')


def test_requests_share_a_connection_and_keep_the_prefix():
    """Keep-alive; the path and query arrive quoted, below the URL's own path."""
    with wire_server(ok) as server:
        http = transport(server, path="/c/x/")
        for _ in range(3):
            response = http.request("GET", "/api/v1/é", query=[("labelSelector", "a in (b)")])
        http.close()
    assert (response.status, response.body, response.headers["x-two"]) == (200, b'{"a":1}', "1")
    assert response.warnings == ('old "api"',)
    assert server.connections == 1
    assert server.requests[0].target == "/c/x/api/v1/%C3%A9?labelSelector=a+in+%28b%29"


def test_a_status_never_raises():
    """Guarantee 1 of the transport: also 500."""
    with wire_server(lambda peer, request, server: peer.answer(500, b"oops")) as server:
        assert transport(server).request("POST", "/", body=b"{}").status == 500
    assert server.requests[0].body == b"{}"


def test_a_kept_connection_that_died_is_replaced():
    """The server closes an idle connection; the next request goes out on a new one."""

    def once(peer, request, server):
        peer.answer(200, b"{}")
        peer.sock.close()

    with wire_server(once) as server:
        http = transport(server)
        assert [http.request("GET", "/").status for _ in range(3)] == [200, 200, 200]
        assert server.connections == 3


class Sleepy(RealClock):
    """A machine whose wall clock went on without it."""

    ahead_seconds = 0.0

    def now(self):
        return super().now() + self.ahead_seconds


def test_no_connection_is_reused_that_idled_while_the_machine_slept():
    """Fault 81: nobody may answer at its other end, and nothing would say so for 30 s."""
    clock = Sleepy()
    with wire_server(ok) as server:
        http = transport(server, clock=clock)
        http.request("GET", "/")
        clock.ahead_seconds = 3600.0
        http.request("GET", "/")
        http.request("GET", "/")
        http.close()
        assert server.connections == 2


def test_a_write_is_not_sent_twice():
    """A POST on a kept connection that dies without an answer is an error, not a repeat."""

    def first_only(peer, request, server):
        if len(server.requests) == 1:
            peer.answer(200, b"{}")
        else:
            peer.reset()

    with wire_server(first_only) as server:
        http = transport(server)
        http.request("POST", "/", body=b"{}")
        with pytest.raises(TransportError):
            http.request("POST", "/", body=b"{}")
    assert len(server.requests) == 2


def test_a_refused_connection_says_so():
    """Fault 16: the reflector may wait without listing again."""
    with wire_server(ok) as server:
        url = server.url
    with pytest.raises(TransportError, match="nothing listens there") as caught:
        HttpTransport(parse_endpoint(url)).request("GET", "/")
    assert caught.value.is_refused
    assert caught.value.phase == "connect"


def test_a_name_that_does_not_resolve_is_an_error():
    """Fault 17."""
    with pytest.raises(TransportError, match="cannot be resolved"):
        HttpTransport(parse_endpoint("http://no-such-host.invalid", env={})).request("GET", "/")


def silent(peer, request, server):
    server.hold()


def half(peer, request, server):
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    server.hold()


def trickle(peer, request, server):
    while not server.released.wait(0.02):
        peer.send(b"X")


@pytest.mark.parametrize(
    ("handle", "text"),
    [(silent, "no answer within"), (half, "silent for too long"), (trickle, "no answer within")],
)
def test_a_mute_server_is_given_up(handle, text):
    """Fault 2: no headers; half a body; headers that never end."""
    with wire_server(handle) as server:
        http = transport(server, first_byte_seconds=0.2, silence_seconds=0.2)
        with pytest.raises(TransportError, match=text):
            http.request("GET", "/")


def test_a_mute_tls_handshake_is_given_up():
    """Fault 3: the server accepts and says nothing."""
    with wire_server(ok, on_accept=lambda peer, server: server.hold()) as server:
        url = server.url.replace("http:", "https:")
        http = HttpTransport(parse_endpoint(url), connect_seconds=0.2)
        with pytest.raises(TransportError, match="no connection within"):
            http.request("GET", "/")


def stream_then_hold(peer, request, server):
    peer.begin_stream()
    peer.chunk(b"one\n")
    server.hold()


@pytest.mark.parametrize("phase", ["tls", "headers", "body", "stream"])
def test_close_wakes_whoever_waits(phase):
    """Fault 67, C10: within 50 ms in every phase, from another thread."""
    failures = []
    entered = threading.Event()

    def wait(http):
        entered.set()
        try:
            if phase == "stream":
                stream = http.open_stream("/")
                while stream.read(None):
                    pass
            else:
                http.request("GET", "/")
        except TransportError as error:
            failures.append((time.monotonic(), str(error)))

    handle = {"headers": silent, "body": half}.get(phase, stream_then_hold)
    on_accept = (lambda peer, server: server.hold()) if phase == "tls" else None
    with wire_server(handle, on_accept=on_accept) as server:
        url = server.url.replace("http:", "https:") if phase == "tls" else server.url
        http = HttpTransport(parse_endpoint(url))
        thread = StageThread("waiter", lambda: wait(http))
        thread.start()
        entered.wait(5)
        while not server.connections or (phase != "tls" and not server.requests):
            threading.Event().wait(0.005)
        threading.Event().wait(0.05)  # now it waits
        closed_at = time.monotonic()
        http.close()
        assert thread.join(2)
    at, text = failures[0]
    assert "closed here" in text
    assert at - closed_at < 0.2  # 50 ms, and room for a busy machine


def test_a_session_is_closed_alone():
    """One informer stops; its neighbours and their connections go on."""
    with wire_server(ok) as server:
        http = transport(server)
        session = http.session()
        session.request("GET", "/")
        session.close()
        with pytest.raises(TransportError, match="closed here"):
            session.request("GET", "/")
        assert http.request("GET", "/").status == 200
        other = http.session()
        http.close()
        with pytest.raises(TransportError, match="closed here"):
            other.request("GET", "/")
    assert server.connections == 1


def lines(peer, request, server):
    peer.begin_stream()
    peer.chunk(b"one\n")
    server.released.wait(0.2)
    peer.chunk(b"two\n")
    peer.chunk(b"")


def test_a_stream_is_read_as_it_comes():
    """0 polls, a time-out leaves the stream usable, b"" is the clean end."""
    with wire_server(lines) as server:
        stream = transport(server).open_stream("/")
        assert stream.read(5) == b"one\n"
        with pytest.raises(TimeoutError):
            stream.read(0)
        with pytest.raises(TimeoutError):
            stream.read(0.01)
        assert [stream.read(5), stream.read(5)] == [b"two\n", b""]


def test_a_cut_stream_is_not_a_clean_end():
    """Faults 4, 6: RST, and FIN inside the chunked body."""
    for end in ("reset", "fin"):

        def cut(peer, request, server, end=end):
            peer.begin_stream()
            peer.chunk(b"one\n")
            threading.Event().wait(0.05)
            peer.reset() if end == "reset" else peer.sock.close()

        with wire_server(cut) as server:
            stream = transport(server).open_stream("/")
            assert stream.read(5) == b"one\n"
            with pytest.raises(TransportError) as caught:
                stream.read(5)
        assert caught.value.phase == "watch"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    """Fault 21, S17: credentials go to the configured server and to no other."""
    with wire_server(ok) as other:

        def away(peer, request, server):
            peer.answer(status, b"", Location=other.url)

        with wire_server(away) as server:
            http = transport(server, token_credentials("canary", "test"))
            assert http.request("GET", "/").status == status
    assert other.connections == 0


def test_credentials_are_not_sent_in_the_clear():
    """S16: plain http to another machine is refused before anything is sent."""
    endpoint = parse_endpoint("http://10.1.2.3:8080", env={})
    with pytest.raises(CredentialError, match="plain http"):
        HttpTransport(endpoint, token_credentials("canary", "test"))
    HttpTransport(endpoint)  # without credentials it may


def test_huge_headers_are_an_error():
    """S18: 64 KiB."""

    def handle(peer, request, server):
        peer.send(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000)

    with wire_server(handle) as server, pytest.raises(TransportError, match="64 KiB"):
        transport(server).request("GET", "/")


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1",
    ],
)
def test_what_is_not_http_is_an_error(head):
    """Corpus P: another protocol, broken headers, an interim answer for ever."""

    def handle(peer, request, server):
        peer.send(head)
        peer.sock.close()

    with wire_server(handle) as server, pytest.raises(TransportError):
        transport(server).request("GET", "/")


def test_a_body_beyond_the_limit_is_not_read():
    """Fault 60, S18: the error says how to ask for less."""
    with wire_server(lambda peer, request, server: peer.answer(200, b"x" * 50_000)) as server:
        http = transport(server, max_body_bytes=10_000)
        with pytest.raises(TransportError, match="ask for pages"):
            http.request("GET", "/")


def test_gzip_is_read_but_not_asked_of_this_machine():
    """Loopback pays for inflating and gains nothing; what comes gzipped is read."""
    text = gzip.compress(b"[1]")
    handle = lambda peer, request, server: peer.answer(200, text, Content_Encoding="gzip")  # noqa: E731
    with wire_server(handle) as server:
        assert transport(server).request("GET", "/").body == b"[1]"
    assert "accept-encoding" not in server.requests[0].headers


def test_a_401_refreshes_the_credentials_once():
    """Fault 32, S13: one immediate second try with fresh credentials, for both kinds of call."""
    tokens = iter("abcdef")
    fetched = Renewed(
        "test", lambda: Credential(f"Bearer {next(tokens)}"), RealClock(), max_age_seconds=60
    )

    def handle(peer, request, server):
        peer.answer(200 if request.headers["authorization"] in ("Bearer b", "Bearer d") else 401)

    with wire_server(handle) as server:
        http = transport(server, fetched)
        assert http.request("GET", "/").status == 200
        fetched.invalidate(fetched.current())
        assert http.open_stream("/").status == 200
    sent = [r.headers["authorization"][-1] for r in server.requests]
    assert sent == ["a", "b", "c", "d"]


def test_a_401_for_ever_is_two_requests():
    """Fault 33: no storm; static credentials are not even tried twice."""
    with wire_server(lambda peer, request, server: peer.answer(401)) as server:
        assert (
            transport(server, Static("t", Credential("Bearer x"))).request("GET", "/").status == 401
        )
        fetched = Renewed("t", lambda: Credential("Bearer y"), RealClock(), max_age_seconds=60)
        assert transport(server, fetched).request("GET", "/").status == 401
    assert len(server.requests) == 3


def test_a_line_break_in_a_header_is_not_sent():
    """S30: no header is made of what a name says."""
    with wire_server(ok) as server, pytest.raises(TransportError, match="line break"):
        transport(server).request("GET", "/", headers={"X": "a\r\nAuthorization: b"})
    assert not server.requests


def test_an_early_refusal_of_a_body_is_heard():
    """A 413 that is sent before the body was taken is the answer, not a broken pipe."""

    def refuse(peer, server):
        peer.sock.recv(1000)
        peer.answer(413, b"{}")
        peer.sock.shutdown(1)
        server.hold()

    with wire_server(ok, on_accept=refuse) as server:
        assert (
            transport(server)
            .request("POST", "/", body=b"x" * (8 << 20), timeout_seconds=0.4)
            .status
            == 413
        )
