"""The queues against a model: whatever the interleaving, the store ends as the truth.

Two of them read the store while a delta may be in the processor's hands; the model
forces exactly that (a relist between pop and done).
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.scripted import pod

from crlab.cache.delta_fifo import DeltaFIFO
from crlab.cache.fifo import Delta, DeltaType
from crlab.cache.indexer import Indexer
from crlab.cache.processor import Processor
from crlab.cache.queue_kind import make_queue
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace

NAMES = st.sampled_from("abcd")


class Fifo(RuleBasedStateMachine):
    """A producer that knows the truth, and a consumer that may hold what it popped."""

    @initialize(kind=st.sampled_from(["real", "real-per-item", "delta"]))
    def begin(self, kind):
        clock = FakeClock()
        self.indexer = Indexer()
        self.queue = make_queue(kind, clock, self.indexer)
        self.processor = Processor(
            "p",
            self.queue,
            self.indexer,
            resource="pods",
            clock=clock,
            trace=Trace(clock),
            on_processed=lambda: None,
        )
        self.truth = {}
        self.revision = 10
        self.flying = None

    @rule(name=NAMES)
    def put(self, name):
        self.revision += 1
        obj = pod(name, self.revision)
        kind = DeltaType.UPDATED if obj.key in self.truth else DeltaType.ADDED
        self.truth[obj.key] = obj
        self.queue.add([Delta(kind, obj.key, obj, resource_version=str(self.revision))])

    @rule(name=NAMES)
    def delete(self, name):
        self.revision += 1
        self.truth.pop(f"default/{name}", None)
        gone = pod(name, self.revision)
        self.queue.add(
            [Delta(DeltaType.DELETED, gone.key, gone, resource_version=str(self.revision))]
        )

    @rule(name=NAMES)
    def miss_an_event_and_list(self, name):
        """The truth moves unseen; the list tells."""
        self.revision += 1
        if self.truth.pop(f"default/{name}", None) is None:
            obj = pod(name, self.revision)
            self.truth[obj.key] = obj
        self.queue.replace(
            Delta(
                DeltaType.REPLACED_ALL,
                items=list(self.truth.values()),
                resource_version=str(self.revision),
            )
        )

    @rule()
    def resync(self):
        self.queue.resync()

    @precondition(lambda self: self.flying is None)
    @rule(limit=st.integers(1, 5))
    def pop(self, limit):
        self.flying = self.queue.pop(limit)

    @precondition(lambda self: self.flying is not None)
    @rule()
    def process(self):
        self.processor._process(self.flying)
        self.queue.done(self.flying)
        self.flying = None

    @invariant()
    def the_gauge_is_right(self):
        if hasattr(self, "queue"):
            keys = {delta.key for delta in self.queue.snapshot()}
            expected = len(keys) if isinstance(self.queue, DeltaFIFO) else None
            assert expected in (None, len(self.queue))

    def teardown(self):
        if hasattr(self, "queue"):
            if self.flying is not None:
                self.process()
            while self.processor.step(3):
                pass
            stored = {obj.key: obj.resource_version for obj in self.indexer.list()}
            assert stored == {key: obj.resource_version for key, obj in self.truth.items()}


TestFifo = Fifo.TestCase
TestFifo.settings = settings(max_examples=90, stateful_step_count=30, deadline=None)
