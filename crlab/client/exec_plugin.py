"""Credential plugins: a program of the kubeconfig's that prints an ExecCredential.

From: `config`. To: `credential.Renewed`.

Guarantees (S11, S12):
  1. Run as an argument list, never by a shell; in a process group of its own, which is
     killed after 30 s; its output is read up to 1 MiB.
  2. Whatever goes wrong is a `CredentialError`. Its text holds neither the plugin's
     output nor its arguments.
  3. A stanza from a file that others can write is refused, as ssh refuses its own: writable
     by the world, or by a group of which somebody else is a member. So is a program that the
     world can write, and one that the caller's policy does not name.

Thread: that of `credential.Renewed`, one run at a time; `kill` from any.
Source: kubernetes/client-go:plugin/pkg/client/auth/exec/exec.go.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import weakref
from collections.abc import Collection, Mapping
from typing import Any

from crlab.client.credential import Credential, bearer
from crlab.client.endpoint import ClientCertificate
from crlab.client.wire import is_readable
from crlab.errors import CredentialError
from crlab.model.timestamp import is_date_time, parse_moment
from crlab.runtime.clock import Clock
from crlab.runtime.deadline import Deadline

TIMEOUT_SECONDS = 30.0
MAX_OUTPUT_BYTES = 1 << 20
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

_log = logging.getLogger("crlab.client")
_plugins: weakref.WeakSet[ExecPlugin] = weakref.WeakSet()


class ExecPlugin:
    """One plugin of a kubeconfig's user."""

    def __init__(
        self,
        stanza: Mapping[str, Any],
        *,
        source: str,
        cluster: Mapping[str, Any],
        clock: Clock,
        allowed: Collection[str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Check the stanza; nothing runs yet.

        Args:
            source: path of the kubeconfig that holds it.
            cluster: ``spec.cluster`` of the ExecCredential, if the stanza asks for it.
            allowed: commands that may run (as written, or full paths); None allows all.

        Raises:
            CredentialError: the stanza cannot be honoured.
        """
        self._source = source
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._version = str(stanza.get("apiVersion") or "")
        if self._version not in VERSIONS:
            raise self._failed(f"apiVersion {self._version!r} is not one of {', '.join(VERSIONS)}")
        if stanza.get("interactiveMode") == "Always":
            raise self._failed(
                "it needs a terminal (interactiveMode: Always), which a kernel lacks"
            )
        command = stanza.get("command")
        if not isinstance(command, str) or not command:
            raise self._failed("it names no command")
        arguments = stanza.get("args") or []
        if not isinstance(arguments, list) or not all(isinstance(a, str) for a in arguments):
            raise self._failed("args is not a list of texts")
        _require_trusted(source)
        self.path = self._find(command, str(stanza.get("installHint") or ""))
        if os.name == "posix" and os.stat(self.path).st_mode & stat.S_IWOTH:
            raise self._failed(f"everybody can change {self.path}; nothing was run (chmod o-w it)")
        if allowed is not None and command not in allowed and self.path not in allowed:
            raise self._failed(f"{self.path} is not among the allowed plugins")
        self._argv = [self.path, *arguments]
        self._env = self._environment(stanza.get("env") or [])
        self._spec: dict[str, Any] = {"interactive": False}
        if stanza.get("provideClusterInfo"):
            self._spec["cluster"] = dict(cluster)
        self._has_run = False
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = os.getpid()
        self._kills = 0
        _plugins.add(self)

    def kill(self) -> None:
        """End what runs, and all that it started. Any thread; nothing, in a forked child."""
        self._kills += 1  # a run that is about to start sees it
        process = self._process
        if process is not None and process.returncode is None and self._pid == os.getpid():
            _kill(process)

    def run(self) -> Credential:
        """Run it and return what it printed.

        Raises:
            CredentialError: it did not print credentials.
        """
        try:
            return self._run()
        except CredentialError as error:
            failure = error.with_traceback(None)
        raise failure  # without the frames below, whose locals hold what the plugin printed

    def _run(self) -> Credential:
        if not self._has_run:
            self._has_run = True
            _log.info("running the credential plugin %s named by %s", self.path, self._source)
        info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": self._spec}
        env = {**os.environ, **self._env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        output, code = self._output(env)
        if code != 0:
            raise self._failed(
                f"it ended with {code}; run the command in a terminal to see its own message"
            )
        return self._credential(output)

    def _output(self, env: Mapping[str, str]) -> tuple[bytes, int]:
        kills = self._kills
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # may hold secrets; the user can run it by hand
                env=env,
                # A group of its own: one kill reaches whatever the plugin starts, and a Ctrl-C
                # meant for the kernel does not reach the plugin.
                start_new_session=True,
            )
        except OSError as error:
            raise self._failed(f"it cannot be started: {error.strerror}") from None
        except ValueError:  # a NUL, or what no program can be given
            raise self._failed("its arguments or env hold a NUL or a broken character") from None
        self._pid, self._process = os.getpid(), process
        # A `kill` that came before Popen returned found no process to end.
        if kills != self._kills:
            _kill(process)
        deadline = Deadline(self._clock, self._timeout_seconds)
        assert process.stdout is not None
        try:
            with process.stdout as pipe:
                output = self._read(pipe.fileno(), deadline)
            code = process.wait(max(0.1, deadline.remaining_seconds() or 0.0))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise self._failed(
                f"it did not end within {self._timeout_seconds:g} s and was killed"
            ) from None
        finally:
            self._process = None
            # After a success too: what the plugin left running would outlive the kernel.
            _kill_group(process)
        return output, code

    def _read(self, fd: int, deadline: Deadline) -> bytes:
        parts: list[bytes] = []
        size = 0
        # Not `communicate`, which keeps whatever comes, however much.
        while is_readable(fd, deadline.remaining_seconds()):
            data = os.read(fd, 65536)
            if not data:
                return b"".join(parts)
            parts.append(data)
            size += len(data)
            if size > MAX_OUTPUT_BYTES:
                raise self._failed("it printed more than 1 MiB")
        raise TimeoutError

    def _credential(self, output: bytes) -> Credential:
        try:
            answer = json.loads(output)
        except (ValueError, RecursionError):
            raise self._failed("its output is not JSON") from None
        if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
            raise self._failed("its output is not an ExecCredential")
        if answer.get("apiVersion") != self._version:
            raise self._failed(f"its output is not of apiVersion {self._version}")
        status = answer.get("status")
        if not isinstance(status, dict):
            raise self._failed("its output has no status")
        token = status.get("token")
        pem = status.get("clientCertificateData")
        key = status.get("clientKeyData")
        if bool(pem) != bool(key):
            raise self._failed("its output has a certificate or a key, but not both")
        if not token and not pem:
            raise self._failed("its output has neither a token nor a certificate")
        if not all(isinstance(value, str | None) for value in (token, pem, key)):
            raise self._failed("its output has values that are not texts")
        certificate = ClientCertificate(pem.encode(), key.encode()) if pem and key else None
        authorization = bearer(token, "the credential plugin") if token else ""
        return Credential(authorization, certificate, self._expiry(status))

    def _expiry(self, status: Mapping[str, Any]) -> float | None:
        text = status.get("expirationTimestamp")
        if text is None:
            return None
        moment = parse_moment(text) if isinstance(text, str) and is_date_time(text) else None
        if moment is None:
            raise self._failed("its expirationTimestamp is not an RFC 3339 time")
        return moment.timestamp()

    def _find(self, command: str, hint: str) -> str:
        if os.path.dirname(command):
            path = os.path.join(os.path.dirname(os.path.abspath(self._source)), command)
        else:
            path = shutil.which(command) or ""
        if not path or not os.path.isfile(path):
            advice = f"; {hint[:300]}" if hint else "; install it or put it on PATH"
            raise self._failed(f"{command} was not found{advice}")
        return os.path.abspath(path)

    def _environment(self, entries: Any) -> dict[str, str]:
        try:
            return {str(entry["name"]): str(entry["value"]) for entry in entries}
        except (KeyError, TypeError):
            raise self._failed("env is not a list of names and values") from None

    def _failed(self, text: str) -> CredentialError:
        return CredentialError(
            f"the credential plugin of {self._source} failed: {text}; nothing was sent"
        )

    def __repr__(self) -> str:
        return f"ExecPlugin({self.path})"


def _require_trusted(source: str) -> None:
    """Refuse to run what a file names that somebody else can change."""
    if os.name != "posix":
        return
    try:
        facts = os.stat(source)
        folder = os.stat(os.path.dirname(os.path.abspath(source)))
    except OSError as error:
        raise CredentialError(f"{source} cannot be read: {error.strerror}") from None
    uid = os.getuid()
    is_foreign = uid != 0 and facts.st_uid not in (0, uid)
    is_open = bool(facts.st_mode & stat.S_IWOTH) or (
        bool(facts.st_mode & stat.S_IWGRP) and not _is_private(facts.st_gid, facts.st_uid)
    )
    is_open_folder = bool(folder.st_mode & stat.S_IWOTH) and not folder.st_mode & stat.S_ISVTX
    if is_foreign or is_open or is_open_folder:
        raise CredentialError(
            f"{source} names a program to run, but others can change that file; "
            "nothing was run (chmod go-w it, or copy it to a folder of your own)"
        )


def _is_private(gid: int, uid: int) -> bool:
    """Whether a group is one user's alone, as with a umask of 002 each has (as in Debian's ssh)."""
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    users = {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid} | set(group.gr_mem)
    return users == {owner.pw_name}


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the plugin and whatever it started, and take note of its end."""
    _kill(process)
    process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # it has ended already


def _kill_all() -> None:
    """Leave no plugin behind when the interpreter ends: its thread is a daemon."""
    for plugin in list(_plugins):
        plugin.kill()


atexit.register(_kill_all)
