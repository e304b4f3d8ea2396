"""A replay holds all that was recorded: each informer, each namespace, each selector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import crlab
from crlab.errors import ConfigError, NotFound, UnknownResource

PLACES = ("default", "b", "c")
QUESTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"namespace": "b"},
    {"namespace": ["default", "b"]},
    {"namespace": ["b", "c"], "label_selector": "app=web"},
    {"label_selector": "app=web"},
    {"field_selector": "metadata.name=n1"},
    {"metadata_only": True},
)


def a_map(name: str, place: str, app: str = "web") -> dict[str, Any]:
    metadata = {"name": name, "namespace": place, "labels": {"app": app}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def a_lab(**options: Any) -> crlab.Lab:
    lab = crlab.sandbox(seed=0, driver="manual", controllers=False, **options)
    for place in PLACES[1:]:
        lab.client.create("namespaces", {"metadata": {"name": place}})
    return lab


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "expire"]),
        st.sampled_from(["n1", "n2"]),
        st.sampled_from(PLACES),
        st.sampled_from(["web", "db"]),
    ),
    max_size=12,
)


def change(lab: crlab.Lab, verb: str, name: str, place: str, app: str) -> None:
    if verb == "put":
        lab.apply(a_map(name, place, app))
    elif verb == "delete":
        try:
            lab.delete("configmaps", name, place)
        except NotFound:
            pass
    elif verb == "expire":  # some watch gets a 410, and its informer lists again
        lab.faults.expire_watch("configmaps", times=1)
        lab.settle()
        lab.advance(5)
    lab.settle()


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    asked=st.lists(st.sampled_from(range(len(QUESTIONS))), min_size=1, max_size=4, unique=True),
    before=CHANGES,
    after=CHANGES,
    is_forgotten=st.booleans(),
)
def test_every_informer_is_replayed_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    asked: list[int],
    before: list[Any],
    after: list[Any],
    is_forgotten: bool,
) -> None:
    """At the end, and at every point in between; also if the trace had lost its beginning."""
    path = tmp_path_factory.mktemp("run") / "run.crlab"
    points: list[tuple[int, list[Any]]] = []
    with a_lab() as lab:
        informers = [lab.informer("configmaps", **QUESTIONS[n]) for n in asked]
        lab.settle()
        for each in before:
            change(lab, *each)
        if is_forgotten:
            lab.trace.max_records = 3
            lab.trace.append("lab", "note")
            lab.trace.max_records = 200_000
        lab.record(path)
        for each in [("mark", "", "", ""), *after]:
            change(lab, *each)
            points.append((lab.trace.last_seq, [frame_of(informer) for informer in informers]))
    with crlab.replay(path, speed=None) as again:
        played = [again.informer("configmaps", **QUESTIONS[n]) for n in asked]
        again.settle()
        for seq, frames in points:
            again.control.seek(seq)
            again.settle()
            for _ in range(12):  # where the recorded one listed again, so does this, in its pace
                if [frame_of(informer) for informer in played] == frames:
                    break
                again.advance(20)
                again.settle()
            assert [frame_of(informer) for informer in played] == frames
        for _ in range(6):
            again.advance(20)
            again.settle()
        assert {str(informer.status.state) for informer in played} == {"live"}
        assert len(again.recorded_informers()) == len(asked)


def test_informers_that_watched_the_same_namespace_keep_their_own_breaks(tmp_path: Path) -> None:
    """One had just met a 410, the other went on: what that saw is not kept from it."""
    with a_lab() as lab:
        informers = [lab.informer("configmaps", **QUESTIONS[n]) for n in (1, 2)]
        lab.settle()
        lab.record(tmp_path / "run")
        lab.faults.expire_watch("configmaps", times=1)
        lab.settle()
        lab.apply(a_map("n", "b"))
        lab.settle()
        recorded = [frame_of(informer) for informer in informers]
    with crlab.replay(tmp_path / "run") as again:
        played = [again.informer("configmaps", **QUESTIONS[n]) for n in (1, 2)]
        again.settle()
        assert [frame_of(informer) for informer in played] == recorded
    assert recorded[0] != recorded[1]


def frame_of(informer: crlab.Informer) -> dict[str, str]:
    return {obj.key: obj.resource_version for obj in informer}


def test_several_namespaces_are_all_replayed(tmp_path: Path) -> None:
    """Also what was there before; asked for nothing, it is as the recorded one was."""
    with a_lab() as lab:
        lab.apply([a_map("pre", "default"), a_map("preb", "b")])
        maps = lab.informer("configmaps", namespace=["default", "b"]).wait_for_sync()
        with lab.record(tmp_path / "run"):
            lab.apply([a_map("a", "default"), a_map("c", "b")])
            lab.settle()
        frame = maps.df
    for asked in ({"namespace": ["default", "b"]}, {}):
        with crlab.replay(tmp_path / "run") as again:
            played = again.informer("configmaps", **asked).wait_for_sync()
            again.settle()
            assert played.df.equals(frame)
            assert played.namespaces == ("default", "b")
            assert str(played.status.state) == "live"


def test_what_was_not_recorded_so_is_refused(tmp_path: Path) -> None:
    """It says what was; a namespace is taken out of all of them."""
    with a_lab() as lab:
        lab.apply([a_map("a", "default"), a_map("b", "b")])
        lab.informer("configmaps", namespace=["default", "b"]).wait_for_sync()
        lab.informer("secrets").wait_for_sync()
        lab.informer("namespaces", label_selector="x=y").wait_for_sync()
        with lab.record(tmp_path / "run"):
            lab.settle()
    with crlab.replay(tmp_path / "run") as again:
        for asked in ({"namespace": "c"}, {"namespace": ["b", "c"]}):
            with pytest.raises(ConfigError, match="not recorded in namespace c; they were: in n"):
                again.informer("configmaps", **asked)
        with pytest.raises(ConfigError, match="in all namespaces where app=web; they were"):
            again.informer("secrets", label_selector="app=web")
        with pytest.raises(UnknownResource, match="the recording"):
            again.informer("pods")
        assert again.informer("secrets", namespace="b").wait_for_sync().namespaces == ("b",)
        assert again.informer("namespaces").label_selector == "x=y"
        assert len(again.informer("configmaps", namespace="b").wait_for_sync()) == 1
