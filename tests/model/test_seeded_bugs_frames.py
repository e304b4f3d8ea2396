"""The promises of frames, events, live expressions and replays are no decoration.

Each bug is a patch of the real code, under which the promise that forbids it must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

import crlab
from crlab.cache import indexer
from crlab.errors import CrlabError
from crlab.frame import column_set
from crlab.frame.column import Column
from crlab.frame.events_frame import Deletions
from crlab.frame.failing_column import FailingColumns
from crlab.frame.replay import ReplayControl
from crlab.frame.time_travel import TimeTravel
from crlab.lab import lab_recorder as recording


@contextmanager
def a_lab() -> Iterator[tuple[crlab.Lab, crlab.Informer]]:
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        yield lab, lab.informer("configmaps").wait_for_sync()


def a_map(name: str, place: str = "default", **data: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": place, "labels": {"name": "label"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def values_add_up(path: Path) -> None:
    with a_lab() as (lab, maps):
        lab.apply(a_map("a", x="100m", y="2"))
        lab.settle()
        frame = maps.with_columns({"cpu": (".data.*", "quantity")}).df
        assert frame["cpu"].iloc[0] == 2.1


def names_are_the_objects(path: Path) -> None:
    with a_lab() as (lab, maps):
        lab.apply(a_map("a"))
        lab.settle()
        assert maps.with_columns(labels=["name"]).df["name"].iloc[0] == "a"


def failures_are_told(path: Path) -> None:
    with a_lab() as (lab, maps):
        lab.apply(a_map("a"))
        lab.settle()
        with pytest.raises(CrlabError):
            _ = maps.with_columns({"n": lambda obj: 1 / 0}).df


def lives_follow(path: Path) -> None:
    with a_lab() as (lab, maps):
        count = lab.live(lambda: len(maps.indexer.list()))
        before = count.value
        lab.apply(a_map("a"))
        lab.settle()
        assert count.value == before + 1


def the_server_is_refused(path: Path) -> None:
    with a_lab() as (lab, maps):
        live = lab.live(lambda: len(maps) + len(lab.client.list("configmaps")["items"]))
        with pytest.raises(CrlabError):
            _ = live.value


def a_deletion_names_its_maker(path: Path) -> None:
    with a_lab() as (lab, maps):
        lab.client.apply("configmaps", a_map("a", k="v"), field_manager="bob")
        lab.settle()
        lab.as_user("alice", groups=["system:masters"]).delete("configmaps", "a")
        lab.settle()
        assert maps.events.df["writer"].iloc[-1] == ""


def an_int_is_a_revision(path: Path) -> None:
    with a_lab() as (lab, maps):
        lab.apply(a_map("a"))
        lab.settle()
        assert len(maps.at(lab.revision).df) == 1


def replays_are_whole(path: Path) -> None:
    with a_lab() as (lab, _):
        lab.client.create("namespaces", {"metadata": {"name": "b"}})
        lab.apply([a_map("pre"), a_map("pre", "b")])
        maps = lab.informer("configmaps", namespace=["default", "b"]).wait_for_sync()
        lab.trace.max_records = 1
        lab.trace.append("lab", "note")
        lab.trace.max_records = 1000
        with lab.record(path / "run"):
            lab.apply([a_map("a"), a_map("a", "b")])
            lab.settle()
        keys = [obj.key for obj in maps]
    with crlab.replay(path / "run") as again:
        played = again.informer("configmaps", namespace=["default", "b"])
        again.settle()
        assert [obj.key for obj in played] == keys


_streams, _at = ReplayControl._streams, TimeTravel.at


def _merged(self, resource):
    records = [record for stream in _streams(self, resource).values() for record in stream]
    records.sort(key=lambda record: record.seq)
    return dict.fromkeys(_streams(self, resource), records)


def _by_seq(self, moment=None, **options):
    return _at(self, seq=moment) if isinstance(moment, int) else _at(self, moment, **options)


Promise = Callable[[Path], None]
BUGS: list[tuple[str, Callable[[], object], Promise]] = [
    (
        "the first of several values is taken",
        lambda: mock.patch.object(Column, "take", lambda self, found: (found or [None])[0]),
        values_add_up,
    ),
    (
        "a label takes the place of a name",
        lambda: mock.patch.object(column_set, "_distinct", lambda origin, column, taken: column),
        names_are_the_objects,
    ),
    (
        "a function's failure is forgotten",
        lambda: mock.patch.object(FailingColumns, "add", return_value=None),
        failures_are_told,
    ),
    (
        "a read of the indexer is not noted",
        lambda: mock.patch.object(indexer, "note_read", return_value=None),
        lives_follow,
    ),
    (
        "a read of the server passes as followed",
        lambda: mock.patch("crlab.client.dynamic.refuse_read", return_value=None),
        the_server_is_refused,
    ),
    (
        "a deletion is put down to the lab",
        lambda: mock.patch.object(Deletions, "by", return_value="crlab"),
        a_deletion_names_its_maker,
    ),
    (
        "an int is a record of the trace",
        lambda: mock.patch.object(TimeTravel, "at", _by_seq),
        an_int_is_a_revision,
    ),
    (
        "a replay merges namespaces",
        lambda: mock.patch.object(ReplayControl, "_streams", _merged),
        replays_are_whole,
    ),
    (
        "a recording leaves out what was held before it began",
        lambda: mock.patch.object(recording, "_note_held", return_value=None),
        replays_are_whole,
    ),
]


@pytest.mark.parametrize(("bug", "seeded", "promise"), BUGS, ids=[bug[0] for bug in BUGS])
def test_a_seeded_bug_is_caught(bug, seeded, promise, tmp_path):
    """The promise holds without it, and fails with it."""
    (tmp_path / "sound").mkdir()
    promise(tmp_path / "sound")
    with (
        seeded(),
        pytest.raises((AssertionError, CrlabError, pytest.fail.Exception, ExceptionGroup)),
    ):
        promise(tmp_path)
