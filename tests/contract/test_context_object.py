"""`ctx.object` is one object for the run: a change to it is kept, or the write of it refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import crlab
from crlab.controller.draft import Draft, rebased
from crlab.errors import Conflict
from crlab.examples import myservice


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    """A sandbox with one MyService of two replicas."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as opened:
        opened.apply(myservice.CRD)
        opened.apply(myservice.EXAMPLE)
        yield opened


def run(lab: crlab.Lab, body: Callable[[Any], Any]) -> Any:
    """Run `body(ctx)` once for default/web and return the record."""
    made = lab.controller("myservices", name="test")(lambda request, ctx: body(ctx) and None)
    lab.settle()
    return made.step("default/web")


def cached(lab: crlab.Lab) -> Any:
    """The informer's state of default/web."""
    return lab.informer("myservices")["default/web"]


def test_what_is_changed_in_the_object_is_what_an_update_sends(lab: crlab.Lab) -> None:
    """It is one object for the run; it reaches no cache before it is written."""

    def body(ctx: Any) -> Any:
        ctx.object["spec"]["replicas"] = 5
        assert ctx.object is ctx.object
        assert cached(lab)["spec"]["replicas"] == 2
        ctx.update(ctx.object)
        assert ctx.object["spec"]["replicas"] == 5

    assert run(lab, body).error is None
    assert lab.client.get("myservices", "web")["spec"]["replicas"] == 5


def test_the_object_follows_the_runs_own_writes_and_keeps_what_was_not_sent(lab: crlab.Lab) -> None:
    """A status waits while the spec is sent, in the same object and in a part of it."""

    def body(ctx: Any) -> Any:
        obj, spec = ctx.object, ctx.object.spec
        obj.status.readyReplicas = 1
        spec.replicas = 5
        ctx.add_finalizer("a.example.com/b")
        ctx.update(obj)
        assert ctx.object.status.readyReplicas == 1
        assert obj.spec is spec
        ctx.update_status(obj)
        assert obj.metadata.finalizers == ["a.example.com/b"]

    assert run(lab, body).error is None
    stored = lab.client.get("myservices", "web")
    assert (stored["spec"]["replicas"], stored["status"]["readyReplicas"]) == (5, 1)


def test_an_object_that_was_not_changed_follows_the_cache(lab: crlab.Lab) -> None:
    """And one that was does not overwrite what somebody else wrote meanwhile."""

    def body(ctx: Any) -> Any:
        obj = ctx.object
        label(lab, "a")
        assert ctx.object is obj
        assert obj.metadata.labels.by == "a"
        obj.spec.replicas = 5
        label(lab, "b")
        assert ctx.object.metadata.labels.by == "a"
        ctx.update(obj)

    assert isinstance(run(lab, body).error, Conflict)
    stored = lab.client.get("myservices", "web")
    assert (stored["spec"]["replicas"], stored["metadata"]["labels"]["by"]) == (2, "b")


def label(lab: crlab.Lab, value: str) -> None:
    """Somebody else writes, and the cache has heard of it."""
    lab.client.patch("myservices", "web", {"metadata": {"labels": {"by": value}}})
    lab.settle()


def test_an_object_that_goes_is_none(lab: crlab.Lab) -> None:
    """And the next one of its name is another object."""

    def body(ctx: Any) -> Any:
        first = ctx.object
        first.spec.replicas = 5
        lab.client.delete("myservices", "web")
        lab.settle()
        assert ctx.object is None
        lab.apply(myservice.EXAMPLE)
        lab.settle()
        assert ctx.object is not first
        assert ctx.object.spec.replicas == 2

    assert run(lab, body).error is None


def test_a_dry_run_keeps_what_was_changed(lab: crlab.Lab) -> None:
    """Nothing was stored, so it is still to be sent."""

    def body(ctx: Any) -> Any:
        ctx.object.spec.replicas = 5
        ctx.update(ctx.object)
        return ctx.object.spec.replicas

    got: list[Any] = []
    made = lab.controller("myservices")(lambda request, ctx: got.append(body(ctx)))
    lab.settle()
    assert made.step("default/web", dry_run=True).error is None
    assert got == [5]
    assert lab.client.get("myservices", "web")["spec"]["replicas"] == 2


def test_a_part_that_somebody_holds_stays_a_part() -> None:
    """Also of a list, after a write that the server answered with more than was sent."""
    mine = Draft({"a": {"b": [{"c": 1}, {"c": 2}], "d": 1}, "gone": 1, "off": 1})
    base = mine.to_dict()
    item, part = mine.a.b[0], mine.a
    item.c = 5
    del mine["off"]
    new = {"a": {"b": [{"c": 1, "new": 1}, {"c": 3}], "d": 2, "e": 3}, "off": 1, "more": {}}

    rebased(mine, base, new)

    assert mine.a is part
    assert mine.a.b[0] is item
    assert mine == {"a": {"b": [{"c": 5, "new": 1}, {"c": 3}], "d": 2, "e": 3}, "more": {}}
