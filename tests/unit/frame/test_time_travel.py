"""The cache as it was."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from support.frame_rig import thing
from support.tiny_cluster import SERVICES, TinyCluster

from crlab.errors import ConfigError, OutOfTrace
from crlab.frame import TimeTravel, timeline, trace_frame
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace

NAME = "myservices.example.com"


@pytest.fixture
def cluster():
    made = TinyCluster()
    made.service("old", image="a")
    made.informer(SERVICES)
    made.driver.settle()
    for image in "bcd":
        made.clock.advance(10)
        made.patch(SERVICES, "old", {"spec": {"image": image}}, namespace="default")
        made.driver.settle()
    made.service("new", image="x")
    made.driver.settle()
    made.delete(SERVICES, "old", namespace="default")
    made.driver.settle()
    return made


def test_a_revision_a_seq_and_a_time_lead_to_a_moment(cluster):
    """A revision may be an int, as `lab.revision` is; a seq and seconds are named."""
    travel = TimeTravel(cluster.trace, SERVICES)
    for version in ("2", 2):
        assert travel.at(version).objects["default/old"]["spec"]["image"] == "b"
    start = cluster.clock.now() - 30
    assert travel.at(time=start + 11).objects["default/old"]["spec"]["image"] == "b"
    moment = datetime.fromtimestamp(start + 21, UTC)
    assert travel.at(moment).objects["default/old"]["spec"]["image"] == "c"
    assert list(travel.at(seq=cluster.trace.last_seq).objects) == ["default/new"]
    assert travel.at().df.index.tolist() == ["default/new"]


def test_its_frame_has_the_shape_of_the_live_one(cluster):
    """And says that it is past."""
    frame = TimeTravel(cluster.trace, SERVICES).at("5").df
    assert list(frame.index) == ["default/new", "default/old"]
    assert frame.attrs["state"] == "past"
    assert frame.attrs["resource_version"] == "5"


def test_two_moments_differ_field_by_field(cluster):
    """Objects that came and went are rows too."""
    found = TimeTravel(cluster.trace, SERVICES).diff("2", "6")
    assert found[["key", "change"]].to_numpy().tolist() == [
        ["default/new", "added"],
        ["default/old", "removed"],
    ]
    found = TimeTravel(cluster.trace, SERVICES).diff("2", "4")
    assert found[["path", "old", "new"]].to_numpy().tolist() == [[".spec.image", "b", "d"]]
    travel = TimeTravel(cluster.trace, SERVICES)
    pd.testing.assert_frame_equal(travel.diff(travel.at(2), 4), found)


@pytest.mark.parametrize(
    "asked",
    [{"moment": each} for each in ("0", "99", "x", "", 10**9)]
    + [{"seq": 10**9}, {"time": 5.0}, {"time": float("nan")}],
    ids=str,
)
def test_a_moment_outside_the_trace_is_a_typed_error(cluster, asked):
    """Never an approximation."""
    with pytest.raises(OutOfTrace):
        TimeTravel(cluster.trace, SERVICES).at(**asked)


@pytest.mark.parametrize(
    "asked",
    [{"moment": each} for each in (5.0, True, -1, [])]
    + [{"seq": each} for each in (5.0, False, -1, "5")]
    + [{"time": each} for each in (-1.0, True, "5")]
    + [{"moment": 2, "seq": 2}],
    ids=str,
)
def test_a_number_that_could_mean_another_moment_is_refused(cluster, asked):
    """Both readings are named, where there are two."""
    with pytest.raises(ConfigError):
        TimeTravel(cluster.trace, SERVICES).at(**asked)


def test_a_revision_that_was_not_watched_is_not_guessed():
    """Between the end of a watch and the next list nothing is known."""
    trace = Trace(FakeClock())

    def listed(rv):
        data = {"objects": (thing("a", rv),)}
        trace.append("reflector", "listed", resource=NAME, resource_version=str(rv), data=data)

    listed(1)
    data = {"type": "MODIFIED", "object": thing("a", 5)}
    trace.append(
        "reflector", "watch_event", resource=NAME, key="d/a", resource_version="5", data=data
    )
    listed(20)
    travel = TimeTravel(trace, SERVICES)
    assert travel.at("4").objects["d/a"].resource_version == "1"
    assert travel.at("5").objects["d/a"].resource_version == "5"
    assert travel.at("20").objects["d/a"].resource_version == "20"
    with pytest.raises(OutOfTrace, match="was not watched"):
        travel.at("10")


def test_a_timeline_tells_one_keys_story(cluster):
    """Every stage, in order, with causes."""
    story = timeline(cluster.trace, "default/old", resource=NAME)
    assert story.index.is_monotonic_increasing
    assert "MODIFIED .spec.image: a → b" in set(story["what"])
    assert {"client", "reflector", "queue", "indexer"} <= set(story["stage"])


def test_the_whole_trace_is_a_frame(cluster):
    """One row per record."""
    frame = trace_frame(cluster.trace)
    assert len(frame) == len(cluster.trace)
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"


def test_two_informers_of_one_resource_are_told_apart():
    """A list of one namespace is no base for the past of all."""
    trace = Trace(FakeClock())

    def note(kind, rv, source, **data):
        data = {"source": source, "namespace": "", **data}
        trace.append("reflector", kind, resource=NAME, resource_version=str(rv), key="", data=data)

    note("listed", 1, "all", objects=(thing("a"), thing("b", namespace="e")))
    note("listed", 2, "e only", objects=(thing("b", namespace="e"),))
    note("bookmark", 3, "all")
    assert len(TimeTravel(trace, SERVICES, source="all").at("3").objects) == 2
    assert len(TimeTravel(trace, SERVICES, source="e only").at("2").objects) == 1


def test_the_lists_of_a_multi_namespace_informer_add_up():
    """Each replaces its own namespace."""
    trace = Trace(FakeClock())
    for rv, namespace in enumerate("dede", start=1):
        data = {"objects": (thing(f"n{rv}", rv, namespace=namespace),), "namespace": namespace}
        trace.append("reflector", "listed", resource=NAME, resource_version=str(rv), data=data)
    assert sorted(TimeTravel(trace, SERVICES).at().objects) == ["d/n3", "e/n4"]
