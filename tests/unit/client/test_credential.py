"""Credentials are fresh, fetched once for all, and shown to nobody."""

import inspect
import json
import os
import pickle
import stat
import sys
import threading
import time
import traceback

import pytest

from crlab.client import exec_plugin
from crlab.client.credential import (
    Credential,
    Renewed,
    basic_credentials,
    token_credentials,
    token_file_credentials,
)
from crlab.client.endpoint import ClientCertificate
from crlab.client.exec_plugin import ExecPlugin
from crlab.errors import CredentialError
from crlab.runtime.clock import FakeClock, RealClock
from crlab.runtime.thread import StageThread

V1 = "client.authentication.k8s.io/v1"
CANARY = "canary-3f9c0e"


def test_a_token_is_fetched_again_before_it_expires():
    """S13: 10 s early."""
    clock, fetches = FakeClock(), []

    def fetch():
        fetches.append(clock.now())
        return Credential("Bearer x", expires_at=clock.now() + 100)

    credentials = Renewed("test", fetch, clock, max_age_seconds=1e9)
    for seconds in (0, 89, 2, 50):
        clock.advance(seconds)
        credentials.current()
    assert len(fetches) == 2


def test_fifty_threads_fetch_once():
    """S13: single flight, at first use and again after a 401."""
    fetches, started = [], threading.Barrier(50)

    def fetch():
        fetches.append(1)
        threading.Event().wait(0.02)
        return Credential("Bearer x")

    credentials = Renewed("test", fetch, RealClock(), max_age_seconds=60)
    for _ in range(2):
        used = credentials.current() if fetches else None

        def use(used=used):
            started.wait()
            if used is not None:
                credentials.invalidate(used)
            credentials.current()

        threads = [StageThread(f"user{i}", use) for i in range(50)]
        for thread in threads:
            thread.start()
        assert all(thread.join(5) for thread in threads)
    assert len(fetches) == 2


def test_a_fetch_that_fails_fails_every_request():
    """S11: an expired credential is not used on."""
    clock = FakeClock()
    answers = [Credential("Bearer x", expires_at=clock.now() + 60)]

    def fetch():
        if not answers:
            raise CredentialError("no")
        return answers.pop()

    credentials = Renewed("test", fetch, clock, max_age_seconds=1e9)
    credentials.current()
    clock.advance(55)
    for _ in range(2):
        with pytest.raises(CredentialError):
            credentials.current()


def test_a_token_file_is_read_again(tmp_path):
    """S13: every minute, and at once after a 401."""
    clock, path = FakeClock(), tmp_path / "token"
    credentials = token_file_credentials(str(path), clock)
    seen = []
    for token, seconds in (("a\n", 0), ("b", 59), ("c", 2)):
        path.write_text(token)
        clock.advance(seconds)
        seen.append(credentials.current().authorization())
    path.write_text("d")
    assert credentials.invalidate(credentials.current())
    seen.append(credentials.current().authorization())
    assert seen == ["Bearer a", "Bearer a", "Bearer c", "Bearer d"]


@pytest.mark.parametrize("content", [None, "", " \n", "two words", "\x00\x01", "x" * 70_000, "é"])
def test_an_unusable_token_file_is_an_error(tmp_path, content):
    """S11: absent, empty, not a token, too large; nothing is sent."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialError):
        token_file_credentials(str(path), FakeClock()).current()


def test_nothing_shows_a_secret():
    """S10: repr, str, format, vars of what is public, pickle."""
    certificate = ClientCertificate(b"cert", CANARY.encode())
    holders = [
        token_credentials(CANARY, "test"),
        basic_credentials("user", CANARY),
        Renewed("test", lambda: Credential(f"Bearer {CANARY}"), FakeClock(), max_age_seconds=9),
        Credential(f"Bearer {CANARY}", certificate),
        certificate,
    ]
    for holder in holders:
        if isinstance(holder, Renewed):
            holder.current()
        assert CANARY not in f"{holder!r} {holder} {holder!s}"
        if hasattr(holder, "__dict__") and holder is not certificate:
            assert CANARY not in str(vars(holder))
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(holder)


def plugin_file(tmp_path, code):
    path = tmp_path / "plugin"
    path.write_text(f"#!{sys.executable}\nimport os, sys, json, time\n{code}\n")
    path.chmod(0o755)
    config = tmp_path / "config"
    config.write_text("")
    return str(config)


def plugin(tmp_path, code, *, timeout_seconds=20.0, allowed=None, **stanza):
    source = plugin_file(tmp_path, code)
    return ExecPlugin(
        {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never", **stanza},
        source=source,
        cluster={"server": "https://example"},
        clock=RealClock(),
        allowed=allowed,
        timeout_seconds=timeout_seconds,
    )


def printing(status, **top):
    answer = {"apiVersion": V1, "kind": "ExecCredential", "status": status, **top}
    return f"print({json.dumps(answer)!r})"


def test_a_plugin_gives_a_token_and_its_expiry(tmp_path):
    """It gets its arguments, its environment and what it asked to know of the cluster."""
    code = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = sys.argv[1] + os.environ['B'] + info['spec']['cluster']['server'][:5]\n"
        "print(json.dumps({'apiVersion': info['apiVersion'], 'kind': 'ExecCredential', "
        "'status': {'token': token, 'expirationTimestamp': '2030-01-01T00:00:00Z'}}))"
    )
    credential = plugin(
        tmp_path, code, args=["$HOME;"], env=[{"name": "B", "value": "b"}], provideClusterInfo=True
    ).run()
    assert credential.authorization() == "Bearer $HOME;bhttps"
    assert credential.expires_at == 1893456000.0


def test_a_plugin_gives_a_certificate(tmp_path):
    """Certificate and key, or neither."""
    status = {"clientCertificateData": "C", "clientKeyData": "K"}
    credential = plugin(tmp_path, printing(status)).run()
    assert credential.certificate == ClientCertificate(b"C", b"K")


FAILURES = {
    "exit 1": f"sys.stderr.write({CANARY!r}); sys.exit(1)",
    "nothing": "",
    "not JSON": f"print({CANARY!r})",
    "no status": f"print(json.dumps({{'apiVersion': {V1!r}, 'kind': 'ExecCredential'}}))",
    "empty token": printing({"token": ""}),
    "token a number": printing({"token": 5}),
    "half a certificate": printing({"clientCertificateData": CANARY}),
    "another version": printing(
        {"token": CANARY}, apiVersion="client.authentication.k8s.io/v1beta1"
    ),
    "another kind": printing({"token": CANARY}, kind="Pod"),
    "no time zone": printing({"token": CANARY, "expirationTimestamp": "2030-01-01T00:00:00"}),
    "token with a line break": printing({"token": f"{CANARY}\nX: y"}),
    "a flood": "sys.stdout.write('x' * 3_000_000)",
    "deep": "print('[' * 100_000)",
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_plugin_that_fails_is_an_error(tmp_path, name):
    """S11, S12: whatever it does; the error shows none of its output."""
    with pytest.raises(CredentialError) as caught:
        plugin(tmp_path, FAILURES[name]).run()
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in report.stack if "/crlab/client/" in frame.filename]
    assert CANARY not in f"{caught.value} {[frame.locals for frame in ours]}"
    assert "nothing was sent" in str(caught.value)


def test_a_plugin_that_hangs_is_killed_with_its_children(tmp_path):
    """S12: the whole process group, at the limit."""
    pid_file = tmp_path / "pid"
    code = (
        "child = os.fork()\n"
        f"if child == 0: open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)\n"
        "time.sleep(60)"
    )
    running, started = plugin(tmp_path, code, timeout_seconds=0.6), time.monotonic()
    with pytest.raises(CredentialError, match=r"did not end within 0\.6 s and was killed"):
        running.run()
    assert time.monotonic() - started < 5
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 2
    while _runs(child) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert not _runs(child)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(") ")[1][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("stanza", "text"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "is not one of"),
        ({"interactiveMode": "Always"}, "needs a terminal"),
        ({"command": ""}, "names no command"),
        ({"command": "no-such-plugin", "installHint": "get it at x"}, "not found; get it at x"),
        ({"args": "x y"}, "not a list"),
        ({"env": [{"name": "A"}]}, "not a list of names and values"),
    ],
)
def test_a_stanza_that_cannot_be_honoured_is_an_error(tmp_path, stanza, text):
    """S11: at once, when the configuration is read."""
    with pytest.raises(CredentialError, match=text):
        plugin(tmp_path, "", **stanza)


def test_only_allowed_plugins_run(tmp_path):
    """S12: the caller's policy, by the command as written or by its path."""
    with pytest.raises(CredentialError, match="not among the allowed"):
        plugin(tmp_path, printing({"token": "t"}), allowed=["aws"])
    path = str(tmp_path / "plugin")
    assert plugin(tmp_path, printing({"token": "t"}), allowed=[path]).run().authorization()


def test_a_plugin_from_a_file_that_others_can_write_is_refused(tmp_path):
    """S12: whoever can write the kubeconfig could run programs as us."""
    source = plugin_file(tmp_path, printing({"token": "t"}))
    os.chmod(source, stat.S_IRUSR | stat.S_IWUSR | stat.S_IWOTH)
    with pytest.raises(CredentialError, match="others can change that file"):
        ExecPlugin(
            {"apiVersion": V1, "command": "./plugin"}, source=source, cluster={}, clock=RealClock()
        )


def test_a_plugin_is_announced_once(tmp_path, caplog):
    """S12: with its full path, before it first runs."""
    caplog.set_level("INFO", logger="crlab.client")
    running = plugin(tmp_path, printing({"token": CANARY}))
    running.run()
    running.run()
    assert [record.getMessage().count(str(tmp_path / "plugin")) for record in caplog.records] == [1]
    assert CANARY not in caplog.text


def test_no_shell_is_involved():
    """S12: an argument list on every system."""
    assert "shell=" not in inspect.getsource(exec_plugin)
