"""The socket: who is let in, what is refused, how streams end."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator

import pytest
from support.poll import until
from support.server import make_server, serving

from crlab.apiserver import ApiServer
from crlab.errors import ConfigError, LifecycleError

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with serving() as found:
        yield found


def ask(
    server: ApiServer, path: str = "/api", headers: dict[str, str] | None = None, **rest: object
) -> tuple[int, bytes, http.client.HTTPMessage]:
    url = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    method, body = str(rest.get("method", "GET")), rest.get("body")
    target = url.path + path if rest.get("has_prefix", True) else path
    connection.request(method, target, body, headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, data, response.headers


def raw(server: ApiServer, text: str) -> bytes:
    url = urllib.parse.urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as sock:
        sock.sendall(text.replace("PREFIX", url.path).replace("PORT", str(url.port)).encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
        return data


@pytest.mark.parametrize(
    "path", ["/", "/api", "/apis", "/c/", "/c/wrong/api", "/api/v1/secrets", "/c", "//"]
)
def test_without_the_secret_there_is_nothing(server: ApiServer, path: str) -> None:
    """A path without the prefix is a plain 404, whatever stands behind it."""
    status, body, _ = ask(server, path, has_prefix=False)
    assert (status, body) == (404, b"404 page not found\n")


def test_a_longer_secret_is_a_wrong_secret(server: ApiServer) -> None:
    """The prefix ends at a slash."""
    assert ask(server, "x/api")[0] == 404


def test_health_needs_no_secret(server: ApiServer) -> None:
    """kubectl 1.32 drops the prefix from `get --raw /readyz`."""
    assert ask(server, "/readyz", has_prefix=False)[:2] == (200, b"ok")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.:PORT",
        "",
        "[::2]:PORT",
    ],
)
def test_a_foreign_host_is_refused(server: ApiServer, host: str) -> None:
    """A page that rebinds its name to loopback does not get in."""
    answer = raw(server, f"GET PREFIX/api HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ")[1] in (b"403", b"400")


def test_two_hosts_are_refused(server: ApiServer) -> None:
    """Nobody chooses which of them counts."""
    hosts = "Host: 127.0.0.1:PORT\r\nHost: evil.example\r\n"
    answer = raw(server, f"GET PREFIX/api HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")
    assert answer.split(b" ")[1] in (b"403", b"400")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_web_pages_are_refused(server: ApiServer, method: str, headers: dict[str, str]) -> None:
    """With any sign of a page the answer is 403, and no CORS header is ever sent."""
    status, _, found = ask(server, MAPS, headers, method=method)
    assert status == 403
    assert not [name for name in found if name.lower().startswith("access-control-")]


def test_a_body_over_the_limit_is_413(server: ApiServer) -> None:
    """The client hears it as a Status even though it had not been read to the end."""
    status, body, _ = ask(server, MAPS, method="POST", body=b"x" * 3_200_000)
    assert status == 413
    assert json.loads(body)["reason"] == "RequestEntityTooLarge"


def test_headers_over_the_limit_are_refused(server: ApiServer) -> None:
    """No request may make the server hold more than 16 KiB of a header."""
    assert ask(server, "/api", {"X-Long": "y" * 20_000})[0] == 400


def test_answers_say_who_and_that_they_are_not_to_be_kept(server: ApiServer) -> None:
    """Audit-Id and Cache-Control are on every answer."""
    _, _, headers = ask(server, "/api")
    assert headers["Cache-Control"] == "no-cache, private"
    assert len(headers["Audit-Id"]) == 36


def test_a_watch_sends_its_headers_before_the_first_event(server: ApiServer) -> None:
    """A client knows that it watches although nothing has happened."""
    url = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("GET", f"{url.path}/api/v1/secrets?watch=1")
    response = connection.getresponse()
    assert response.headers["Transfer-Encoding"] == "chunked"
    place = "/api/v1/namespaces/default/secrets"
    assert server.request("POST", place, {"metadata": {"name": "s"}})[0] == 201
    assert json.loads(response.readline())["type"] == "ADDED"
    response.close()
    connection.close()


def test_stop_ends_streams_cleanly_and_leaves_no_thread() -> None:
    """A watching client reads an end, not an error."""
    before = threading.active_count()
    server = make_server().start()
    url = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("GET", f"{url.path}/api/v1/secrets?watch=1")
    response = connection.getresponse()
    server.stop()
    assert response.read() == b""
    connection.close()
    assert threading.active_count() == before


def test_other_addresses_than_loopback_are_refused() -> None:
    """There is no TLS, and whoever gets in is the administrator."""
    with pytest.raises(ConfigError, match="loopback"):
        make_server().start(host="0.0.0.0")


def test_a_server_starts_once_and_has_a_url_only_then() -> None:
    """Before and after, asking for the URL says what to do."""
    server = make_server()
    with pytest.raises(LifecycleError, match="start"):
        _ = server.url
    server.start()
    with pytest.raises(LifecycleError):
        server.start()
    server.stop()
    server.stop()


def test_the_secret_is_not_in_what_is_printed() -> None:
    """A repr may land in a notebook that is shared."""
    with serving() as server:
        secret = server.url.rpartition("/")[2]
        assert secret not in repr(server)
        assert len(secret) >= 32


def test_one_connection_too_many_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are open go on being served."""
    monkeypatch.setattr("crlab.apiserver.http_app.CONNECTION_LIMIT", 2)
    with serving() as server:
        url = urllib.parse.urlsplit(server.url)
        assert url.hostname is not None
        held = [http.client.HTTPConnection(url.hostname, url.port, timeout=10) for _ in range(3)]
        for connection in held[:2]:
            connection.request("GET", f"{url.path}/readyz")
            assert connection.getresponse().read() == b"ok"
        held[2].connect()
        assert held[2].sock.recv(1) == b""
        held[0].request("GET", f"{url.path}/readyz")
        assert held[0].getresponse().read() == b"ok"
        for connection in held:
            connection.close()


def test_a_connection_that_sends_nothing_whole_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request does not hold a place for ever."""
    monkeypatch.setattr("crlab.apiserver.http_app.READ_SECONDS", 0.05)
    with serving() as server:
        url = urllib.parse.urlsplit(server.url)
        with socket.create_connection((url.hostname, url.port), timeout=10) as sock:
            sock.sendall(b"GET /api HTTP/1.1\r\nX-Half: ")
            assert sock.recv(100) == b""


def test_watchers_that_left_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch ends with its connection, not with the next event that cannot be written."""
    monkeypatch.setattr("crlab.apiserver.http_app.CONNECTION_LIMIT", 8)
    with serving() as server:
        url = urllib.parse.urlsplit(server.url)
        for _ in range(12):
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
            connection.request("GET", f"{url.path}/api/v1/secrets?watch=1")
            response = connection.getresponse()
            assert response.status == 200
            response.close()
            connection.close()
            until(lambda: not server._watches, 5)
        assert ask(server, "/readyz")[0] == 200
