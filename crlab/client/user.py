"""The user stanza of a kubeconfig, turned into credentials.

From: `config`. To: `credential`.

Guarantees:
  1. A key that is not understood, half a certificate, impersonation or a provider that no
     longer exists is a `CredentialError`; nothing is sent without what was asked for (S11).

Thread: any.
Source: kubernetes/client-go:tools/clientcmd/client_config.go (getUserIdentificationPartialConfig).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from crlab.client.credential import (
    Credential,
    Credentials,
    Renewed,
    basic_credentials,
    bearer,
    certificate_file_credentials,
    read_secret_file,
    token_credentials,
    token_file_credentials,
)
from crlab.client.endpoint import ClientCertificate, TlsSettings
from crlab.client.exec_plugin import ExecPlugin
from crlab.client.kubeconfig import NamedEntry
from crlab.errors import ConfigError, CredentialError
from crlab.runtime.clock import Clock

_USER_KEYS = {
    "token", "tokenFile", "username", "password", "exec", "auth-provider",
    "client-certificate", "client-certificate-data", "client-key", "client-key-data",
    "as", "as-groups", "as-uid", "as-user-extra", "extensions",
}  # fmt: skip


class UserReader:
    """Reads one user stanza."""

    def __init__(
        self,
        user: NamedEntry,
        cluster: NamedEntry,
        tls: TlsSettings,
        clock: Clock,
        allowed_plugins: Collection[str] | None,
    ) -> None:
        self._user = user
        self._cluster = cluster
        self._tls = tls
        self._clock = clock
        self._allowed_plugins = allowed_plugins
        self._where = f"{user.source}: the user {user.name!r}"

    def credentials(self) -> Credentials:
        """Return what the stanza asks for.

        Raises:
            CredentialError: it asks for something that is not understood or not there.
            ConfigError: a value is of the wrong type.
        """
        user, where = self._user, self._where
        if unknown := sorted(set(user.value) - _USER_KEYS):
            raise CredentialError(
                f"{where} has {', '.join(map(repr, unknown))}, which crlab does not know; "
                "nothing was sent"
            )
        if any(user.value.get(key) for key in ("as", "as-groups", "as-uid", "as-user-extra")):
            raise CredentialError(f"{where} impersonates somebody, which crlab does not do")
        if user.value.get("auth-provider"):
            return _auth_provider(user, where, self._clock)
        certificate = self._certificate()
        plain: Credentials | None = None
        if user.text("tokenFile"):
            plain = token_file_credentials(user.path("tokenFile"), self._clock)
        elif user.text("token"):
            plain = token_credentials(user.text("token"), where)
        elif user.value.get("exec"):
            plain = self._plugin()
        elif user.text("username"):
            plain = basic_credentials(user.text("username"), user.text("password"))
        if certificate is None and plain is None:
            raise CredentialError(f"{where} has no credentials that can be used; nothing was sent")
        if certificate is None:
            assert plain is not None
            return plain
        return certificate if plain is None else _Both(certificate, plain)

    def _certificate(self) -> Credentials | None:
        user, where = self._user, self._where
        data = user.text("client-certificate-data"), user.text("client-key-data")
        paths = user.path("client-certificate"), user.path("client-key")
        if not any(data) and not any(paths):
            return None
        for given, path in zip(data, paths, strict=True):
            if not given and not path:
                raise CredentialError(
                    f"{where} has a client certificate or a key, but not both; nothing was sent"
                )
        pem = decoded_value(data[0], user, "client-certificate-data") if data[0] else None
        key = decoded_value(data[1], user, "client-key-data") if data[1] else None

        def read() -> ClientCertificate:
            return ClientCertificate(
                pem or read_secret_file(paths[0], "the client certificate"),
                key or read_secret_file(paths[1], "the client key"),
            )

        return certificate_file_credentials(read, self._clock)

    def _plugin(self) -> Credentials:
        user, tls = self._user, self._tls
        stanza = user.value["exec"]
        if not isinstance(stanza, Mapping):
            raise CredentialError(f"{user.source}: exec of {user.name!r} is not a mapping")
        info: dict[str, Any] = {"server": self._cluster.text("server")}
        if tls.server_name:
            info["tls-server-name"] = tls.server_name
        if tls.is_insecure:
            info["insecure-skip-tls-verify"] = True
        if tls.ca_data is not None:
            info["certificate-authority-data"] = base64.b64encode(tls.ca_data).decode()
        plugin = ExecPlugin(
            stanza,
            source=user.source,
            cluster=info,
            clock=self._clock,
            allowed=self._allowed_plugins,
        )
        kind = f"exec {plugin.path}"
        return Renewed(
            kind, plugin.run, self._clock, max_age_seconds=float("inf"), cancel=plugin.kill
        )


class _Both:
    """A client certificate and a token together."""

    def __init__(self, certificate: Credentials, plain: Credentials) -> None:
        self._certificate = certificate
        self._plain = plain
        self.kind = f"{certificate.kind}, {plain.kind}"
        self._last: tuple[Credential, Credential, Credential] | None = None

    def current(self, is_over: Callable[[], bool] = lambda: False) -> Credential:
        first, second = self._certificate.current(is_over), self._plain.current(is_over)
        last = self._last
        if last is not None and last[0] is first and last[1] is second:
            return last[2]
        certificate = second.certificate or first.certificate
        both = Credential(second.authorization(), certificate)
        self._last = first, second, both
        return both

    def close(self) -> None:
        """Close both."""
        self._certificate.close()
        self._plain.close()

    def invalidate(self, used: Credential) -> bool:
        last = self._last
        if last is None or last[2] is not used:
            return True
        retries = [self._certificate.invalidate(last[0]), self._plain.invalidate(last[1])]
        return any(retries)


def _auth_provider(user: NamedEntry, where: str, clock: Clock) -> Credentials:
    """Honour an OIDC token that is still valid; refreshing one is a plugin's business."""
    provider = user.value["auth-provider"]
    name = provider.get("name") if isinstance(provider, Mapping) else None
    config = provider.get("config") if isinstance(provider, Mapping) else None
    token = config.get("id-token") if isinstance(config, Mapping) else None
    if name != "oidc" or not isinstance(token, str) or not token:
        raise CredentialError(
            f"{where} uses the auth-provider {str(name)[:60]!r}, which was removed from "
            "Kubernetes; use its exec plugin instead. Nothing was sent"
        )
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires_at = float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        raise CredentialError(f"{where} has an id-token that is not a JWT") from None

    def fetch() -> Credential:
        if clock.now() >= expires_at:
            raise CredentialError(
                f"{where}: its OIDC id-token has expired; renew it with kubelogin "
                "(an exec plugin). Nothing was sent"
            )
        return Credential(bearer(token, where), expires_at=expires_at)

    return Renewed("oidc token", fetch, clock, max_age_seconds=float("inf"))


def decoded_value(text: str, entry: NamedEntry, key: str) -> bytes:
    """Decode a ``*-data`` value; `ConfigError` if it is not base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{entry.source}: {entry.name!r}: {key} is not base64") from None
