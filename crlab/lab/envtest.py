"""A real kube-apiserver and etcd on this machine, from the binaries `KUBEBUILDER_ASSETS` names.

Only binaries that are there already are used; nothing is downloaded. Both processes listen
on loopback, keep their files in a private temporary folder, and end with the lab.

Guarantees:
  1. An etcd too old for WatchList is refused with its version, not used silently.
  2. Whatever fails, and whatever ends this process (a signal, a crash, `os._exit`, a kernel
     that is restarted), no process and no file is left behind: a watcher, which a pipe and
     its parent's number tell of the end, kills the group and removes the folder. The error
     carries the end of the failing process' own log.
  3. The admin token is random, in a file only its owner reads, and in no argument.

Thread: `start` blocks its caller (typically 5 s); `stop` may be called from any thread.
Source: kubernetes-sigs/controller-runtime:pkg/envtest.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from crlab.errors import ConfigError
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline
from crlab.runtime.ids import Ids

#: Runs in a Python without packages. Its group is that of the processes; who ends the group
#: leaves it first. Arguments: the parent's number, the folder.
_WATCHER = """
import os, select, signal, sys
parent, folder = int(sys.argv[1]), sys.argv[2]
for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(name, signal.SIG_IGN)
while os.getppid() == parent and not select.select([0], [], [], 1.0)[0]:
    pass
group = os.getpgrp()
if os.fork() == 0:
    os.setpgid(0, 0)
    os.killpg(group, signal.SIGKILL)
    os.execvp("rm", ["rm", "-rf", "--", folder])
signal.pause()
"""

MINIMUM_ETCD = {(3, 4): 31, (3, 5): 13}
DEFAULT_FOLDER = "/usr/local/kubebuilder/bin"
_LOG_TAIL = 2000


def find_assets(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with etcd and kube-apiserver.

    Raises:
        ConfigError: it is not set, or a binary is missing; says which.
    """
    named = environ.get("KUBEBUILDER_ASSETS", "")
    folder = Path(named or DEFAULT_FOLDER)
    missing = [name for name in ("etcd", "kube-apiserver") if not (folder / name).is_file()]
    if missing:
        origin = "KUBEBUILDER_ASSETS names" if named else "KUBEBUILDER_ASSETS is not set, tried"
        raise ConfigError(
            f"no {' and no '.join(missing)} found: {origin} {folder}; point KUBEBUILDER_ASSETS at "
            "a folder with etcd and kube-apiserver (setup-envtest use -p path), or use "
            "crlab.sandbox(), which needs neither"
        )
    return folder


def check_etcd_version(text: str) -> str:
    """Return the version in ``etcd --version``'s output.

    Raises:
        ConfigError: it is too old for WatchList (3.4.31 and 3.5.13 are the first with it).
    """
    found = re.search(r"etcd Version:\s*(\d+)\.(\d+)\.(\d+)", text)
    if found is None:
        raise ConfigError(f"cannot read a version from `etcd --version`: {text[:80]!r}")
    major, minor, patch = (int(part) for part in found.groups())
    version = f"{major}.{minor}.{patch}"
    least = MINIMUM_ETCD.get((major, minor))
    if (major, minor) < (3, 4) or (least is not None and patch < least):
        raise ConfigError(
            f"etcd {version} cannot serve WatchList (RequestWatchProgress); "
            "use 3.4.31, 3.5.13 or newer"
        )
    return version


class ControlPlane:
    """The two processes and their folder."""

    def __init__(self, assets: Path, clock: Clock) -> None:
        self._assets = assets
        self._clock = clock
        self._folder = Path(tempfile.mkdtemp(prefix="crlab-envtest-"))
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._watcher: subprocess.Popen[bytes] | None = None
        self._born = fork.generation()
        fork.in_child(self._in_child)
        self.token = Ids.token()
        self.url = ""
        self.etcd_version = ""

    def _in_child(self) -> None:
        """Let go of the pipe: the watcher waits for the end of the parent alone."""
        if self._watcher is not None and self._watcher.stdin is not None:
            self._watcher.stdin.close()

    @property
    def ca_file(self) -> Path:
        """The certificate the API server made for itself; clients verify against it."""
        return self._folder / "certs" / "apiserver.crt"

    def start(self, is_ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Start etcd, then kube-apiserver; return once `is_ready()` says so.

        Raises:
            ConfigError: a process ended or did not become ready; carries its last words.
        """
        try:
            self._start_all()
            self._wait(is_ready, timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def _start_all(self) -> None:
        self._watch()
        try:
            shown = subprocess.run(
                [self._assets / "etcd", "--version"], capture_output=True, text=True, timeout=30
            )
        except OSError as error:
            raise self._unusable("etcd", error) from None
        except subprocess.TimeoutExpired:
            raise ConfigError(
                f"{self._assets / 'etcd'} did not say its version within 30 s; "
                "is it etcd, and for this machine?"
            ) from None
        self.etcd_version = check_etcd_version(shown.stdout)
        client_port, peer_port, api_port = _free_ports(3)
        etcd_url = f"http://127.0.0.1:{client_port}"
        self._run(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            "--unsafe-no-fsync",
        )
        tokens = self._write("tokens.csv", f'{self.token},crlab-admin,1,"system:masters"\n')
        key = self._write("service-account.key", _signing_key())
        self.url = f"https://127.0.0.1:{api_port}"
        self._run(
            "kube-apiserver",
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={api_port}",
            f"--cert-dir={self._folder / 'certs'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://localhost",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
        )

    def stop(self) -> None:
        """End both processes and remove the folder. Idempotent; in a forked child nothing."""
        if self._born != fork.generation():
            return
        while self._processes:
            _, process = self._processes[-1]
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            self._processes.pop()  # not before: who was interrupted here comes again
        watcher = self._watcher
        if watcher is not None and watcher.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(watcher.pid, signal.SIGKILL)  # one whose start was interrupted, too
            watcher.wait(10)
        if watcher is not None and watcher.stdin is not None:
            watcher.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self) -> None:
        """Start the watcher, whose group the processes join.

        Raises:
            ConfigError: there is no Python to run it.
        """
        program = sys.executable or shutil.which("python3") or "python3"
        try:
            self._watcher = subprocess.Popen(
                [program, "-I", "-S", "-c", _WATCHER, str(os.getpid()), str(self._folder)],
                stdin=subprocess.PIPE,  # closed with this process; no other program inherits it
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError as error:
            raise ConfigError(
                f"{program} cannot be run ({error.strerror}); it watches over kube-apiserver, "
                "so that this ends with the process"
            ) from None

    def _unusable(self, name: str, error: OSError) -> ConfigError:
        return ConfigError(
            f"{self._assets / name} cannot be run: {error.strerror}; make it executable "
            "(chmod +x), or point KUBEBUILDER_ASSETS at binaries for this machine "
            "(setup-envtest use -p path)"
        )

    def _run(self, name: str, *arguments: str) -> None:
        assert self._watcher is not None
        with (self._folder / f"{name}.log").open("wb") as log:
            try:
                process = subprocess.Popen(
                    [self._assets / name, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=self._watcher.pid,
                )
            except OSError as error:
                raise self._unusable(name, error) from None
        self._processes.append((name, process))

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        return path

    def _wait(self, is_ready: Callable[[], bool], timeout_seconds: float) -> None:
        deadline = Deadline(self._clock, timeout_seconds)
        pause = threading.Condition()
        while not is_ready():
            for name, process in self._processes:
                if process.poll() is not None:
                    raise ConfigError(
                        f"{name} ended with code {process.returncode}: {self._last_words(name)}"
                    )
            if deadline.is_over():
                raise ConfigError(
                    f"kube-apiserver was not ready after {timeout_seconds:g} s: "
                    f"{self._last_words('kube-apiserver')}"
                )
            with pause:
                self._clock.wait(pause, 0.1)

    def _last_words(self, name: str) -> str:
        path = self._folder / f"{name}.log"
        text = path.read_text(errors="replace")[-_LOG_TAIL:] if path.exists() else ""
        return text.replace(self.token, "…").strip() or "(it wrote nothing)"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _signing_key() -> str:
    """Return a fresh EC private key in PEM, for signing service account tokens."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise ConfigError(
            "a real kube-apiserver needs a signing key: pip install 'crlab[envtest]'"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem.decode()
