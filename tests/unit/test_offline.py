"""S35, S39: importing asks nobody; what is written to disk is its owner's alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import crlab

IMPORT_ALL = """
import importlib, pkgutil, sys

asked = []
FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
             "socket.sendto", "urllib.Request", "subprocess.Popen", "os.system")


def forbid(event, args):
    if event in FORBIDDEN:
        asked.append((event, args))
        raise OSError(f"no network here: {event}")


sys.addaudithook(forbid)
import crlab

names = [m.name for m in pkgutil.walk_packages(crlab.__path__, "crlab.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
for name in crlab.__all__:
    getattr(crlab, name)
print(len(names) > 150, asked)
"""


def test_importing_every_module_asks_nobody() -> None:
    """No request, no name looked up, no process started, no telemetry."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True []"


def test_a_manual_sandbox_needs_no_network() -> None:
    """A lesson runs where sockets are forbidden."""
    code = IMPORT_ALL.split("import crlab\n")[0] + (
        "import crlab\n"
        "with crlab.sandbox(seed=0, driver='manual') as lab:\n"
        "    print(len(lab.informer('namespaces').wait_for_sync().df), asked)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert done.stdout.strip() == "4 []", done.stderr


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A host where every new file is everybody's unless its maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_files_are_their_owners_alone_under_any_umask(tmp_path: Path, open_umask: None) -> None:
    """A kubeconfig holds the sandbox's secret; a recording, what a cluster showed."""
    with crlab.sandbox(seed=0, controllers=False) as lab:
        kubeconfig = lab.write_kubeconfig(tmp_path / "config")
        lab.informer("configmaps").wait_for_sync()
        lab.record(tmp_path / "run").close()
    folder = crlab.to_parquet(tmp_path / "run", tmp_path / "data")

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (kubeconfig, tmp_path / "run", folder)
    }
    assert modes == {"config": 0o600, "run": 0o600, "data": 0o700}


def test_a_kubeconfig_of_another_owner_is_not_written_through(tmp_path: Path) -> None:
    """A name prepared by somebody else leads nowhere (S28, S39)."""
    target = tmp_path / "theirs"
    target.write_text("theirs")
    (tmp_path / "config").symlink_to(target)
    with crlab.sandbox(seed=0, controllers=False) as lab:
        lab.write_kubeconfig(tmp_path / "config")

    assert target.read_text() == "theirs"
    assert not (tmp_path / "config").is_symlink()
