"""A planted secret is in nothing that the frame and trace rooms give out (S5-S8, S37)."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from support.tiny_cluster import SECRETS, TinyCluster, _ListerWatcher

from crlab.cache import SharedInformer
from crlab.frame import EventsFrame, LiveFrame, Rates, TimeTravel, timeline, trace_frame
from crlab.frame.export import style, to_csv, to_parquet
from crlab.model.redaction import LAST_APPLIED, redact_kube_object
from crlab.trace.recording import Recorder, Recording

CANARY = "c4n4ry-in-the-c04l-mine"
ENCODED = base64.b64encode(CANARY.encode()).decode()
NAME = "secrets"


def body(version):
    """A Secret with the canary in every place that may hold one."""
    annotation = json.dumps({"data": {"password": ENCODED}, "version": version})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "s",
            "namespace": "default",
            "annotations": {LAST_APPLIED: annotation, "note": f"Bearer {CANARY}"},
        },
        "type": "Opaque",
        "data": {"password": ENCODED, f"key{version}": ENCODED},
        "stringData": {"token": CANARY},
    }


@pytest.fixture
def scene():
    """A watched Secret that was added, changed, deleted and made again."""
    cluster = TinyCluster()
    informer = SharedInformer(
        _ListerWatcher(cluster, SECRETS),
        driver=cluster.driver,
        clock=cluster.clock,
        ids=cluster.ids,
        trace=cluster.trace,
        redact=lambda obj: redact_kube_object(obj, SECRETS),
        list_mode="list",
    )
    cluster.create(SECRETS, body(0), namespace="default")
    informer.start()
    cluster.driver.settle()
    cluster.patch(SECRETS, "s", body(1), namespace="default")
    cluster.driver.settle()
    cluster.delete(SECRETS, "s", namespace="default")
    cluster.create(SECRETS, body(2), namespace="default")
    cluster.driver.settle()
    return cluster, informer


def surfaces(cluster, informer, tmp_path):
    """Every text that can be had, by name."""
    live = LiveFrame(
        informer.indexer,
        resource=SECRETS,
        columns={"raw": ".data", "all": ".", "text": (".stringData", "string")},
        wide=True,
        labels=True,
    )
    events = EventsFrame(cluster.trace, NAME, ignore=())
    travel = TimeTravel(cluster.trace, SECRETS, columns=live.columns)
    frames = {
        "live": live.df,
        "events": events.df,
        "changes": events.changes,
        "past": travel.at("1").df,
        "diff": travel.diff("1", "2", ignore=()),
        "timeline": timeline(cluster.trace, "default/s"),
        "trace": trace_frame(cluster.trace),
        "rates": Rates(cluster.trace, cluster.clock).df,
    }
    for name, frame in frames.items():
        yield name, frame.to_csv()
        yield f"{name} html", frame.to_html()
        yield f"{name} guarded", to_csv(frame)
        yield f"{name} styled", style(frame).to_html()
        yield f"{name} attrs", repr(frame.attrs)
    path = tmp_path / "recording"
    with Recorder(cluster.trace, path, clock=cluster.clock, threaded=False):
        pass
    yield "recording", gzip.decompress(path.read_bytes()).decode()
    recording = Recording.open(path)
    folder = to_parquet(recording, tmp_path / "set")
    for part in folder.rglob("*.parquet"):
        yield "parquet", part.read_bytes().decode("latin-1")
    yield "records", repr(recording.records)
    for thing in (live, events, travel.at("1"), recording, *informer.indexer.list()):
        yield type(thing).__name__, repr(thing) + str(thing)
    yield "objects", repr([obj.to_dict() for obj in informer.indexer.list()])
    yield "handlers' events", repr([event.changes for event in events.events()])


def test_no_secret_byte_in_any_frame_event_diff_recording_or_repr(scene, tmp_path):
    """Neither in clear nor encoded; the key names and lengths are there."""
    cluster, informer = scene
    found = dict(surfaces(cluster, informer, tmp_path))
    leaks = [name for name, text in found.items() if CANARY in text or ENCODED in text]
    assert not leaks
    assert f"<redacted: {len(CANARY)} bytes>" in found["objects"]
    assert "key2" in found["objects"]
    assert len(found) > 40
