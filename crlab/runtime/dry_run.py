"""Whether the running code is a dry run: what it asks a server to write, changes nothing.

The runner says so around a reconcile; every client of crlab asks before it sends. The stages
that a driver performs are never part of one, whoever made or moved them meanwhile.

Thread: a context variable: it holds in the thread of the run and in whatever runs in a copy
of its context (asyncio, `contextvars.copy_context`); a plain thread begins without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_dry_run: ContextVar[bool] = ContextVar("crlab_dry_run", default=False)


def in_dry_run() -> bool:
    """Return whether the caller is part of a dry run."""
    return _is_dry_run.get()


@contextmanager
def dry_run(dry_run: bool = True) -> Iterator[None]:
    """Make the block a dry run, or (False) no part of the one around it."""
    token = _is_dry_run.set(dry_run)
    try:
        yield
    finally:
        _is_dry_run.reset(token)
