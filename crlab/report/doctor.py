"""A small report on the safety of what is open: connections, rights, redaction, libraries.

From: the open labs and the installed distributions. To: `crlab.doctor()` (S40).

Guarantees:
  1. Nothing is asked of any server and nothing is changed.
  2. No credential, no path of a URL and no object is in it: it can go into a bug report.

Thread: any.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from crlab.client.endpoint import Endpoint, host_of
from crlab.model.escape import H, plain
from crlab.model.redaction import PROFILE, holds_secrets

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.trace.recording import Recorder

_FLOOR = re.compile(r"([A-Za-z0-9_.-]+)[^;]*?>=\s*([0-9.]+)[^;]*$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        about: what it is about: a lab's title, or "libraries".
        item: "server", "tls", "credentials", "writes", "redaction", "problems", "recording" or
            a library's name.
        value: what it is.
        warning: what is dangerous in it, "" if nothing is.
    """

    about: str
    item: str
    value: str
    warning: str = ""

    def __str__(self) -> str:
        text = f"{self.item:<12} {self.value}"
        return plain(f"{text}  !! {self.warning}" if self.warning else text)


@dataclass(frozen=True, slots=True)
class Doctor:
    """The report; its repr is its text, and holds no secret."""

    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings somebody should look at."""
        return tuple(finding for finding in self.findings if finding.warning)

    @property
    def is_well(self) -> bool:
        """Whether nothing needs looking at."""
        return not self.warnings

    def __str__(self) -> str:
        lines: list[str] = []
        about = None
        for finding in self.findings:
            if finding.about != about:
                about = finding.about
                lines.append(plain(about))
            lines.append(f"  {finding}")
        count = len(self.warnings)
        lines.append("nothing to warn of" if not count else f"warnings: {count}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(H.pre(str(self)))


class Shared(Protocol):
    """An informer, as `Lab.informers` lists them."""

    @property
    def shared(self) -> SharedInformer: ...


class Examined(Protocol):
    """An open lab, as far as it is examined."""

    kind: Any

    @property
    def url(self) -> str: ...
    @property
    def connection(self) -> tuple[Endpoint | None, str]: ...
    @property
    def allow_writes(self) -> tuple[str, ...]: ...
    @property
    def informers(self) -> Sequence[Shared]: ...
    @property
    def problems(self) -> Sized: ...
    @property
    def recorders(self) -> Sequence[Recorder]: ...


def examine(labs: Iterable[Examined]) -> Doctor:
    """Report how safe these labs and the installed libraries are; see `crlab.doctor`."""
    findings = [
        Finding("crlab", "version", _version("crlab") or "not installed as a package"),
        Finding("crlab", "python", platform.python_version()),
        Finding("crlab", "recordings", f"redaction profile {PROFILE}"),
    ]
    for lab in labs:
        findings += _of_lab(lab)
    return Doctor((*findings, *_libraries()))


def _of_lab(lab: Examined) -> list[Finding]:
    about = repr(lab)
    endpoint, kind = lab.connection
    found = [_server(lab, about)]
    if endpoint is None:
        found.append(Finding(about, "tls", "not needed: in this process"))
    elif endpoint.is_tls:
        tls = endpoint.tls
        own = tls.ca_file is not None or tls.ca_data is not None
        verified = f"verified, 1.2 or newer, by {'the given' if own else 'the system'} authority"
        found.append(
            Finding(about, "tls", "NOT VERIFIED", "anybody on the way can read and change this")
            if tls.is_insecure
            else Finding(about, "tls", verified)
        )
    else:
        far = "" if endpoint.is_loopback else "plain http to another machine"
        where = "" if far else ", on this machine only"
        found.append(Finding(about, "tls", f"off (plain http{where})", far))
    if lab.kind != "replay":
        found.append(Finding(about, "credentials", kind))
    found.append(_writes(lab, about))
    found.append(_redaction(lab, about))
    if count := len(lab.problems):
        found.append(Finding(about, "problems", str(count), "lab.problems says which"))
    found += _recordings(lab, about)
    return found


def _server(lab: Examined, about: str) -> Finding:
    if lab.kind == "replay":
        return Finding(about, "server", "none: a recording")
    if not hasattr(lab, "server"):
        return Finding(about, "server", host_of(lab.url))
    if not lab.url:
        return Finding(about, "server", "embedded, on no socket")
    return Finding(about, "server", f"embedded, {host_of(lab.url)}, below a secret path")


def _writes(lab: Examined, about: str) -> Finding:
    allowed = lab.allow_writes
    if not allowed:
        return Finding(about, "writes", "off")
    where = "everywhere" if "*" in allowed else ", ".join(allowed)
    is_real = lab.kind == "cluster" and "*" in allowed
    return Finding(about, "writes", where, "the whole cluster may be written" if is_real else "")


def _redaction(lab: Examined, about: str) -> Finding:
    secret = [each.shared for each in lab.informers if holds_secrets(each.shared.resource)]
    bare = sorted({x.resource.gvr.group_resource for x in secret if not x.is_redacted})
    if not bare:
        return Finding(about, "redaction", "on")
    return Finding(about, "redaction", "on", f"off for {', '.join(bare)} (include_secrets=True)")


def _recordings(lab: Examined, about: str) -> list[Finding]:
    return [
        Finding(about, "recording", each.path.name, str(each.error or ""))
        for each in lab.recorders
        if each.is_recording or each.error is not None
    ]


def _libraries() -> list[Finding]:
    found = []
    try:
        wanted = metadata.requires("crlab") or []
    except metadata.PackageNotFoundError:
        wanted = []
    for line in wanted:
        match = _FLOOR.match(line)
        if match is None or "extra" in line:
            continue
        name, floor = match.groups()
        have = _version(name)
        old = have is not None and _numbers(have) < _numbers(floor)
        warning = f"older than {floor}" if old else "" if have else "missing"
        found.append(Finding("libraries", name, f"{have} (at least {floor})", warning))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
