"""Who we are to the API server, and how that is kept fresh.

From: `config`. To: `http.HttpTransport`, which asks before every request.

Guarantees:
  1. Fail closed (S11): credentials that cannot be obtained are a `CredentialError`, and
     nothing is sent. Only `Anonymous`, which a configuration without a user asks for,
     sends nothing.
  2. Refreshed 10 s before they expire and after a 401, once for all threads that wait
     (S13): they share the outcome, a failure too, which is given to whoever asks within as
     long as it took to come, at most 5 s.
  3. No repr, pickle, `vars` or error text shows a secret (S10).

The kubernetes package is not used for this: its loader logs the failure of a plugin and
goes on anonymously, gives plugins no time limit, keeps tokens in plain attributes and
turns verification off to refresh OIDC tokens.

Thread: any; ``crlab-credential`` fetches, so that who waits can leave when its transport is
closed; nothing is fetched for nobody.
Source: kubernetes/client-go:transport/token_source.go,
plugin/pkg/client/auth/exec/exec.go.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from crlab.client.endpoint import ClientCertificate
from crlab.client.regular_file import read_regular
from crlab.errors import CredentialError, error_text
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.teller import Teller
from crlab.runtime.thread import StageThread

SKEW_SECONDS = 10.0
REREAD_SECONDS = 60.0
MAX_TOKEN_BYTES = 64 * 1024
MAX_SHARED_SECONDS = 5.0
_SLICE_SECONDS = 0.05


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

    def current(self, is_over: Callable[[], bool] = lambda: False) -> Credential:
        """Return what is valid now.

        Args:
            is_over: looked at while a fetch is waited for: true lets go.

        Raises:
            CredentialError: nothing is, or `is_over` was true first.
        """

    def invalidate(self, used: Credential) -> bool:
        """Take note of a 401 for `used`; True if a second try may do better."""

    def close(self) -> None:
        """End a fetch under way, and begin no other. Idempotent; any thread."""


class Anonymous:
    """No credentials, because none are configured."""

    kind = "none"

    def current(self, is_over: Callable[[], bool] = lambda: False) -> Credential:
        return Credential()

    def invalidate(self, used: Credential) -> bool:
        del used
        return False

    def close(self) -> None:
        """Nothing is fetched."""


class Static:
    """Credentials that do not change."""

    def __init__(self, kind: str, credential: Credential) -> None:
        self.kind = kind
        self._credential = credential

    def current(self, is_over: Callable[[], bool] = lambda: False) -> Credential:
        return self._credential

    def invalidate(self, used: Credential) -> bool:
        del used
        return False

    def close(self) -> None:
        """Nothing is fetched."""

    def __repr__(self) -> str:
        return f"Static({self.kind})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("credentials are not pickled")


class _Fetch:
    """One run of a fetch, and who waits for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.credential: Credential | None = None
        self.failure: BaseException | None = None
        self.waiting = 0

    def outcome(self) -> Credential:
        """Return or raise what came of it; each caller gets an error of its own."""
        if self.credential is not None:
            return self.credential
        failure = self.failure
        if isinstance(failure, CredentialError):
            raise CredentialError(*failure.args) from None
        raise failure or CredentialError("the credentials were not obtained")


class Renewed:
    """Credentials that are fetched again before they expire and after a 401."""

    def __init__(
        self,
        kind: str,
        fetch: Callable[[], Credential],
        clock: Clock,
        *,
        max_age_seconds: float,
        cancel: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `fetch` is first called when credentials are needed.

        Args:
            max_age_seconds: fetched again after this long, whatever the expiry says.
            cancel: makes a `fetch` under way end soon; called when nobody waits for it.
        """
        self.kind = kind
        self._fetch = fetch
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._cancel = cancel
        self._lock = fork.lock()
        self._teller = Teller(clock)
        self._credential: Credential | None = None
        self._fetched_at = 0.0
        self._under_way: _Fetch | None = None
        self._failed: _Fetch | None = None
        self._failed_until = 0.0
        self._is_closed = False
        self.error = ""  # why there are none now
        self.failed_at = 0.0
        fork.in_child(self._in_child)

    def _in_child(self) -> None:
        self._under_way = None  # its thread is the parent's

    def current(self, is_over: Callable[[], bool] = lambda: False) -> Credential:
        # Without the lock: every request comes by here.
        credential = self._credential
        if credential is not None and self._is_fresh(credential):
            return credential
        with self._lock:
            credential = self._credential
            if credential is not None and self._is_fresh(credential):
                return credential
            if self._is_closed or is_over():
                raise CredentialError("closed here: no credentials are fetched, nothing was sent")
            if self._failed is not None and self._clock.monotonic() < self._failed_until:
                return self._failed.outcome()
            self._credential = None
            fetch = self._under_way
            if fetch is None:
                fetch = self._under_way = _Fetch()
                thread = StageThread("credential", lambda: self._run(fetch))
            else:
                thread = None
            # Counted under the lock: the last of the others may leave in this moment, and would
            # end a fetch that it thinks nobody waits for.
            fetch.waiting += 1
        try:
            # Inside the `try`: if the thread cannot start, `_leave` clears the way for another.
            if thread is not None:
                thread.start()
            # In slices, since nobody notifies about `is_over`.
            while not fetch.done.wait(_SLICE_SECONDS):
                if self._is_closed or is_over():
                    raise CredentialError(
                        "credentials were not there before this was closed or out of time; "
                        "nothing was sent"
                    )
        finally:
            self._leave(fetch)
        return fetch.outcome()

    def _run(self, fetch: _Fetch) -> None:
        started = self._clock.monotonic()
        try:
            fetch.credential = self._fetch()
        except BaseException as error:  # noqa: BLE001 - raised to whoever waits
            fetch.failure = error
        now = self._clock.monotonic()
        with self._lock:
            # Else everybody left it, and a newer one may be under way: nobody asked for this
            # outcome.
            if self._under_way is fetch:
                self._under_way = None
                if fetch.credential is not None:
                    self._credential, self._fetched_at, self._failed = fetch.credential, now, None
                    self.error = ""
                else:
                    self._failed = fetch
                    # Whoever came while a slow plugin failed shares that failure: one run each, in
                    # turn, would add up to minutes.
                    self._failed_until = now + min(now - started, MAX_SHARED_SECONDS)
        if fetch.failure is not None and not self._is_closed:
            if not self.error:
                self.failed_at = self._clock.now()
            self.error = error_text(fetch.failure)
            self._teller.tell("client", logging.ERROR, self.kind, self.error, fetch.failure)
        # Last: who wakes reads `error`.
        fetch.done.set()

    def _leave(self, fetch: _Fetch) -> None:
        """Wait no more; the last one ends a fetch that is not done."""
        with self._lock:
            fetch.waiting -= 1
            is_orphan = not fetch.waiting and not fetch.done.is_set()
            if is_orphan and self._under_way is fetch:
                self._under_way = None
        if is_orphan:
            self._cancel()

    def close(self) -> None:
        """End a fetch under way, and begin no other."""
        self._is_closed = True
        self._cancel()

    def invalidate(self, used: Credential) -> bool:
        with self._lock:
            # A late 401 of an old token must not discard the new one.
            if self._credential is used:
                self._credential = None
        return True

    def _is_fresh(self, credential: Credential) -> bool:
        # Expiry is wall time, as the issuer wrote it. Age is monotonic: a wall clock that is set
        # back must not keep a token alive.
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
        data = read_regular(path, MAX_TOKEN_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CredentialError(f"{what} {path} cannot be read: {reason}; nothing was sent") from None
    if len(data) > MAX_TOKEN_BYTES:
        raise CredentialError(f"{what} {path} is larger than {MAX_TOKEN_BYTES} bytes")
    return data
