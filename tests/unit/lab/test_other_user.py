"""A lab as somebody else, and labs of one notebook cell."""

from __future__ import annotations

from pathlib import Path

import pytest

import crlab
from crlab.errors import ConfigError, Forbidden
from crlab.examples import myservice
from crlab.runtime import notebook_cell

ACCOUNT = "system:serviceaccount:default:reconcile"


def test_a_user_may_do_what_rbac_grants_and_nothing_else(lab: crlab.Lab) -> None:
    """The server decides, request by request."""
    reconcile = myservice.controller(lab)
    lab.apply(myservice.EXAMPLE)
    reconcile.run()
    account = lab.as_user(ACCOUNT)
    with pytest.raises(Forbidden, match="cannot get"):
        account.get("configmaps", "web-name-record")

    lab.apply(lab.rbac(reconcile).objects())
    again = account.controller("myservices", owns=["deployments", "services"], name="reconcile")
    made = again(myservice.reconcile)

    assert [step.outcome for step in made.run()] == ["done"]


def test_it_ends_with_its_sandbox_and_not_the_other_way(lab: crlab.Lab) -> None:
    """One server, one owner."""
    lab.as_user("alice").close()
    alice = lab.as_user("alice", groups=["system:masters"])

    assert alice.get("namespaces", "default")["kind"] == "Namespace"
    lab.close()
    assert alice.is_closed


@pytest.mark.parametrize("user", ["", "system:serviceaccount:default"])
def test_a_name_that_is_none_is_refused(lab: crlab.Lab, user: str) -> None:
    """At once, not as a 403 later."""
    with pytest.raises(ConfigError):
        lab.as_user(user)


def test_a_cell_run_again_replaces_all_its_labs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of them while the cell still runs."""
    monkeypatch.setattr(notebook_cell, "current_cell", lambda: ("cell", run))
    run = "1"
    first = [crlab.sandbox(driver="manual", controllers=False) for _ in range(2)]
    assert not any(lab.is_closed for lab in first)

    run = "2"
    with crlab.sandbox(driver="manual", controllers=False):
        assert all(lab.is_closed for lab in first)


def test_a_kubeconfig_is_the_administrators_or_that_of_a_token(tmp_path: Path) -> None:
    """With tokens switched on, one without a token could do nothing."""
    with crlab.sandbox(tokens={"secret": "alice"}, controllers=False) as lab:
        admin, alice = (
            crlab.connect(lab.write_kubeconfig(tmp_path / name, token=token))
            for name, token in (("admin", None), ("alice", "secret"))
        )
        assert admin.get("namespaces", "default")["kind"] == "Namespace"
        with pytest.raises(Forbidden, match="alice"):
            alice.get("namespaces", "default")
        admin.close()
        alice.close()
