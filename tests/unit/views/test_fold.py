"""The pipeline's boxes out of the trace: at the end as the parts say, before as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import crlab
from crlab.trace.recording import Recording
from crlab.views.fold import PipelineFold
from crlab.views.state import STAGES, StageState


@pytest.fixture
def lab() -> Iterator[Any]:
    with crlab.sandbox(driver="manual", seed=0) as made:
        yield made


def folded(lab: Any, until: int | None = None) -> dict[str, StageState]:
    fold = PipelineFold("configmaps")
    fold.apply_all(lab.trace.records(until=until))
    return {stage.name: stage for stage in fold.stages(lab.clock.now(), selected="workqueue")}


def make(lab: Any, name: str) -> None:
    lab.client.create("configmaps", {"metadata": {"name": name, "namespace": "default"}})


def test_the_end_is_what_the_parts_say(lab: Any) -> None:
    """Objects, deltas, keys, runs, failures and writes, after a history with an error."""
    maps = lab.informer("configmaps")
    lab.settle()

    @lab.controller(maps, name="touch")
    def touch(request: Any, ctx: Any) -> None:
        if request.name == "bad":
            raise ValueError("no")

    for name in ("a", "b", "bad", "c"):
        make(lab, name)
    lab.settle()
    lab.client.delete("configmaps", "c", namespace="default")
    lab.settle()
    for _ in range(3):
        touch.step()
    boxes = folded(lab)
    snapshot = touch.queue.snapshot()
    assert list(boxes) == list(STAGES)
    assert boxes["indexer"].count == len(maps.indexer.list_keys()) == 3
    assert boxes["queue"].count == 0
    assert boxes["workqueue"].count == len(snapshot.queued)
    assert dict(boxes["workqueue"].facts)["delayed"].split(",")[0] == str(len(snapshot.delayed))
    assert (boxes["reconcile"].count, dict(boxes["reconcile"].facts)["failed"]) == (3, "1")


def test_a_delta_waits_between_the_watch_and_the_cache(lab: Any) -> None:
    """At the record that queued it, it is in the queue and not in the cache; then it is."""
    lab.informer("configmaps")
    lab.settle()
    make(lab, "a")
    lab.settle()
    records = lab.trace.records()
    queued = next(r.seq for r in records if r.stage == "queue" and r.kind == "queued" and r.key)
    stored = next(r.seq for r in records if r.kind == "stored")
    before, after = folded(lab, queued), folded(lab, stored)
    assert (before["queue"].count, before["indexer"].count) == (1, 0)
    assert (after["queue"].count, after["indexer"].count) == (0, 1)


def test_the_time_slider_shows_the_pipeline_of_its_moment(lab: Any) -> None:
    """And comes back to the present."""
    lab.informer("configmaps")
    lab.settle()
    first = lab.trace.last_seq
    make(lab, "a")
    lab.settle()
    view = lab.time_slider()
    view.go(first)
    boxes = {stage.name: stage for stage in view.state().pipeline.stages}
    assert boxes["indexer"].count == 0
    view.go(None)
    boxes = {stage.name: stage for stage in view.state().pipeline.stages}
    assert boxes["indexer"].count == 1


def test_a_view_that_is_opened_after_the_beginning_was_lost_shows_the_present(lab: Any) -> None:
    """The list, the handlers and the controller are no longer in the trace; the parts know."""
    maps = lab.informer("configmaps")
    lab.controller(maps, name="touch")(lambda request, ctx: None)
    for name in "abc":
        make(lab, name)
    lab.settle()
    lab.trace.max_records = 5
    make(lab, "d")
    lab.settle()
    assert lab.trace.first_seq > 5
    view = lab.pipeline()
    boxes = {stage.name: stage for stage in view.state().stages}
    assert (boxes["indexer"].count, boxes["indexer"].state) == (4, "synced")
    assert (boxes["reflector"].state, boxes["queue"].title) == ("watching", "RealFIFO")
    assert (boxes["server"].state, boxes["server"].count) == (
        "embedded",
        lab.server.storage.revision,
    )
    assert (boxes["handlers"].count, boxes["workqueue"].is_absent) == (1, False)
    make(lab, "e")
    lab.settle()
    boxes = {stage.name: stage for stage in view.state().stages}
    assert boxes["indexer"].count == 5
    for name in "fghi":
        make(lab, name)
        lab.settle()
    boxes = {stage.name: stage for stage in view.state().stages}
    assert boxes["indexer"].count == 9, "records were dropped between two looks"


def test_a_view_goes_on_from_where_its_fold_stands(lab: Any, monkeypatch: Any) -> None:
    """Each record is folded once, however often the view is drawn."""
    lab.informer("configmaps")
    lab.settle()
    folded_now: list[int] = []
    apply = PipelineFold.apply

    def counting(fold: PipelineFold, record: Any) -> None:
        folded_now.append(record.seq)
        apply(fold, record)

    monkeypatch.setattr(PipelineFold, "apply", counting)
    view = lab.pipeline()
    for name in "abc":
        make(lab, name)
        lab.settle()
        view.state()
        view.state()
    assert folded_now == [record.seq for record in lab.trace]


def test_an_informer_that_is_made_anew_begins_anew(lab: Any) -> None:
    """In a view that shows it all the while: nothing of the stopped one is left in the boxes."""
    first = lab.informer("configmaps")
    first.add_event_handler(on_add=lambda obj, initial: None)
    make(lab, "a")
    lab.settle()
    view = lab.pipeline()
    assert {box.name: box.count for box in view.state().stages}["indexer"] == 1
    first.stop()
    second = lab.informer("configmaps")
    boxes = {box.name: box for box in view.state().stages}
    assert (boxes["indexer"].count, boxes["indexer"].state) == (0, "syncing")
    assert boxes["handlers"].is_absent
    lab.settle()
    boxes = {box.name: box for box in view.state().stages}
    assert (boxes["indexer"].count, boxes["indexer"].state) == (len(second), "synced")


def test_a_recording_begun_late_shows_what_the_cache_held(lab: Any, tmp_path: Any) -> None:
    """Its first records say it, where the trace had lost the list."""
    lab.informer("configmaps")
    for name in "abc":
        make(lab, name)
    lab.settle()
    lab.trace.max_records = 2
    make(lab, "d")
    lab.settle()
    lab.record(tmp_path / "late.crlab").close()
    fold = PipelineFold("configmaps")
    fold.apply_all(Recording.open(tmp_path / "late.crlab").records)
    boxes = {box.name: box for box in fold.stages(lab.clock.now())}
    assert (boxes["indexer"].count, boxes["indexer"].state) == (4, "synced")


def test_workers_are_told_from_steps_by_hand_at_any_record(lab: Any) -> None:
    """Started, stopped, closed: the boxes say so now, and at the record where it was so."""
    maps = lab.informer("configmaps")
    controller = lab.controller(maps, name="touch")(lambda request, ctx: None)
    states = {}
    for act in (lab.settle, controller.start, lab.settle, controller.stop, lab.settle):
        act()
        states[lab.trace.last_seq] = folded(lab)["reconcile"].state
    assert list(states.values())[:2] == ["by hand", "running"]
    assert list(states.values())[-1] == "by hand"
    for seq, state in states.items():
        assert folded(lab, seq)["reconcile"].state == state
    controller.close()
    assert folded(lab)["reconcile"].is_absent
