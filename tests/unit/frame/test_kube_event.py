"""Events of both API groups."""

import json

from crlab.frame import kube_events
from crlab.model.object import KubeObject


def event(name, **parts):
    body = {"metadata": {"name": name, "namespace": "d", "uid": f"uid-{name}"}, **parts}
    return KubeObject(json.dumps(body).encode())


def core(name, at, **parts):
    about = {"kind": "Pod", "name": "web", "namespace": "d", "uid": "u1"}
    return event(name, involvedObject=about, lastTimestamp=at, message=name, **parts)


def new(name, at, **parts):
    about = {"kind": "Pod", "name": "web", "namespace": "d", "uid": "u1"}
    return event(name, regarding=about, eventTime=at, note=name, **parts)


def test_both_groups_are_joined_and_sorted_by_last_seen():
    """One event served by both groups is one row."""
    early = core("early", "2026-01-01T00:00:01Z", count=3, type="Normal", reason="Pulled")
    late = new("late", "2026-01-01T00:00:09.5Z", reportingController="kubelet")
    series = {"count": 7, "lastObservedTime": "2026-01-01T00:00:20Z"}
    again = new("series", "2026-01-01T00:00:00Z", series=series)
    frame = kube_events([again, late, early, core("late", "2026-01-01T00:00:09Z")])
    assert list(frame["message"]) == ["early", "late", "series"]
    assert list(frame["count"]) == [3, 1, 7]
    assert list(frame["object"]) == ["pod/web"] * 3


def test_one_objects_events_are_chosen_by_key_kind_and_uid():
    """A key alone may name a Pod and a Deployment."""
    other = event("x", involvedObject={"kind": "Node", "name": "n1"}, message="m")
    events = [core("a", "2026-01-01T00:00:01Z"), other]
    assert len(kube_events(events, "d/web")) == 1
    assert len(kube_events(events, "n1", kind="Node")) == 1
    assert len(kube_events(events, "d/web", uid="other")) == 0


def test_odd_events_make_a_row_and_no_error():
    """Missing and wrong-typed fields; the dtypes stay."""
    odd = event("odd", involvedObject="?", series=[], count="x", message=None, lastTimestamp=5)
    frame = kube_events([odd])
    assert len(frame) == 1
    empty = kube_events([])
    assert dict(empty.dtypes.astype(str)) == dict(frame.dtypes.astype(str))
