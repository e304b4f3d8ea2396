"""What a reconcile says: `ctx.log` and what it prints, kept with its step and shown."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import crlab
from crlab.controller.print_capture import MAX_CHARS, keeping_prints

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    """A manual sandbox with one ConfigMap."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as opened:
        opened.apply(CONFIG)
        yield opened


class Unspeakable:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def step(lab: crlab.Lab, reconcile: Any) -> Any:
    """Take the ConfigMap through a reconcile."""
    made = lab.controller("configmaps", name="c")(reconcile)
    lab.settle()
    return made.step("default/a")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("plain",), "plain"),
        (("100% done %s",), "100% done %s"),
        (("scaled %s to %d", "web", 3), "scaled web to 3"),
        (("%(name)s is here", {"name": "web"}), "web is here"),
        (("replicas", 2), "replicas 2"),
        (("%d replicas", "many"), "%d replicas many"),
        (("%s and %s", "one"), "%s and %s one"),
        (({"a": 1},), "{'a': 1}"),
        (("it is %s", Unspeakable()), "it is %s <Unspeakable that cannot be shown>"),
    ],
)
def test_ctx_log_formats_as_logging_does_and_never_fails(
    lab: crlab.Lab, caplog: pytest.LogCaptureFixture, arguments: tuple[Any, ...], text: str
) -> None:
    """With its step, in the trace, and as one line at info with controller and key."""
    with caplog.at_level(logging.INFO, "crlab"):
        record = step(lab, lambda request, ctx: ctx.log(*arguments))
    lines = [(r.levelname, r.name, r.getMessage()) for r in caplog.records]

    assert record.log == (text,)
    assert f"  log       {text}" in str(record)
    assert lines == [("INFO", "crlab.controller", f"controller/c: default/a: {text}")]
    assert f"It logged: {text}" in str(lab.explain("default/a"))


def test_what_is_logged_and_printed_is_masked_where_it_is_shown(
    lab: crlab.Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """A token in a log line is a token in somebody's log store."""

    def reconcile(request: Any, ctx: Any) -> None:
        ctx.log("sent %s\n\x1b[2J", "Bearer abcdefghijklmnop")
        print("got Bearer abcdefghijklmnop")

    with caplog.at_level(logging.INFO, "crlab"):
        record = step(lab, reconcile)
    line = caplog.records[0].getMessage()

    assert "abcdefghijklmnop" not in line + str(record)
    assert "\n" not in line
    assert "\x1b" not in line + str(record)


def test_what_is_printed_is_shown_and_kept_with_its_step(
    lab: crlab.Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ever on the screen; and afterwards still known."""
    before = sys.stdout
    record = step(lab, lambda request, ctx: print("hello", request.name, end="\nbye\n"))

    assert sys.stdout is before
    assert capsys.readouterr().out == "hello a\nbye\n"
    assert record.printed == ("hello a", "bye")
    assert "  printed   hello a\n  printed   bye" in str(record)
    assert "It printed: hello a" in str(lab.explain("default/a"))
    assert "printed: bye" in lab.controllers[0].stepper().to_text()


def test_prints_of_a_run_that_fails_are_kept(lab: crlab.Lab) -> None:
    """They are the last thing it said."""

    def reconcile(request: Any, ctx: Any) -> None:
        print("almost")
        raise ValueError

    assert step(lab, reconcile).printed == ("almost",)


def test_prints_are_bounded() -> None:
    """A reconcile that prints its cluster fills no memory."""
    with keeping_prints() as printed:
        sys.stdout.write("x" * (MAX_CHARS + 5))

    assert printed.lines == ("x" * MAX_CHARS, "… and 5 characters more")


def test_runs_at_the_same_time_keep_their_own_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Two workers print into one terminal, each with its own copy."""
    before = sys.stdout
    both = threading.Barrier(2, timeout=5)
    kept: dict[str, tuple[str, ...]] = {}

    def work(name: str) -> None:
        with keeping_prints() as printed:
            both.wait()
            print(name)
            both.wait()
        kept[name] = printed.lines

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert kept == {"a": ("a",), "b": ("b",)}
    assert sys.stdout is before
    assert sorted(capsys.readouterr().out.split()) == ["a", "b"]


def test_without_a_stdout_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under pythonw."""
    monkeypatch.setattr(sys, "stdout", None)
    with keeping_prints() as printed:
        print("nowhere")

    assert printed.lines == ()
    assert sys.stdout is None


def test_a_print_of_another_thread_outlives_the_run_it_began_in() -> None:
    """`print` holds no reference to the stream that it writes to: freed, it crashes Python."""
    with keeping_prints():
        stream = weakref.ref(sys.stdout)
    gc.collect()

    assert stream() is not None
    with keeping_prints():
        assert sys.stdout is stream()
