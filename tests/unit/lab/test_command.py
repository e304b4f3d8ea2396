"""``python -m crlab``: what the commands print, write and answer to signals."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import crlab
from crlab.__main__ import main
from crlab.errors import ConfigError
from crlab.lab.command.serve import read_tokens

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``crlab serve`` and give (process, URL)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crlab", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_serve_prints_its_url_writes_a_kubeconfig_and_ends_on_sigterm(tmp_path: Path) -> None:
    """What kubectl needs, and an end that leaves nothing."""
    path = tmp_path / "kubeconfig"
    with serving("--kubeconfig", str(path)) as (process, url):
        config = yaml.safe_load(path.read_text())
        with crlab.connect(path) as lab:
            names = lab.client.list("namespaces")["items"]
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)

    assert config["clusters"][0]["cluster"]["server"] == url
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {n["metadata"]["name"] for n in names} >= {"default", "kube-system"}
    assert code == 0


def test_serve_with_tokens_knows_who_asks() -> None:
    """RBAC is on: alice may look at nothing."""
    with serving("--token", "boss", "--user-token", "alice:dev=hers", "--controllers", "none") as (
        _,
        url,
    ):
        with crlab.connect(url=url, token="boss") as lab:
            assert lab.client.list("namespaces")["items"]
        with (
            crlab.connect(url=url, token="hers") as lab,
            pytest.raises(crlab.CrlabError, match='User "alice" cannot list'),
        ):
            lab.client.list("namespaces")


def test_a_command_that_cannot_work_says_why_and_exits_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No traceback for a typo."""
    assert main(["run", "no-colon"]) == 2
    assert "is not MODULE:NAME" in capsys.readouterr().err


def test_a_token_file_is_read_as_kube_apiserver_reads_it(tmp_path: Path) -> None:
    """One format less to learn."""
    path = tmp_path / "tokens.csv"
    path.write_text('abc,alice,1,"dev,ops"\ndef,bob,2\n')
    options = SimpleNamespace(token=None, user_token=[], token_file=path)

    assert read_tokens(options) == {  # type: ignore[arg-type]
        "abc": ("alice", ["dev", "ops"]),
        "def": ("bob", []),
    }


def test_a_malformed_token_option_is_refused() -> None:
    """A token that silently means nothing would be a locked door."""
    options = SimpleNamespace(token=None, user_token=["alice"], token_file=None)

    with pytest.raises(ConfigError, match="USER=TOKEN"):
        read_tokens(options)  # type: ignore[arg-type]


def test_run_reconciles_in_a_process_and_ends_on_sigterm() -> None:
    """From notebook to process: the same controller, the same server."""
    with crlab.sandbox(controllers=["namespace", "gc", "workloads"]) as lab:
        from crlab.examples import myservice

        lab.apply(myservice.CRD)
        lab.apply(myservice.EXAMPLE)
        services = lab.informer("myservices").wait_for_sync()
        command = [sys.executable, "-m", "crlab", "run", "crlab.examples.myservice:controller"]
        process = subprocess.Popen(
            [*command, "--url", lab.url, "--allow-writes", "*"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": "/nonexistent"},
        )
        try:
            lab.wait_until(
                lambda: list(services.df["phase"]) == ["Ready"], 40, what="the service is Ready"
            )
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
        finally:
            process.kill()
            process.communicate(timeout=20)

    assert code == 0


def test_record_and_replay_tell_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session on disk, looked at without a server."""
    path = tmp_path / "session.jsonl.gz"
    with crlab.sandbox(seed=0, driver="manual") as lab, lab.record(path):
        lab.informer("namespaces").wait_for_sync()

    assert main(["replay", str(path)]) == 0
    assert "kube-system" in capsys.readouterr().out
