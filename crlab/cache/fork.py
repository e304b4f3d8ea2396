"""Noticing that this process is a forked child of the one that started an informer.

Threads do not survive a fork and locks may be held for ever, so a child must not touch
what its parent started. A counter that the fork itself raises makes the check one integer
comparison.

Thread: any.
"""

from __future__ import annotations

import os

from crlab.errors import LifecycleError

_generation = 0


def _forked() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def generation() -> int:
    """Return how many forks lie between this process and the first import."""
    return _generation


def check(born: int, what: str) -> None:
    """Raise `LifecycleError` if `what` belongs to a parent process."""
    if born != _generation:
        raise LifecycleError(
            f"{what} was made by the parent of this forked process; its threads and sockets "
            "are not here: make a new one"
        )
