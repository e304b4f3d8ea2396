"""Frames, time travel and replays against plain models, over any history."""

from __future__ import annotations

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.frame_rig import COLUMNS, DTYPES, SERVICES, frame_of, indexer_of, put, thing, types_of
from support.tiny_cluster import SERVICES as TINY
from support.tiny_cluster import TinyCluster

from crlab.cache import SharedInformer
from crlab.frame import EventsFrame, LiveFrame, ReplayControl, TimeTravel
from crlab.trace.recording import Recorder, Recording

NAME = "myservices.example.com"
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.just(10**400),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "b", "<b>", "2026-01-01T00:00:00", "é"]),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), max_size=2),
)
FIELDS = ("image", "replicas", "paused")
SPECS = st.none() | st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3) | VALUES
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 6), SPECS, SPECS),
    st.tuples(st.just("delete"), st.integers(0, 6), st.none(), st.none()),
    st.tuples(st.just("read"), st.just(0), st.none(), st.none()),
    st.tuples(st.just("replace"), st.integers(0, 3), SPECS, SPECS),
    st.tuples(st.just("scribble"), st.integers(0, 6), st.none(), st.none()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=15), st.booleans())
def test_a_frame_is_the_projection_of_a_fresh_list(operations, is_wide):
    """After any history, whatever users did to their frames; with the same dtypes throughout."""
    indexer = indexer_of()
    options = {"columns": {"raw": ".spec"}, "owner": True, "labels": True}
    live = frame_of(indexer, **options)
    kinds = types_of(live.df)
    held: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    for version, (verb, number, spec, status) in enumerate(operations, start=1):
        if verb == "put":
            put(indexer, thing(f"n{number}", version, spec=spec, status=status))
        elif verb == "delete":
            indexer.apply([(f"d/n{number}", None)], str(version))
        elif verb == "replace":
            fresh = [thing(f"n{n}", version, spec=spec, status=status) for n in range(number)]
            changed = {*indexer.list_keys(), *(o.key for o in fresh)}
            indexer.replace({o.key: o for o in fresh}, str(version), sorted(changed))
        elif verb == "scribble" and len(live.df):
            mine = live.df
            mine.iloc[number % len(mine), number % 8] = None
        else:
            frame = live.df
            held.append((frame, frame.copy(deep=True)))
        assert types_of(live.df) == kinds
    again = frame_of(indexer, **options).df
    pd.testing.assert_frame_equal(live.df, again)
    assert {n: t for n, t in kinds.items() if n in DTYPES} == DTYPES
    if is_wide:
        wide = frame_of(indexer, wide=True)
        assert list(wide.df.index) == list(again.index)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["create", "patch", "delete", "quiet"]),
        st.integers(0, 4),
        st.text(max_size=3),
    ),
    max_size=20,
)


def played(changes, *, before=0):
    """A cluster that lived through `changes`: (cluster, lists by revision, handlers' log)."""
    cluster = TinyCluster()
    log: list[tuple[str, ...]] = []
    exact: dict[str, dict[str, str]] = {}
    for number, change in enumerate(changes):
        if number == before:
            follow(cluster, log)
        happen(cluster, change)
        exact[str(cluster.rv)] = {
            key: obj["metadata"]["resourceVersion"] for key, obj in cluster.objects[NAME].items()
        }
    if len(changes) <= before:
        follow(cluster, log)
    cluster.driver.settle()
    return cluster, exact, log


def follow(cluster, log):
    informer = cluster.informer(TINY)
    note(informer, log)
    cluster.driver.settle()


def note(informer, log):
    informer.add_event_handler(
        on_add=lambda obj, initial: log.append(("add", obj.key, obj.resource_version)),
        on_update=lambda old, new: log.append(("update", old.resource_version, new.key)),
        on_delete=lambda obj: log.append(("delete", obj.key)),
    )


def happen(cluster, change):
    verb, number, text = change
    name, key = f"n{number}", f"default/n{number}"
    is_there = key in cluster.objects[NAME]
    cluster.clock.advance(1)
    if verb == "create" and not is_there:
        cluster.service(name, image=text)
    elif verb == "patch" and is_there:
        cluster.patch(TINY, name, {"spec": {"image": text}}, namespace="default")
    elif verb == "delete" and is_there:
        cluster.delete(TINY, name, namespace="default")
    if verb != "quiet":
        cluster.driver.settle()


@settings(max_examples=100, deadline=None)
@given(CHANGES, st.integers(0, 5))
def test_a_past_revision_is_the_exact_list_at_it(changes, before):
    """For every revision since the first list."""
    cluster, exact, _ = played(changes, before=before)
    travel = TimeTravel(cluster.trace, TINY)
    first = next(r for r in cluster.trace.records() if r.kind == "listed")
    for version, objects in exact.items():
        if int(version) >= int(first.resource_version):
            found = travel.at(version).objects
            assert {k: o.resource_version for k, o in found.items()} == objects
            assert list(travel.at(version).df.index) == sorted(objects)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CHANGES, st.integers(0, 5), st.sampled_from(["real", "delta"]))
def test_a_replay_is_the_run_it_recorded(tmp_path_factory, changes, before, queue):
    """The same notifications, events and frame, through either queue, step by step."""
    cluster, _, log = played(changes, before=before)
    path = tmp_path_factory.mktemp("run") / "r"
    with Recorder(cluster.trace, path, clock=cluster.clock, threaded=False):
        pass
    again, log_again = TinyCluster(), []
    control = ReplayControl(Recording.open(path), again.clock, speed=None)
    informer = SharedInformer(
        control.lister_watcher(TINY),
        driver=again.driver,
        clock=again.clock,
        ids=again.ids,
        trace=again.trace,
        queue=queue,
    )
    note(informer, log_again)
    informer.start()
    again.driver.settle()
    while control.step():
        again.driver.settle()
    assert log_again == log
    frames = [LiveFrame(i.indexer, resource=TINY).df for i in (cluster.informer(TINY), informer)]
    pd.testing.assert_frame_equal(*frames)
    stories = [EventsFrame(c.trace, NAME).df["change"].tolist() for c in (cluster, again)]
    assert stories[0] == stories[1]


def test_the_columns_of_these_tests_are_those_of_the_resource():
    """A guard: the property above is about the declared dtypes."""
    assert [c.name for c in frame_of(indexer_of()).columns] == list(DTYPES)
    assert SERVICES.gvr.group_resource == NAME
    assert len(COLUMNS) == 6
