"""A credential plugin that hangs: one run for all, ended with whoever waits, never left over."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.poll import pause

from crlab.client import HttpTransport, load_config
from crlab.client.credential import Renewed
from crlab.errors import ConfigError, CredentialError, TransportError
from crlab.runtime.clock import RealClock
from crlab.runtime.thread import StageThread

pytestmark = pytest.mark.skipif(os.name != "posix", reason="plugins as POSIX runs them")


def kubeconfig(folder, code, **stanza):
    """Write a kubeconfig whose plugin runs `code`, and return its path."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\necho $$ >> {folder}/pids\n{code}\n")
    program.chmod(0o755)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "interactiveMode": "Never",
            **stanza,
        }
    }
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "config"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def pids(folder):
    path = folder / "pids"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def until(predicate, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline
        pause(0.01)


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def ask(transport, errors):
    try:
        transport.request("GET", "/api")
    except Exception as error:
        errors.append(error)


def asking(transport, errors, count):
    threads = [StageThread(f"ask{n}", lambda: ask(transport, errors)) for n in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_a_failure_is_shared_like_a_success():
    """Each caller that waited gets the one run's failure; so does who comes just after."""
    runs, go, errors = [], threading.Event(), []

    def fetch():
        runs.append(1)
        go.wait(10)
        raise CredentialError("no")

    credentials = Renewed("test", fetch, RealClock(), max_age_seconds=60)

    def use():
        try:
            credentials.current()
        except CredentialError as error:
            errors.append(error)

    threads = [StageThread(f"use{n}", use) for n in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: credentials._under_way is not None and credentials._under_way.waiting == 8)
    pause(0.3)
    go.set()
    assert all(thread.join(5) for thread in threads)
    assert len(runs) == 1
    assert len({id(error) for error in errors}) == 8
    with pytest.raises(CredentialError, match="no"):
        credentials.current()
    assert len(runs) == 1
    pause(0.5)
    with pytest.raises(CredentialError, match="no"):
        credentials.current()
    assert len(runs) == 2


def test_close_releases_who_waits_kills_the_plugin_and_starts_no_other(tmp_path):
    config = load_config(kubeconfig(tmp_path, "sleep 77 & wait"))
    transport = HttpTransport(config.endpoint, config.credentials)
    errors: list[Exception] = []
    threads = asking(transport, errors, 4)
    until(lambda: pids(tmp_path))
    started = time.monotonic()
    transport.close()
    assert all(thread.join(2) for thread in threads)
    assert time.monotonic() - started < 1.5
    assert all(isinstance(error, TransportError) for error in errors)
    assert len(errors) == 4
    until(lambda: all(is_gone(pid) for pid in pids(tmp_path)))
    ask(transport, errors)
    assert isinstance(errors[-1], TransportError)
    with pytest.raises(CredentialError, match="closed"):
        config.credentials.current()
    assert len(pids(tmp_path)) == 1
    until(lambda: not any(t.name == "crlab-credential" for t in threading.enumerate()))


def test_a_session_that_closes_leaves_the_plugin_to_those_who_wait(tmp_path):
    config = load_config(kubeconfig(tmp_path, "sleep 77"))
    transport = HttpTransport(config.endpoint, config.credentials)
    sessions = [transport.session() for _ in range(2)]
    errors: list[Exception] = []
    first, second = (asking(session, errors, 1)[0] for session in sessions)
    until(lambda: pids(tmp_path))
    until(lambda: config.credentials._under_way.waiting == 2)
    sessions[0].close()
    assert first.join(2)
    assert not is_gone(pids(tmp_path)[0])
    sessions[1].close()  # nobody is left to want it
    assert second.join(2)
    until(lambda: is_gone(pids(tmp_path)[0]))
    transport.close()


def test_no_plugin_outlives_the_interpreter(tmp_path):
    script = f"""
import sys, threading, time, pathlib
from crlab.client import HttpTransport, load_config
config = load_config({str(kubeconfig(tmp_path, "sleep 77"))!r})
transport = HttpTransport(config.endpoint, config.credentials)
threading.Thread(target=lambda: transport.request("GET", "/"), daemon=True).start()
while not pathlib.Path({str(tmp_path / "pids")!r}).exists(): time.sleep(0.01)
"""
    subprocess.run([sys.executable, "-c", script], timeout=20, check=True)
    until(lambda: all(is_gone(pid) for pid in pids(tmp_path)))


@pytest.mark.parametrize(
    "stanza",
    [
        {"args": ["a\0b"]},
        {"env": [{"name": "A", "value": "x\0"}]},
        {"env": [{"name": "A\0", "value": ""}]},
    ],
)
def test_what_no_program_can_be_given_is_a_credential_error(tmp_path, stanza):
    config = load_config(kubeconfig(tmp_path, "true", **stanza))
    with pytest.raises(CredentialError, match="NUL"):
        config.credentials.current()


@pytest.mark.parametrize(("mode", "is_refused"), [(0o660, True), (0o602, True), (0o644, False)])
def test_a_kubeconfig_that_others_can_write_runs_nothing(tmp_path, monkeypatch, mode, is_refused):
    import grp

    path = kubeconfig(tmp_path, "true")
    path.chmod(mode)
    shared = grp.struct_group(("staff", "x", os.getgid(), ["somebody", "else"]))
    monkeypatch.setattr(grp, "getgrgid", lambda _: shared)
    if is_refused:
        with pytest.raises(CredentialError, match="go-w"):
            load_config(path)
    else:
        assert load_config(path)


def test_a_group_of_ones_own_is_not_others(tmp_path, monkeypatch):
    """With a umask of 002 and a private group, 0660 is what every file has."""
    import grp
    import pwd

    path = kubeconfig(tmp_path, "true")
    path.chmod(0o660)
    me = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((me.pw_name, "x", gid, [])))
    monkeypatch.setattr(pwd, "getpwall", lambda: [me])
    assert load_config(path)


def test_a_program_that_everybody_can_write_is_not_run(tmp_path):
    path = kubeconfig(tmp_path, "true")
    (tmp_path / "plugin").chmod(0o777)
    with pytest.raises(CredentialError, match="chmod o-w"):
        load_config(path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "socket"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        place = socket.socket(socket.AF_UNIX)
        place.bind(str(path))
        place.close()
    else:
        path = Path("/dev/zero")
    with pytest.raises(ConfigError):
        load_config(path)
    config = kubeconfig(tmp_path, "true")
    tree = json.loads(config.read_text())
    tree["users"][0]["user"] = {"tokenFile": str(path)}
    config.write_text(json.dumps(tree))
    with pytest.raises(CredentialError, match="nothing was sent"):
        load_config(config).credentials.current()
    tree["clusters"][0]["cluster"] = {
        "server": "https://127.0.0.1:9",
        "certificate-authority": str(path),
    }
    config.write_text(json.dumps(tree))
    with pytest.raises(ConfigError):
        load_config(config).endpoint.tls.context(None)


def test_a_plugin_run_again_for_each_caller_is_caught(monkeypatch):
    """The seeded bug: failures that are not shared."""
    real = Renewed._run

    def forgetful(self, fetch):
        real(self, fetch)
        self._failed = None

    monkeypatch.setattr(Renewed, "_run", forgetful)
    with pytest.raises(AssertionError):
        test_a_failure_is_shared_like_a_success()
