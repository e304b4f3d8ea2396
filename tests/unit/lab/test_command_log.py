"""What the commands tell on stderr, and how they end when something fails."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml

import crlab
from crlab.__main__ import main
from crlab.lab.command import record
from crlab.lab.command.log_level import tell_on_stderr
from crlab.trace.recording import Recorder

ROOT = Path(__file__).resolve().parents[3]
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
FAILING = """
def controller(lab):
    informer = lab.informer("configmaps", namespace="default")
    def failing(request, ctx):
        ctx.log("looks at %s", request.name)
        ctx.patch("configmaps", request.name, {"data": {"a": "b"}})
    return lab.controller(informer, name="failing", max_retries=1)(failing)
"""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command sets the logger up for its process, which here is everybody's."""
    logger = logging.getLogger("crlab")
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers = handlers
    logger.setLevel(level)


def test_run_tells_what_fails_at_once_and_still_ends_well(tmp_path: Path) -> None:
    """A refused write, the retry and the given-up key: a line each, as klog writes them."""
    (tmp_path / "failing.py").write_text(FAILING)
    with crlab.sandbox(controllers=False) as lab:
        lab.apply(CONFIG)
        process = subprocess.Popen(
            [sys.executable, "-m", "crlab", "run", "failing:controller", "--url", lab.url],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)},
        )
        said = []
        try:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                if "given up" in line:
                    break
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
        finally:
            process.kill()
            process.communicate(timeout=20)
    lines = [line for line in said if re.match(r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d{3} crlab\.", line)]

    assert code == 0
    assert [line[0] for line in lines] == ["I", "W", "I", "E"]
    assert "controller/failing: default/a: looks at a" in lines[0]
    assert "reconcile default/a: ReadOnlyError: patch configmaps default/a" in lines[1]
    assert "Traceback" in "".join(said)
    assert "given up after 2 attempts" in lines[3]


def test_run_ends_with_1_and_the_cause_if_its_caches_never_sync(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A controller that may not list does not sit there as if it worked."""
    (tmp_path / "forbidden.py").write_text(FAILING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with crlab.sandbox(controllers=False, tokens={"hers": "nobody"}) as lab:
        path = lab.write_kubeconfig(tmp_path / "kubeconfig")
        config = yaml.safe_load(Path(path).read_text())
        config["users"][0]["user"] = {"token": "hers"}
        Path(path).write_text(yaml.safe_dump(config))
        command = ["run", "forbidden:controller", "--kubeconfig", str(path)]
        code = main([*command, "--sync-timeout-seconds", "0.5"])
    said = capsys.readouterr().err

    assert code == 1
    assert "the controller failed: not synced after 0.5 s: configmaps" in said
    assert 'configmaps is failed (never current): missing permission: verb "list"' in said
    told = [(r.levelname, r.name) for r in caplog.records]
    assert ("ERROR", "crlab.cache") in told  # before the time was over


def test_run_refuses_a_time_that_is_none() -> None:
    """-1 is no time."""
    assert main(["run", "x:y", "--sync-timeout-seconds", "-1"]) == 2


def test_zero_seconds_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``--sync-timeout-seconds 0`` says in its help."""
    with crlab.sandbox(driver="manual", controllers=False) as lab:
        made = lab.controller("secrets", name="c")(lambda request, ctx: None)
        lab.faults.status(503, resource="secrets", times=None)
        made.controller.pool.sync_timeout_seconds = None
        made.start()
        lab.advance(100_000)
        lab.settle()

        assert made.controller.error is None


def test_logging_that_is_set_up_already_is_used_instead(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """No line twice: here pytest's own handlers have it."""
    tell_on_stderr("info")
    tell_on_stderr("info")
    logging.getLogger("crlab.lab").info("once")

    assert caplog.messages == ["once"]
    assert capsys.readouterr().err == ""
    assert len(logging.getLogger("crlab").handlers) == 1


def test_a_recorder_that_stops_is_told_and_ends_crlab_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that is full: a line, a problem, and exit code 1."""
    with crlab.sandbox(controllers=False) as lab:
        lab.record(tmp_path / "session.jsonl.gz")
        full = OSError(28, "No space left on device")
        with mock.patch.object(Recorder, "_write", side_effect=full):
            lab.apply(CONFIG)
            lab.wait_until(lambda: record.stopped(lab), 10)
        row = lab.problems.df.iloc[0]

    assert (row["kind"], row["where"]) == ("recorder", "recorder/session.jsonl.gz")
    assert "No space left on device" in row["cause"]
    assert any("No space left on device" in line for line in caplog.messages)


def test_record_ends_with_1_if_its_recorder_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it learns that the recording is not whole."""
    monkeypatch.setattr(record, "stopped", lambda lab: ["full"])
    with crlab.sandbox(controllers=False) as lab:
        code = main(["record", str(tmp_path / "x.gz"), "configmaps", "--url", lab.url])

    assert code == 1


def test_credentials_that_cannot_be_had_are_told_until_they_are_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file of a token goes and comes: an error, a problem, and neither."""
    with crlab.sandbox(controllers=False, tokens={"hers": ("boss", ["system:masters"])}) as server:
        path = server.write_kubeconfig(tmp_path / "kubeconfig")
        config: dict[str, Any] = yaml.safe_load(Path(path).read_text())
        config["users"][0]["user"] = {"tokenFile": str(tmp_path / "token")}
        Path(path).write_text(yaml.safe_dump(config))
        with crlab.connect(path) as lab:
            with pytest.raises(crlab.CrlabError):
                lab.client.list("configmaps")
            row = lab.problems.df.iloc[0]
            said = list(caplog.messages)
            (tmp_path / "token").write_text("hers")
            lab.client.list("configmaps")
            after = str(lab.problems)

    assert (row["kind"], row["where"]) == ("credentials", "token file")
    assert "cannot be read" in row["cause"]
    assert any("cannot be read" in line for line in said)
    assert after == "no problems"


def test_a_run_over_its_time_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """By the watchdog of a controller in threads, until the run returns."""
    import threading

    is_over = threading.Event()
    with crlab.sandbox(controllers=False) as lab:
        lab.apply(CONFIG)
        informer = lab.informer("configmaps", namespace="default")
        made = lab.controller(informer, name="c", timeout_seconds=0.05)(
            lambda request, ctx: is_over.wait(10) and None
        )
        made.start()
        lab.wait_until(lambda: len(lab.problems) == 1, 10)
        row = SimpleNamespace(**lab.problems.df.iloc[0])
        is_over.set()
        lab.wait_until(lambda: not lab.problems, 10)

    assert (row.kind, row.where, row.key) == ("stuck", "controller/c", "default/a")
    assert any("stuck default/a: it has not returned" in line for line in caplog.messages)
