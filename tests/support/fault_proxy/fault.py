"""What a fault can do, and when the proxy asks it.

Each hook is called on the thread of the connection it concerns. A fault notes itself in
the journal when it acts (`exchange.note`), not when it is only present.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.fault_proxy.http1 import Head
    from support.fault_proxy.proxy import Exchange


class Ended(Exception):
    """The exchange is over; raised by whoever ended it."""


class Fault:
    """Something that goes wrong; hooks do nothing unless overridden."""

    @property
    def name(self) -> str:
        """What the journal calls it: the class name as a word."""
        text = "".join("_" + c.lower() if c.isupper() else c for c in type(self).__name__)
        return text.lstrip("_")

    def connected(self, exchange: Exchange) -> None:
        """A connection was accepted; nothing was read, no handshake held."""

    def asked(self, exchange: Exchange) -> None:
        """A request was read; nothing was sent to the server."""

    def answered(self, exchange: Exchange, head: Head, body: bytes) -> tuple[Head, bytes]:
        """The server's whole answer is here; return what the client gets."""
        return head, body

    def opened(self, exchange: Exchange) -> None:
        """A stream's head went to the client, or the fault was put into an open stream."""

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        """A watch line came; return what the client gets instead."""
        return [line]

    def data(self, exchange: Exchange, pieces: list[bytes]) -> list[bytes]:
        """Bytes are about to be sent; return them, cut, changed or not at all."""
        return pieces

    def closing(self, exchange: Exchange) -> None:
        """The answer is complete and the connection is about to be closed."""
