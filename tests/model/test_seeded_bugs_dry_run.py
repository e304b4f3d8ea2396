"""The tests of dry runs are no decoration: each of these bugs makes one of them fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any
from unittest import mock

import pytest
from _pytest.outcomes import Failed
from unit.lab import test_definition_returns as returns
from unit.lab import test_dry_run as promises

import crlab
from crlab.cache import reflector_state
from crlab.client import dynamic
from crlab.controller import runner, stepper
from crlab.lab import in_process
from crlab.runtime import driver
from crlab.workqueue import PriorityQueue, WorkQueue

Runner = runner.Runner


def take_it(self: Any, item: str) -> bool:
    """The key is taken, as a real step does: after the run it is nobody's."""
    return WorkQueue.take(self, item) or item not in self._processing


def release_at_the_end(self: Any, item: str, place: Any) -> None:
    self._queue.append(item)


def begin_its_reasons(self: Any, item: str) -> bool:
    self._ledger.begin(item)
    return _hold(self, item)


def drop_what_came(self: Any, item: str) -> None:
    self._dirty.pop(item, None)
    self._held.pop(item)
    del self._processing[item]


def settle_for_real(self: Any, key: str, result: Any, error: Any, attempt: int) -> str:
    return f"{self._settle(key, result, error, attempt)}; dry run: the queue is as it was"


_hold = WorkQueue.hold

BUGS: dict[str, tuple[Any, str, Any, Callable[..., Any]]] = {
    "the key is taken": (
        WorkQueue,
        "hold",
        take_it,
        promises.test_after_a_look_the_key_is_handled_for_real,
    ),
    "the key goes to the end": (
        WorkQueue,
        "_rejoin_locked",
        release_at_the_end,
        promises.test_what_is_added_during_a_look_waits_with_it,
    ),
    "a priority is lost": (
        PriorityQueue,
        "_rejoin_locked",
        release_at_the_end,
        promises.test_no_look_changes_what_waits,
    ),
    "the reasons are taken": (
        WorkQueue,
        "hold",
        begin_its_reasons,
        promises.test_no_look_changes_what_waits,
    ),
    "what is added meanwhile is lost": (
        WorkQueue,
        "release",
        drop_what_came,
        promises.test_what_is_added_during_a_look_waits_with_it,
    ),
    "an error counts as an attempt": (
        Runner,
        "_foretold",
        settle_for_real,
        promises.test_no_look_changes_what_waits,
    ),
    "the lab's client writes": (
        dynamic,
        "in_dry_run",
        lambda: False,
        promises.test_nothing_in_a_dry_run_writes_in_process,
    ),
    "a raw request writes": (
        in_process,
        "check_sent",
        lambda *request: None,
        promises.test_what_cannot_be_dry_is_refused_with_its_reason,
    ),
    "what others do is dry": (
        driver,
        "dry_run",
        lambda is_dry_run: nullcontext(),
        promises.test_what_others_do_meanwhile_is_real,
    ),
    "an inner step writes": (
        stepper,
        "in_dry_run",
        lambda: False,
        promises.test_a_step_inside_a_look_is_a_look,
    ),
    "the first look is the only one": (
        stepper.Stepper,
        "_next_look",
        lambda self: self._controller.queue.peek(),
        promises.test_looks_go_round_and_a_run_of_them_ends,
    ),
    "a look counts as a failed run": (
        runner.Runner,
        "_foretold",
        settle_for_real,
        promises.test_a_look_is_told_as_one,
    ),
    "a definition is asked for once a minute": (
        reflector_state,
        "GONE_CAP_SECONDS",
        60.0,
        returns.test_one_that_was_gone_for_long_is_seen_within_seconds_too,
    ),
    "a definition is asked for every second": (
        reflector_state,
        "GONE_CAP_SECONDS",
        1.0,
        returns.test_one_that_was_gone_for_long_is_seen_within_seconds_too,
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught(bug: str) -> None:
    """Each by the test that is named with it, which passes without it."""
    owner, name, wrong, promise = BUGS[bug]
    with ExitStack() as stack:
        takes_lab = "lab" in promise.__code__.co_varnames[: promise.__code__.co_argcount]
        lab = stack.enter_context(crlab.sandbox(seed=0, driver="manual", controllers=()))
        stack.enter_context(mock.patch.object(owner, name, wrong))
        with pytest.raises((AssertionError, LookupError, ValueError, Failed, ExceptionGroup)):
            promise(lab) if takes_lab else promise()
