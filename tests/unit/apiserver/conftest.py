"""Every test of this room may ask for a fresh server, in-process."""

from support.server import api_server

__all__ = ["api_server"]
