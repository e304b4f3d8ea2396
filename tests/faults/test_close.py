"""`lab.close()` is a promise: interrupted, failing or hindered, everything ends."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from unittest import mock

import pytest
from support.interrupt import Interrupt
from support.poll import pause

import crlab
from crlab.apiserver import ApiServer
from crlab.client import DynamicClient, HttpTransport
from crlab.errors import AlreadyStopped
from crlab.lab.builtin_controller import BuiltinControllers


def busy_lab(folder, called):
    """Return a lab in which every kind of part is at work."""
    lab = crlab.sandbox()
    informer = lab.informer("configmaps")
    informer.add_event_handler(on_add=lambda obj, is_in_initial_list: None)
    informer.wait_for_sync()

    @lab.controller("configmaps", timeout_seconds=50)
    def reconcile(request, ctx):
        return None

    reconcile.start()
    lab.record(folder / f"{id(lab)}.gz")
    lab.live(lambda: informer.df)
    lab.as_user("jane")
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.settle()
    lab.on_close(lambda: called.append(1))
    return lab


def left_of(before):
    return [t.name for t in threading.enumerate() if t not in before and "crlab" in t.name]


def until_gone(before):
    for _ in range(80):
        if not left_of(before):
            return True
        pause(0.025)
    return False


def test_an_interrupt_anywhere_in_close_leaves_nothing_to_the_second(tmp_path):
    """At some places spread over every line of crlab that a close runs through."""
    before, called = set(threading.enumerate()), []
    whole = Interrupt(0)
    whole.run(busy_lab(tmp_path, called).close)
    places = range(2, whole.lines, whole.lines // 24)
    for at in places:
        lab = busy_lab(tmp_path, called)
        called.clear()
        interrupt = Interrupt(at)
        if interrupt.run(lab.close) and not lab.is_closed:
            assert lab.state in ("open", "closing"), interrupt.place
            assert lab in crlab.open_labs(), interrupt.place
        assert lab.close() == [], interrupt.place
        assert lab.state == "closed", interrupt.place
        assert "closed" in repr(lab)
        assert lab not in crlab.open_labs(), interrupt.place
        assert called, interrupt.place
        assert until_gone(before), (interrupt.place, left_of(before))
        assert lab.close() == []


def test_an_interrupt_anywhere_while_a_lab_opens_leaves_nothing():
    before = set(threading.enumerate())
    crlab.sandbox().close()  # imports and caches are another matter

    def open_and_look():
        lab = crlab.sandbox()
        lab.informer("configmaps")

    whole = Interrupt(0)
    whole.run(open_and_look)
    crlab.close_all()
    for at in range(whole.lines // 3, whole.lines, whole.lines // 40):
        interrupt = Interrupt(at)
        interrupt.run(open_and_look)
        crlab.close_all()
        assert crlab.open_labs() == [], interrupt.place
        assert until_gone(before), (interrupt.place, left_of(before))


@pytest.mark.parametrize("part", ["controllers", "server", "transport", "client"])
def test_a_part_that_fails_to_close_keeps_no_other_open(part):
    """The failure is raised, once, after all had their turn."""
    before = set(threading.enumerate())
    target = {
        "controllers": (BuiltinControllers, "close"),
        "server": (ApiServer, "close"),
        "transport": (HttpTransport, "close"),
        "client": (DynamicClient, "close"),
    }[part]
    real = getattr(*target)

    def close(self, *rest):
        real(self, *rest)
        raise OSError(28, "No space left on device")

    with mock.patch.object(*target, close):
        fresh = crlab.sandbox()
        with pytest.raises(OSError, match="No space left") as caught:
            fresh.close()
    assert any("while closing the" in note for note in caught.value.__notes__)
    assert fresh.is_closed
    assert fresh.close() == []
    assert until_gone(before)


def test_a_callback_that_raises_is_told_and_the_lab_is_closed():
    before = set(threading.enumerate())
    called = []
    lab = crlab.sandbox(controllers=False)
    lab.on_close(lambda: called.append("first made, last called"))
    lab.on_close(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        lab.close()
    assert "while closing on_close(" in caught.value.__notes__[0]
    assert called
    assert (lab.state, lab.close(), crlab.open_labs()) == ("closed", [], [])
    assert until_gone(before)


def test_close_all_gives_every_lab_its_turn_before_it_tells_a_failure():
    labs = [crlab.sandbox(driver="manual", controllers=False) for _ in range(3)]
    labs[0].on_close(lambda: 1 / 0)
    labs[1].on_close(lambda: int("x"))
    with pytest.raises(ZeroDivisionError) as caught:
        crlab.close_all()
    assert "ValueError" in " ".join(caught.value.__notes__)
    assert crlab.open_labs() == []
    assert all(lab.is_closed for lab in labs)


def test_a_close_that_waits_for_a_handler_can_be_interrupted_and_gone_on_with():
    """What Ctrl-C on a slow close does in a notebook: out at once, and the rest later."""
    go, inside = threading.Event(), threading.Event()
    lab = crlab.sandbox()
    informer = lab.informer("namespaces")
    informer.add_event_handler(on_add=lambda *_: (inside.set(), go.wait(30)))
    assert inside.wait(10)
    with (
        mock.patch.object(type(informer.shared), "join", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        lab.close()
    assert lab.state == "closing"
    assert "closing" in repr(lab)
    assert lab in crlab.open_labs()
    with pytest.raises(AlreadyStopped):
        lab.apply("")
    assert lab.close() == ["crlab-listener-namespaces-1"]
    assert lab.state == "closed"
    assert lab not in crlab.open_labs()
    assert not lab.server.is_serving
    go.set()


def test_what_is_made_while_the_lab_closes_is_closed_or_refused():
    before = set(threading.enumerate())
    lab = crlab.sandbox(controllers=False)
    found = lab.client.resolve("configmaps")

    def resolve(name):
        lab.close()  # between the look whether it is open and the making
        return found

    with mock.patch.object(lab.client, "resolve", resolve), pytest.raises(AlreadyStopped):
        lab.informer("configmaps")
    assert until_gone(before)


def test_a_hundred_and_twenty_eight_signals_leave_nothing():
    """Over open, work and close, in a process of its own; then one `close_all`."""
    script = """
        import itertools, os, random, signal, threading, time
        import crlab

        chance, left = random.Random(7), 128

        def shoot():
            global left
            while left:
                time.sleep(chance.uniform(0.005, 0.06))
                left -= 1
                os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=shoot, daemon=True)
        crlab.sandbox().close()
        thread.start()
        while left:
            try:
                lab = crlab.sandbox()
                lab.informer("configmaps").wait_for_sync()
                lab.client.create("configmaps", {"metadata": {"name": "a"}})
                lab.settle()
                lab.close()
            except KeyboardInterrupt:
                pass
            except BaseException as error:
                print("odd", repr(error)[:200])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        thread.join()
        crlab.close_all()
        for _ in range(100):
            names = [t.name for t in threading.enumerate() if t.name.startswith("crlab")]
            if not names:
                break
            time.sleep(0.05)
        print("left", names, crlab.open_labs())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.splitlines()[-1] == "left [] []", done.stdout + done.stderr
