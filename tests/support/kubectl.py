"""Plays a recorded kubectl session against the embedded server, with the kubectl on PATH."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

KUBECTL = shutil.which("kubectl")
LOOK_SECONDS = 0.05
LINES_SECONDS = 15.0

_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<UID>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<TIME>"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4}", "<TIME>"),
        (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<TIME>"),
        (r"(resourceVersion\"?: )\"\d+\"", r"\1<RV>"),
        (r"(Resource Version: +)\d+", r"\1<RV>"),
        (r"(LIVE|MERGED)-\d+", r"\1"),
        (r"\S*(kubectl-edit-)[\w-]+", r"\1<TMP>"),
        (r"\bv\d+\.\d+\.\d+\S*", "<VERSION>"),
        (r"(?<!\S)(\d+d)?(\d+h)?(\d+m)?\d+s(?!\S)", "<AGE>"),
        (r"(?<=\S) {2,}", "  "),
        (r"\s+$", ""),
    )
)
_DROPPED = re.compile(
    r"^WARNING: version difference|^Kustomize Version|^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ "
)


def client_version() -> str:
    """Return the kubectl's minor version, "1.32"."""
    assert KUBECTL is not None
    done = subprocess.run(
        [KUBECTL, "version", "--client"], capture_output=True, text=True, check=True
    )
    match = re.search(r"v(\d+)\.(\d+)", done.stdout)
    assert match is not None, done.stdout
    return f"{match[1]}.{match[2]}"


def expected_of(step: dict[str, Any], version: str) -> Any:
    """Return what was recorded for a client, or for the nearest one."""
    recorded = step.get("expect", {})
    if "all" in recorded or not recorded:
        return recorded.get("all")
    minor = int(version.split(".")[1])
    return recorded[min(recorded, key=lambda other: abs(int(other.split(".")[1]) - minor))]


class Session:
    """One session: a folder with its files, a home, a kubeconfig, running commands."""

    def __init__(self, document: dict[str, Any], url: str, folder: Path, token: str = "") -> None:
        self._document = document
        self._url = url
        self._folder = folder
        self._pause = threading.Event()
        self._running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        home, self._work = folder / "home", folder / "work"
        home.mkdir()
        self._work.mkdir()
        (home / "config").write_text(json.dumps(self._config(url, token)))
        for name, text in document.get("files", {}).items():
            file = self._work / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._env = {
            **os.environ,
            "HOME": str(home),
            "KUBECONFIG": str(home / "config"),
            "TMPDIR": str(home),
            "KUBECTL_EXTERNAL_DIFF": "",
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    def _config(self, url: str, token: str) -> dict[str, Any]:
        namespaces = self._document.get("setup", {}).get("namespaces", ["default"])
        context = {"cluster": "it", "user": "it", "namespace": namespaces[0]}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": context}],
            "clusters": [{"name": "it", "cluster": {"server": url}}],
            "users": [{"name": "it", "user": {"token": token} if token else {}}],
        }

    def differences(self, version: str) -> list[str]:
        """Run every step; return what is not as recorded."""
        found = []
        try:
            for step in self._document["steps"]:
                answer = _without_days(self._step(step))
                expected = _without_days(expected_of(step, version))
                if answer != expected:
                    found.append(f"$ kubectl {step.get('run', step.get('finish'))}")
                    found += _differences(expected or {}, answer or {})
        finally:
            for process, _ in self._running.values():
                process.kill()
                process.wait()
        return found

    # --- steps -----------------------------------------------------------------------------------

    def _step(self, step: dict[str, Any]) -> Any:
        if "sleep" in step:
            self._pause.wait(min(step["sleep"], 1.0))
            return None
        if "finish" in step:
            return self._finish(step)
        assert KUBECTL is not None
        command = [KUBECTL, *shlex.split(step["run"])]
        env = {**self._env, **step.get("env", {})}
        if "start" in step:
            self._start(step, command, env)
            return None
        done = self._run(step, command, env)
        if step.get("record") == "none":
            return None
        if step.get("record") == "exit":
            return {"exit": done.returncode}
        return {
            "exit": done.returncode,
            "stdout": self._normal(done.stdout, step),
            "stderr": self._normal(done.stderr, step),
        }

    def _run(
        self, step: dict[str, Any], command: list[str], env: dict[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        deadline = time.monotonic() + min(step.get("patience", 0), LINES_SECONDS)
        while True:
            done = subprocess.run(
                command,
                cwd=self._work,
                env=env,
                input=step.get("stdin", "").encode(),
                capture_output=True,
                timeout=40,
                check=False,
            )
            is_wanted = done.returncode == step.get("until_exit", done.returncode)
            if is_wanted or time.monotonic() > deadline:
                return done
            self._pause.wait(LOOK_SECONDS)

    def _start(self, step: dict[str, Any], command: list[str], env: dict[str, str]) -> None:
        output = self._folder / f"{step['start']}.out"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=self._work, env=env, stdout=sink, stderr=subprocess.STDOUT
            )
        self._running[step["start"]] = process, output
        self._wait_lines(output, step.get("lines", 0))

    def _finish(self, step: dict[str, Any]) -> Any:
        process, output = self._running.pop(step["finish"])
        self._wait_lines(output, step["lines"])
        process.terminate()
        process.wait()
        return {"stdout": self._normal(output.read_bytes(), step)[: step["lines"]]}

    def _wait_lines(self, output: Path, lines: int) -> None:
        deadline = time.monotonic() + LINES_SECONDS
        while len(output.read_bytes().splitlines()) < lines and time.monotonic() < deadline:
            self._pause.wait(LOOK_SECONDS)

    def _normal(self, data: bytes, step: dict[str, Any]) -> list[str]:
        text = data.decode(errors="replace").replace(self._url, "<SERVER>")
        text = text.replace(f"{self._work}/", "").replace(str(self._folder), "<DIR>")
        lines = [line for line in text.splitlines() if not _DROPPED.search(line)]
        if "only" in step:
            lines = [line for line in lines if re.search(step["only"], line)]
        for pattern, replacement in _RULES:
            lines = [pattern.sub(replacement, line) for line in lines]
        return sorted(lines) if step.get("sort") else _with_sorted_causes(lines)


def _without_days(value: Any) -> Any:
    """Blank ages in days: they are counted from times that the recording spells out."""
    if isinstance(value, dict):
        return {key: _without_days(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_days(item) for item in value]
    return re.sub(r"\b\d+d\b", "<DAYS>", value) if isinstance(value, str) else value


def _with_sorted_causes(lines: list[str]) -> list[str]:
    found: list[str] = []
    for is_cause, group in itertools.groupby(lines, key=lambda line: line.startswith("* ")):
        lines_of_kind = list(group)
        found += sorted(lines_of_kind) if is_cause else lines_of_kind
    return found


def _differences(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    found = []
    if expected.get("exit") != got.get("exit"):
        found.append(f"  exit {expected.get('exit')} expected, got {got.get('exit')}")
    for key in ("stdout", "stderr"):
        left, right = expected.get(key) or [], got.get(key) or []
        lines = difflib.unified_diff(left, right, "expected", "got", n=0, lineterm="")
        found += [f"  {key} {line}" for line in list(lines)[2:10]]
    return found
