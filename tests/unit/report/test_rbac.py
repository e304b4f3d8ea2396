"""S9: what runs says which verbs it needs, informers included, and these are enough."""

from __future__ import annotations

import pytest

import crlab
from crlab.errors import ConfigError
from crlab.examples import myservice

ALICE = {"token": "alice"}


def rights(rbac: object) -> list[str]:
    """The rights as sentences."""
    return [str(right) for right in rbac.rights]  # type: ignore[attr-defined]


def test_an_informer_needs_no_more_than_to_list_and_watch(lab: crlab.Lab) -> None:
    """Less only where the server streams the first list, and on request."""
    pods = lab.informer("pods", namespace="default").wait_for_sync()
    old = lab.informer("secrets", list_mode="list").wait_for_sync()

    assert rights(lab.rbac(pods)) == ["list pods in default", "watch pods in default"]
    assert rights(lab.rbac(pods, include_list=False)) == ["watch pods in default"]
    assert rights(lab.rbac(old)) == ["list secrets", "watch secrets"]


def test_everything_that_runs_is_in_the_role_of_nothing_named(lab: crlab.Lab) -> None:
    """One role for the notebook."""
    lab.informer("pods").wait_for_sync()
    lab.informer("configmaps", namespace=["a", "b"]).wait_for_sync()

    rbac = lab.rbac(user="alice", include_list=False)

    assert rights(rbac) == ["watch pods", "watch configmaps in a", "watch configmaps in b"]
    assert [obj["kind"] for obj in rbac.objects()] == [
        "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Role", "RoleBinding",
    ]  # fmt: skip


def test_another_informer_of_the_resource_grants_nothing(lab: crlab.Lab) -> None:
    """A controller limited to a namespace keeps to it, whoever else looks everywhere."""
    lab.informer("configmaps").wait_for_sync()
    here = lab.informer("configmaps", namespace="default").wait_for_sync()

    assert rights(lab.rbac(here)) == ["list configmaps in default", "watch configmaps in default"]


def test_a_controllers_role_is_in_it_once_it_has_run(lab: crlab.Lab) -> None:
    """What never ran is not guessed at."""
    reconcile = myservice.controller(lab)
    with pytest.raises(ConfigError, match="has not run yet"):
        lab.rbac(reconcile)
    lab.settle()
    assert rights(lab.rbac(include_list=False)) == [
        "watch services", "watch deployments.apps", "watch myservices.example.com",
    ]  # fmt: skip

    lab.apply(myservice.EXAMPLE)
    reconcile.run()

    assert "create deployments.apps in default" in rights(lab.rbac())


def test_the_printed_role_is_enough_and_one_verb_less_is_not() -> None:
    """Proved on a server that enforces it."""
    with crlab.sandbox(seed=0, driver="manual", tokens=ALICE, controllers=False) as lab:
        needed = lab.rbac(lab.informer("configmaps").wait_for_sync(), user="alice")
        lab.apply(needed.objects())
        alice = lab.as_user("alice")
        assert alice.informer("configmaps").wait_for_sync().has_synced

        lab.client.delete("clusterroles", needed.name)
        alice = lab.as_user("alice")
        with pytest.raises(crlab.errors.SyncTimeout, match="403"):
            alice.informer("configmaps").wait_for_sync(2)


def test_what_makes_no_requests_has_no_role(lab: crlab.Lab) -> None:
    """A clear refusal."""
    with pytest.raises(ConfigError, match="nothing runs"):
        lab.rbac()
    with pytest.raises(ConfigError, match="controllers and informers"):
        lab.rbac("pods")  # type: ignore[arg-type]
