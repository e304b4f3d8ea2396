"""A recording drives informers as a server does."""

import pandas as pd
import pytest
from support.tiny_cluster import CONFIGMAPS, SERVICES, TinyCluster

from crlab.cache import SharedInformer
from crlab.client.list_watch import ListOptions
from crlab.errors import ConfigError, ResourceExpired, TransportError, UnknownResource
from crlab.frame import EventsFrame, LiveFrame, ReplayControl
from crlab.trace.recording import Recorder, Recording

NAME = "myservices.example.com"


def noting(informer):
    """What handlers are told."""
    log = []
    informer.add_event_handler(
        on_add=lambda obj, initial: log.append(("add", obj.key, obj.resource_version)),
        on_update=lambda old, new: log.append(("update", new.key, new.resource_version)),
        on_delete=lambda obj: log.append(("delete", obj.key)),
    )
    return log


@pytest.fixture
def scene(tmp_path):
    """A short run, recorded: (cluster, informer, its log, recording)."""
    cluster = TinyCluster()
    cluster.service("a", image="1")
    informer = cluster.informer(SERVICES)
    log = noting(informer)
    cluster.driver.settle()
    for n in range(4):
        cluster.clock.advance(1)
        cluster.service(f"s{n}", image="x")
        cluster.patch(SERVICES, "a", {"spec": {"image": str(n)}}, namespace="default")
        cluster.driver.settle()
    cluster.delete(SERVICES, "s1", namespace="default")
    cluster.driver.settle()
    with Recorder(
        cluster.trace,
        tmp_path / "run",
        clock=cluster.clock,
        resources=[SERVICES],
        threaded=False,
    ):
        pass
    return cluster, informer, log, Recording.open(tmp_path / "run")


def replaying(recording, **options):
    cluster = TinyCluster()
    control = ReplayControl(recording, cluster.clock, **options)
    informer = SharedInformer(
        control.lister_watcher(recording.resources[0]),
        driver=cluster.driver,
        clock=cluster.clock,
        ids=cluster.ids,
        trace=cluster.trace,
        **({"queue": options.get("queue")} if "queue" in options else {}),
    )
    log = noting(informer)
    informer.start()
    cluster.driver.settle()
    return cluster, control, informer, log


def story(trace):
    frame = EventsFrame(trace, NAME).df
    return frame[["type", "key", "resource_version", "change"]].reset_index(drop=True)


def test_a_replay_gives_the_same_notifications_events_and_frame(scene):
    """By steps, to the end."""
    cluster, informer, log, recording = scene
    again, control, replayed, log_again = replaying(recording, speed=None)
    while control.step():
        again.driver.settle()
    assert log_again == log
    pd.testing.assert_frame_equal(story(again.trace), story(cluster.trace))
    frames = [LiveFrame(i.indexer, resource=SERVICES).df for i in (informer, replayed)]
    pd.testing.assert_frame_equal(*frames)


def test_steps_release_one_record_at_a_time(scene):
    """The list is there at once, events when they are released."""
    again, control, informer, _ = replaying(scene[3], speed=None)
    assert len(informer.indexer) == 1
    assert (control.released, control.is_at_end) == (1, False)
    record = control.step()
    again.driver.settle()
    assert record.kind == "watch_event"
    assert len(informer.indexer) == 2


def test_time_releases_records_at_any_speed(scene):
    """Twice as fast takes half the time; a pause stops it."""
    again, control, informer, _ = replaying(scene[3], speed=2.0)
    again.clock.advance(0.6)
    again.driver.settle()
    assert "default/s0" in informer.indexer
    assert "default/s1" not in informer.indexer
    control.pause()
    again.clock.advance(100)
    again.driver.settle()
    assert "default/s1" not in informer.indexer
    control.play(float("inf"))
    again.driver.settle()
    assert control.is_at_end
    assert "default/s3" in informer.indexer


def test_the_same_recording_runs_through_both_queues(scene):
    """RealFIFO and DeltaFIFO end in the same cache."""
    recording = scene[3]
    caches = []
    for queue in ("real", "delta"):
        cluster = TinyCluster()
        control = ReplayControl(recording, cluster.clock)
        informer = SharedInformer(
            control.lister_watcher(SERVICES),
            driver=cluster.driver,
            clock=cluster.clock,
            ids=cluster.ids,
            trace=cluster.trace,
            queue=queue,
        )
        informer.start()
        cluster.driver.settle()
        caches.append(LiveFrame(informer.indexer, resource=SERVICES).df)
    pd.testing.assert_frame_equal(*caches)


def test_a_relist_in_the_recording_is_a_relist_in_the_replay(scene, tmp_path):
    """The replaying informer is told 410 where the recorded one listed again."""
    cluster, informer, _, _ = scene
    objects = tuple(informer.indexer.list()[:1])
    data = {"count": 1, "pages": 1, "objects": objects}
    cluster.trace.append("reflector", "listed", resource=NAME, resource_version="50", data=data)
    with Recorder(cluster.trace, tmp_path / "two", clock=cluster.clock, threaded=False):
        pass
    recording = Recording.open(tmp_path / "two")
    again = TinyCluster()
    source = ReplayControl(recording, again.clock).lister_watcher(SERVICES)
    page = source.list(ListOptions())
    events = source.watch(ListOptions(resource_version=page.resource_version)).read(0)
    assert events[-1].type == "DELETED"
    stream = source.watch(ListOptions(resource_version=events[-1].resource_version))
    assert stream.read(0)[0].status["code"] == 410
    assert source.list(ListOptions()).resource_version == "50"


def test_wrong_questions_are_typed_errors(scene):
    """An unrecorded resource, an unknown revision, a speed that is none, after the end."""
    control = ReplayControl(scene[3], scene[0].clock)
    with pytest.raises(UnknownResource, match="the recording"):
        control.lister_watcher(CONFIGMAPS)
    source = control.lister_watcher(SERVICES)
    with pytest.raises(ResourceExpired):
        source.watch(ListOptions(resource_version="12345"))
    with pytest.raises(ConfigError):
        control.play(0)
    stream = source.watch(ListOptions(send_initial_events=True))
    assert stream.read(0)[-1].is_initial_events_end
    source.abort()
    with pytest.raises(TransportError):
        stream.read(0)
    with pytest.raises(TransportError):
        source.list(ListOptions())


def test_a_control_says_how_far_it_is(scene):
    """One line, without an address."""
    control = ReplayControl(scene[3], scene[0].clock, speed=None)
    control.step(2)
    assert repr(control) == f"ReplayControl(2 of {control.total} records, by steps)"
