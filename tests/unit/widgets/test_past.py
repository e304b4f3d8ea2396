"""The time slider: at any moment its table, its boxes and its header say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import crlab


@pytest.fixture
def lab() -> Iterator[Any]:
    with crlab.sandbox(driver="manual", seed=0) as made:
        yield made


def make(lab: Any, name: str, namespace: str = "default") -> None:
    lab.client.create("configmaps", {"metadata": {"name": name, "namespace": namespace}})


def history(lab: Any) -> Any:
    """Adds, an update, a deletion, a list after a cut: what replaces the store at once."""
    maps = lab.informer("configmaps")
    make(lab, "a")
    lab.settle()
    make(lab, "b")
    lab.client.patch("configmaps", "a", {"data": {"n": "1"}}, namespace="default")
    lab.settle()
    lab.faults.expire_watch("configmaps")
    lab.client.delete("configmaps", "b", namespace="default")
    make(lab, "c")
    lab.settle()
    lab.advance(30)
    lab.settle()
    return maps


def held(records: list[Any]) -> dict[str, str]:
    """The cache as the trace's own records tell it, key → resourceVersion."""
    listed: dict[int, Any] = {}
    cache: dict[str, str] = {}
    for record in records:
        if record.kind == "listed":
            listed[record.seq] = record.get("objects")
        elif record.kind == "replaced":
            cache = {o.key: o.resource_version for c in record.causes for o in listed[c]}
        elif record.kind == "stored" and record.get("operation") == "delete":
            cache.pop(record.key)
        elif record.kind == "stored":
            cache[record.key] = record.resource_version
    return cache


def test_frame_queue_and_pipeline_agree_at_every_moment(lab: Any) -> None:
    """Forward and back over the whole trace, a delta between queue and cache included."""
    view = lab.time_slider(history(lab))
    last = lab.trace.last_seq
    queued = 0
    for seq in [*range(1, last + 1), *range(last, 0, -7)]:
        view.go(seq)
        state = view.state()
        boxes = {stage.name: stage for stage in state.pipeline.stages}
        expected = held(lab.trace.records(until=seq))
        assert [row.key for row in state.table.rows] == sorted(expected), seq
        assert boxes["indexer"].count == len(expected), seq
        assert state.table.status == state.pipeline.status
        assert state.status.moment == seq
        queued += boxes["queue"].count
    assert queued, "no moment had a delta on its way: this shows nothing"


def test_the_past_has_the_columns_of_the_present(lab: Any) -> None:
    """Columns that the user asked for included; before the first list there are no rows."""
    maps = lab.informer("configmaps", columns={"n": ".data.n"})
    lab.settle()
    make(lab, "a")
    lab.settle()
    view = lab.time_slider(maps)
    now = view.state().table
    view.go(1)
    then = view.state().table
    assert (now.columns, now.total, then.total) == (then.columns, 1, 0)
    assert "n" in [column.name for column in then.columns]


def test_informers_of_one_resource_have_pasts_of_their_own(lab: Any) -> None:
    """Two namespaces, and one informer over both: nothing of the other's is shown."""
    for name in ("one", "two"):
        lab.client.create("namespaces", {"metadata": {"name": name}})
    one = lab.informer("configmaps", namespace="one")
    both = lab.informer("configmaps", namespace=["one", "two"])
    lab.settle()
    make(lab, "a", "one")
    make(lab, "b", "two")
    lab.settle()
    for informer in (one, both):
        view = lab.time_slider(informer)
        view.go(lab.trace.last_seq)
        state = view.state()
        boxes = {stage.name: stage for stage in state.pipeline.stages}
        assert [row.key for row in state.table.rows] == sorted(informer.df.index)
        assert boxes["indexer"].count == len(informer)


def test_looking_back_is_told_with_the_version_of_then(lab: Any) -> None:
    """Not with today's."""
    maps = history(lab)
    view = lab.time_slider(maps)
    first = next(r for r in lab.trace.records() if r.kind == "stored")
    view.go(first.seq)
    status = view.state().table.status
    assert (status.state, status.resource_version) == ("past", first.resource_version)
    assert f"looking back at seq {first.seq}" in view.to_text()
