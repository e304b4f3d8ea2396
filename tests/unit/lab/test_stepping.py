"""Steps by hand: taken, undone, and taken again in a fork."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crlab
from crlab.errors import ConfigError, LifecycleError
from crlab.examples import myservice


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    with crlab.sandbox(seed=0, driver="manual", controllers=()) as lab:
        yield lab


def web(lab: crlab.Lab):
    """The guide's controller with one MyService waiting."""
    reconcile = myservice.controller(lab)
    lab.apply(myservice.EXAMPLE)
    return reconcile


def test_a_step_can_be_undone(lab: crlab.Lab) -> None:
    """Back: what the step made is gone, its key waits again, and it can be taken again."""
    reconcile = web(lab)
    first = reconcile.step()
    assert lab.client.list("deployments")["items"]

    assert reconcile.back() is first

    assert lab.client.list("deployments")["items"] == []
    assert not reconcile.can_go_back
    again = reconcile.step()
    assert [(c.verb, c.target) for c in again.writes] == [(c.verb, c.target) for c in first.writes]


def test_run_can_be_undone_step_by_step(lab: crlab.Lab) -> None:
    """What `run` took counts as steps too; the newest is undone first."""
    reconcile = web(lab)
    records = reconcile.run()

    assert [reconcile.back() for _ in records] == records[::-1]
    with pytest.raises(LifecycleError, match="no step to undo"):
        reconcile.back()


def test_an_undone_failure_does_not_count(lab: crlab.Lab) -> None:
    """The attempt is the one it was, so is the back-off."""

    @lab.controller("configmaps")
    def failing(request, ctx):
        raise ValueError("no")

    lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
    assert [failing.step("default/a").attempt for _ in range(3)] == [1, 2, 3]
    failing.back()
    assert failing.step("default/a").attempt == 3


def test_the_resource_version_never_goes_back(lab: crlab.Lab) -> None:
    """An undone step is a change like any other to who watches."""
    reconcile = web(lab)
    reconcile.step()
    reached = lab.revision

    reconcile.back()

    assert lab.revision > reached
    assert lab.informer("myservices").status.state == "live"


def test_a_forked_controller_acts_in_its_own_world(lab: crlab.Lab) -> None:
    """Two futures of one moment."""
    reconcile = web(lab)

    fork = reconcile.fork()
    with fork.lab:
        assert fork.run()
        assert fork.lab.client.list("deployments")["items"]
    assert lab.client.list("deployments")["items"] == []


def test_going_back_while_workers_run_is_refused(lab: crlab.Lab) -> None:
    """Nobody undoes what others build on."""
    reconcile = web(lab)
    reconcile.step()
    reconcile.start()

    with pytest.raises(LifecycleError, match="pause"):
        reconcile.back()


def test_a_real_server_is_not_taken_back() -> None:
    """The way out is named."""
    with crlab.sandbox(seed=0, controllers=()) as own:
        own.apply(myservice.CRD)
        with crlab.connect(url=own.url) as lab, pytest.raises(ConfigError, match="dry_run=True"):
            myservice.controller(lab).back()
