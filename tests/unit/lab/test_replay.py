"""A recording opened as a lab: the same frames, without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

import crlab
from crlab.errors import ConfigError, ReadOnlyError, RecordingError
from crlab.examples import myservice


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, object, list[tuple[str, str]]]:
    """A file, the frame its informer ended with, and what a handler heard."""
    heard: list[tuple[str, str]] = []
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        reconcile = myservice.controller(lab)
        services = lab.informer("myservices").wait_for_sync()
        services.add_event_handler(
            on_add=lambda obj, initial: heard.append(("add", obj.resource_version)),
            on_update=lambda old, new: heard.append(("update", new.resource_version)),
            on_delete=lambda obj: heard.append(("delete", obj.key)),
        )
        lab.record(tmp_path / "run.crlab")
        lab.apply(myservice.EXAMPLE)
        reconcile.run()
        lab.client.patch("myservices", "web", {"spec": {"replicas": 3}})
        reconcile.run()
        lab.settle()
        frame = services.df
    return tmp_path / "run.crlab", frame, heard


def test_one_recording_runs_through_both_queues(recorded) -> None:
    """Handlers hear the same, and both caches end as the recorded one did."""
    path, frame, heard = recorded
    with crlab.replay(path) as lab:
        told: dict[str, list[tuple[str, str]]] = {"real": [], "delta": []}
        informers = {}
        for queue, mine in told.items():
            informers[queue] = lab.informer("myservices", queue=queue, start=False)
            informers[queue].add_event_handler(
                on_add=lambda obj, initial, mine=mine: mine.append(("add", obj.resource_version)),
                on_update=lambda old, new, mine=mine: mine.append(("update", new.resource_version)),
            )
            informers[queue].shared.start()
        lab.settle()

        assert told["real"] == heard
        assert [version for _, version in told["delta"]][-1] == heard[-1][1]
        for informer in informers.values():
            assert informer.df.equals(frame)
            assert len(informer.events.df) == len(heard)


def test_a_recording_grows_by_steps(recorded) -> None:
    """`speed=None`: nothing moves before it is told to."""
    path, frame, _ = recorded
    with crlab.replay(path, speed=None) as lab:
        services = lab.informer("myservices").wait_for_sync()
        lab.settle()
        assert len(services) == 0
        while lab.control.step() is not None:
            lab.settle()

        assert services.df.equals(frame)


def test_a_tree_is_drawn_from_the_recorded_caches(recorded) -> None:
    """There is no server to ask, and none is needed."""
    path, _, _ = recorded
    with crlab.replay(path) as lab:
        for informer in lab.recorded_informers():
            informer.wait_for_sync()
        lab.settle()

        tree = str(lab.tree("myservices", "default/web")).splitlines()
        assert tree[1:] == ["├─ Deployment default/web", "└─ Service default/web"]


def test_what_needs_a_server_is_refused(recorded) -> None:
    """Each with a sentence."""
    path, _, _ = recorded
    with crlab.replay(path) as lab:
        services = lab.informer("myservices").wait_for_sync()
        with pytest.raises(ReadOnlyError, match="a recording has no server"):
            lab.apply(myservice.EXAMPLE)
        with pytest.raises(ConfigError, match="no server to compare"):
            services.audit()
        with pytest.raises(ConfigError, match="not a sandbox"):
            _ = lab.faults


def test_a_recording_says_how_much_it_has_taken(tmp_path: Path) -> None:
    """Before it is in the file, too."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        recorder = lab.record(tmp_path / "run")
        lab.informer("configmaps").wait_for_sync()
        taken = recorder.count
        assert taken == len(lab.trace)
        recorder.close()
        assert recorder.count == taken


def test_a_cut_recording_gives_what_is_whole(recorded, tmp_path: Path) -> None:
    """And says where it ends."""
    path, _, _ = recorded
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-200])

    with crlab.replay(tmp_path / "cut") as lab:
        assert not lab.recording.is_complete
        assert "cut after seq" in lab.recording.ends
        assert repr(lab) == "Lab(replay cut (cut short), read-only, 0 informers)"
        assert lab.informer("myservices").wait_for_sync().has_synced


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8b\x08\x00"])
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes) -> None:
    """A typed error, nothing half done."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(RecordingError, match="x: "):
        crlab.replay(tmp_path / "x")


def test_a_recording_becomes_a_parquet_dataset(recorded, tmp_path: Path) -> None:
    """One name away, read back as one frame."""
    import pandas as pd

    folder = crlab.to_parquet(recorded[0], tmp_path / "data")

    frame = pd.read_parquet(folder)
    assert {"seq", "stage", "kind", "resource", "object"} <= set(frame.columns)
    assert frame["seq"].is_unique


@pytest.mark.parametrize("driver", ["manual", "threads"])
def test_played_at_once_everything_keeps_its_recorded_time(tmp_path: Path, driver: str) -> None:
    """Events, their rates and the past are told in the time in which they happened."""
    path = tmp_path / "run.crlab"
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        maps = lab.informer("configmaps").wait_for_sync()
        secrets = lab.informer("secrets").wait_for_sync()
        lab.record(path)
        for number in range(3):
            lab.advance(5)
            lab.client.create("configmaps", {"metadata": {"name": f"c{number}"}})
            lab.client.create("secrets", {"metadata": {"name": f"s{number}"}})
            lab.settle()
        times = [list(each.events.df["time"]) for each in (maps, secrets)]
        middle = maps.events.df["time"].iloc[1].to_pydatetime()

    with crlab.replay(path, driver=driver) as again:
        played = [again.informer(name).wait_for_sync() for name in ("configmaps", "secrets")]
        again.wait_until(lambda: all(len(each) == 3 for each in played))
        assert [list(each.events.df["time"]) for each in played] == times
        counts = played[0].rates.df.sum(axis=1)
        assert list(counts[counts > 0]) == [1, 1, 1]
        assert len(played[0].at(middle).df) == 2
        assert played[0].df.attrs["time"] == "2026-01-01T00:00:15.000Z"
        assert str(played[0].status.state) == "live"
