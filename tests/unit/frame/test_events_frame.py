"""Watch events as a frame."""

from support.tiny_cluster import SERVICES, TinyCluster

from crlab.frame import EventsFrame
from crlab.model.object import KubeObject

NAME = "myservices.example.com"
DTYPES = {
    "time": "datetime64[us, UTC]",
    "type": "str",
    "key": "str",
    "resource_version": "str",
    "paths": "object",
    "change": "str",
    "writer": "str",
    "lag_seconds": "Float64",
}


def written_by(cluster, manager, image, name="web"):
    time = f"2026-01-01T00:00:{cluster.rv:02}Z"
    entry = {"manager": manager, "operation": "Update", "time": time}
    patch = {"spec": {"image": image}, "metadata": {"managedFields": [entry]}}
    cluster.patch(SERVICES, name, patch, namespace="default")
    cluster.driver.settle()


def scene():
    cluster = TinyCluster()
    cluster.informer(SERVICES)
    cluster.driver.settle()
    cluster.service("web", image="a")
    cluster.driver.settle()
    return cluster


def test_an_event_has_its_change_and_its_writer():
    """What changed, from what to what, by whom."""
    cluster = scene()
    written_by(cluster, "kubectl-edit", "b")
    frame = EventsFrame(cluster.trace, NAME).df
    assert list(frame["type"]) == ["ADDED", "MODIFIED"]
    last = frame.iloc[-1]
    assert last["paths"] == [".spec.image"]
    assert last["change"] == ".spec.image: a → b"
    assert (last["writer"], last["key"]) == ("kubectl-edit", "default/web")


def test_dtypes_are_the_same_for_no_events():
    """Empty before anything came."""
    cluster = TinyCluster()
    empty = EventsFrame(cluster.trace, NAME).df
    assert {n: str(t) for n, t in empty.dtypes.items()} == DTYPES
    full = EventsFrame(scene().trace, NAME).df
    assert {n: str(t) for n, t in full.dtypes.items()} == DTYPES
    assert full.index.name == empty.index.name == "seq"
    assert len(EventsFrame(cluster.trace, NAME).changes) == 0


def test_noise_is_hidden_unless_asked_for():
    """resourceVersion and managedFields change on every write."""
    cluster = scene()
    written_by(cluster, "m", "b")
    loud = EventsFrame(cluster.trace, NAME, ignore=()).df.iloc[-1]["paths"]
    assert ".metadata.resourceVersion" in loud
    assert len(loud) == 3


def test_our_own_write_has_a_lag():
    """From the request to its event; a foreign one has none."""
    cluster = scene()
    cluster.clock.advance(1)
    cluster.patch(SERVICES, "web", {"spec": {"image": "z"}}, namespace="default")
    cluster.clock.advance(0.25)
    cluster.driver.settle()
    assert EventsFrame(cluster.trace, NAME).df.iloc[-1]["lag_seconds"] == 0.25


def test_the_long_form_has_one_row_per_field():
    """For group-bys over paths."""
    cluster = scene()
    written_by(cluster, "m", "b")
    changes = EventsFrame(cluster.trace, NAME).changes
    assert list(changes["path"]) == [".spec.image"]
    assert list(changes["old"]) + list(changes["new"]) == ["a", "b"]


def test_old_events_fall_off_and_are_counted():
    """Bounded, never silent."""
    cluster = scene()
    events = EventsFrame(cluster.trace, NAME, max_events=2)
    for image in "bcd":
        written_by(cluster, "m", image)
    assert len(events.df) == 2
    assert events.dropped == 2


def test_events_end_with_the_trace_they_came_from():
    """Their objects are not kept alive beyond its bound."""
    cluster = scene()
    events = EventsFrame(cluster.trace, NAME)
    assert len(events.df) == 1
    cluster.trace.max_records = 5
    written_by(cluster, "m", "b")
    assert list(events.df["type"]) == ["MODIFIED"]
    assert events.dropped == 1


def test_a_write_to_the_frame_stays_with_its_writer():
    """The next read is clean."""
    events = EventsFrame(scene().trace, NAME)
    mine = events.df
    mine["type"] = "x"
    assert list(events.df["type"]) == ["ADDED"]


def test_undecodable_objects_are_events_without_changes():
    """Nothing raises on odd bytes."""
    cluster = scene()
    odd = KubeObject(b'{"metadata":{"name":"web","namespace":"default"},"spec":1e999}')
    cluster.trace.append(
        "reflector",
        "watch_event",
        resource=NAME,
        key=odd.key,
        data={"type": "MODIFIED", "object": odd},
    )
    assert len(EventsFrame(cluster.trace, NAME).df) == 2
