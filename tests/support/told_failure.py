"""Every kind of failure that has to be told: how it is brought about, and how it heals.

Each scenario is a generator over a manual sandbox: it makes something fail and yields what
`lab.problems` must then hold; when it is resumed it lets the same thing work again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

import crlab
from crlab.controller.recorder import EventRecorder
from crlab.errors import ColumnFailed, Forbidden

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "default"},
    "data": {"n": "0"},
}
Told = tuple[crlab.Lab, str, str, str]  # the lab it is told in; kind, where, key
Scenario = Callable[[crlab.Sandbox], Iterator[Told]]
SCENARIOS: dict[str, Scenario] = {}
SENTENCE = "seeded failure"


def scenario(function: Scenario) -> Scenario:
    """Keep a scenario under its name."""
    SCENARIOS[function.__name__] = function
    return function


class Switch:
    """User code that raises while it is on; else it returns `value`."""

    def __init__(self, value: Any = None) -> None:
        self.is_on = True
        self.value = value

    def __call__(self, *arguments: Any) -> Any:
        if self.is_on:
            raise ValueError(SENTENCE)
        return self.value


def touch(lab: crlab.Sandbox, n: int = 1) -> None:
    """Change the ConfigMap, and let everything hear of it."""
    lab.client.patch("configmaps", "a", {"data": {"n": str(n)}}, namespace="default")
    lab.settle()


def controller(lab: crlab.Sandbox, reconcile: Callable[..., Any], **options: Any) -> Any:
    """Make a controller named "c" of the ConfigMap."""
    informer = lab.informer("configmaps", namespace="default")
    made = lab.controller(informer, name="c", **options)(reconcile)
    lab.settle()
    return made


@scenario
def a_key_that_fails(lab: crlab.Sandbox) -> Iterator[Told]:
    reconcile = Switch()
    made = controller(lab, lambda request, ctx: reconcile())
    made.step()
    yield lab, "reconcile", "controller/c", "default/a"
    reconcile.is_on = False
    lab.advance(1)
    made.step()


@scenario
def a_key_that_is_given_up(lab: crlab.Sandbox) -> Iterator[Told]:
    reconcile = Switch()
    made = controller(lab, lambda request, ctx: reconcile(), max_retries=0)
    made.step()
    yield lab, "given up", "controller/c", "default/a"
    reconcile.is_on = False
    touch(lab)
    made.step()


@scenario
def a_predicate(lab: crlab.Sandbox) -> Iterator[Told]:
    predicate = Switch(False)
    controller(lab, lambda request, ctx: None, predicates=[predicate])
    yield lab, "predicate", "controller/c", "default/a"
    predicate.is_on = False
    touch(lab)


@scenario
def a_mapper(lab: crlab.Sandbox) -> Iterator[Told]:
    mapper = Switch(())
    seen = lab.informer("configmaps")
    lab.controller("serviceaccounts", name="c", watches={seen: mapper})(lambda request, ctx: None)
    lab.settle()
    yield lab, "mapper", "controller/c", "default/a"
    mapper.is_on = False
    touch(lab)


@scenario
def a_run_that_does_not_return(lab: crlab.Sandbox) -> Iterator[Told]:
    told: list[Told] = []

    def reconcile(request: Any, ctx: Any) -> None:
        lab.advance(6)  # and meanwhile the watchdog looks
        made.controller.pool.mark_stuck()
        told.extend((lab, row.kind, row.where, row.key) for row in lab.problems)

    made = controller(lab, reconcile, timeout_seconds=5)
    made.start()
    with mock.patch.object(type(made.controller.env.trace.failures), "worked"):
        lab.settle()
    yield told[0] if told else (lab, "stuck", "controller/c", "default/a")
    made.stop()
    touch(lab)
    made.step()


@scenario
def a_worker_that_ends(lab: crlab.Sandbox) -> Iterator[Told]:
    lab.faults.status(503, resource="secrets", times=None)
    made = lab.controller("secrets", name="c")(lambda request, ctx: None)
    made.start()
    lab.settle()
    lab.advance(121)
    lab.settle()
    yield lab, "thread", "controller/c", ""
    lab.faults.clear()
    lab.advance(60)
    lab.settle()
    made.stop()
    made.start()
    lab.settle()


@scenario
def an_event_that_is_lost(lab: crlab.Sandbox) -> Iterator[Told]:
    made = controller(lab, lambda request, ctx: ctx.event("Seen", f"{ctx.object['data']}"))
    refused = Forbidden(SENTENCE, code=403, reason="Forbidden")
    with mock.patch.object(EventRecorder, "_write", side_effect=refused):
        made.step()
        lab.settle()
    yield lab, "event", "controller/c", ""
    touch(lab)
    made.step()
    lab.settle()


@scenario
def a_handler(lab: crlab.Sandbox) -> Iterator[Told]:
    handler = Switch()
    informer = lab.informer("configmaps", namespace="default")
    informer.add_event_handler(on_add=handler, on_update=handler, name="h")
    lab.settle()
    yield lab, "handler", "handler/h", "default/a"
    handler.is_on = False
    touch(lab)


@scenario
def an_index(lab: crlab.Sandbox) -> Iterator[Told]:
    index = Switch(())
    well = {"well": lambda obj: ("x",)}
    lab.informer("configmaps", namespace="default", indexers={"by-n": index, **well})
    lab.settle()
    yield lab, "index", "informer/configmaps/default by-n", "default/a"
    index.is_on = False
    touch(lab)


@scenario
def a_transform_of_a_list(lab: crlab.Sandbox) -> Iterator[Told]:
    switch = Switch()

    def transform(obj: Any) -> Any:
        switch()
        return obj

    lab.informer("configmaps", namespace="default", transform=transform)
    lab.settle()
    yield lab, "transform", "informer/configmaps/default", ""
    switch.is_on = False
    lab.advance(60)
    lab.settle()


@scenario
def a_transform_of_an_event(lab: crlab.Sandbox) -> Iterator[Told]:
    switch = Switch()
    switch.is_on = False

    def transform(obj: Any) -> Any:
        switch()
        return obj

    lab.informer("configmaps", namespace="default", transform=transform)
    lab.settle()
    switch.is_on = True
    touch(lab)
    yield lab, "transform", "informer/configmaps/default", "default/a"
    switch.is_on = False
    touch(lab, 2)


@scenario
def a_column_function(lab: crlab.Sandbox) -> Iterator[Told]:
    column = Switch(1)
    informer = lab.informer("configmaps", namespace="default")
    lab.settle()
    frame = informer.with_columns({"mine": column})
    with pytest.raises(ColumnFailed):  # it is the only row
        assert len(frame.df)
    yield lab, "column", "informer/configmaps/default column mine", "default/a"
    column.is_on = False
    touch(lab)
    assert len(frame.df)


@scenario
def a_watch_error_handler(lab: crlab.Sandbox) -> Iterator[Told]:
    handler = Switch()
    lab.faults.status(503, resource="configmaps")
    lab.informer("configmaps", namespace="default", watch_error_handler=handler)
    lab.settle()
    lab.advance(30)
    lab.settle()
    yield lab, "watch error handler", "informer/configmaps/default", ""
    handler.is_on = False
    lab.faults.cut_watch("configmaps")
    lab.faults.status(503, resource="configmaps", verb=("list", "watch"))
    for n in range(4):
        touch(lab, n)
        lab.advance(60)
    lab.settle()


@scenario
def an_audit(lab: crlab.Sandbox) -> Iterator[Told]:
    lab.informer("configmaps", namespace="default", audit_seconds=10)
    lab.settle()
    lab.faults.status(503, resource="configmaps", verb="list")
    lab.advance(10)
    lab.settle()
    yield lab, "audit", "informer/configmaps/default", ""
    lab.advance(30)
    lab.settle()


@scenario
def an_informer_that_is_refused(lab: crlab.Sandbox) -> Iterator[Told]:
    nobody = lab.as_user("nobody")
    nobody.informer("configmaps", namespace="default")
    lab.settle()
    yield nobody, "informer", "informer/configmaps/default", ""
    lab.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "nobody"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [
                {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}
            ],
        }
    )
    lab.advance(60)
    lab.settle()


@scenario
def an_informer_of_what_is_gone(lab: crlab.Sandbox) -> Iterator[Told]:
    from crlab.examples import myservice

    lab.apply(myservice.CRD)
    lab.informer("myservices")
    lab.settle()
    lab.delete("customresourcedefinitions", "myservices.example.com")
    lab.settle()
    lab.advance(120)
    lab.settle()
    yield lab, "informer", "informer/myservices", ""
    lab.apply(myservice.CRD)
    lab.advance(120)
    lab.settle()


@scenario
def an_informer_that_does_not_sync(lab: crlab.Sandbox) -> Iterator[Told]:
    lab.faults.status(503, resource="configmaps", times=None)
    lab.informer("configmaps", namespace="default")
    for _ in range(4):
        lab.settle()
        lab.advance(4)
    lab.settle()
    yield lab, "informer", "informer/configmaps/default", ""
    lab.faults.clear()
    lab.advance(60)
    lab.settle()


@scenario
def an_informer_that_is_cut_off(lab: crlab.Sandbox) -> Iterator[Told]:
    lab.informer("configmaps", namespace="default")
    lab.settle()
    lab.faults.refuse()
    lab.faults.cut_watch("configmaps")
    for _ in range(8):
        lab.settle()
        lab.advance(15)
    lab.settle()
    yield lab, "informer", "informer/configmaps/default", ""
    lab.faults.clear()
    lab.advance(60)
    lab.settle()


@scenario
def a_controller_of_the_server(lab: crlab.Sandbox) -> Iterator[Told]:
    runner = lab.builtin_controllers.controllers["namespace"].runner
    well, runner._reconcile = runner._reconcile, Switch()
    lab.client.create("namespaces", {"metadata": {"name": "b"}})
    lab.settle()
    yield lab, "reconcile", "controller/namespace", "b"
    runner._reconcile = well
    lab.advance(60)
    lab.settle()
