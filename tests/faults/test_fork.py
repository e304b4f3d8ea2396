"""Fault 77: a forked child has connections of its own or is refused, and harms no parent."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import threading
import traceback
from unittest import mock

import pytest
from support.poll import pause

import crlab
from crlab.client.connection_pool import Pool
from crlab.errors import LifecycleError, TransportError
from crlab.trace.recording import Recording

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def in_child(function):
    """Run a function in a forked child; return what it wrote about its failure, "" for none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            function()
        except BaseException:
            said = traceback.format_exc()
        os.write(writing, said.encode()[-4000:])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def wrong_answers(lab, count=48):
    """Ask for objects in four forked children at once; return the answers that are another's."""

    def get(k):
        return k, lab.client.get("configmaps", f"c{k}", namespace="default")["metadata"]["name"]

    global _get
    _get = get
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map_async(_asked, range(count), chunksize=3).get(25)
    return [(k, name) for k, name in found if name != f"c{k}"]


def _asked(k):
    return _get(k)


@pytest.fixture
def lab():
    with crlab.sandbox(controllers=False) as opened:
        for k in range(48):
            opened.client.create("configmaps", {"metadata": {"name": f"c{k}"}})
        yield opened


def test_children_and_their_parent_get_their_own_answers(lab):
    """Fault 77: no answer of another process, and no connection of the parent lost."""
    for _ in range(5):
        assert wrong_answers(lab) == []
        assert lab.client.get("configmaps", "c1", namespace="default")["metadata"]["name"] == "c1"
    assert lab._parts.transport.describe()["connections_opened"] < 5  # the parent kept its own


def test_a_connection_knows_its_process_even_if_its_pool_does_not(lab):
    """The seeded bug of a pool that keeps its parent's connections: refused, never shared."""
    with mock.patch.object(Pool, "_in_child", lambda _: None):  # noqa: PT008 - taken by weakref
        unaware = crlab.connect(url=lab.url)
        unaware.client.get("configmaps", "c1", namespace="default")
        said = in_child(lambda: unaware.client.get("configmaps", "c2", namespace="default"))
    assert "LifecycleError" in said
    unaware.close()


def test_a_child_says_that_the_informer_does_not_run_in_it(lab):
    informer = lab.informer("configmaps").wait_for_sync()

    def look():
        status = informer.status
        assert status.state == "stopped", status
        assert "runs in the parent" in status.cause
        assert not status.is_live
        assert len(informer.df) == 48  # what was cached stays readable
        with pytest.raises(LifecycleError):
            informer.wait_for_sync(1)
        with pytest.raises(LifecycleError):
            lab.settle()
        with pytest.raises(LifecycleError):
            lab.snapshot()
        with pytest.raises(LifecycleError):
            lab.as_user("jane").client.list("configmaps")

    assert in_child(look) == ""
    assert informer.status.is_live


def test_a_child_makes_informers_of_its_own_and_closes_only_those(lab):
    informer = lab.informer("configmaps").wait_for_sync()

    def work():
        mine = lab.informer("configmaps")
        assert mine is not informer
        mine.wait_for_sync(10)
        assert len(mine) == 48
        assert lab.close() == []
        assert not mine.shared.status.is_live

    assert in_child(work) == ""
    lab.client.create("configmaps", {"metadata": {"name": "after"}})
    lab.settle()
    assert len(informer) == 49
    assert lab.state == "open"


@pytest.mark.parametrize("end", ["close", "close_all", "with", "exit", "collect"])
def test_the_end_of_a_child_ends_nothing_of_its_parent(lab, tmp_path, end):
    informer = lab.informer("configmaps").wait_for_sync()
    recorder = lab.record(tmp_path / "run.gz")

    def leave():
        if end == "close":
            assert lab.close() == []
        elif end == "close_all":
            crlab.close_all()
            informer.close()
            lab.server.close()
            lab._parts.transport.close()
            recorder.close()
        elif end == "with":
            with contextlib.suppress(KeyError), lab:
                raise KeyError
        elif end == "exit":
            import atexit

            atexit._run_exitfuncs()
        else:
            informer.stop()
            gc.collect()

    assert in_child(leave) == ""
    for k in range(20):
        lab.client.create("configmaps", {"metadata": {"name": f"later{k}"}})
    lab.settle()
    assert len(informer) == 68
    recorder.close()
    recording = Recording.open(tmp_path / "run.gz")
    assert recording.is_complete
    seqs = [record.seq for record in recording.records]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_a_child_never_writes_into_its_parents_recording(lab, tmp_path):
    recorder = lab.record(tmp_path / "run.gz")
    recorder.flush()
    size = os.path.getsize(tmp_path / "run.gz")

    def work():
        assert not recorder.is_recording
        assert not lab.is_recording
        for k in range(20):
            lab.client.get("configmaps", f"c{k}", namespace="default")
        recorder.flush()
        recorder.close()
        assert os.path.getsize(tmp_path / "run.gz") == size
        assert "Recorder" in repr(recorder)

    assert in_child(work) == ""
    assert recorder.is_recording


def test_a_server_in_the_parents_process_is_refused_to_the_child():
    """Its copy would take writes that nobody ever sees."""
    with crlab.sandbox(driver="manual") as lab:

        @lab.controller("configmaps")
        def reconcile(request, ctx):
            return None

        def work():
            for call in (
                lambda: lab.client.create("configmaps", {"metadata": {"name": "lost"}}),
                lambda: lab.client.list("configmaps"),
                lambda: lab.step(),
                lambda: lab.settle(),
                lambda: reconcile.step("default/a"),
                lambda: reconcile.start(),
                lambda: lab.rewind(1),
            ):
                with pytest.raises(LifecycleError, match="parent"):
                    call()

        assert in_child(work) == ""


def test_a_stream_of_the_parent_is_not_read_by_the_child(lab):
    stream = lab._parts.transport.open_stream(
        "/api/v1/namespaces/default/configmaps", query=[("watch", "true")]
    )
    stream.read(5)

    def work():
        with pytest.raises((LifecycleError, TransportError)):
            stream.read(1)
        stream.close()

    assert in_child(work) == ""
    lab.client.create("configmaps", {"metadata": {"name": "seen"}})
    data = b""
    while b'"seen"' not in data:
        data += stream.read(5)
    stream.close()


def test_locks_that_were_held_at_the_fork_hold_up_no_child(lab):
    """Other threads are at work in every lock when the fork comes."""
    informer = lab.informer("configmaps").wait_for_sync()
    held, go = threading.Barrier(2), threading.Event()
    locks = [
        lab._lock,
        lab.trace._lock,
        lab.ids._lock,
        lab._parts.transport._lock,
        lab._parts.transport._pool._lock,
        informer.indexer._lock,
        informer.shared._lock,
        informer.shared._cond,
    ]

    def hold():
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.wait(10)
            go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)

    def work():
        assert lab.client.get("configmaps", "c3", namespace="default")["metadata"]["name"] == "c3"
        assert informer.status.state == "stopped"
        with pytest.raises(LifecycleError):
            informer.wait_for_sync(1)
        informer.close()
        lab.close()

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(writing, b"well")
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        os._exit(0)
    go.set()
    thread.join(10)
    os.close(writing)
    for _ in range(400):
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            break
        pause(0.025)
    else:
        os.kill(child, 9)
    assert os.read(reading, 4000).decode() == "well"
    os.close(reading)
