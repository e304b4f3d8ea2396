"""binder/ is what repo2docker needs, and nothing that it would take for something else.

That an image can really be built is not shown here (it takes Docker): `binder_job.sh`
installs the same files into a fresh environment and opens the first notebook there.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

import crlab

ROOT = Path(__file__).resolve().parents[2]
BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What repo2docker supports, and what would win over requirements.txt if it were there.
PYTHONS = tuple(f"3.{minor}" for minor in range(8, 15))
RIVALS = (
    "Dockerfile",
    "environment.yml",
    "Pipfile",
    "Pipfile.lock",
    "setup.py",
    "REQUIRE",
    "Project.toml",
    "install.R",
    "DESCRIPTION",
    "default.nix",
    "apt.txt",
)
SCRIPTS = ("postBuild", "start")


def lines(name: str) -> list[str]:
    """Return the lines of a file of binder/ that say something."""
    text = (BINDER / name).read_text()
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def requirements() -> dict[str, Requirement]:
    """Return what is asked for besides the project itself."""
    found = {}
    for line in lines("requirements.txt"):
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        found[wanted.name] = wanted
    return found


def extras() -> set[str]:
    """Return the extras of the project that are installed."""
    (line,) = (each for each in lines("requirements.txt") if each.startswith("."))
    found = re.fullmatch(r"\.(?:\[([\w,\- ]+)\])?", line)
    assert found is not None, line
    return {name.strip() for name in (found[1] or "").split(",") if name.strip()}


def test_there_is_one_family_of_configuration() -> None:
    """Any of the others would win, or be taken for an addition."""
    assert sorted(path.name for path in BINDER.iterdir()) == [
        "postBuild",
        "requirements.txt",
        "runtime.txt",
        "start",
    ]
    assert [name for name in RIVALS if (BINDER / name).exists()] == []
    assert not (ROOT / ".binder").exists(), "having both is an error"


def test_the_project_itself_is_installed() -> None:
    """With binder/ there, a pyproject.toml at the top is not looked at."""
    assert "notebook" in extras()
    assert extras() <= set(PROJECT["optional-dependencies"])


def test_the_kernel_is_new_enough() -> None:
    """The base environment has ipykernel 7.0.1, where widgets freeze."""
    bound = requirements()["ipykernel"].specifier

    assert "7.0.1" not in bound
    assert "7.0.0" not in bound
    assert "7.1.0" in bound


def test_the_server_is_left_alone() -> None:
    """The hub's own parts come with a JupyterLab of its choice."""
    pinned = {"jupyterlab", "jupyter-server", "jupyter_server", "notebook", "jupyterhub"}

    assert pinned & set(requirements()) == set()


def test_the_runtime_is_one_that_the_project_supports() -> None:
    """The default is Python 3.10, which is too old."""
    (runtime,) = lines("runtime.txt")
    found = re.fullmatch(r"python-(3\.\d+)", runtime)

    assert found is not None, runtime
    assert found[1] in PYTHONS
    assert f"{found[1]}.0" in SpecifierSet(PROJECT["requires-python"])


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_can_be_run(name: str) -> None:
    """A shebang, the executable bit (in git too), and a shell that reads it."""
    path = BINDER / name

    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    assert os.access(path, os.X_OK)
    assert b"\r" not in path.read_bytes()
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    listed = subprocess.run(
        ["git", "ls-files", "--stage", f"binder/{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:  # a source archive has no git
        assert listed.stdout.startswith("100755 ")


def test_a_failure_of_the_build_is_seen() -> None:
    """repo2docker goes on after a failed line unless it is told not to."""
    first = lines("postBuild")[0]

    assert first == "set -euo pipefail"
    assert any("crlab" in line for line in lines("postBuild"))


def test_the_start_script_hands_over() -> None:
    """Without exec the server would hear no signal; without "$@" nothing would start."""
    assert lines("start")[-1] == 'exec "$@"'


def test_the_start_script_passes_its_command_on(tmp_path: Path) -> None:
    """Arguments with blanks stay whole."""
    done = subprocess.run(
        [str(BINDER / "start"), "printf", "[%s]", "a b", "", "c"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )

    assert done.stdout == "[a b][][c]"


def test_the_badge_opens_the_first_notebook_of_a_release() -> None:
    """A tag keeps the image; a branch would be built again for every commit."""
    badges = re.findall(r"https://mybinder\.org/v2/([^)\s]+)", (ROOT / "README.md").read_text())

    assert len(badges) == 1
    found = re.fullmatch(r"gh/[\w.-]+/crlab/(v[\d.]+)\?urlpath=lab/tree/(\S+)", badges[0])
    assert found is not None
    assert found[1] == f"v{crlab.__version__}" == f"v{PROJECT['version']}"
    assert (ROOT / found[2]).is_file()
