"""What a lab says of a controller and of a secret."""

from __future__ import annotations

import pytest

import crlab
from crlab.errors import ConfigError, UnknownColumn
from crlab.examples import myservice


@pytest.fixture
def ran(lab: crlab.Lab):
    """The guide's controller, run to its rest."""
    reconcile = myservice.controller(lab)
    lab.apply(myservice.EXAMPLE)
    lab.settle()
    reconcile.run()
    return reconcile


def test_the_least_role_names_what_was_asked(lab: crlab.Lab, ran: object) -> None:
    """Not what might be asked."""
    rights = {str(right) for right in lab.rbac(ran).rights}

    assert "watch myservices.example.com" in rights
    assert not any("delete deployments" in right for right in rights)
    assert "kind: ClusterRole" in str(lab.rbac(ran))


def test_the_guides_controller_survives_every_fault(lab: crlab.Lab, ran: object) -> None:
    """The same end after a crash between any two writes."""
    found = lab.stress(ran, max_runs=8)

    assert found.is_ok, str(found)
    assert found.df["ok"].all()


def test_stress_needs_a_lab_that_stands_still(threaded: crlab.Lab) -> None:
    """A run that may differ proves nothing."""
    reconcile = threaded.controller("configmaps")(lambda request, ctx: None)

    with pytest.raises(ConfigError, match="manual"):
        threaded.stress(reconcile)


def test_a_secret_is_shown_once_and_kept_nowhere(lab: crlab.Lab) -> None:
    """S5: reveal is explicit, per call, never sticky."""
    lab.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
               "stringData": {"password": "hunter2-canary"}})  # fmt: skip
    secrets = lab.informer("secrets").wait_for_sync()

    shown = secrets.reveal("default/s", "password")

    assert shown == "hunter2-canary"
    assert "canary" not in repr(shown)
    assert "canary" not in secrets.df.to_string() + secrets["default/s"].raw.decode()
    assert not [r for r in lab.trace if "canary" in repr(r)]


def test_a_field_that_is_not_there_names_the_nearest(lab: crlab.Lab) -> None:
    """The way out of a typo."""
    lab.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
               "stringData": {"password": "x"}})  # fmt: skip

    with pytest.raises(UnknownColumn, match="password"):
        lab.informer("secrets").wait_for_sync().reveal("default/s", "pasword")
