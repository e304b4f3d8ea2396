"""Random histories over real HTTP: an informer and a controller, a proxy that breaks things.

The model is what was written: every (key, resourceVersion) the server ever had. Invariants
I1-I8 hold at every change or after every step, Q1-Q6 whenever the faults have ended
(`quiesce`), which each example does at least once.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crlab.cache.reflector import Timing
from crlab.client import DynamicClient
from crlab.controller import Controller
from crlab.frame.live_frame import LiveFrame
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from support.fault_proxy import semantic, toxic
from support.fault_proxy.fault import Fault
from support.fault_rig import BURST, CONFIG_MAPS, PATH, RATE, FaultRig, Fold, cached, truth
from support.poll import pause, until
from support.server import make_server

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
IDLE_SECONDS = 0.3
TIMING = Timing(
    idle_seconds=IDLE_SECONDS,
    stream_deadline_seconds=0.3,
    stream_warning_seconds=0.1,
    backoff_first_seconds=0.005,
    backoff_cap_seconds=0.05,
    max_requests_per_second=RATE,
    request_burst=BURST,
)
error_line, Inject = semantic.error_line, semantic.Inject


def bookmark_line(version: str) -> bytes:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version}}
    return json.dumps({"type": "BOOKMARK", "object": obj}).encode() + b"\n"


ANSWERS: dict[str, Callable[[], Fault]] = {
    **{
        str(code): functools.partial(semantic.Status, code)
        for code in (401, 403, 404, 410, 429, 500)
    },
    "503": lambda: semantic.Status(503),
    "too large": semantic.TooLarge,
    "html": lambda: semantic.Status(200, b"<html>Log in</html>"),
    "reset": toxic.ResetPeer,
    "blackhole": toxic.Blackhole,
    "empty": lambda: semantic.CloseAfter(0),
    "cut after 100 bytes": lambda: toxic.LimitData(100),
    "truncated gzip": lambda: semantic.Gzip("truncated"),
    "no items": lambda: semantic.Body(lambda tree: tree.pop("items") and None),
    "another kind": lambda: semantic.Body(lambda tree: tree.update(kind="SecretList")),
    "redirect": lambda: semantic.Redirect("http://127.0.0.1:9/"),
}
STREAMS: dict[str, Callable[[], Fault]] = {
    "end": semantic.End,
    "fin": lambda: semantic.End(is_clean=False),
    "rst": toxic.ResetPeer,
    "half-open": toxic.HalfOpen,
    "trickle": toxic.Trickle,
    "410": lambda: Inject(error_line(410, "Expired")),
    "in-stream 500": lambda: Inject(error_line(500)),
    "error without a code": lambda: Inject(error_line(None)),
    "garbage line": lambda: Inject(b"\x00}{\n"),
    "bookmark of garbage": lambda: Inject(bookmark_line("x")),
    "old bookmark": lambda: Inject(bookmark_line("1")),
    "slices of a byte": lambda: toxic.Slicer(1),
}
EVENTS: dict[str, Callable[[], Fault]] = {
    "rst mid-line": toxic.RstMidLine,
    "fin mid-line": toxic.FinMidLine,
    "all but the newline": lambda: toxic.FinMidLine(is_clean=True, is_whole=True),
    "a flipped bit": toxic.Corrupt,
    "garbled event": semantic.Garble,
    "framing": semantic.Framing,
    "no metadata": semantic.StripMetadata,
    "null object": lambda: semantic.Edit(lambda event: event.update(object=None)),
    "unknown type": lambda: semantic.Edit(lambda event: event.update(type="RENAMED")),
    "wrong kind": lambda: semantic.Edit(lambda event: event["object"].update(kind="Secret")),
    "duplicate": semantic.Duplicate,
    "a batch of 50": lambda: semantic.Batch(50),
    "stale state": semantic.Stale,
}


class HttpHistory(RuleBasedStateMachine):
    """The machine; `faults`, `steps` and `examples` count over all of a run."""

    faults: ClassVar[Counter[str]] = Counter()
    counts: ClassVar[Counter[str]] = Counter()
    recoveries: ClassVar[list[float]] = []

    @initialize(
        queue=st.sampled_from(["real", "real-per-item", "delta"]),
        mode=st.sampled_from(["list", "auto"]),
        page_size=st.sampled_from([None, 2]),
        may_restore=st.integers(0, 7).map(lambda n: n == 0),
    )
    def begin(self, queue, mode, page_size, may_restore):
        self.counts["examples"] += 1
        self.may_restore, self.may_bulk = may_restore, True
        self.problems: list[str] = []
        self.written: set[tuple[str, str]] = set()
        self.floor: dict[str, int] = {}
        self.is_new_epoch = False
        self.rig = FaultRig(
            timing=TIMING,
            bookmark_seconds=0.08,
            transport={"first_byte_seconds": 0.25, "connect_seconds": 0.25},
            queue=queue,
            list_mode=mode,
            page_size=page_size,
            indexers={"n": lambda obj: [str((obj["data"] or {}).get("n", ""))]},
        )
        self.others: list[Any] = []
        self.transport = self.rig.transport.session()
        self.put("a", 0)
        self.put("b", 1)
        self.run_informer()
        self.rig.informer.wait_for_sync(10)
        self.quiesce()

    def run_informer(self) -> None:
        """Start the rig's informer with a controller on it."""
        informer, clock = self.rig.informer, RealClock()
        self.informer = informer
        self.folds = [self.rig.fold]
        self.reconciled: dict[str, str | None] = {}
        self.began, self.mark = time.monotonic(), self.rig.proxy.journal.now_seconds
        informer.indexer.add_change_listener(lambda keys: self.check_change(informer, keys))
        trace = Trace(clock, max_records=1000)
        self.controller = Controller(
            "noting",
            self.reconcile,
            informer=informer,
            client=DynamicClient(self.transport, clock=clock, trace=trace),
            driver=ThreadDriver(clock),
            clock=clock,
            ids=Ids(0),
            trace=trace,
        )
        informer.start()
        self.controller.start()
        self.frame = LiveFrame(informer.indexer, resource=CONFIG_MAPS)

    def reconcile(self, request: Any, ctx: Any) -> None:
        key = f"{request.namespace}/{request.name}"
        obj = self.informer.indexer.get_by_key(key)
        self.reconciled[key] = None if obj is None else obj.resource_version

    # Invariants of every change, on the only writer's thread ------------------------------

    def check_change(self, informer: Any, keys: Any) -> None:
        try:
            self._check_change(informer, None if keys is None else list(keys))
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")

    def _check_change(self, informer: Any, keys: list[str] | None) -> None:
        self.counts["changes checked"] += 1
        for key, obj in informer.indexer.read(keys).rows.items():
            if obj is None:
                continue
            version = obj.resource_version
            if (key, version) not in self.written:
                self.problems.append(f"I1: {key}@{version} never was")
            if not self.is_new_epoch and int(version) < self.floor.get(key, 0):
                self.problems.append(f"I2: {key} went back to {version}")
            self.floor[key] = int(version)
            if not obj.name:
                self.problems.append("I3: a row without a name")
        expected: dict[str, set[str]] = {}
        for obj in informer.indexer.list():
            expected.setdefault(str((obj["data"] or {}).get("n", "")), set()).add(obj.key)
        for value, members in expected.items():
            if set(informer.indexer.index_keys("n", value)) != members:
                self.problems.append(f"I4: the index of {value} differs")

    # Writing -----------------------------------------------------------------------------

    def _wrote(self, status: int, body: Any) -> None:
        assert status in (200, 201), body
        meta = body["metadata"]
        self.written.add((f"{meta['namespace']}/{meta['name']}", meta["resourceVersion"]))

    @rule(name=NAMES, n=st.integers(0, 3))
    def put(self, name, n):
        # the version is noted before anybody can have seen it: writes happen under this name only
        server = self.rig.server
        body = {"metadata": {"name": name}, "data": {"n": str(n), "pad": "x" * 200}}
        self.written.add((f"default/{name}", str(server.storage.revision + 1)))
        status, answer = server.request("POST", PATH, body)
        if status == 409:
            status, answer = server.request("PUT", f"{PATH}/{name}", body)
        self._wrote(status, answer)

    @rule(name=NAMES)
    def delete(self, name):
        self.rig.server.request("DELETE", f"{PATH}/{name}")

    @rule(name=NAMES)
    def recreate(self, name):
        self.delete(name)
        self.put(name, 3)

    @precondition(lambda self: self.may_bulk)
    @rule()
    def change_a_hundred(self):
        self.may_bulk = False
        for n in range(100):
            self.put("abcde"[n % 5], n % 4)

    @rule()
    def compact(self):
        self.rig.server.compact()

    # Faults ------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(sorted(ANSWERS)), times=st.integers(1, 3))
    def break_lists(self, fault, times):
        self.faults[f"list: {fault}"] += 1
        self.rig.proxy.add(ANSWERS[fault](), "list", times=times)

    @rule(fault=st.sampled_from(sorted(ANSWERS)), times=st.integers(1, 3))
    def break_watches(self, fault, times):
        self.faults[f"watch: {fault}"] += 1
        self.rig.proxy.add(ANSWERS[fault](), "watch", times=times)

    def inject(self, fault: Any) -> int:
        """Break the stream that is open, or is about to be."""
        deadline = time.monotonic() + 0.06
        while not self.rig.proxy.streams() and time.monotonic() < deadline:
            pause(0.005)
        return self.rig.proxy.inject(fault)

    @rule(fault=st.sampled_from(sorted(STREAMS)))
    def break_the_stream(self, fault):
        if self.inject(STREAMS[fault]()):
            self.faults[f"stream: {fault}"] += 1

    @rule(fault=st.sampled_from(sorted(EVENTS)), name=NAMES, n=st.integers(0, 3))
    def break_an_event(self, fault, name, n):
        if self.inject(EVENTS[fault]()):
            self.faults[f"event: {fault}"] += 1
        self.put(name, n)

    @rule(one=NAMES, other=NAMES)
    def swap_two_events(self, one, other):
        reorder = semantic.Reorder(2)
        is_in = self.inject(reorder) == 1
        self.put(one, 0)
        self.put(other, 1)
        if is_in:
            self.faults["event: reordered"] += 1
            deadline = time.monotonic() + 0.5  # a cut between the two would lose one for good
            while reorder.times and self.rig.proxy.streams() and time.monotonic() < deadline:
                pause(0.002)
            pause(0.01)

    @rule(name=NAMES)
    def lose_events_and_expire(self, name):
        """What is lost must be found by the relist that 410 asks for."""
        if self.inject(semantic.Drop(None)):
            self.faults["event: lost, then 410"] += 1
        self.put(name, 2)
        self.delete("a" if name != "a" else "b")
        self.rig.proxy.inject(Inject(error_line(410, "Expired")))

    @rule()
    def restart_the_server(self):
        self.faults["down and up"] += 1
        self.rig.proxy.down()
        pause(0.01)
        self.rig.proxy.up()

    @precondition(lambda self: self.may_restore)
    @rule()
    def restore_a_backup(self):
        """The revision goes back; nothing is written until that was noticed."""
        self.may_restore = False
        self.quiesce()
        old = self.rig.server
        restored = make_server(RealClock(), seed=len(self.others) + 7, secret=_secret(old.url))
        restored.start()
        self.others.append(old)
        while old.storage.revision < restored.storage.revision + 20:
            self.put("e", old.storage.revision)  # the same again would be no change
        self.quiesce()
        self.faults["revision went back"] += 1
        self.is_new_epoch = True
        for fold in self.folds:
            fold.may_go_back = True
        self.rig.server, self.rig.proxy.upstream = restored, restored.url
        self.put("restored", 0)
        mute = restored.faults.no_bookmarks("configmaps")  # as real servers are, about the future
        self.rig.proxy.inject(toxic.HalfOpen())
        until(lambda: cached(self.informer) == truth(restored), 15, self.describe)
        mute.remove()
        self.quiesce()
        for fold in self.folds:
            fold.may_go_back = False
        self.floor.clear()  # of the keys that only the old epoch had
        self.is_new_epoch = False

    @precondition(lambda self: len(self.folds) < 3)
    @rule()
    def add_a_late_handler(self):
        fold = Fold()
        fold.may_go_back = self.is_new_epoch
        self.informer.add_event_handler(**fold.handlers())
        self.folds.append(fold)

    @rule()
    def stop_and_start(self):
        self.counts["restarts"] += 1
        self.end_informer()
        self.floor.clear()
        self.rig.make_informer()
        self.run_informer()

    @rule(seconds=st.sampled_from([0.0, 0.005, 0.02]))
    def let_time_pass(self, seconds):
        pause(seconds)

    # Quiet -------------------------------------------------------------------------------

    @rule()
    def quiesce(self):
        """Faults end; then Q1, Q2, Q4, Q5, Q6 within T_conv, and Q3."""
        self.rig.proxy.clear()
        began = time.monotonic()
        until(self.is_converged, 15, self.describe)
        self.recoveries.append(time.monotonic() - began)
        rows = cached(self.informer)
        versions = {key: row["metadata"]["resourceVersion"] for key, row in rows.items()}
        for number, fold in enumerate(self.folds):
            told = {key: obj.resource_version for key, obj in fold.objects.items()}
            detail = f"Q2: handler {number}: {told} against {versions}; {fold.calls[-30:]}"
            assert told == versions, f"{detail}\n{self.describe()}"
        assert sorted(self.frame.df.index) == sorted(rows), "Q3"
        self.check()

    def is_converged(self) -> bool:
        informer = self.informer
        rows = cached(informer)
        return (
            rows == truth(self.rig.server)
            and informer.status.state.value == "live"
            and informer.is_settled
            and not self.controller.queue.snapshot().keys
            and all(
                self.reconciled.get(key) == row["metadata"]["resourceVersion"]
                for key, row in rows.items()
            )
            and all(value is None or key in rows for key, value in self.reconciled.items())
        )

    def describe(self) -> str:
        return (
            f"{self.informer.status}\n{sorted(cached(self.informer))} against "
            f"{sorted(truth(self.rig.server))}; reconciled {self.reconciled}\n"
            f"{self.rig.proxy.journal}"
        )

    @invariant()
    def check(self):
        """I1-I5 as noted, I6, I7, I8."""
        if not hasattr(self, "frame"):
            return
        self.counts["steps"] += 1
        assert not self.problems, (self.problems, self.describe())
        assert not [p for fold in self.folds for p in fold.problems], self.folds[0].problems
        threads = [t.name for t in threading.enumerate() if t.name.startswith("crlab-")]
        assert len(threads) <= 9 + 2 * len(self.folds) + 2 * len(self.others), f"I6: {threads}"
        status = self.informer.status
        if status.state.value == "live":
            assert status.age_seconds is not None, f"I8: {status}"
            assert status.age_seconds <= IDLE_SECONDS, f"I8: {status}"
        journal = self.rig.proxy.journal
        pages = [e for e in journal.entries("request", "list", self.mark) if "continue" in e.detail]
        free = journal.count("fruitful", since_seconds=self.mark) + len(pages)
        allowed = BURST + RATE * (time.monotonic() - self.began) + free + 1
        assert status.requests <= allowed, f"I7: {status.requests} requests, {allowed} allowed"

    def end_informer(self) -> None:
        self.controller.stop()
        assert self.informer.close(5) == ()
        assert self.controller.join(5) == []

    def teardown(self):
        if not hasattr(self, "frame"):
            return
        try:
            self.quiesce()
        finally:
            self.end_informer()
            with self.rig:
                pass
            for server in self.others:
                server.close()
            if self.others:
                self.rig.server.close()


def _secret(url: str) -> str:
    return url.rpartition("/")[2]
