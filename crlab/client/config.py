"""Which API server, as whom: the configuration, found in client-go's order.

    1. arguments (`url` and `token`, or `kubeconfig`, and `context`)
    2. the files of KUBECONFIG, merged
    3. the pod's service account, if its token file is mounted
    4. ~/.kube/config

From: the user, files, the environment. To: `http.HttpTransport`.

Guarantees:
  1. If nothing is found, the `ConfigError` says everything that was looked at.
  2. A user stanza that is not understood is an error, never an anonymous request (S11).
  3. TLS is unverified only if the kubeconfig or the caller says so, and `describe` and a
     warning in the log then say it (S14).

The kubernetes package's loader is not used (see `credential`); its `Configuration` is
accepted as it is, for whoever has one (`from_configuration`).

Thread: any.
Source: kubernetes/client-go:tools/clientcmd/client_config.go, rest/config.go.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from crlab.client.credential import (
    Anonymous,
    Credential,
    Credentials,
    Renewed,
    read_secret_file,
    token_credentials,
    token_file_credentials,
)
from crlab.client.endpoint import ClientCertificate, Endpoint, TlsSettings, parse_endpoint
from crlab.client.kubeconfig import Kubeconfig, NamedEntry, read_kubeconfigs
from crlab.client.user import UserReader, decoded_value
from crlab.errors import ConfigError, CredentialError
from crlab.model.argument import checked_function
from crlab.runtime.clock import Clock, RealClock

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DEFAULT_PATH = "~/.kube/config"

_log = logging.getLogger("crlab.client")


@dataclass(frozen=True, repr=False)
class ClientConfig:
    """A server and who we are to it.

    Attributes:
        source: where it was found, e.g. "~/.kube/config context kind-dev".
        namespace: the context's, "default" if it names none.
    """

    endpoint: Endpoint
    credentials: Credentials
    source: str
    namespace: str = "default"
    context: str = ""

    def __repr__(self) -> str:
        return f"ClientConfig({self.endpoint!r}, {self.credentials.kind}, from {self.source})"


def load_config(
    kubeconfig: str | os.PathLike[str] | None = None,
    *,
    context: str | None = None,
    url: str | None = None,
    token: str | None = None,
    ca_file: str | None = None,
    insecure: bool = False,
    allowed_plugins: Collection[str] | None = None,
    clock: Clock | None = None,
    env: Mapping[str, str] | None = None,
) -> ClientConfig:
    """Find the configuration; see the module for the order.

    Args:
        kubeconfig: a file, instead of looking for one.
        context: of the kubeconfig; None takes the current one.
        url: the server itself; then `token` and `ca_file` are all there is, unless a
            `kubeconfig` or `context` is named too: then they override what it says.
        insecure: do not verify the server's certificate. Shown wherever status is.
        allowed_plugins: credential plugins that may run; None allows all.
        env: instead of `os.environ`.

    Raises:
        ConfigError: nothing was found, or it is broken; says what was looked at.
        CredentialError: a user stanza cannot be honoured.
    """
    environment = dict(os.environ if env is None else env)
    loader = _ConfigLoader(clock or RealClock(), environment, allowed_plugins)
    if insecure:
        _log.warning("the server's TLS certificate is not verified: is_insecure was given")
    if url is not None and kubeconfig is None and context is None:
        tls = TlsSettings(ca_file=ca_file, is_insecure=insecure)
        endpoint = parse_endpoint(url, tls=tls, env=environment)
        credentials: Credentials = Anonymous() if token is None else _given(token)
        return ClientConfig(endpoint, credentials, "arguments")
    found = loader.find(None if kubeconfig is None else os.fspath(kubeconfig), context)
    if isinstance(found, ClientConfig):
        return found
    return loader.from_kubeconfig(
        found, context, url=url, token=token, ca_file=ca_file, insecure=insecure
    )


def from_configuration(configuration: Any) -> ClientConfig:
    """Take over a ``kubernetes.client.Configuration`` that is set up already.

    Its refresh hook is called before each request; a token that it once had and no longer
    has is an error.

    Raises:
        ConfigError: it verifies nothing without saying so, has no host, or is of another
            library, whose functions must be awaited.
    """
    clock = RealClock()
    getter = configuration.get_api_key_with_prefix
    checked_function(getter, "get_api_key_with_prefix of a Configuration", ("identifier",))
    if hook := getattr(configuration, "refresh_api_key_hook", None):
        checked_function(hook, "refresh_api_key_hook of a Configuration", ("configuration",))
    tls = TlsSettings(
        ca_file=configuration.ssl_ca_cert,
        server_name=getattr(configuration, "tls_server_name", None),
        is_insecure=not configuration.verify_ssl,
    )
    endpoint = parse_endpoint(configuration.host, tls=tls, proxy_url=configuration.proxy)
    pair = (configuration.cert_file, configuration.key_file)

    def fetch() -> Credential:
        names = ("BearerToken", "authorization")
        texts = [configuration.get_api_key_with_prefix(name) for name in names]
        text = next((t for t in texts if t), "") or configuration.get_basic_auth_token() or ""
        text = text.strip() if text.strip() != "Basic Og==" else ""  # no user, no password
        certificate = _read_pair(*pair) if all(pair) else None
        if not text and certificate is None and configuration.api_key:
            raise CredentialError("the Configuration has no token any more; nothing was sent")
        return Credential(text, certificate)

    has_any = bool(configuration.api_key or configuration.username or all(pair))
    credentials: Credentials = Anonymous()
    if has_any:
        credentials = Renewed("kubernetes Configuration", fetch, clock, max_age_seconds=10.0)
    return ClientConfig(endpoint, credentials, "a kubernetes Configuration")


def _given(token: str) -> Credentials:
    return token_credentials(token, "the argument")


class _ConfigLoader:
    def __init__(
        self, clock: Clock, env: dict[str, str], allowed_plugins: Collection[str] | None
    ) -> None:
        self._clock = clock
        self._env = env
        self._allowed_plugins = allowed_plugins

    def find(self, path: str | None, context: str | None) -> Kubeconfig | ClientConfig:
        """Return the kubeconfig that counts, or the pod's configuration."""
        if path is not None:
            found = read_kubeconfigs([path])
            if found is None:
                raise ConfigError(f"there is no kubeconfig {path}")
            return found
        looked: list[str] = []
        listed = [part for part in self._env.get("KUBECONFIG", "").split(os.pathsep) if part]
        if listed:
            looked += [f"{part} (KUBECONFIG): not there" for part in listed]
            if (found := read_kubeconfigs(listed)) is not None:
                return found
        else:
            looked.append("KUBECONFIG: not set")
        if context is None and (pod := self._in_cluster(looked)) is not None:
            return pod
        home = self._env.get("HOME")
        default = os.path.join(home, ".kube", "config") if home else DEFAULT_PATH
        if (found := read_kubeconfigs([default])) is not None:
            return found
        looked.append(f"{default}: not there")
        raise ConfigError(
            "no cluster is configured. Looked at: "
            + "; ".join(looked)
            + ". Pass kubeconfig=... or url=..., or use crlab.sandbox(), which needs none"
        )

    def _in_cluster(self, looked: list[str]) -> ClientConfig | None:
        folder = SERVICE_ACCOUNT
        token_path = os.path.join(folder, "token")
        host = self._env.get("KUBERNETES_SERVICE_HOST", "")
        port = self._env.get("KUBERNETES_SERVICE_PORT", "")
        if not os.path.isfile(token_path):
            looked.append(f"the pod's service account: no {token_path}")
            return None
        if not host or not port:
            looked.append("the pod's service account: KUBERNETES_SERVICE_HOST or _PORT not set")
            return None
        ca_path = os.path.join(folder, "ca.crt")
        if not os.path.isfile(ca_path):
            raise ConfigError(
                f"the pod's service account has a token but no {ca_path}; "
                "the server could not be verified"
            )
        namespace_path = os.path.join(folder, "namespace")
        namespace = "default"
        if os.path.isfile(namespace_path):
            namespace = read_secret_file(namespace_path, "the namespace file").decode().strip()
        bracketed = f"[{host}]" if ":" in host else host
        endpoint = parse_endpoint(
            f"https://{bracketed}:{port}", tls=TlsSettings(ca_file=ca_path), env=self._env
        )
        credentials = token_file_credentials(token_path, self._clock)
        return ClientConfig(endpoint, credentials, "the pod's service account", namespace)

    def from_kubeconfig(
        self,
        kubeconfig: Kubeconfig,
        context: str | None,
        *,
        url: str | None,
        token: str | None,
        ca_file: str | None,
        insecure: bool,
    ) -> ClientConfig:
        """Make the configuration of a context, with what the caller overrides."""
        name, cluster, user, namespace = kubeconfig.context(context)
        server = url or cluster.text("server")
        if not server:
            raise ConfigError(f"{cluster.source}: the cluster {cluster.name!r} has no server")
        tls = self._tls(cluster, ca_file, insecure)
        proxy = cluster.text("proxy-url") or None
        endpoint = parse_endpoint(server, tls=tls, proxy_url=proxy, env=self._env)
        if token is not None:
            credentials = _given(token)
        elif user is None or not user.value:
            credentials = Anonymous()
        else:
            reader = UserReader(user, cluster, tls, self._clock, self._allowed_plugins)
            credentials = reader.credentials()
        source = f"{', '.join(kubeconfig.sources)} context {name}"
        return ClientConfig(endpoint, credentials, source, namespace or "default", name)

    def _tls(self, cluster: NamedEntry, ca_file: str | None, insecure: bool) -> TlsSettings:
        ca_data = cluster.text("certificate-authority-data")
        ca_path = ca_file or cluster.path("certificate-authority")
        skips = cluster.flag("insecure-skip-tls-verify")
        if skips and (ca_data or ca_path):
            raise ConfigError(
                f"{cluster.source}: the cluster {cluster.name!r} names a certificate authority "
                "and insecure-skip-tls-verify; remove one of them"
            )
        if skips and not insecure:
            _log.warning(
                "the TLS certificate of cluster %r is not verified: %s says "
                "insecure-skip-tls-verify",
                cluster.name,
                cluster.source,
            )
        return TlsSettings(
            ca_file=None if ca_data and not ca_file else ca_path or None,
            ca_data=decoded_value(ca_data, cluster, "certificate-authority-data")
            if ca_data
            else None,
            server_name=cluster.text("tls-server-name") or None,
            is_insecure=skips or insecure,
        )


def _read_pair(certificate_path: str, key_path: str) -> ClientCertificate:
    return ClientCertificate(
        read_secret_file(certificate_path, "the client certificate"),
        read_secret_file(key_path, "the client key"),
    )
