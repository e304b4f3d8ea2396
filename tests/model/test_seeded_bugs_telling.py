"""The tests of telling are no decoration: a failure that is told nowhere makes them fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from support.told_failure import CONFIG, SCENARIOS

import crlab
from crlab.cache.auditor import Auditor
from crlab.cache.indexer import Indexer
from crlab.cache.listener import Listener
from crlab.cache.reflector import Reflector
from crlab.cache.trouble import Trouble
from crlab.controller.controller import Controller
from crlab.controller.recorder import EventRecorder
from crlab.controller.runner import Runner
from crlab.controller.source import Sources
from crlab.frame.live_frame import LiveFrame
from crlab.trace.failure import Failures
from crlab.trace.record import Trace


def _counted_only(self: Listener, error: BaseException, note: Any, seq: int) -> None:
    self.error_count += 1
    self.errors.append(error)


def _kept_only(self: Controller, error: BaseException) -> None:
    self.error = error


def _sent_or_not(self: EventRecorder, pending: Any, error: Any) -> None:
    self.failed += 1


def _swallowed(self: Indexer, index: Any, obj: Any) -> tuple[str, ...]:
    try:
        return tuple(index.func(obj))
    except Exception:
        return ()


def _audit_errors_ignored(self: Auditor) -> list[Any]:
    try:
        self._audit()
    except Exception:
        self._trace.failures.worked("audit", "")
    return []


def _nothing(*arguments: Any, **options: Any) -> None:
    return None


#: bug: what is patched, by what, and the scenario that must notice.
BUGS: dict[str, tuple[type, str, Callable[..., Any], str]] = {
    "a reconcile's error is kept in the history only": (
        Runner,
        "_tell",
        _nothing,
        "a_key_that_fails",
    ),
    "a key that is given up is put aside": (
        Runner,
        "_tell",
        _nothing,
        "a_key_that_is_given_up",
    ),
    "a handler's error is counted only": (Listener, "_failed", _counted_only, "a_handler"),
    "a mapper's error is swallowed": (Sources, "_report", _nothing, "a_mapper"),
    "a predicate's error is swallowed": (Sources, "_report", _nothing, "a_predicate"),
    "an index's error is swallowed": (Indexer, "_value", _swallowed, "an_index"),
    "a transform's error is in the trace only": (
        Reflector,
        "_transform_went",
        _nothing,
        "a_transform_of_an_event",
    ),
    "a column is just empty": (LiveFrame, "_note_failed", _nothing, "a_column_function"),
    "an informer's state is shown to who asks": (
        Trouble,
        "look",
        _nothing,
        "an_informer_that_is_refused",
    ),
    "an informer that never syncs is no trouble": (
        Trouble,
        "look",
        _nothing,
        "an_informer_that_does_not_sync",
    ),
    "a worker that ends is an attribute": (
        Controller,
        "failed",
        _kept_only,
        "a_worker_that_ends",
    ),
    "a lost Event is a number": (
        EventRecorder,
        "_gave_up",
        _sent_or_not,
        "an_event_that_is_lost",
    ),
    "an audit that cannot be made is none": (
        Auditor,
        "_wrong",
        _audit_errors_ignored,
        "an_audit",
    ),
    "the server's controllers have a log of their own": (
        Runner,
        "_tell",
        _nothing,
        "a_controller_of_the_server",
    ),
    "what was healed stays": (Failures, "worked", _nothing, "a_handler"),
}


@contextmanager
def seeded(bug: str) -> Iterator[str]:
    """Patch the real code; give the scenario that must notice."""
    owner, name, replacement, scenario = BUGS[bug]
    with mock.patch.object(owner, name, replacement):
        yield scenario


@pytest.mark.parametrize("bug", BUGS)
def test_a_failure_that_is_told_nowhere_is_caught(
    bug: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of them; the same scenario passes without it (unit/report/test_problem.py)."""
    with seeded(bug) as name, crlab.sandbox(driver="manual", controllers=["namespace"]) as lab:
        lab.apply(CONFIG)
        caplog.clear()
        scenario = SCENARIOS[name](lab)
        told_in, kind, where, key = next(scenario)
        rows = [(row.kind, row.where, row.key) for row in told_in.problems]
        is_told = (kind, where, key) in rows
        is_logged = any(line.startswith(f"{where}:") for line in caplog.messages)
        list(scenario)
        is_healed = not len(told_in.problems)

    assert isinstance(told_in.trace, Trace)
    assert not (is_told and is_logged and is_healed)
