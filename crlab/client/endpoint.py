"""Where the API server is and how it is proved to be that one.

Guarantees:
  1. TLS is verified, host name included, at TLS 1.2 or newer, unless `is_insecure` was
     set explicitly; nothing sets it as a fall-back (S14).
  2. A private key is never left on a disk: where the system has anonymous memory files
     it never touches one; elsewhere a private file lives while OpenSSL reads it (S15).
  3. Neither repr nor pickle shows a key or the URL's path.

Thread: immutable; `TlsSettings.context` may be called from any thread.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import shutil
import ssl
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from crlab.client.regular_file import read_regular
from crlab.errors import ConfigError, CredentialError
from crlab.runtime.clock import RealClock

MAX_CA_BYTES = 16 << 20
_KEY_PREFIX = "crlab-key-"


@dataclass(frozen=True, repr=False)
class ClientCertificate:
    """A client certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "ClientCertificate(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a client key is not pickled")


@dataclass(frozen=True)
class TlsSettings:
    """How a TLS connection is made.

    Attributes:
        ca_file: read again for every connection, so that a rotated CA is picked up.
        ca_data: PEM; None with no `ca_file` means the system's authorities.
        server_name: the name to verify, if not the URL's host.
    """

    ca_file: str | None = None
    ca_data: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    is_insecure: bool = False

    def context(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        """Make a context.

        Raises:
            ConfigError: the authority's certificates cannot be read.
            CredentialError: certificate and key do not fit each other.
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, **self._authority())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python 3.13 asks of a CA what kubeadm's do not have (RFC 5280's key identifiers).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.is_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            try:
                with _as_files(certificate) as (certificate_file, key_file):
                    context.load_cert_chain(certificate_file, key_file, password="")
            except (ssl.SSLError, OSError) as error:
                raise CredentialError(
                    f"the client certificate cannot be used: {type(error).__name__} "
                    "(certificate and key must be PEM, unencrypted, and belong together)"
                ) from None
        return context

    def signature(self) -> object:
        """Return what changes when the authority's file does."""
        if self.ca_file is None:
            return None
        try:
            facts = os.stat(self.ca_file)
        except OSError:
            return None  # `context` will say so
        return facts.st_mtime_ns, facts.st_size, facts.st_ino

    def _authority(self) -> dict[str, str]:
        if self.is_insecure:
            return {}
        try:
            if self.ca_file is not None:
                text = read_regular(self.ca_file, MAX_CA_BYTES).decode("ascii")
                return {"cadata": _require_pem(text, self.ca_file)}
            if self.ca_data is not None:
                return {"cadata": _require_pem(self.ca_data.decode("ascii"), "its data")}
        except (OSError, UnicodeDecodeError) as error:
            where = self.ca_file or "its data"
            raise ConfigError(
                f"the certificate authority cannot be read from {where}: {error}"
            ) from None
        return {}


def _require_pem(text: str, where: str) -> str:
    if "BEGIN CERTIFICATE" not in text and "BEGIN TRUSTED CERTIFICATE" not in text:
        raise ConfigError(f"the certificate authority in {where} is not PEM")
    return text


def _sweep() -> None:
    """Remove what a process that was killed in the middle has left."""
    for path in glob.glob(os.path.join(tempfile.gettempdir(), f"{_KEY_PREFIX}*")):
        facts = os.lstat(path)
        is_old = RealClock().now() - facts.st_mtime > 60
        if is_old and stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _as_files(certificate: ClientCertificate) -> Iterator[tuple[str, str]]:
    """Lend the pair to OpenSSL, which reads files only."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        fds = []
        try:
            for data in (certificate.certificate, certificate.key):
                fds.append(fd := os.memfd_create("crlab", os.MFD_CLOEXEC))
                os.write(fd, data)
            yield f"/proc/self/fd/{fds[0]}", f"/proc/self/fd/{fds[1]}"
        finally:
            for fd in fds:
                os.close(fd)
        return
    _sweep()
    with tempfile.TemporaryDirectory(prefix=_KEY_PREFIX) as folder:  # mode 0700
        paths = []
        for name, data in (("cert", certificate.certificate), ("key", certificate.key)):
            path = os.path.join(folder, name)
            with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(data)
            paths.append(path)
        yield paths[0], paths[1]


@dataclass(frozen=True, repr=False)
class Endpoint:
    """One API server.

    Attributes:
        prefix: path of the server's root, without a slash at its end.
        proxy: parsed URL of an HTTP proxy, None to connect directly.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""
    tls: TlsSettings = field(default_factory=TlsSettings)
    proxy: SplitResult | None = None

    @property
    def authority(self) -> str:
        """``host:port``, as errors name the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(self.host)

    def __repr__(self) -> str:
        return f"Endpoint({self.scheme}://{self.authority}{'/…' if self.prefix else ''})"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def parse_endpoint(
    url: str,
    *,
    tls: TlsSettings | None = None,
    proxy_url: str | None = None,
    env: dict[str, str] | None = None,
) -> Endpoint:
    """Read a server's URL, and decide on a proxy.

    Args:
        proxy_url: the kubeconfig's; None looks at HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
        env: instead of `os.environ`.

    Raises:
        ConfigError: it is not an http(s) URL, or carries a user, a query or a fragment.
    """
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("the server's URL cannot be parsed (wrong port or brackets?)") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("the server's URL must be http://host or https://host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"the server's URL may not carry a user, a query or a fragment ({parts.hostname})"
        )
    host = parts.hostname
    environment = os.environ if env is None else env
    proxy = proxy_url or _proxy_of(parts.scheme, host, port, environment)
    return Endpoint(
        parts.scheme,
        host,
        port or (443 if parts.scheme == "https" else 80),
        parts.path.rstrip("/"),
        tls or TlsSettings(),
        _parse_proxy(proxy) if proxy else None,
    )


def _parse_proxy(url: str) -> SplitResult:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            f"a {parts.scheme or 'nameless'} proxy is not supported; only http:// ones are "
            "(unset HTTPS_PROXY or add the server to NO_PROXY to connect directly)"
        )
    return parts


def _proxy_of(
    scheme: str, host: str, port: int | None, env: os._Environ[str] | dict[str, str]
) -> str | None:
    names = ("HTTPS_PROXY", "https_proxy") if scheme == "https" else ("HTTP_PROXY", "http_proxy")
    url = next((env[name] for name in names if env.get(name)), None)
    if url is None or is_loopback(host):
        return None
    no_proxy = env.get("NO_PROXY") or env.get("no_proxy") or ""
    return None if is_exempt(host, port, no_proxy) else url


def is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether NO_PROXY names a host: "*", a name, a domain, an address or a network.

    Source: golang.org/x/net/http/httpproxy (FromEnvironment).
    """
    host = host.lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for rule in (part.strip().lower() for part in no_proxy.split(",")):
        if rule == "*":
            return True
        name, colon, wanted = rule.rpartition(":")
        if colon and wanted.isdigit() and name.count(":") == 0:
            if port is not None and int(wanted) != port:
                continue
            rule = name
        if address is not None:
            try:
                if address in ipaddress.ip_network(rule, strict=False):
                    return True
            except ValueError:
                continue
        elif rule and (host == rule.lstrip(".") or host.endswith("." + rule.lstrip("."))):
            return True
    return False


def host_of(url: str) -> str:
    """Return scheme, host and port of a URL, without its secret prefix."""
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}" if found.netloc else ""
