"""Random histories with faults: in the end the cache is the truth, and so is what was told.

The server is a small true one (support.truth_server); time is virtual, so an example of
fifty steps and ten minutes of back-off takes milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crlab.cache import SharedInformer
from crlab.client.list_watch import EndOfStream, WatchEvent
from crlab.errors import DecodeError, TransportError, api_error
from crlab.model.object import KubeObject
from crlab.runtime.clock import FakeClock
from crlab.runtime.driver import ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from support.scripted import bookmark, error_event, event, pod
from support.truth_server import TruthServer, gone, too_large

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])

REQUEST_FAULTS = {
    "500": lambda: api_error(500, {}),
    "503": lambda: api_error(503, {}),
    "429": lambda: api_error(429, {}, retry_after_seconds=3),
    "401": lambda: api_error(401, {}),
    "403": lambda: api_error(403, {}),
    "404": lambda: api_error(404, {"reason": "NotFound"}),
    "410": gone,
    "too large": too_large,
    "refused": lambda: TransportError("refused", phase="connect", refused=True),
    "cut": lambda: TransportError("cut", phase="list"),
    "garbage": lambda: DecodeError("not a list"),
}
STREAM_FAULTS: dict[str, Callable[[], list[WatchEvent | Exception]]] = {
    "end": lambda: [EndOfStream()],
    "cut": lambda: [TransportError("cut", phase="watch")],
    "garbage": lambda: [DecodeError("not an event")],
    "410": lambda: [error_event(410, "Expired")],
    "500": lambda: [error_event(500)],
    "429": lambda: [error_event(429)],
    "error without a code": lambda: [WatchEvent("ERROR", status={})],
    "bad bookmark": lambda: [bookmark("x")],
    "old bookmark": lambda: [bookmark(1)],
    "no version": lambda: [event("ADDED", pod("ghost", ""))],
}
DAMAGE = {
    "null object": lambda obj: WatchEvent("MODIFIED", None, obj.resource_version),
    "unknown type": lambda obj: event("RENAMED", obj),
    "garbage": lambda obj: DecodeError("not an event"),
    "no object in a deletion": lambda obj: WatchEvent("DELETED", None, obj.resource_version),
}


class Told:
    """What a handler was told, folded; and what it must never be told."""

    def __init__(self):
        self.objects = {}
        self.dead = set()
        self.problems = []

    def on_add(self, obj, is_in_initial_list):
        if obj.key in self.objects:
            self.problems.append(f"{obj.key} was added twice")
        if obj.uid in self.dead:
            self.problems.append(f"{obj.key} rose from the dead")
        self.objects[obj.key] = obj

    def on_update(self, old, new):
        if self.objects.get(new.key) is not old:
            self.problems.append(f"{new.key}: the old state is not the one told before")
        self.objects[new.key] = new

    def on_delete(self, obj):
        self.objects.pop(obj.key, None)
        if isinstance(obj, KubeObject):  # seen, not inferred
            if obj.uid in self.dead:
                self.problems.append(f"{obj.key} was deleted twice")
            self.dead.add(obj.uid)


class History(RuleBasedStateMachine):
    faults: ClassVar[Counter] = Counter()

    @initialize(
        queue=st.sampled_from(["real", "real-per-item", "delta"]),
        mode=st.sampled_from(["list", "auto"]),
        page_size=st.sampled_from([None, 2]),
        poll_seconds=st.sampled_from([None, 10.0]),
        seed=st.integers(0, 9),
    )
    def begin(self, queue, mode, page_size, poll_seconds, seed):
        self.clock, self.driver = FakeClock(), ManualDriver()
        self.server = TruthServer(has_watch_list=mode == "auto")
        for name in "ab":
            self.server.put(name)
        self.informer = SharedInformer(
            self.server,
            driver=self.driver,
            clock=self.clock,
            ids=Ids(seed),
            trace=Trace(self.clock, max_records=100),
            queue=queue,
            list_mode=mode,
            page_size=page_size,
            poll_seconds=poll_seconds,
        )
        self.told = [self.listen()]
        self.informer.start()

    def listen(self):
        told = Told()
        self.informer.add_event_handler(
            on_add=told.on_add, on_update=told.on_update, on_delete=told.on_delete
        )
        return told

    @rule(name=NAMES, replicas=st.integers(0, 3))
    def put(self, name, replicas):
        self.server.put(name, replicas=replicas)

    @rule(name=NAMES)
    def delete(self, name):
        self.server.delete(name)

    @rule(name=NAMES)
    def recreate(self, name):
        self.server.delete(name)
        self.server.put(name, recreated=True)

    @rule()
    def compact(self):
        self.server.compact()

    @rule()
    def send_bookmark(self):
        self.server.bookmark()

    @rule(fault=st.sampled_from(sorted(STREAM_FAULTS)))
    def break_stream(self, fault):
        History.faults[fault] += 1
        self.server.inject(*STREAM_FAULTS[fault]())

    @rule(fault=st.sampled_from(sorted(REQUEST_FAULTS)), count=st.integers(1, 4))
    def break_lists(self, fault, count):
        History.faults[f"list {fault}"] += count
        self.server.list_faults.extend(REQUEST_FAULTS[fault]() for _ in range(count))

    @rule(fault=st.sampled_from(sorted(REQUEST_FAULTS)), count=st.integers(1, 4))
    def break_watches(self, fault, count):
        History.faults[f"watch {fault}"] += count
        self.server.watch_faults.extend(REQUEST_FAULTS[fault]() for _ in range(count))

    @rule(name=NAMES, fault=st.sampled_from(sorted(DAMAGE)))
    def damage_an_event(self, name, fault):
        """The change happened; what arrives of it cannot be read."""
        History.faults[f"damaged: {fault}"] += 1
        self.driver.settle()
        self.server.put(name, damaged=True)
        self.server.damage(DAMAGE[fault](self.server.objects[f"default/{name}"]))

    @rule(name=NAMES)
    def send_an_older_event(self, name):
        History.faults["older event"] += 1
        self.server.inject(event("MODIFIED", pod(name, 1, stale=True)))
        if f"default/{name}" not in self.server.objects:
            self.server.put(name)

    @rule()
    def go_mute(self):
        History.faults["half-open"] += 1
        self.server.mute()

    @rule()
    def repeat_the_last_events(self):
        History.faults["repeated events"] += 1
        self.server.inject(*[event(kind, obj) for _, kind, obj in self.server.log[-3:]])

    @rule(name=NAMES)
    def repeat_a_deletion(self, name):
        History.faults["repeated deletion"] += 1
        self.quiesce()
        self.server.put(name)
        self.driver.settle()
        self.server.delete(name)
        self.driver.settle()
        last = [event(kind, obj) for _, kind, obj in self.server.log[-2:]]
        self.server.inject(*reversed(last))

    @precondition(lambda self: len(self.told) < 4)
    @rule()
    def add_a_late_handler(self):
        self.told.append(self.listen())

    @rule(steps=st.integers(1, 8))
    def move(self, steps):
        for _ in range(steps):
            self.driver.step()

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 40.0]))
    def pass_time(self, seconds):
        self.clock.advance(seconds)
        self.driver.settle()

    @rule(seconds=st.sampled_from([60.0, 3600.0, -3600.0]))
    def sleep(self, seconds):
        """The machine slept, or its wall clock was set; its monotonic clock stood still."""
        History.faults["wall clock jumped"] += 1
        self.clock.jump(seconds)

    @rule()
    def delete_the_crd(self):
        """What was cached is gone, at once and once; then it comes back."""
        self.quiesce()
        missing = REQUEST_FAULTS["404"]
        self.server.watch_faults.append(missing())
        self.server.list_faults.append(missing())
        History.faults["404"] += 1
        self.server.inject(bookmark(self.server.revision), EndOfStream())
        self.driver.settle()
        assert self.informer.status.state.value == "gone"
        assert self.informer.indexer.list_keys() == []

    @rule()
    def restore_a_backup(self):
        """The revision goes back, and nothing is written until that was noticed."""
        self.quiesce()
        self.server.save()
        self.server.put("a", lost=True)
        self.server.delete("b")
        self.quiesce()
        self.server.restore()
        for told in self.told:
            told.dead.clear()
        History.faults["revision went back"] += 1
        self.quiesce()

    @rule()
    def quiesce(self):
        """Faults end; some minutes later everything is equal."""
        self.server.list_faults.clear()
        self.server.watch_faults.clear()
        for _ in range(12):
            self.clock.advance(30)
            self.server.bookmark()
            self.driver.settle()
        cached = {obj.key: obj.raw for obj in self.informer.indexer.list()}
        assert cached == {key: obj.raw for key, obj in self.server.objects.items()}
        assert self.informer.status.state.value == "live", self.informer.status
        assert len(self.server.streams) == 1
        for told in self.told:
            assert {k: o.raw for k, o in told.objects.items()} == cached

    @invariant()
    def nothing_odd_was_told_or_stored(self):
        if not hasattr(self, "told"):
            return
        assert [problem for told in self.told for problem in told.problems] == []
        assert "default/ghost" not in self.informer.indexer
        for name, index in self.informer.indexer._indices.items():
            expected: dict[str, list[str]] = {}
            for obj in self.informer.indexer.list():
                for value in index.func(obj):
                    expected.setdefault(value, []).append(obj.key)
            held = {value: sorted(keys) for value, keys in index.keys.items()}
            assert held == {value: sorted(keys) for value, keys in expected.items()}, name

    def teardown(self):
        if hasattr(self, "informer"):
            self.quiesce()
            self.informer.close()
