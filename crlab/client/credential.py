"""Who we are to the API server, and how that is kept fresh.

From: `config`. To: `http.HttpTransport`, which asks before every request.

Guarantees:
  1. Fail closed (S11): credentials that cannot be obtained are a `CredentialError`, and
     nothing is sent. Only `Anonymous`, which a configuration without a user asks for,
     sends nothing.
  2. Refreshed 10 s before they expire and after a 401, once for all threads that wait
     (S13).
  3. No repr, pickle, `vars` or error text shows a secret (S10).

The kubernetes package is not used for this: its loader logs the failure of a plugin and
goes on anonymously, gives plugins no time limit, keeps tokens in plain attributes and
turns verification off to refresh OIDC tokens.

Thread: any; `_lock` is held while a plugin runs, so that one run serves all.
Source: kubernetes/client-go:transport/token_source.go,
plugin/pkg/client/auth/exec/exec.go.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
from collections.abc import Callable
from typing import Protocol

from crlab.client.endpoint import ClientCertificate
from crlab.errors import CredentialError
from crlab.runtime.clock import Clock
from crlab.runtime.telling import Teller

SKEW_SECONDS = 10.0
REREAD_SECONDS = 60.0
MAX_TOKEN_BYTES = 64 * 1024


class Credential:
    """What one request carries."""

    __slots__ = ("_authorization", "certificate", "expires_at")

    def __init__(
        self,
        authorization: str = "",
        certificate: ClientCertificate | None = None,
        expires_at: float | None = None,
    ) -> None:
        self._authorization = authorization
        self.certificate = certificate
        self.expires_at = expires_at

    def authorization(self) -> str:
        """Return the Authorization header, "" for none."""
        return self._authorization

    def __repr__(self) -> str:
        return "Credential(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("credentials are not pickled")


class Credentials(Protocol):
    """A source of `Credential`."""

    @property
    def kind(self) -> str:
        """How it authenticates, for humans: "token", "exec /usr/bin/plugin", "none"."""

    def current(self) -> Credential:
        """Return what is valid now.

        Raises:
            CredentialError: nothing is.
        """

    def invalidate(self, used: Credential) -> bool:
        """Take note of a 401 for `used`; True if a second try may do better."""


class Anonymous:
    """No credentials, because none are configured."""

    kind = "none"

    def current(self) -> Credential:
        return Credential()

    def invalidate(self, used: Credential) -> bool:
        del used
        return False


class Static:
    """Credentials that do not change."""

    def __init__(self, kind: str, credential: Credential) -> None:
        self.kind = kind
        self._credential = credential

    def current(self) -> Credential:
        return self._credential

    def invalidate(self, used: Credential) -> bool:
        del used
        return False

    def __repr__(self) -> str:
        return f"Static({self.kind})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("credentials are not pickled")


class Renewed:
    """Credentials that are fetched again before they expire and after a 401."""

    def __init__(
        self, kind: str, fetch: Callable[[], Credential], clock: Clock, *, max_age_seconds: float
    ) -> None:
        """Prepare; `fetch` is first called when credentials are needed.

        Args:
            max_age_seconds: fetched again after this long, whatever the expiry says.
        """
        self.kind = kind
        self._fetch = fetch
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._lock = threading.Lock()
        self._teller = Teller(clock)
        self._credential: Credential | None = None
        self._fetched_at = 0.0
        self.error: CredentialError | None = None  # why there are none now
        self.failed_at = 0.0

    def current(self) -> Credential:
        credential = self._credential
        if credential is not None and self._is_fresh(credential):
            return credential
        try:
            return self._renewed()
        except CredentialError as error:
            if self.error is None:
                self.failed_at = self._clock.now()
            self.error = error.with_traceback(None)
            self._teller.tell("client", logging.ERROR, self.kind, str(error), str(error))
            raise

    def _renewed(self) -> Credential:
        with self._lock:
            credential = self._credential
            if credential is None or not self._is_fresh(credential):
                self._credential = None
                credential = self._fetch()
                self._fetched_at = self._clock.monotonic()
                self._credential = credential
                self.error = None
            return credential

    def invalidate(self, used: Credential) -> bool:
        with self._lock:
            if self._credential is used:
                self._credential = None
        return True

    def _is_fresh(self, credential: Credential) -> bool:
        expires_at = credential.expires_at
        if expires_at is not None and self._clock.now() >= expires_at - SKEW_SECONDS:
            return False
        return self._clock.monotonic() - self._fetched_at < self._max_age_seconds

    def __repr__(self) -> str:
        return f"Renewed({self.kind})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("credentials are not pickled")


def bearer(token: str, where: str) -> str:
    """Return the Authorization header for a token.

    Raises:
        CredentialError: it is empty, or no header can carry it.
    """
    token = token.strip()
    if not token:
        raise CredentialError(f"the token from {where} is empty; nothing was sent")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise CredentialError(
            f"the token from {where} holds characters no token has; nothing was sent"
        )
    return f"Bearer {token}"


def token_credentials(token: str, where: str) -> Static:
    """Make credentials of a token."""
    return Static("token", Credential(bearer(token, where)))


def basic_credentials(username: str, password: str) -> Static:
    """Make credentials of a user name and password."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return Static("basic", Credential(f"Basic {pair}"))


def token_file_credentials(path: str, clock: Clock) -> Renewed:
    """Make credentials of a token file, read again every minute and after a 401."""

    def fetch() -> Credential:
        data = read_secret_file(path, "the token file")
        return Credential(bearer(data.decode("ascii", "replace"), path))

    return Renewed("token file", fetch, clock, max_age_seconds=REREAD_SECONDS)


def certificate_file_credentials(
    certificate: Callable[[], ClientCertificate], clock: Clock
) -> Renewed:
    """Make credentials of certificate files, read again every minute and after a 401."""

    def fetch() -> Credential:
        return Credential(certificate=certificate())

    return Renewed("client certificate", fetch, clock, max_age_seconds=REREAD_SECONDS)


def read_secret_file(path: str, what: str) -> bytes:
    """Read a small file.

    Raises:
        CredentialError: it cannot be read, or is not small.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise CredentialError(f"{what} {path} cannot be read: {reason}; nothing was sent") from None
    if len(data) > MAX_TOKEN_BYTES:
        raise CredentialError(f"{what} {path} is larger than {MAX_TOKEN_BYTES} bytes")
    return data
