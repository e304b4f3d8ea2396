"""The seam to the wire: requests and byte streams, and nothing of Kubernetes.

From: `ListerWatcher`, `Discovery`, `DynamicClient`. To: an API server, over HTTP
(`http.HttpTransport`) or in this process (the lab's).

Guarantees:
  1. An HTTP status never raises; only a connection that failed does (`TransportError`).
  2. Paths are relative to the server's root; a URL prefix is the transport's business.
  3. `close`, from any thread, ends every request and stream that is under way.
  4. What would write inside a dry run is refused (`dry_run.check_sent`), whoever asks.

Thread: a transport may be used by any number of threads; a stream has one reader, and
may be closed by any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer.

    Attributes:
        headers: by lower-case name; repeated ones joined with ", ".
        body: decompressed.
        warnings: texts of the ``Warning`` headers, oldest first.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    warnings: tuple[str, ...] = ()


class ByteStream(Protocol):
    """The body of an answer, as it comes."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name."""

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return what is available, waiting for at least one byte; b"" is a clean end.

        Args:
            timeout_seconds: how long to wait; 0 polls, None waits without limit.

        Raises:
            TimeoutError: nothing came in time (the stream stays usable).
            TransportError: the connection was cut, or the stream was closed here.
        """

    def close(self) -> None:
        """End the stream and wake a blocked reader. Idempotent; any thread."""


class Transport(Protocol):
    """A way to one API server."""

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
        """Send one request and return the whole answer, whatever its status.

        Args:
            timeout_seconds: for the whole exchange; None leaves only the deadlines for
                connecting and for silence.

        Raises:
            TransportError: no whole answer came.
            CredentialError: credentials could not be obtained; nothing was sent.
            ReadOnlyError: it would write, inside a dry run; nothing was sent.
            BodyRefused: the body holds a masked value; nothing was sent.
        """

    def open_stream(
        self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None
    ) -> ByteStream:
        """Send a GET and return once its headers are there.

        Raises:
            TransportError: they did not come.
            CredentialError: credentials could not be obtained; nothing was sent.
        """

    def close(self) -> None:
        """Abort everything under way and refuse what comes after. Idempotent; any thread."""


def parse_warnings(values: Sequence[str]) -> tuple[str, ...]:
    """Return the texts of ``Warning`` header values (``299 - "text"``)."""
    texts = []
    for value in values:
        _, quote, rest = value.partition('"')
        if quote:
            text = rest.rpartition('"')[0] or rest
            texts.append(text.replace('\\"', '"').replace("\\\\", "\\"))
    return tuple(texts)
