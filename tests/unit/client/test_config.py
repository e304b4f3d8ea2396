"""The configuration is found in client-go's order, or the error says where it was sought."""

import base64
import json
import os
import time

import pytest
import yaml
from support.wire_server import wire_server

from crlab.client import config as config_module
from crlab.client.config import from_configuration, load_config
from crlab.client.http import HttpTransport
from crlab.errors import ConfigError, CredentialError

CANARY = "canary-51a7"


@pytest.fixture(autouse=True)
def pod_folder(tmp_path, monkeypatch):
    """Where this machine's service account would be."""
    monkeypatch.setattr(config_module, "SERVICE_ACCOUNT", str(tmp_path / "sa"))


def kubeconfig(path, *, server="http://127.0.0.1:1", user=None, current="c", name="c", **cluster):
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": CANARY}}],
        "contexts": [{"name": name, "context": {"cluster": "k", "user": "u", "namespace": "ns"}}],
    }
    path.write_text(yaml.safe_dump(tree))
    return str(path)


def service_account(tmp_path):
    folder = tmp_path / "sa"
    folder.mkdir()
    (folder / "token").write_text("pod-token")
    (folder / "ca.crt").write_text("x")
    (folder / "namespace").write_text("pod-ns")
    return {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def home(tmp_path, **options):
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", **options)
    return {"HOME": str(tmp_path)}


def test_arguments_come_first(tmp_path):
    """1: a URL and token alone; a file alone."""
    env = home(tmp_path, server="http://127.0.0.1:9")
    found = load_config(url="http://127.0.0.1:7", token="t", env=env)
    assert (found.endpoint.port, found.credentials.kind, found.source) == (7, "token", "arguments")
    path = kubeconfig(tmp_path / "other", server="http://127.0.0.1:8")
    assert load_config(path, env=env).endpoint.port == 8


def test_kubeconfig_files_are_merged_first_wins(tmp_path):
    """2: per cluster, user, context, and for the current context; missing files are passed over."""
    first = kubeconfig(tmp_path / "a", server="http://127.0.0.1:5")
    second = kubeconfig(tmp_path / "b", server="http://127.0.0.1:6", current="d", name="d")
    env = {**service_account(tmp_path), "KUBECONFIG": os.pathsep.join(["/none", first, second])}
    assert load_config(env=env).context == "c"
    other = load_config(context="d", env=env)
    assert (other.context, other.endpoint.port, other.namespace) == ("d", 5, "ns")


def test_the_pod_comes_before_home(tmp_path):
    """3: only where a token is mounted; KUBERNETES_SERVICE_HOST alone is not enough."""
    env = {**home(tmp_path), **service_account(tmp_path)}
    found = load_config(env=env)
    assert (found.endpoint.authority, found.namespace) == ("10.0.0.1:443", "pod-ns")
    assert found.credentials.current().authorization() == "Bearer pod-token"
    (tmp_path / "sa" / "token").unlink()
    assert load_config(env=env).context == "c"


def test_the_pod_without_an_authority_is_an_error(tmp_path):
    """S14: no fall-back to the system's authorities."""
    env = service_account(tmp_path)
    (tmp_path / "sa" / "ca.crt").unlink()
    with pytest.raises(ConfigError, match=r"no .*ca\.crt"):
        load_config(env=env)


def test_nothing_found_says_what_was_looked_at(tmp_path):
    """And names the way out."""
    env = {"HOME": str(tmp_path), "KUBECONFIG": "/none"}
    with pytest.raises(ConfigError) as caught:
        load_config(env=env)
    for part in ("/none (KUBECONFIG)", "sa/token", ".kube/config", "crlab.sandbox()"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("[]", "is not a mapping"),
        ("a: [", "broken"),
        ("a: 1\na: 2", "appears twice"),
        ("x: !!python/object:os.system 1", "is not allowed"),
        ("kind: Pod", "not a kubeconfig"),
        ("clusters: 5", "is not a list"),
        ("clusters: [{}]", "has no name"),
        ("clusters: [{name: a, cluster: x}]", "is not a mapping"),
        ("{}", "no current-context"),
        ("current-context: x", "no context 'x'"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: y}}]", "'y', which is not"),
    ],
)
def test_a_broken_kubeconfig_is_an_error(tmp_path, text, expected):
    """Corpus Y: with the file's name and what is wrong."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_user_is_an_error(tmp_path):
    """S11: a context that names a user who is not there is not anonymous."""
    path = kubeconfig(tmp_path / "c")
    (tmp_path / "c").write_text((tmp_path / "c").read_text().replace("user: u", "user: w"))
    with pytest.raises(ConfigError, match="nothing was sent"):
        load_config(path)


USERS = {
    "unknown key": {"tokn": CANARY},
    "impersonation": {"token": CANARY, "as": "root"},
    "gcp": {"auth-provider": {"name": "gcp", "config": {"access-token": CANARY}}},
    "oidc without a token": {"auth-provider": {"name": "oidc", "config": {}}},
    "oidc not a JWT": {"auth-provider": {"name": "oidc", "config": {"id-token": CANARY}}},
    "half a certificate": {"client-certificate-data": "QQ=="},
    "certificate not base64": {"client-certificate-data": CANARY + "!", "client-key-data": "QQ=="},
    "token a number": {"token": 5},
    "exec a text": {"exec": CANARY},
    "exec of an old version": {"exec": {"apiVersion": "v1alpha1", "command": "x"}},
    "a password alone": {"password": CANARY},
}


@pytest.mark.parametrize("name", USERS)
def test_a_user_that_is_not_understood_is_an_error(tmp_path, name):
    """S11: 0 requests reach the server; S10: no secret in the error."""
    with wire_server(lambda peer, request, server: peer.answer(200)) as server:
        path = kubeconfig(tmp_path / "c", server=server.url, user=USERS[name])
        with pytest.raises(ConfigError) as caught:
            HttpTransport(load_config(path).endpoint, load_config(path).credentials)
    assert server.connections == 0
    assert CANARY not in str(caught.value)


def test_a_plugin_that_fails_sends_nothing(tmp_path):
    """S11: the request fails; it is not sent without credentials."""
    stanza = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}
    with wire_server(lambda peer, request, server: peer.answer(200)) as server:
        found = load_config(kubeconfig(tmp_path / "c", server=server.url, user={"exec": stanza}))
        http = HttpTransport(found.endpoint, found.credentials)
        for call in (lambda: http.request("GET", "/"), lambda: http.open_stream("/")):
            with pytest.raises(CredentialError, match="nothing was sent"):
                call()
    assert server.connections == 0


def test_an_empty_user_is_anonymous_and_says_so(tmp_path):
    """As kubectl reads ``user: {}``; visible in describe()."""
    found = load_config(kubeconfig(tmp_path / "c", user={}))
    assert HttpTransport(found.endpoint, found.credentials).describe()["credentials"] == "none"


def test_an_oidc_token_is_used_until_it_expires(tmp_path):
    """Refreshing it is kubelogin's business; afterwards nothing is sent."""

    def token(expires_at):
        claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at}).encode()).decode()
        return f"e30.{claims.rstrip('=')}.x"

    def user(expires_at):
        return {"auth-provider": {"name": "oidc", "config": {"id-token": token(expires_at)}}}

    found = load_config(kubeconfig(tmp_path / "c", user=user(time.time() + 1000)))
    assert found.credentials.current().authorization().startswith("Bearer e30.")
    found = load_config(kubeconfig(tmp_path / "d", user=user(time.time() - 1)))
    with pytest.raises(CredentialError, match="has expired"):
        found.credentials.current()


def test_paths_are_relative_to_their_file(tmp_path):
    """Also in a merged list."""
    (tmp_path / "token").write_text("from-file")
    found = load_config(kubeconfig(tmp_path / "c", user={"tokenFile": "token"}))
    assert found.credentials.current().authorization() == "Bearer from-file"


def test_unverified_tls_is_logged_and_shown(tmp_path, caplog):
    """S14: a kubeconfig that says so is obeyed, and not silently."""
    path = kubeconfig(tmp_path / "c", server="https://x", **{"insecure-skip-tls-verify": True})
    found = load_config(path)
    assert "is not verified" in caplog.text
    assert HttpTransport(found.endpoint, found.credentials).describe()["tls"] == "NOT VERIFIED"


@pytest.mark.parametrize("value", ["yes", "true", 1, [True]])
def test_a_misspelt_insecure_flag_is_an_error(tmp_path, value):
    """S14, corpus Y: only a boolean counts."""
    path = kubeconfig(tmp_path / "c", server="https://x", **{"insecure-skip-tls-verify": value})
    with pytest.raises(ConfigError, match="neither true nor false"):
        load_config(path)


def test_an_authority_together_with_the_insecure_flag_is_an_error(tmp_path):
    """S14: as kubectl refuses it."""
    options = {"insecure-skip-tls-verify": True, "certificate-authority-data": "QQ=="}
    with pytest.raises(ConfigError, match="remove one of them"):
        load_config(kubeconfig(tmp_path / "c", server="https://x", **options))


def test_a_configuration_of_the_kubernetes_package_is_taken_over(tmp_path):
    """Its host, its token, its refresh hook; a token that vanishes is an error."""
    client = pytest.importorskip("kubernetes.client")
    configuration = client.Configuration(host="http://127.0.0.1:4")
    configuration.api_key["authorization"] = f"Bearer {CANARY}"
    found = from_configuration(configuration)
    assert found.credentials.current().authorization() == f"Bearer {CANARY}"
    assert CANARY not in repr(found)
    configuration.api_key["authorization"] = ""
    found = from_configuration(configuration)
    with pytest.raises(CredentialError, match="no token any more"):
        found.credentials.current()


def test_the_configuration_shows_no_secret(tmp_path):
    """S10: repr of what was loaded, and of the transport."""
    found = load_config(kubeconfig(tmp_path / "c"))
    http = HttpTransport(found.endpoint, found.credentials)
    assert CANARY not in f"{found!r} {found} {http!r} {http.describe()} {vars(found)}"
