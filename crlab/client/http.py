"""`Transport` over HTTP/1.1: pooled connections for requests, one per stream.

From: lister-watchers, discovery, the dynamic client. To: `connection.Connection`.

Guarantees:
  1. Deadlines: 10 s to connect, 30 s to the first byte, 30 s of silence inside a body.
  2. `close`, from any thread, ends what is under way within 50 ms. A `session` shares the
     pool and can be closed alone, which is how an informer stops without the others.
  3. Redirects are answers like any other; nothing is sent to a second server (S17).
     Credentials never travel unencrypted to another machine (S16).
  4. A forked child opens connections of its own, and ends none of its parent's.
  5. A body over 1 GiB, or one that inflates beyond measure, is an error (S18).

This module and those below it replace the kubernetes package's urllib3 pool, whose reads
cannot be woken from another thread while they connect or wait for headers.

Thread: any number of callers; `_lock` guards what is live and what is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from crlab.client.connection import Answer, Connection, Fields, NoAnswer
from crlab.client.connection_pool import Pool
from crlab.client.credential import Anonymous, Credential, Credentials
from crlab.client.dry_run_check import check_sent
from crlab.client.endpoint import ClientCertificate, Endpoint
from crlab.client.transport import Query, Response, parse_warnings
from crlab.client.wire import Wire
from crlab.errors import CredentialError, TransportError
from crlab.model.encoder import check_raw
from crlab.runtime import fork
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.deadline import Deadline

CONNECT_SECONDS = 10.0
FIRST_BYTE_SECONDS = 30.0
SILENCE_SECONDS = 30.0
MAX_BODY_BYTES = 1 << 30
USER_AGENT = "crlab"

_IDEMPOTENT = ("GET", "HEAD", "OPTIONS")


class HttpTransport:
    """An API server, over HTTP/1.1.

    Attributes:
        endpoint: where it is.
        authentication: how requests prove who sends them, for humans: "token", "none", …
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None = None,
        *,
        clock: Clock | None = None,
        user_agent: str = USER_AGENT,
        connect_seconds: float = CONNECT_SECONDS,
        first_byte_seconds: float = FIRST_BYTE_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Prepare; nothing is sent.

        Raises:
            CredentialError: credentials would travel unencrypted to another machine.
        """
        credentials = credentials or Anonymous()
        if not (endpoint.is_tls or endpoint.is_loopback or credentials.kind == "none"):
            raise CredentialError(
                f"credentials are not sent over plain http to {endpoint.authority}; "
                "use its https URL"
            )
        # A socket's deadlines are the machine's: a clock that stands still would end no wait.
        real = clock if isinstance(clock, RealClock) else RealClock()
        self.endpoint = endpoint
        self.authentication = credentials.kind
        self._pool = Pool(endpoint, credentials, real)
        self._user_agent = user_agent
        self._connect_seconds = connect_seconds
        self._first_byte_seconds = first_byte_seconds
        self._silence_seconds = silence_seconds
        self._max_body_bytes = max_body_bytes
        self._lock = fork.lock()
        self._live: set[Wire] = set()
        self._sessions: list[HttpTransport] = []
        self._is_session = False
        self._is_closed = False

    def session(self) -> HttpTransport:
        """Return a transport over the same connections that can be closed by itself."""
        made = object.__new__(HttpTransport)
        made.__dict__.update(self.__dict__)
        made._lock = fork.lock()
        made._live = set()
        made._sessions = []
        made._is_session = True
        with self._lock:
            self._sessions = [s for s in self._sessions if not s._is_closed]  # noqa: SLF001 - a session of this transport
            made._is_closed = self._is_closed
            self._sessions.append(made)
        return made

    @property
    def credentials(self) -> Credentials:
        """Where the credentials come from."""
        return self._pool.credentials

    def describe(self) -> dict[str, Any]:
        """Return what a user may want to check, without secrets: server, TLS, credentials."""
        endpoint = self._pool.endpoint
        if not endpoint.is_tls:
            tls = "none (loopback)" if endpoint.is_loopback else "none"
        else:
            tls = "NOT VERIFIED" if endpoint.tls.is_insecure else "verified"
        return {
            "server": f"{endpoint.scheme}://{endpoint.authority}",
            "tls": tls,
            "credentials": self._pool.credentials.kind,
            "proxy": endpoint.proxy.hostname if endpoint.proxy else "",
            "connections_opened": self._pool.opened,
        }

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
    ) -> Response:
        """Send one request and return the whole answer; see `transport.Transport`."""
        check_sent(method, path, query, body)
        if body is not None:
            check_raw(body, f"{method} {path}")
        deadline = Deadline(self._pool.clock, timeout_seconds)
        target = self._target(path, query)
        for is_last in (False, True):
            credential = self._credential(deadline)
            fields = self._headers(headers, body, credential, stream=False)
            response = self._exchange(method, target, fields, body, credential, deadline)
            if response.status != 401 or is_last:
                break
            if not self._pool.credentials.invalidate(credential):
                break
        return response

    def open_stream(
        self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None
    ) -> HttpStream:
        """Send a GET and return once its headers are there; see `transport.Transport`."""
        target = self._target(path, query)
        deadline = Deadline(self._pool.clock, None)
        for is_last in (False, True):
            credential = self._credential(deadline)
            fields = self._headers(headers, None, credential, stream=True)
            connection = self._connected(credential.certificate, deadline)
            try:
                connection.send("GET", target, fields, None, self._silence_seconds)
                answer = self._answer(connection, "GET", deadline)
            except NoAnswer:
                self._drop(connection)
                raise self._failed("the server closed the connection", "watch") from None
            except BaseException:
                self._drop(connection)
                raise
            if (
                is_last
                or answer.head.status != 401
                or not self._pool.credentials.invalidate(credential)
            ):
                break
            self._drop(connection)
        return HttpStream(answer, connection.wire, self._forget)

    def close(self) -> None:
        """Abort everything under way and refuse what comes after. Idempotent; any thread."""
        with self._lock:
            self._is_closed = True
            live = list(self._live)
            sessions = list(self._sessions)
        for wire in live:
            wire.abort()
        for session in sessions:
            session.close()
        if not self._is_session:
            self._pool.close()

    def _credential(self, deadline: Deadline) -> Credential:
        """Return what proves who we are; a closed transport asks for nothing."""
        if self._is_closed:
            raise self._failed("closed here", "connect")
        try:
            return self._pool.credentials.current(lambda: self._is_closed or deadline.is_over())
        except CredentialError:
            if self._is_closed:
                raise self._failed("closed here", "connect") from None
            raise

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        credential: Credential,
        deadline: Deadline,
    ) -> Response:
        """Send on an idle connection if there is one; a dead one does not count as an answer."""
        certificate = credential.certificate
        if self._is_closed:
            raise self._failed("closed here", "connect")
        connection = self._pool.take(certificate)
        is_reused = connection is not None
        if connection is None:
            connection = self._connected(certificate, deadline)
        else:
            self._adopt(connection)
        try:
            self._send(connection, method, target, headers, body, deadline)
            answer = self._answer(connection, method, deadline)
        except (NoAnswer, TransportError) as error:
            self._drop(connection)
            # The server may have closed an idle connection just as this was sent. It is sent again
            # only if it does no harm to arrive twice.
            if is_reused and method in _IDEMPOTENT and not self._is_closed:
                return self._exchange(method, target, headers, body, credential, deadline)
            if isinstance(error, NoAnswer):
                raise self._failed("the server closed the connection", "read") from None
            raise
        except BaseException:
            self._drop(connection)
            raise
        return self._whole(connection, answer, certificate, deadline)

    def _send(
        self,
        connection: Connection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
    ) -> None:
        try:
            connection.send(
                method, target, headers, body, self._bounded(self._silence_seconds, deadline)
            )
        except TransportError:
            # A server that refuses a body (413) answers and closes before it was all taken.
            if not body or self._is_closed or not connection.wire.has_answer:
                raise

    def _whole(
        self,
        connection: Connection,
        answer: Answer,
        certificate: ClientCertificate | None,
        deadline: Deadline,
    ) -> Response:
        parts: list[bytes] = []
        size = 0
        is_done = False
        try:
            while piece := answer.read(self._bounded(self._silence_seconds, deadline)):
                parts.append(piece)
                size += len(piece)
                if size > self._max_body_bytes:
                    raise self._failed(
                        f"the answer exceeds {self._max_body_bytes} bytes and was not read "
                        "further; ask for pages, select less, or take metadata only",
                        "read",
                    )
            is_done = True
        except TimeoutError:
            raise self._failed(f"silent for too long after {size} bytes", "read") from None
        finally:
            if is_done and answer.is_reusable and not connection.wire.is_aborted:
                self._forget(connection.wire)
                self._pool.give(connection, certificate)
            else:
                self._drop(connection)
        head = answer.head
        return Response(head.status, head.headers, b"".join(parts), parse_warnings(head.warnings))

    def _connected(self, certificate: ClientCertificate | None, deadline: Deadline) -> Connection:
        context = self._pool.context(certificate)
        wire = Wire(self._pool.endpoint, self._pool.clock)
        connection = Connection(wire)
        self._adopt(connection)
        try:
            wire.connect(context, self._bounded(self._connect_seconds, deadline))
        except BaseException:
            self._drop(connection)
            raise
        self._pool.opened += 1
        return connection

    def _answer(self, connection: Connection, method: str, deadline: Deadline) -> Answer:
        seconds = self._bounded(self._first_byte_seconds, deadline)
        try:
            return connection.receive(method, Deadline(self._pool.clock, seconds))
        except TimeoutError:
            raise self._failed(f"no answer within {seconds:g} s", "read") from None

    def _bounded(self, seconds: float, deadline: Deadline) -> float:
        left = deadline.remaining_seconds()
        return seconds if left is None else min(seconds, left)

    def _adopt(self, connection: Connection) -> None:
        """Count a connection as under way, unless this transport is closed."""
        # Under the lock with which `close` looks: a connection is found there, or refused here.
        with self._lock:
            if not self._is_closed:
                self._live.add(connection.wire)
                return
        connection.wire.close()
        raise self._failed("closed here", "connect")

    def _forget(self, wire: Wire) -> None:
        with self._lock:
            self._live.discard(wire)

    def _drop(self, connection: Connection) -> None:
        self._forget(connection.wire)
        connection.wire.close()

    def _target(self, path: str, query: Query) -> str:
        endpoint = self._pool.endpoint
        target = endpoint.prefix + quote(path, safe="/~!$&'()*+,;=:@-._")
        if query:
            target = f"{target}?{urlencode(query)}"
        if endpoint.proxy is not None and not endpoint.is_tls:
            target = f"http://{endpoint.authority}{target}"
        return target

    def _headers(
        self,
        extra: Mapping[str, str] | None,
        body: bytes | None,
        credential: Credential,
        *,
        stream: bool,
    ) -> Fields:
        endpoint = self._pool.endpoint
        fields = Fields(
            {
                "Host": endpoint.authority,
                "User-Agent": self._user_agent,
                "Accept": "application/json",
            }
        )
        if not (endpoint.is_loopback or stream):
            fields["Accept-Encoding"] = "gzip"
        if authorization := credential.authorization():
            fields["Authorization"] = authorization
        if body is not None:
            fields["Content-Length"] = str(len(body))
        fields.update(extra or {})
        return fields

    def _failed(self, text: str, phase: str) -> TransportError:
        return TransportError(f"{phase} {self._pool.endpoint.authority}: {text}", phase=phase)

    def __repr__(self) -> str:
        facts = self.describe()
        return f"HttpTransport({facts['server']}, tls {facts['tls']})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a transport holds sockets and credentials and is not pickled")


class HttpStream:
    """An answer that is read as it comes."""

    def __init__(self, answer: Answer, wire: Wire, forget: Callable[[Wire], None]) -> None:
        self._answer = answer
        self._wire = wire
        self._forget = forget
        self._lock = fork.lock()
        self._is_reading = False
        self._is_closed = False
        self.status = answer.head.status
        self.headers: Mapping[str, str] = answer.head.headers

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return what is available; see `transport.ByteStream`."""
        with self._lock:
            if self._is_closed:
                raise TransportError("the stream was closed here", phase="watch")
            self._is_reading = True
        try:
            data = self._answer.read(timeout_seconds)
        except TransportError as error:
            raise TransportError(str(error), phase="watch") from None
        finally:
            with self._lock:
                self._is_reading = False
                must_close = self._is_closed
            if must_close:
                self._wire.close()
        if not data:
            self.close()
        return data

    def close(self) -> None:
        """End the stream and wake a blocked reader. Idempotent; any thread."""
        with self._lock:
            is_first = not self._is_closed
            self._is_closed = True
            is_reading = self._is_reading
        if is_first:
            self._wire.abort()
            self._forget(self._wire)
            if not is_reading:
                self._wire.close()
