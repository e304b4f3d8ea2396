"""What a wait that ran out says: what was awaited, what is going on, what to do next.

Thread: any; reads counters, waits for nothing.
"""

from __future__ import annotations

import functools
import inspect
import linecache
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crlab.errors import describe_error
from crlab.model.argument import checked_function, checked_timeout
from crlab.model.plural import counted

if TYPE_CHECKING:
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab
    from crlab.lab.lab_controller import LabController

MAX_LINE = 120


def check_wait(predicate: Any, timeout_seconds: Any, what: Any = "") -> None:
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


def activity(lab: Lab) -> list[str]:
    """Say what each informer and controller of a lab is doing, one sentence each."""
    return [_informer(each) for each in lab.informers] + [_controller(c) for c in lab.controllers]


def advice_for(lab: Lab) -> str:
    """Return what to do next."""
    if lab.driver.is_manual and getattr(lab.driver, "clock", None) is None:
        return (
            "a manual lab runs no workers and no clock: controller.step() takes a key, "
            "lab.advance(seconds) lets timers and back-offs fire"
        )
    return (
        "lab.pipeline() shows where things are, lab.explain(key) one key's way; "
        "timeout_seconds= waits longer"
    )


def _informer(informer: Informer) -> str:
    shared = informer.shared
    state = "synced" if informer.has_synced else "not synced"
    parts = [
        str(informer.status.state),
        state,
        counted(len(informer), "objects"),
        f"rv {informer.last_sync_resource_version or '-'}",
    ]
    if waiting := len(shared.queue):
        parts.append(f"{counted(waiting, 'deltas')} queued")
    if backlog := sum(each.backlog for each in shared.registrations):
        parts.append(f"{counted(backlog, 'events')} for handlers")
    return f"{informer.lane} is {', '.join(parts)}"


def _controller(controller: LabController) -> str:
    made = controller.controller
    state = "paused" if made.is_paused else "running" if made.is_running else "not started"
    snapshot = made.queue.snapshot()
    parts = [state, f"{counted(len(snapshot.queued), 'keys')} queued"]
    runs = [record for record in made.history if not record.is_dry_run]
    for word, keys in (("reconciling", snapshot.processing), ("delayed", snapshot.delayed)):
        if keys:
            parts.append(f"{len(keys)} {word}")
    if given_up := controller.given_up:
        key, error = next(reversed(given_up.items()))
        parts.append(f"{counted(len(given_up), 'keys')} given up, {key} last: {error}")
    elif runs and runs[-1].error is not None:
        last = runs[-1]
        parts.append(f"{last.key} failed last: {describe_error(last.error)}")
    if made.error is not None:
        parts.append(f"ended by {describe_error(made.error)}")
    return f"controller {controller.name} is {', '.join(parts)}"
