"""Waiting for caches, and what a wait that ran out says: what was awaited, what goes on now.

Thread: any; the sentences read counters and wait for nothing.
"""

from __future__ import annotations

import functools
import inspect
import linecache
from collections.abc import Callable
from typing import Any, Protocol

from crlab.cache import SharedInformer
from crlab.controller import Controller
from crlab.errors import ConfigError, describe_error
from crlab.lab.parts import Parts, lane_of
from crlab.model.argument import checked_function, checked_timeout
from crlab.model.plural import counted
from crlab.runtime.clock import RealClock
from crlab.runtime.deadline import Deadline

MAX_LINE = 120


class Syncing(Protocol):
    """What `wait_for_cache_sync` waits for: an `Informer`, a `SharedInformer`."""

    def wait_for_sync(self, timeout_seconds: float = ..., /) -> object: ...


def wait_for_cache_sync(*informers: Syncing, timeout_seconds: float = 10.0) -> None:
    """Return once every one of these informers has synced.

    Args:
        timeout_seconds: for all of them together.

    Raises:
        SyncTimeout: one had not in time; carries its state and the cause.
        ConfigError: no informer was named; `lab.wait_for_cache_sync()` takes all of a lab.
    """
    if not informers:
        raise ConfigError("name the informers to wait for, or use lab.wait_for_cache_sync()")
    checked_timeout(timeout_seconds)
    for informer in informers:
        if not hasattr(informer, "wait_for_sync"):
            raise ConfigError(f"wait_for_cache_sync() takes informers, not {informer!r}")
    deadline = Deadline(RealClock(), timeout_seconds)
    for informer in informers:
        informer.wait_for_sync(deadline.remaining_seconds() or 0.0)


def check_wait(predicate: object, timeout_seconds: object, what: object = "") -> None:
    """Raise unless these can be waited for.

    Raises:
        ConfigError: `predicate` is no function without arguments, or the limit no number.
    """
    checked_function(predicate, "what wait_until() waits for, as lambda: len(pods) == 3,")
    checked_timeout(timeout_seconds)
    if not isinstance(what, str):
        checked_function(what, "what= of wait_until()", may_yield=True)


def name_of_predicate(predicate: Callable[..., Any]) -> str:
    """Return how a person knows a predicate: its name, or for a lambda the line it is on."""
    while isinstance(predicate, functools.partial):
        predicate = predicate.func
    name = str(getattr(predicate, "__name__", "") or type(predicate).__name__)
    if name != "<lambda>":
        return f"{name}()"
    code = inspect.unwrap(predicate).__code__
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    if not line:
        return "the condition"
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"


def activity(parts: Parts) -> list[str]:
    """Say what each informer and controller of a lab is doing, one sentence each."""
    informers = [_informer(each) for each in list(parts.informers)]
    return informers + [_controller(each) for each in list(parts.controllers)]


def _informer(informer: SharedInformer) -> str:
    state = "synced" if informer.has_synced else "not synced"
    parts = [
        str(informer.status.state),
        state,
        counted(len(informer.indexer.list_keys()), "objects"),
        f"rv {informer.last_sync_resource_version or '-'}",
    ]
    if waiting := len(informer.queue):
        parts.append(f"{counted(waiting, 'deltas')} queued")
    if backlog := sum(each.backlog for each in informer.registrations):
        parts.append(f"{counted(backlog, 'events')} for handlers")
    return f"{lane_of(informer)} is {', '.join(parts)}"


def _controller(made: Controller) -> str:
    state = "paused" if made.is_paused else "running" if made.is_running else "not started"
    snapshot = made.queue.snapshot()
    parts = [state, f"{counted(len(snapshot.queued), 'keys')} queued"]
    runs = [record for record in made.history if not record.is_dry_run]
    for word, keys in (("reconciling", snapshot.processing), ("delayed", snapshot.delayed)):
        if keys:
            parts.append(f"{len(keys)} {word}")
    if given_up := made.given_up:
        key, error = next(reversed(given_up.items()))
        parts.append(f"{counted(len(given_up), 'keys')} given up, {key} last: {error}")
    elif runs and runs[-1].error is not None:
        last = runs[-1]
        parts.append(f"{last.key} failed last: {describe_error(last.error)}")
    if made.error is not None:
        parts.append(f"ended by {describe_error(made.error)}")
    return f"controller {made.name} is {', '.join(parts)}"
