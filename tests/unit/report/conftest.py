"""Labs for these tests: manual (no thread, no socket) and threaded."""

from support.lab import lab, threaded

__all__ = ["lab", "threaded"]
