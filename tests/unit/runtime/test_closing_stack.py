"""The closing stack: every part has one turn, whatever happens to the others."""

from __future__ import annotations

import threading

import pytest

from crlab.errors import AlreadyStopped, StopTimeout
from crlab.runtime.closing_stack import ClosingStack


def closer(log, name, error=None, says=None):
    def close():
        log.append(name)
        if error is not None and not isinstance(error, list):
            raise error
        if error:
            raise error.pop()
        return says

    return close


def stack_of(log, *rows):
    made = ClosingStack("it")
    for rank, name, *rest in rows:
        made.push(name, closer(log, name, *rest), rank=rank)
    return made


def test_the_newest_of_the_lowest_rank_goes_first():
    log: list[str] = []
    stack = stack_of(log, (1, "server"), (0, "old"), (0, "new"), (1, "client"))
    assert stack.left == ["new", "old", "client", "server"]
    assert stack.close() == []
    assert log == ["new", "old", "client", "server"]
    assert (stack.is_closing, stack.is_closed, stack.left) == (True, True, [])


def test_a_failure_is_told_after_all_had_their_turn_and_no_second_time():
    log: list[str] = []
    stack = stack_of(
        log,
        (0, "c", None, ["crlab-x"]),
        (0, "b", ValueError("second")),
        (0, "a", ZeroDivisionError("first")),
        (0, "z", StopTimeout(["crlab-slow"], timeout_seconds=1)),
    )
    with pytest.raises(ZeroDivisionError, match="first") as caught:
        stack.close()
    notes = " | ".join(caught.value.__notes__)
    assert "while closing a" in notes
    assert "ValueError: second (while closing b)" in notes
    assert "crlab-slow, crlab-x" in notes
    assert log == ["z", "a", "b", "c"]
    assert stack.is_closed
    assert stack.close() == []
    assert log == ["z", "a", "b", "c"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_interrupt_is_raised_at_once_and_the_next_call_goes_on_there(place, error):
    log: list[str] = []
    names = ["a", "b", "c"]
    rows = [(0, n, [error()] if names.index(n) == place else None) for n in reversed(names)]
    stack = stack_of(log, *rows)
    with pytest.raises(error):
        stack.close()
    assert stack.left == names[place:]
    assert not stack.is_closed
    assert stack.close() == []
    assert log == [*names[: place + 1], *names[place:]]
    assert stack.is_closed


def test_everybody_is_asked_to_stop_before_anybody_is_closed():
    log: list[str] = []
    stack = ClosingStack()
    for name in "ab":
        stack.push(name, closer(log, name), stop=closer(log, f"stop {name}"))
    stack.close()
    assert log == ["stop b", "stop a", "b", "a"]


def test_what_comes_while_it_closes_is_closed_and_what_comes_later_is_refused():
    log: list[str] = []
    stack = ClosingStack("the lab")
    stack.push("first", lambda: stack.push("late", closer(log, "late")) and None)
    stack.close()
    assert log == ["late"]
    with pytest.raises(AlreadyStopped, match="the lab is closed; more was not added"):
        stack.push("more", closer(log, "more"))


def test_who_comes_while_another_closes_waits_for_nobody_and_hears_what_is_left():
    inside, go = threading.Event(), threading.Event()
    stack = ClosingStack()
    stack.push("last", lambda: None)
    stack.push("slow", lambda: (inside.set(), go.wait(10)))
    thread = threading.Thread(target=stack.close)
    thread.start()
    inside.wait(10)
    assert stack.close() == ["slow", "last"]
    go.set()
    thread.join(10)
    assert stack.is_closed


def test_a_closer_may_close_its_own_stack():
    seen: list[list[str]] = []
    stack = ClosingStack()
    stack.push("it", lambda: seen.append(stack.close()))
    stack.close()
    assert seen == [["it"]]


def test_a_block_that_fails_undoes_what_was_not_kept():
    log: list[str] = []

    def fail():
        with ClosingStack() as stack:
            stack.push("a", closer(log, "a", OSError("no")))
            raise KeyError("body")

    with pytest.raises(KeyError) as caught:
        fail()
    assert log == ["a"]
    assert "OSError: no" in caught.value.__notes__[0]
    with ClosingStack() as stack:
        stack.push("b", closer(log, "b"))
        stack.keep()
    assert log == ["a"]


def test_what_closed_itself_gets_no_turn():
    log: list[str] = []
    stack, thing = ClosingStack(), object()
    stack.push("a", closer(log, "a"), thing=thing)
    undo = stack.push("b", closer(log, "b"))
    stack.push("c", closer(log, "c"))
    stack.remove(thing)
    stack.remove(None)
    undo()
    stack.close()
    assert log == ["c"]
