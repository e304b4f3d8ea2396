"""How an informer of a lab is kept current where the watch alone does not do it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.server import crd

import crlab
from crlab.errors import ConfigError


def role(*verbs: str) -> list[dict[str, object]]:
    """Return what lets Alice do that with ConfigMaps."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "alice"}
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "alice"}}
    alice = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    return [
        {**api, "kind": "ClusterRole", "rules": [rule]},
        {**api, "kind": "ClusterRoleBinding", "roleRef": ref, "subjects": [alice]},
    ]


def config_map(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
    }


def test_who_may_only_list_polls_until_the_watch_is_allowed() -> None:
    """Fault 35: RBAC of a server that enforces it; the frame follows either way."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(role("list"))
        alice = lab.as_user("alice")
        maps = alice.informer("configmaps", namespace="default", poll_seconds=10).wait_for_sync()
        assert maps.status.cause == "polling every 10 s: watch is forbidden"

        lab.apply(config_map("polled"))
        alice.advance(10)
        alice.settle()
        assert "default/polled" in maps.df.index
        assert maps.df.attrs["state"] == "live"

        lab.apply(role("list", "watch"))
        for _ in range(6):
            alice.advance(10)
            alice.settle()
        lab.apply(config_map("watched"))
        alice.settle()
        assert maps.status.phase == "watching"
        assert "default/watched" in maps.df.index


def test_an_audit_now_and_then_mends_what_a_watch_lost() -> None:
    """Faults 54, 55: the reflector's log tells of it, and the role lets it list."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        maps = lab.informer("configmaps", namespace="default", audit_seconds=60).wait_for_sync()
        lab.faults.drop_event("configmaps")
        lab.apply(config_map("lost"))
        lab.settle()
        assert "default/lost" not in maps.df.index

        for _ in range(2):
            lab.advance(60)
            lab.settle()

        assert "default/lost" in maps.df.index
        log = maps.reflector_log
        told = log[log["kind"] == "audited"]["what"]
        assert list(told) == ["1 key: default/lost (missing)"] * 2
        rights = [str(right) for right in lab.rbac(maps).rights]
        assert rights == ["list configmaps in default", "watch configmaps in default"]


def test_a_recording_cannot_be_audited(tmp_path: Path) -> None:
    """There is no server to compare with."""
    path = tmp_path / "a.jsonl"
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab, lab.record(path):
        lab.informer("configmaps").wait_for_sync()
    with crlab.replay(path) as lab, pytest.raises(ConfigError, match="no server to compare"):
        lab.informer("configmaps", audit_seconds=60)


def test_the_version_that_is_served_instead_can_be_asked_for_by_its_name() -> None:
    """Fault 38: as the status names it; the old cache keeps what it had."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(crd("gauges"))
        lab.apply({**config_map("g"), "apiVersion": "demo.crlab.dev/v1", "kind": "Gauge"})
        old = lab.informer("gauges.v1beta1.demo.crlab.dev").wait_for_sync()
        definition = lab.get("customresourcedefinitions", "gauges.demo.crlab.dev")
        definition["spec"]["versions"][0]["served"] = False
        lab.client.update("customresourcedefinitions", definition)
        lab.settle()

        assert old.status.state == "gone"
        assert "but it does gauges.v1.demo.crlab.dev" in old.status.cause
        new = lab.informer("gauges.v1.demo.crlab.dev").wait_for_sync()
        assert list(new.df.index) == list(old.df.index) == ["default/g"]


def test_another_interval_is_another_informer() -> None:
    """The same arguments give the same one."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        maps = lab.informer("configmaps", poll_seconds=10)

        assert lab.informer("configmaps", poll_seconds=10) is maps
        assert lab.informer("configmaps") is not maps
