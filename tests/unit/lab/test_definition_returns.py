"""A definition that is deleted and applied again is followed within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import crlab
from crlab.model.resource import ApiResource, GroupVersionResource

NAME = "gauges.demo.crlab.dev"
SECONDS = 6  # one more than the longest wait between two tries
VERSIONS = ("v1", "v1beta1")


def definition(served: tuple[str, ...] = VERSIONS) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": "demo.crlab.dev",
            "scope": "Namespaced",
            "names": {"plural": "gauges", "singular": "gauge", "kind": "Gauge"},
            "versions": [
                {"name": name, "served": name in served, "storage": name == "v1", "schema": schema}
                for name in VERSIONS
            ],
        },
    }


def gauge(name: str, namespace: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "demo.crlab.dev/v1",
        "kind": "Gauge",
        "metadata": {"name": name, "namespace": namespace},
    }


class World:
    """A server, a lab on it, and a way to let seconds pass."""

    def __init__(self, kind: str, stack: ExitStack) -> None:
        self.server = stack.enter_context(
            crlab.sandbox(
                seed=0,
                driver="manual" if kind == "manual" else "threads",
                controllers=("namespace", "gc"),
            )
        )
        self.lab = self.server
        if kind == "cluster":  # threads, over HTTP
            self.lab = stack.enter_context(crlab.connect(url=self.server.url))
        self.is_manual = kind == "manual"

    def until(self, predicate: Any, seconds: float = SECONDS) -> None:
        """Wait until it holds; at most so long, on the lab's clock."""
        if not self.is_manual:
            self.lab.wait_until(predicate, seconds)
            return
        self.lab.settle()
        for _ in range(int(seconds)):
            if predicate():
                return
            self.lab.advance(1)
            self.lab.settle()
        assert predicate(), [each.status for each in self.lab.informers]


@pytest.fixture(params=["manual", "cluster"])
def world(request: Any) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(request.param, stack)


def test_a_definition_that_is_applied_again_is_seen_within_seconds(world: World) -> None:
    """Its old objects are told as deleted, its new ones as added."""
    world.server.apply([definition(), gauge("old")])
    gauges = world.lab.informer("gauges").wait_for_sync()
    world.server.delete("customresourcedefinitions", NAME)
    world.until(lambda: gauges.status.state == "gone" and len(gauges) == 0)

    world.server.apply([definition(), gauge("new")])
    world.until(lambda: list(gauges.df.index) == ["default/new"])

    assert gauges.status.state == "live"
    world.server.apply(gauge("newer"))
    world.until(lambda: len(gauges) == 2, 1)


def test_one_that_was_gone_for_long_is_seen_within_seconds_too() -> None:
    """The waits do not grow beyond a few seconds, nor the requests beyond one a second."""
    with ExitStack() as stack:
        world = World("manual", stack)
        world.server.apply([definition(), gauge("old")])
        gauges = world.lab.informer("gauges").wait_for_sync()
        world.server.delete("customresourcedefinitions", NAME)
        world.lab.settle()
        asked = len(world.server.audit_log)
        for _ in range(585):
            world.lab.advance(1)
            world.lab.settle()
        assert gauges.status.state == "gone"
        assert len(world.server.audit_log) - asked <= 300

        world.server.apply([definition(), gauge("new")])
        world.until(lambda: list(gauges.df.index) == ["default/new"])


def test_a_definition_that_comes_after_its_informer_is_seen_within_seconds(world: World) -> None:
    """Whoever names a resource in full need not wait for it to be there."""
    gvr = GroupVersionResource("demo.crlab.dev", "v1", "gauges")
    gauges = world.lab.informer(ApiResource(gvr, "Gauge", True))
    world.until(lambda: gauges.status.state == "gone")

    world.server.apply([definition(), gauge("new")])

    world.until(lambda: gauges.has_synced and list(gauges.df.index) == ["default/new"])


def test_a_version_that_is_served_again_is_seen_within_seconds(world: World) -> None:
    """Meanwhile nothing is told as deleted."""
    world.server.apply([definition(), gauge("a")])
    gauges = world.lab.informer("gauges.v1beta1.demo.crlab.dev").wait_for_sync()
    world.server.apply(definition(served=("v1",)))
    world.until(lambda: gauges.status.state == "gone")
    assert "but it does gauges.v1.demo.crlab.dev" in gauges.status.cause
    assert list(gauges.df.index) == ["default/a"]
    world.server.apply(gauge("b"))

    world.server.apply(definition())

    world.until(lambda: list(gauges.df.index) == ["default/a", "default/b"])
    assert "delete" not in [kind.lower() for kind in gauges.events.df["type"]]


def test_a_namespace_that_is_made_again_is_followed(world: World) -> None:
    """By the informer that was limited to it; nothing is asked again."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    world.server.apply([space, definition(), gauge("old", "team")])
    gauges = world.lab.informer("gauges", namespace="team").wait_for_sync()
    world.server.delete("namespaces", "team")
    world.until(lambda: len(gauges) == 0)

    def made() -> bool:
        if "team" in [each["metadata"]["name"] for each in spaces()]:
            return False
        world.server.apply([space, gauge("new", "team")])
        return True

    def spaces() -> Any:
        return world.server.client.list("namespaces")["items"]

    world.until(made)
    world.until(lambda: list(gauges.df.index) == ["team/new"])
