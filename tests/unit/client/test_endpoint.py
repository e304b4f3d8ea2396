"""TLS is verified, proxies are honoured, keys stay off disks."""

import os
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from support.wire_server import wire_server

from crlab.client import endpoint as endpoint_module
from crlab.client.credential import Credential, Static, token_credentials
from crlab.client.endpoint import ClientCertificate, TlsSettings, is_exempt, parse_endpoint
from crlab.client.http import HttpTransport
from crlab.errors import ConfigError, CredentialError, TransportError


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def context_of(certificate, *, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if client_ca is not None:
        client_ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def ok(peer, request, server):
    peer.answer(200, b"{}")


def ask(server, tls, credentials=None, host=None):
    url = server.url.replace("127.0.0.1", host) if host else server.url
    http = HttpTransport(parse_endpoint(url, tls=tls, env={}), credentials)
    try:
        return http.request("GET", "/").status, http.describe()["tls"]
    finally:
        http.close()


def test_a_trusted_server_is_spoken_to(authority):
    """By address or by name, or by the name the kubeconfig says."""
    tls = TlsSettings(ca_data=authority.cert_pem.bytes())
    with wire_server(ok, tls=context_of(authority.issue_cert("127.0.0.1"))) as server:
        assert ask(server, tls) == (200, "verified")
    named = TlsSettings(ca_data=authority.cert_pem.bytes(), server_name="api.example")
    with wire_server(ok, tls=context_of(authority.issue_cert("api.example"))) as server:
        assert ask(server, named) == (200, "verified")


def test_an_untrusted_server_is_refused(authority):
    """S14, corpus T: self-signed, another host, expired, not yet valid, no authority given."""
    now = datetime.now(UTC)
    issue = authority.issue_cert
    tls = TlsSettings(ca_data=authority.cert_pem.bytes())
    cases = [
        (trustme.CA().issue_cert("127.0.0.1"), tls),
        (issue("example.org"), tls),
        (issue("127.0.0.1", not_before=now - timedelta(9), not_after=now - timedelta(1)), tls),
        (issue("127.0.0.1", not_before=now + timedelta(1)), tls),
        (issue("127.0.0.1"), TlsSettings()),
    ]
    for certificate, settings in cases:
        with wire_server(ok, tls=context_of(certificate)) as server:
            with pytest.raises(TransportError, match="not trusted") as caught:
                ask(server, settings, token_credentials("canary", "test"))
            assert caught.value.phase == "connect"
        assert not server.requests


def test_plain_http_on_a_tls_port_is_an_error():
    """Corpus T."""

    def plain(peer, server):
        peer.sock.recv(1000)
        peer.answer(400)

    with wire_server(ok, on_accept=plain) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(TransportError, match="TLS failed"):
            HttpTransport(parse_endpoint(url)).request("GET", "/")


def test_old_tls_is_refused(authority):
    """S14: TLS 1.2 is the least."""
    context = TlsSettings(ca_data=authority.cert_pem.bytes()).context(None)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_unverified_tls_is_explicit_and_visible(authority):
    """S14: only by `is_insecure`, and then the status says it."""
    with wire_server(ok, tls=context_of(trustme.CA().issue_cert("x"))) as server:
        assert ask(server, TlsSettings(is_insecure=True)) == (200, "NOT VERIFIED")


def test_a_rotated_authority_is_picked_up(tmp_path, authority):
    """Fault 19: the file is read again for the next connection, without a restart."""
    path = tmp_path / "ca.crt"
    path.write_bytes(trustme.CA().cert_pem.bytes())

    def once(peer, request, server):
        peer.answer(200, b"{}")
        peer.sock.close()

    with wire_server(once, tls=context_of(authority.issue_cert("127.0.0.1"))) as server:
        http = HttpTransport(parse_endpoint(server.url, tls=TlsSettings(ca_file=str(path))))
        with pytest.raises(TransportError, match="not trusted"):
            http.request("GET", "/")
        path.write_bytes(authority.cert_pem.bytes())
        assert http.request("GET", "/").status == 200


@pytest.mark.parametrize("content", [None, b"", b"not pem", b"\xff\xfe"])
def test_a_missing_or_broken_authority_is_an_error(tmp_path, content):
    """S14: never a fall-back to the system's authorities."""
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="certificate authority"):
        TlsSettings(ca_file=str(path)).context(None)


def test_a_client_certificate_is_shown(authority, tmp_path, monkeypatch):
    """S15: and its key is on no disk, nor in any repr."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    certificate = authority.issue_cert("client@example.org")
    key = certificate.private_key_pem.bytes()
    pair = ClientCertificate(certificate.cert_chain_pems[0].bytes(), key)
    server_context = context_of(authority.issue_cert("127.0.0.1"), client_ca=authority)
    tls = TlsSettings(ca_data=authority.cert_pem.bytes())
    with wire_server(ok, tls=server_context) as server:
        assert ask(server, tls, Static("certificate", Credential(certificate=pair)))[0] == 200
    assert os.listdir(tmp_path) == []
    assert key.decode()[40:60] not in repr(pair) + repr(tls)


def test_without_memory_files_the_key_is_private_and_short_lived(authority, tmp_path, monkeypatch):
    """S15: 0600 in a folder of 0700, gone when OpenSSL has read it; leftovers are swept."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(endpoint_module.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "crlab-key-left").mkdir()
    os.utime(tmp_path / "crlab-key-left", (0, 0))
    pair = ClientCertificate(b"C", b"K")
    with endpoint_module._as_files(pair) as (_, key_path):
        assert os.stat(key_path).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(key_path)).st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path) == []


def test_a_key_that_does_not_fit_is_an_error(authority):
    """Also an encrypted one: nobody is asked for a password."""
    first, second = authority.issue_cert("a"), authority.issue_cert("b")
    pair = ClientCertificate(first.cert_chain_pems[0].bytes(), second.private_key_pem.bytes())
    with pytest.raises(CredentialError, match="belong together"):
        TlsSettings().context(pair)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "https://",
        "https://u:canary@x",
        "https://x?token=canary",
        "https://x:99999999",
        "https://[x",
    ],
)
def test_a_url_that_is_no_servers_is_an_error(url):
    """And the error does not repeat what may be a secret."""
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(url, env={})
    assert "canary" not in str(caught.value)


def test_a_url_prefix_is_used_and_not_shown():
    """The embedded server's prefix is a secret."""
    found = parse_endpoint("http://127.0.0.1:8001/c/canary/", env={})
    assert found.prefix == "/c/canary"
    assert "canary" not in repr(found) + repr(HttpTransport(found)) + str(
        HttpTransport(found).describe()
    )


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "exempt"),
    [
        ("api.example.com", 443, "example.com", True),
        ("api.example.com", 443, ".example.com", True),
        ("example.com", 443, "example.com", True),
        ("badexample.com", 443, "example.com", False),
        ("api.example.com", 443, "other.org,  API.example.com", True),
        ("api.example.com", 443, "api.example.com:8443", False),
        ("api.example.com", 8443, "api.example.com:8443", True),
        ("10.1.2.3", 443, "10.0.0.0/8", True),
        ("10.1.2.3", 443, "192.168.0.0/16,10.1.2.3", True),
        ("fd00::1", 443, "fd00::/8", True),
        ("11.1.2.3", 443, "10.0.0.0/8,x", False),
        ("anything", 443, "*", True),
        ("anything", 443, "", False),
    ],
)
def test_no_proxy_is_honoured(host, port, no_proxy, exempt):
    """S16: names, domains, addresses, networks and ports, as Go reads them."""
    assert is_exempt(host, port, no_proxy) is exempt
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    env = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": no_proxy}
    assert (parse_endpoint(url, env=env).proxy is None) is exempt


def test_loopback_is_never_proxied():
    """S16: whatever the environment says."""
    env = {"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy:3128"}
    for url in ("http://127.0.0.1:1", "https://localhost", "http://[::1]:8"):
        assert parse_endpoint(url, env=env).proxy is None


def test_the_proxy_is_asked_for_a_tunnel(authority):
    """TLS goes through it end to end; its password goes to the proxy only."""
    asked = []
    with wire_server(ok, tls=context_of(authority.issue_cert("api.example"))) as server:

        def proxy(peer, request, proxy_server):
            asked.append((request.method, request.target, request.headers["proxy-authorization"]))
            peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            _pipe(peer.sock, server.port, proxy_server)

        with wire_server(proxy) as through:
            found = parse_endpoint(
                "https://api.example:6443",
                tls=TlsSettings(ca_data=authority.cert_pem.bytes()),
                proxy_url=f"http://user:pass@127.0.0.1:{through.port}",
                env={},
            )
            http = HttpTransport(found, token_credentials("canary", "test"))
            assert http.request("GET", "/").status == 200
            http.close()
    assert asked == [("CONNECT", "api.example:6443", "Basic dXNlcjpwYXNz")]
    assert "proxy-authorization" not in server.requests[0].headers


def _pipe(sock, port, proxy_server):
    import socket

    upstream = socket.create_connection(("127.0.0.1", port))

    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            upstream.close()

    threading.Thread(target=copy, args=(upstream, sock), daemon=True).start()
    copy(sock, upstream)


@pytest.mark.parametrize(("status", "hint"), [(407, "asks for credentials"), (502, "answered 502")])
def test_a_proxy_that_refuses_is_named(status, hint):
    """Fault 18."""
    with wire_server(lambda peer, request, server: peer.answer(status)) as through:
        found = parse_endpoint(
            "https://api.example", proxy_url=f"http://127.0.0.1:{through.port}", env={}
        )
        with pytest.raises(TransportError, match=rf"through the proxy 127\.0\.0\.1.*{hint}"):
            HttpTransport(found).request("GET", "/")


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1", "https://proxy"])
def test_a_proxy_of_another_kind_is_an_error(url):
    """Never a direct connection instead."""
    with pytest.raises(ConfigError, match="is not supported"):
        parse_endpoint("https://x", proxy_url=url, env={})
