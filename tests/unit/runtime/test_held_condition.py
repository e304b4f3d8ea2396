"""Whether a condition is held: what the `_locked` functions assert."""

from __future__ import annotations

import threading

from crlab.runtime import fork


def test_a_condition_is_held_by_the_thread_that_entered_it_and_by_no_other() -> None:
    condition = fork.condition()
    seen: list[bool] = []
    assert not fork.held(condition)
    with condition:
        other = threading.Thread(target=lambda: seen.append(fork.held(condition)))
        other.start()
        other.join()
        assert fork.held(condition)
    assert seen == [False]
    assert not fork.held(condition)


def test_a_condition_on_a_shared_lock_is_held_with_that_lock() -> None:
    lock = threading.RLock()
    condition = threading.Condition(lock)
    with lock:
        assert fork.held(condition)
    assert not fork.held(condition)
