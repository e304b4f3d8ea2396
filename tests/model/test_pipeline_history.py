"""Random histories of a sandbox: the pipeline now is the pipeline folded out of the trace.

Whatever happened, a view that was open all the time, one that looks back, one that is opened
late and the recording of it show the same boxes at the same record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import crlab
from crlab.trace.record import TraceRecord
from crlab.trace.recording import Recording
from crlab.views.fold import PipelineFold
from crlab.views.state import STAGES, StageState

NAMES = ["a", "b", "bad"]
Boxes = tuple[StageState, ...]


class Sandbox:
    """A sandbox by hand, with one view that is open from the start and one that looks back."""

    def __init__(self, queue: str) -> None:
        self.lab = crlab.sandbox(driver="manual", seed=0)
        self.maps = self.lab.informer("configmaps", queue=queue)
        self.other = self.lab.informer("configmaps", namespace="kube-public")
        self.controllers: list[Any] = []
        self.handlers: list[Any] = []
        self.now = self.lab.pipeline(self.maps)
        self.then = self.lab.time_slider(self.maps)
        self.seen: dict[int, Boxes] = {}  # record → what was shown at it

    def look(self) -> None:
        """Keep what is shown now; it holds while no time passes after the last record."""
        boxes = self.now.state().stages
        last = self.lab.trace.get(self.lab.trace.last_seq)
        if last is not None and last.at == self.lab.clock.now():
            self.seen[last.seq] = tuple(boxes)

    def past(self, seq: int) -> Boxes:
        """What the time slider shows at a record."""
        self.then.go(seq)
        return tuple(self.then.state().pipeline.stages)

    # -- what may happen -------------------------------------------------------------------

    def write(self, name: str, namespace: str) -> None:
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        data = {"n": str(self.lab.trace.last_seq)}
        self.lab.apply({**body, "data": data})

    def delete(self, name: str, namespace: str) -> None:
        self.lab.delete("configmaps", name, namespace)  # of none: NotFound

    def control(self, name: str, namespace: str) -> None:
        def reconcile(request: Any, ctx: Any) -> None:
            if request.name == "bad":
                raise ValueError("no")

        make = self.lab.controller(self.maps, name=f"touch-{len(self.controllers)}")
        self.controllers.append(make(reconcile))

    def uncontrol(self, name: str, namespace: str) -> None:
        if self.controllers:
            self.controllers.pop().close()

    def run(self, name: str, namespace: str) -> None:
        if self.controllers:
            self.controllers[-1].step()

    def listen(self, name: str, namespace: str) -> None:
        self.handlers.append(self.maps.add_event_handler(on_add=lambda obj, initial: 1 / len(name)))

    def unlisten(self, name: str, namespace: str) -> None:
        if self.handlers:
            self.handlers.pop().remove()

    def step(self, name: str, namespace: str) -> None:
        self.lab.step()

    def settle(self, name: str, namespace: str) -> None:
        self.lab.settle()

    def advance(self, name: str, namespace: str) -> None:
        self.lab.advance(5)

    def expire(self, name: str, namespace: str) -> None:
        self.lab.faults.expire_watch("configmaps")

    def refuse(self, name: str, namespace: str) -> None:
        self.lab.faults.status(503, resource="configmaps", times=1)


ACTIONS: list[Callable[[Sandbox, str, str], None]] = [
    Sandbox.write,
    Sandbox.write,
    Sandbox.delete,
    Sandbox.control,
    Sandbox.uncontrol,
    Sandbox.run,
    Sandbox.listen,
    Sandbox.unlisten,
    Sandbox.step,
    Sandbox.step,
    Sandbox.settle,
    Sandbox.advance,
    Sandbox.expire,
    Sandbox.refuse,
]
STEPS = st.tuples(
    st.sampled_from(ACTIONS), st.sampled_from(NAMES), st.sampled_from(["default", "kube-public"])
)


def folded(
    sandbox: Sandbox, records: Iterable[TraceRecord], now: float, selected: str = ""
) -> Boxes:
    """The boxes that records give, at a time."""
    fold = PipelineFold("configmaps", sandbox.maps.shared.source)
    fold.apply_all(records)
    return fold.stages(now, selected=selected)


@given(
    queue=st.sampled_from(["real", "real-per-item", "delta"]),
    history=st.lists(STEPS, max_size=25),
    selected=st.sampled_from(["", *STAGES]),
)
@settings(max_examples=40, deadline=None)
def test_the_present_and_the_past_are_the_same_at_the_same_record(
    queue: str, history: list[Any], selected: str
) -> None:
    """Seen live at each step; then looked back at, in both directions, with the box opened."""
    sandbox = Sandbox(queue)
    with sandbox.lab:
        sandbox.now.select(selected)
        for act, name, namespace in history:
            try:
                act(sandbox, name, namespace)
            except crlab.errors.CrlabError:
                pass  # refused, as was asked for: that too is history
            sandbox.look()
        for seq in [*sandbox.seen, *reversed(sandbox.seen)]:
            closed = tuple(replace(box, items=()) for box in sandbox.seen[seq])
            assert sandbox.past(seq) == closed, seq
            at = sandbox.lab.trace.get(seq).at
            records = sandbox.lab.trace.records(until=seq)
            assert folded(sandbox, records, at, selected) == sandbox.seen[seq], seq


@given(queue=st.sampled_from(["real", "real-per-item", "delta"]), history=st.lists(STEPS))
@settings(max_examples=40, deadline=None)
def test_the_pipeline_now_is_the_fold_and_the_parts_agree(queue: str, history: list[Any]) -> None:
    """What the view shows is in the trace, all of it; and it is what the informer holds."""
    sandbox = Sandbox(queue)
    with sandbox.lab as lab:
        for act, name, namespace in history:
            try:
                act(sandbox, name, namespace)
            except crlab.errors.CrlabError:
                pass
            sandbox.look()
            now = lab.clock.now()
            assert tuple(sandbox.now.state().stages) == folded(sandbox, lab.trace, now)
            agree(sandbox)
        lab.settle()
        agree(sandbox)
        assert {box.name: box.count for box in sandbox.now.state().stages}["queue"] == 0


def agree(sandbox: Sandbox) -> None:
    """Compare the boxes with the parts they are of."""
    shared = sandbox.maps.shared
    boxes = {stage.name: stage for stage in sandbox.now.state().stages}
    assert boxes["indexer"].count == len(shared.indexer.list_keys())
    assert (boxes["indexer"].state == "synced") == shared.has_synced
    assert boxes["handlers"].count == len(shared.registrations)
    phase = shared.status.phase.replace("_", " ")
    if phase != "backing off":  # which the trace tells when its delay is known
        assert boxes["reflector"].state == phase
    assert boxes["client"].count == len(sandbox.lab.client.requests)
    assert boxes["workqueue"].is_absent == (not sandbox.controllers)
    keys = [each.queue.snapshot() for each in sandbox.lab.controllers]
    assert boxes["workqueue"].total == sum(len(snapshot.keys) for snapshot in keys)
    if type(shared.queue).__name__ == "RealFIFO":
        assert boxes["queue"].count == len(shared.queue.snapshot())


def test_a_recording_shows_the_boxes_of_its_lab(tmp_path: Any) -> None:
    """Folded out of the file: what was set up is in it, not only what happened."""
    sandbox = Sandbox("real")
    with sandbox.lab as lab:
        lab.record(tmp_path / "r.crlab")
        for act in (Sandbox.listen, Sandbox.control, Sandbox.write, Sandbox.settle, Sandbox.run):
            act(sandbox, "a", "default")
        lab.settle()
        shown, now, last = sandbox.now.state().stages, lab.clock.now(), lab.trace.last_seq
    records = Recording.open(tmp_path / "r.crlab").records
    assert folded(sandbox, [r for r in records if r.seq <= last], now) == shown
