"""Crash lessons (faults 71, 72, promise P31): the same end whatever happens on the way."""

import pytest
from support.controlled_server import ControlledServer

import crlab
from crlab.errors import ConfigError
from crlab.examples import myservice
from crlab.report.stress import stress


@pytest.fixture
def lab():
    with crlab.sandbox(seed=0, driver="manual", controllers=["namespace", "gc"]) as lab:
        lab.apply(myservice.CRD)
        lab.apply(myservice.EXAMPLE)
        yield lab


def change(client):
    client.patch("myservices", "web", {"spec": {"replicas": 3}})


def delete(client):
    client.delete("myservices", "web")


def test_the_guides_controller_survives_every_fault(lab):
    """Crash after each write, each event dropped, each list stale."""
    made = myservice.controller(lab).controller
    report = stress(made, lab.fork, scenario=[change, delete], max_runs=200)
    assert report.is_ok, str(report)
    assert all(verdict.outcome.has_fired for verdict in report.verdicts)
    faults = [row["fault"].split()[0] for row in report.df.to_dict("records")]
    assert {"crash", "watch", "restart"} == set(faults)
    assert report.clean.creates["configmaps default/web-name-record"] == 1
    assert report.clean.state == {}


def test_a_controller_that_creates_before_it_looks_is_found_out(lab):
    """A crash between two writes makes two children: intermediate state."""

    def reconcile(request, ctx):
        service = ctx.object
        if service is None or (service.get("status") or {}).get("phase"):
            return
        child = {"apiVersion": "v1", "kind": "ConfigMap"}
        ctx.create({**child, "metadata": {"generateName": "child-"}})
        ctx.patch_status({"phase": "Ready"})

    made = lab.controller("myservices")(reconcile).controller
    report = stress(made, lab.fork)
    bad = [row["fault"] for row in report.df.to_dict("records") if not row["ok"]]
    assert "crash after write 1" in bad
    assert "is only there with the fault" in str(report)


def test_a_controller_that_believes_a_stale_list_is_found_out(lab):
    """What was true once made it act twice: stale state."""

    def reconcile(request, ctx):
        service = ctx.object
        if service is None or service.spec.replicas != 1:
            return
        ctx.create(ctx.new("configmaps", "once")) if ctx.get("configmaps", "once") is None else 0

    def grow(client):
        client.patch("myservices", "web", {"spec": {"replicas": 1}})
        client.patch("myservices", "web", {"spec": {"replicas": 2}})

    def shrink(client):
        for each in client.list("configmaps", namespace="default")["items"]:
            client.delete("configmaps", each["metadata"]["name"])

    lab.client.patch("myservices", "web", {"spec": {"replicas": 1}})
    made = lab.controller("myservices")(reconcile).controller
    report = stress(made, lab.fork, scenario=[grow, shrink])
    bad = [row["fault"] for row in report.df.to_dict("records") if not row["ok"]]
    assert "restart on a stale list of myservices.example.com" in bad


def test_a_controller_that_feeds_itself_is_reported_not_hung_on(lab):
    """The run ends with an error of its own."""

    def endless(request, ctx):
        service = ctx.object
        count = ((service.get("status") or {}).get("readyReplicas") or 0) if service else 0
        ctx.patch_status({"readyReplicas": count + 1})

    made = lab.controller("myservices")(endless).controller
    report = stress(made, lab.fork, max_runs=1, max_steps=20)
    assert "not settled after" in report.clean.error
    assert not report.is_ok


def test_worlds_must_stand_still(lab):
    """A world with threads of its own proves nothing."""
    made = lab.controller("myservices")(lambda request, ctx: None).controller
    world = ControlledServer()
    world.driver.is_manual = False
    world.close = world.manager.close
    with pytest.raises(ConfigError, match="manual"):
        stress(made, lambda: world)
