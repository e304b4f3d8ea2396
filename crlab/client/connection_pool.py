"""Idle connections, the TLS context and the credentials of one server.

From: `http.HttpTransport` and its sessions.

Guarantees:
  1. A connection is given out to one caller at a time, and only if it was made with the
     same client certificate, is younger than a minute of idling, and was not closed by
     the server meanwhile; none is given out that idled while the machine slept.
  2. A forked child takes none of its parent's: both would read each other's answers.
  3. A rotated authority file is picked up by the next connection.

Thread: any; `_lock` guards the idle list.
"""

from __future__ import annotations

import ssl

from crlab.client.connection import Connection
from crlab.client.credential import Credentials
from crlab.client.endpoint import ClientCertificate, Endpoint
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.sleep import SleepWatch

MAX_IDLE = 8
IDLE_SECONDS = 60.0


class Pool:
    """What a transport and its sessions share: endpoint, credentials, idle connections."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials, clock: Clock) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self.clock = clock
        self._lock = fork.lock()
        self._idle: list[tuple[Connection, ClientCertificate | None, float]] = []
        self._contexts: dict[object, ssl.SSLContext] = {}
        self._is_closed = False
        self._sleep = SleepWatch(clock)
        self.opened = 0
        fork.in_child(self._in_child)

    def _in_child(self) -> None:
        idle, self._idle = self._idle, []
        for connection, _, _ in idle:
            connection.wire.close()  # the child's descriptor only; nothing is said on the wire

    def take(self, certificate: ClientCertificate | None) -> Connection | None:
        """Return an idle connection that is still good, None if there is none."""
        # After a sleep of the machine the peers are gone, but the sockets look alive until written
        # to.
        if self._sleep.notice():
            self._drop_idle()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                # The one used last: the server is least likely to have closed it.
                connection, used, since = self._idle.pop()
            is_young = self.clock.monotonic() - since < IDLE_SECONDS
            if used == certificate and is_young and not connection.wire.is_stale:
                return connection
            connection.wire.close()

    def give(self, connection: Connection, certificate: ClientCertificate | None) -> None:
        """Take a connection back after a whole answer."""
        with self._lock:
            if not self._is_closed and len(self._idle) < MAX_IDLE:
                self._idle.append((connection, certificate, self.clock.monotonic()))
                return
        connection.wire.close()

    def context(self, certificate: ClientCertificate | None) -> ssl.SSLContext | None:
        """Return the TLS context; made again when the authority's file has changed."""
        endpoint = self.endpoint
        if not endpoint.is_tls:
            return None
        key = (certificate, endpoint.tls.signature())
        context = self._contexts.get(key)
        if context is None:
            context = endpoint.tls.context(certificate)
            # Only the newest: what was rotated out is not used again.
            self._contexts = {key: context}
        return context

    def close(self) -> None:
        """Close what is idle, and what comes back later."""
        with self._lock:
            self._is_closed = True
        self.credentials.close()
        self._drop_idle()

    def _drop_idle(self) -> None:
        while True:  # one by one: an interrupt leaves the rest where it is
            with self._lock:
                if not self._idle:
                    return
                connection, _, _ = self._idle.pop()
            connection.wire.close()
