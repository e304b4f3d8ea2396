"""Faults 62-84: what Python, its user and the machine do to an informer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from unittest import mock

import pytest
from support.cycle import cycle_counts
from support.fault_proxy import semantic, toxic
from support.fault_rig import TIMING, FaultRig, cached, truth
from support.poll import pause

import crlab
from crlab.client import list_decoder
from crlab.errors import NoThread, SyncTimeout


class Deadly(BaseException):
    """No Exception."""


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, Deadly]
)
def test_a_raising_handler_ends_nothing(error):
    """Faults 63, 64: the others are told, the error is kept, reading goes on."""

    def fail(*_):
        raise error("no")

    with FaultRig() as rig:
        bad = rig.informer.add_event_handler(on_add=fail, on_update=fail, on_delete=fail)
        rig.start()
        for n in range(20):
            rig.put("a", n=str(n))
        rig.delete("b")
        rig.converges()
        rig.until(lambda: bad.is_idle)
        assert len(bad.errors) > 0
        assert isinstance(bad.errors[-1], error)
        assert rig.count("list") == 0


def test_a_handler_cannot_corrupt_the_cache():
    """Fault 65, C7: whatever it does to what it got, other readers see the server's state."""

    def spoil(obj, is_in_initial_list):
        for attempt in (
            lambda: obj["metadata"].update(name="spoilt"),
            lambda: setattr(obj, "name", "spoilt"),
            lambda: obj.to_dict()["metadata"].update(name="spoilt"),
            lambda: obj.labels.update(spoilt="yes"),
        ):
            try:
                attempt()
            except Exception as error:
                seen.append(type(error).__name__)

    seen: list[str] = []
    with FaultRig() as rig:
        rig.informer.add_event_handler(on_add=spoil)
        rig.start()
        rig.put("c", n="1")
        rig.converges()
        assert "spoilt" not in str(cached(rig.informer))
        assert all(obj.name in "abc" for obj in rig.informer.indexer.list())


def test_a_slow_handler_delays_nobody_else():
    """Fault 62: the cache and the others within 100 ms at the median; its own backlog shows."""
    lags: list[float] = []
    written: dict[str, float] = {}
    with FaultRig() as rig:
        slow = rig.informer.add_event_handler(on_update=lambda old, new: pause(0.5))
        rig.informer.add_event_handler(
            on_update=lambda old, new: lags.append(time.monotonic() - written.get("at", 9e9))
        )
        rig.start()
        rig.until(lambda: lags)  # the change that the rig makes itself
        lags.clear()
        for n in range(15):
            written["at"] = time.monotonic()
            rig.put("a", n=str(n))
            rig.until(lambda n=n: len(lags) == n + 1)
        assert sorted(lags)[7] < 0.1
        assert slow.backlog >= 5
        assert rig.state == "live"


def test_a_handler_that_never_returns_is_named_by_close():
    """Fault 66, C10: close keeps its limit, the others are live."""
    entered, release = threading.Event(), threading.Event()

    def hang(obj, first):
        entered.set()
        release.wait(20)

    with FaultRig() as rig:
        rig.informer.add_event_handler(on_add=hang, name="stuck")
        rig.put("a")
        rig.informer.start()
        rig.until(lambda: rig.fold.objects and entered.is_set())
        began = time.monotonic()
        abandoned = rig.informer.close(0.5)
        assert time.monotonic() - began < 1.5
        assert len(abandoned) == 1
        assert "listener" in abandoned[0]
        release.set()


@pytest.mark.parametrize("when", ["before the start", "in a handler", "twice", "from a signal"])
def test_stop_may_come_at_any_time(when):
    """Fault 67: no exception, no deadlock, idempotent."""
    with FaultRig() as rig:
        if when == "before the start":
            rig.informer.close()
            return
        if when == "in a handler":
            done = threading.Event()
            rig.informer.add_event_handler(
                on_add=lambda obj, first: (rig.informer.close(0.1), done.set())
            )
            rig.start(is_synced=False)
            assert done.wait(5)
        elif when == "twice":
            rig.start()
            rig.informer.stop()
        else:
            rig.start()
            old = signal.signal(signal.SIGUSR1, lambda *_: rig.informer.stop())
            os.kill(os.getpid(), signal.SIGUSR1)
            signal.signal(signal.SIGUSR1, old)
        rig.informer.stop()
        assert rig.informer.close(2) == ()


def test_handlers_come_and_go_while_events_flow():
    """Fault 68: a late one catches up, a removed one hears nothing more."""
    with FaultRig().start() as rig:
        is_over = threading.Event()
        writer = threading.Thread(target=_write, args=(rig, is_over))
        writer.start()
        heard_after = []
        for _ in range(20):
            seen: list[str] = []
            is_removed = threading.Event()

            def hear(obj, first, seen=seen, is_removed=is_removed):
                seen.append(obj.key)
                if is_removed.is_set():
                    heard_after.append(obj.key)

            handler = rig.informer.add_event_handler(on_add=hear)
            rig.until(lambda handler=handler: handler.has_synced)
            assert handler.shut_down(10)
            is_removed.set()
            assert {"default/a", "default/b"} <= set(seen)
        is_over.set()
        writer.join()
        rig.converges()
        assert heard_after == []


def _write(rig, is_over):
    n = 0
    while not is_over.is_set():
        n += 1
        rig.put(f"w{n % 7}", n=str(n))


def test_an_interrupt_ends_a_wait_and_nothing_else():
    """Fault 73: within 200 ms and a busy machine's delay; the informer goes on."""
    with FaultRig() as rig:
        rule = rig.proxy.add(toxic.Blackhole())
        rig.start(is_synced=False)
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        old = signal.signal(signal.SIGALRM, signal.default_int_handler)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            rig.informer.wait_for_sync(20)
        signal.signal(signal.SIGALRM, old)
        assert time.monotonic() - began < 1.0
        assert rule.used >= 1
        rig.proxy.clear()
        rig.converges()


def test_a_cell_run_a_hundred_times_has_one_informer():
    """Fault 74: the same name is the same informer; one set of threads."""
    with crlab.sandbox(driver="threads") as lab:
        lab.informer("configmaps").wait_for_sync()
        before = threading.active_count()
        for _ in range(100):
            lab.informer("configmaps").wait_for_sync()
        assert threading.active_count() <= before


SCRIPT = """
import os, sys, threading, crlab
lab = crlab.sandbox(driver="threads")
for plural in ("configmaps", "pods", "secrets"):
    lab.informer(plural).wait_for_sync()
print("ready", flush=True)
{end}
"""


def _script(end):
    return [sys.executable, "-W", "error", "-c", SCRIPT.format(end=end)]


def test_the_interpreter_ends_with_live_informers():
    """Fault 76: in two seconds, exit code 0, nothing on stderr."""
    process = subprocess.Popen(
        _script(""), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 3.0  # two, and a busy machine
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_killed_kernel_leaves_no_child_port_or_file(name, tmp_path):
    """Fault 75: nothing listens, nothing is left where temporary files go."""
    process = subprocess.Popen(
        _script("print(lab.url, flush=True); threading.Event().wait(60)"),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout.readline() == "ready\n"
    url = process.stdout.readline().strip()
    children = _children(process.pid)
    process.send_signal(getattr(signal, name))
    process.wait(10)
    process.stdout.close()
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
    assert list(tmp_path.iterdir()) == []
    port = int(url.split(":")[2].split("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def test_start_and_stop_leave_nothing():
    """Fault 78, small: threads and descriptors; `soak.py --cycles 1000` is the large one."""
    counts = cycle_counts(40)
    assert counts.threads_left == 0
    assert counts.descriptors_left == 0
    assert counts.sockets_left == 0


def test_the_wall_clock_decides_nothing():
    """Fault 80: it jumps a day ahead, a day back; back-off and the idle limit do not notice.

    A jump ahead may be a sleep (fault 81), so it costs a watch; that is all.
    """
    with FaultRig().start() as rig:
        for days in (1, -1, 0):
            with mock.patch.object(time, "time", lambda days=days: 1.9e9 + days * 86400):
                rig.proxy.add(semantic.Status(500), times=2)
                rig.proxy.inject(semantic.End())
                rig.put("a", n=str(days))
                rig.converges(5)
                rig.proxy.clear()


def test_no_descriptors_is_survived():
    """Fault 82: EMFILE on connect is a typed failure; it resumes when there are some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with FaultRig().start() as rig:
        rig.proxy.down()
        rig.put("a", n="2")
        rig.until_state("degraded")
        resource.setrlimit(resource.RLIMIT_NOFILE, (_next_descriptor(), hard))
        try:
            rig.until(lambda: "Too many open files" in rig.informer.status.cause)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        rig.proxy.up()
        rig.converges()


@contextlib.contextmanager
def no_thread_after(count):
    """Let the machine start `count` threads of crlab, and no more."""
    begin, started = threading.Thread.start, []

    def start(thread):
        if thread.name.startswith("crlab-"):
            if len(started) == count:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        begin(thread)

    with mock.patch.object(threading.Thread, "start", start):
        yield


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_threads_is_survived(count):
    """Fault 82: typed, and nothing half started is left; another one starts when it can."""
    with FaultRig() as rig:
        before = set(threading.enumerate())
        with no_thread_after(count), pytest.raises(NoThread, match="can't start new thread"):
            rig.informer.start()
        assert rig.state == "stopped"
        assert rig.informer.close(2) == ()
        left = {each.name for each in set(threading.enumerate()) - before}
        assert not {name for name in left if "configmaps" in name}
        rig.make_informer()
        rig.start()
        rig.converges()


def test_a_handler_without_a_thread_is_not_registered():
    """Fault 82: no backlog grows for it; the others hear everything, it can be added later."""
    with FaultRig().start() as rig:
        with no_thread_after(0), pytest.raises(NoThread):
            rig.informer.add_event_handler(on_add=print, name="late")
        assert [each.name for each in rig.informer.registrations] == ["configmaps/default-1"]
        rig.informer.add_event_handler(on_add=lambda obj, first: None, name="late")
        rig.put("a", n="3")
        rig.converges()


def _next_descriptor():
    number = os.dup(0)
    os.close(number)
    return number


def test_no_memory_is_survived():
    """Fault 82: MemoryError in parse is a failure like any other."""
    with FaultRig(list_mode="list").start() as rig:
        decode = list_decoder.decode_page
        calls = iter([MemoryError("none left"), MemoryError("none left")])

        def fail(*args, **options):
            error = next(calls, None)
            if error is not None:
                raise error
            return decode(*args, **options)

        with mock.patch("crlab.client.lister_watcher.decode_page", fail):
            rig.proxy.inject(semantic.Inject(semantic.error_line(410)))
            rig.put("a", n="2")
            rig.converges()
        assert any(isinstance(error, MemoryError) for error in rig.errors)


def test_a_blocked_event_loop_blocks_no_informer():
    """Fault 83: user code holds asyncio's thread; the cache follows."""

    async def block(rig):
        rig.put("a", n="2")
        rig.until(lambda: cached(rig.informer) == truth(rig.server))  # never yields to the loop

    with FaultRig().start() as rig:
        asyncio.run(block(rig))
        rig.converges()


def test_threads_that_switch_all_the_time_agree():
    """Fault 84: switch interval of a microsecond; readers never see half a change."""
    old = sys.getswitchinterval()
    problems: list[str] = []
    with FaultRig(indexers={"n": lambda obj: [str(obj["data"].get("n", ""))]}).start() as rig:
        is_over = threading.Event()
        readers = [threading.Thread(target=_check, args=(rig, is_over, problems)) for _ in range(3)]
        sys.setswitchinterval(1e-6)
        try:
            for reader in readers:
                reader.start()
            for n in range(200):
                rig.put(f"k{n % 10}", n=str(n % 3))
                if n % 5 == 0:
                    rig.delete(f"k{n % 10}")
        finally:
            is_over.set()
            sys.setswitchinterval(old)
            for reader in readers:
                reader.join()
        rig.converges()
    assert problems == []


def _check(rig, is_over, problems):
    indexer, newest = rig.informer.indexer, 0
    while not is_over.is_set():
        snapshot = indexer.read()
        version = int(snapshot.resource_version or 0)
        if version < newest:
            problems.append(f"a snapshot went back from {newest} to {version}")
        newest = version
        if any(int(obj.resource_version) > version for obj in snapshot.rows.values()):
            problems.append("a row is newer than its snapshot")
        for value in ("0", "1", "2"):
            if any(obj["data"].get("n") != value for obj in indexer.by_index("n", value)):
                problems.append("an index and its rows disagree")


def test_a_wait_that_runs_out_says_what_was_missing():
    """Fault 2, C8: the limit, and what the informer was doing."""
    with FaultRig() as rig:
        rig.proxy.add(semantic.Status(500))
        rig.start(is_synced=False)
        with pytest.raises(SyncTimeout, match="configmaps"):
            rig.informer.wait_for_sync(0.2)


def test_a_machine_that_slept_knows_that_it_is_stale():
    """Fault 81, C1: the connection died in an hour that only the wall clock knows of.

    The idle limit is a minute here, so it is not what ends the dead stream.
    """
    wall = time.time

    def later():
        return wall() + 3600

    with FaultRig(timing=replace(TIMING, idle_seconds=60.0)).start() as rig:
        rig.proxy.inject(toxic.HalfOpen())
        rig.put("a", n="2")
        with mock.patch.object(time, "time", later):
            rig.converges(5)
            assert "stale" in rig.healths()
            assert rig.count("list") == 0


def test_what_fails_while_an_event_is_processed_is_seen():
    """No thread dies unseen, the reader's neither: the informer is failed, with the cause."""
    with FaultRig() as rig:
        rig.start()

        def fail(changes, resource_version=""):
            raise MemoryError("no room")

        rig.informer.indexer.apply = fail
        rig.put("a", n="1")
        rig.until(lambda: rig.state == "failed")
        assert "no room" in str(rig.informer.status)
        assert rig.informer.close(2) == ()


@pytest.mark.parametrize("has_index", [False, True])
def test_a_lone_event_is_processed_by_its_reader_unless_users_code_is_in_the_way(has_index):
    """One change of threads less; but no index function may hold the reader up."""
    seen = []
    with FaultRig() as rig:
        if has_index:
            rig.informer.add_indexers({"n": lambda obj: [obj["data"].get("n", "")]})
        rig.start()
        rig.informer.indexer.add_change_listener(
            lambda keys: seen.append(threading.current_thread().name)
        )
        for n in range(5):
            rig.put("a", n=str(n))
            rig.until(lambda n=n: len(seen) > n)
    by_reader = [name.startswith("crlab-reflector-") for name in seen]
    assert not any(by_reader) if has_index else any(by_reader)
