"""What the running code is a consequence of.

A worker sets the causes before it calls a reconcile, a listener before it calls a
handler; whoever writes a record meanwhile (a request, a queue add) links it to them.

Thread: a context variable, so each thread (and each copied context) has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_causes: ContextVar[tuple[int, ...]] = ContextVar("crlab_causes", default=())
_actor: ContextVar[str] = ContextVar("crlab_actor", default="lab")


def current_causes() -> tuple[int, ...]:
    """Return the seqs of the trace records that led here, () if none are known."""
    return _causes.get()


def current_actor() -> str:
    """Return who acts: "lab", "informer/<resource>", "handler/<name>" or "controller/<name>"."""
    return _actor.get()


def now_caused_by(causes: tuple[int, ...]) -> None:
    """Make `causes` current until the surrounding `caused_by` block ends; for hot loops."""
    _causes.set(causes)


@contextmanager
def caused_by(causes: tuple[int, ...], actor: str | None = None) -> Iterator[None]:
    """Make `causes` (and `actor`) current inside the block."""
    token = _causes.set(causes)
    actor_token = _actor.set(actor) if actor is not None else None
    try:
        yield
    finally:
        _causes.reset(token)
        if actor_token is not None:
            _actor.reset(actor_token)
