"""`ControlPlane` with stand-in binaries: what it refuses, what it starts, what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import pytest
from support import stand_in_apiserver
from support.poll import pause

import crlab
from crlab.errors import ConfigError
from crlab.lab.envtest import ControlPlane, check_etcd_version, find_assets
from crlab.runtime.clock import RealClock

ETCD = """#!/bin/sh
[ "$1" = --version ] && { echo "etcd Version: 3.6.5"; exit 0; }
exec tail -f /dev/null
"""
APISERVER = """#!/bin/sh
echo "$@"
exec tail -f /dev/null
"""
BROKEN = """#!/bin/sh
echo "no such flag: --secure-port"
exit 3
"""


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A folder of stand-in binaries."""
    for name, text in {"etcd": ETCD, "kube-apiserver": APISERVER}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_missing_binaries_are_named_with_the_way_out(tmp_path: Path) -> None:
    """The error says what was looked at and what to do."""
    with pytest.raises(ConfigError, match="no etcd and no kube-apiserver found: KUBE"):
        find_assets({"KUBEBUILDER_ASSETS": str(tmp_path)})


@pytest.mark.parametrize("version", ["3.3.27", "3.4.23", "3.5.12"])
def test_an_etcd_without_watch_list_is_refused(version: str) -> None:
    """With etcd 3.4.23 a 1.36 API server silently loses WatchList."""
    with pytest.raises(ConfigError, match=f"etcd {version} cannot serve WatchList"):
        check_etcd_version(f"etcd Version: {version}\nGit SHA: abc")


@pytest.mark.parametrize("version", ["3.4.31", "3.5.13", "3.6.0", "4.0.0"])
def test_a_current_etcd_is_accepted(version: str) -> None:
    """Only too old is refused."""
    assert check_etcd_version(f"etcd Version: {version}") == version


def test_start_runs_both_and_stop_leaves_no_process_and_no_file(assets: Path) -> None:
    """Guarantee 2."""
    plane = ControlPlane(assets, RealClock())
    plane.start(lambda: True, timeout_seconds=5)
    processes = [process for _, process in plane._processes]
    folder = plane._folder

    plane.stop()

    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)
    assert not folder.exists()


def test_a_process_that_ends_is_quoted(assets: Path) -> None:
    """The way to the cause is the process' own last words."""
    (assets / "kube-apiserver").write_text(BROKEN)
    plane = ControlPlane(assets, RealClock())

    with pytest.raises(ConfigError, match=r"kube-apiserver ended with code 3: no such flag"):
        plane.start(lambda: False, timeout_seconds=10)

    assert not plane._folder.exists()


def test_the_token_is_in_no_argument_and_only_its_owner_reads_the_file(assets: Path) -> None:
    """Guarantee 3; arguments can be read by every user of the machine."""
    plane = ControlPlane(assets, RealClock())
    plane.start(lambda: True, timeout_seconds=5)
    try:
        arguments = [str(part) for _, process in plane._processes for part in process.args]
        mode = os.stat(plane._folder / "tokens.csv").st_mode & 0o777

        assert not [text for text in arguments if plane.token in text]
        assert mode == 0o600
    finally:
        plane.stop()


@pytest.fixture
def serving_assets(assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in binaries whose API server answers; `KUBEBUILDER_ASSETS` names them."""
    script = Path(stand_in_apiserver.__file__)
    text = f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n'
    (assets / "kube-apiserver").write_text(text)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    return assets


def test_envtest_gives_a_lab_like_any_other(serving_assets: Path) -> None:
    """Over TLS with its own authority and token: write, list, watch; nothing is left."""
    with crlab.envtest(timeout_seconds=40) as lab:
        lab.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        maps = lab.informer("configmaps")
        maps.wait_for_sync(timeout_seconds=10)
        assert list(maps.df["name"]) == ["a"]
        lab.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}})
        lab.wait_until(lambda: len(maps.df) == 2, timeout_seconds=10)
        folders = _folders()
        assert folders
    assert not folders & _folders()


def test_a_lab_that_cannot_be_opened_leaves_no_process(
    serving_assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes end although there is no lab to close."""
    before = _folders()

    def refuse(*_: object) -> None:
        raise ConfigError("no")

    monkeypatch.setattr("crlab.lab.opening._connected", refuse)
    with pytest.raises(ConfigError, match="no"):
        crlab.envtest(timeout_seconds=40)
    assert _folders() == before


def _folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("crlab-envtest-*")}


DYING = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
from unittest import mock
from crlab.lab.envtest import ControlPlane
from crlab.runtime.clock import RealClock

for number in (signal.SIGHUP, signal.SIGTERM):  # as in a shell, whatever nohup inherited
    signal.signal(number, signal.SIG_DFL)
plane = ControlPlane(Path(sys.argv[1]), RealClock())
plane.start(lambda: True, timeout_seconds=5)
if sys.argv[2] == "with a child that lives on":
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    child.start()
pids = [process.pid for _, process in plane._processes] + [plane._watcher.pid]
print(plane._folder, *pids, flush=True)
if sys.argv[2] == "os._exit":
    os._exit(1)
if sys.argv[2] == "child exits":
    if os.fork() == 0:
        plane.stop()
        sys.exit(0)
    os.wait()
    print([p.poll() for _, p in plane._processes] == [None, None], flush=True)
    os._exit(0)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that ended and that nobody waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look at processes")
@pytest.mark.parametrize(
    "end",
    ["SIGTERM", "SIGHUP", "SIGKILL", "os._exit", "child exits", "with a child that lives on"],
)
def test_both_end_with_the_process_whatever_ends_it(assets: Path, end: str) -> None:
    """Guarantee 2: nobody is left to call `stop`."""
    process = subprocess.Popen(
        [sys.executable, "-c", DYING, str(assets), end], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder, *pids = process.stdout.readline().split()
    if end == "child exits":
        assert process.stdout.readline() == "True\n"
    elif end != "os._exit":
        process.send_signal(getattr(signal, end, signal.SIGKILL))
    process.wait(10)
    process.stdout.close()
    deadline = time.monotonic() + 10
    while any(is_alive(int(pid)) for pid in pids) or Path(folder).exists():
        assert time.monotonic() < deadline, (folder, pids)
        pause(0.02)


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver"])
@pytest.mark.parametrize("fault", ["not executable", "not a program"])
def test_a_binary_that_cannot_be_run_is_an_error_that_says_what_to_do(
    assets: Path, name: str, fault: str
) -> None:
    """Typed, and nothing is left."""
    if fault == "not executable":
        (assets / name).chmod(0o644)
    else:
        (assets / name).write_bytes(b"\x7fELF\x00\x01")
    plane = ControlPlane(assets, RealClock())
    with pytest.raises(ConfigError, match=rf"{name} cannot be run: .*setup-envtest"):
        plane.start(lambda: True, timeout_seconds=5)
    assert not plane._folder.exists()


def test_a_stop_that_was_interrupted_goes_on(assets: Path) -> None:
    """No process is forgotten."""
    plane = ControlPlane(assets, RealClock())
    plane.start(lambda: True, timeout_seconds=5)
    processes = [process for _, process in plane._processes]
    with (
        mock.patch.object(subprocess.Popen, "wait", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        plane.stop()
    plane.stop()
    assert all(process.poll() is not None for process in processes)
    assert not plane._folder.exists()
