"""`lab.apply` does what `kubectl apply` does: what left the manifest goes, the rest stays."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import yaml

import crlab
from crlab.errors import BodyRefused, Conflict, Forbidden, ReadOnlyError, ServerFailure
from crlab.model.redaction import LAST_APPLIED

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "default", "labels": {"team": "a", "old": "x"}},
    "spec": {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"creationTimestamp": None, "labels": {"app": "d"}},
            "spec": {
                "containers": [
                    {"name": "c", "image": "x", "env": [{"name": "A", "value": "1"}]},
                    {"name": "helper", "image": "y"},
                ]
            },
        },
    },
}
CONFIG_MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "k", "namespace": "default"},
    "data": {"a": "1", "b": "2"},
}


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as opened:
        yield opened


def deployment() -> dict[str, Any]:
    return copy.deepcopy(DEPLOYMENT)


def test_what_left_the_manifest_goes_and_what_others_own_stays(lab: crlab.Lab) -> None:
    """Labels, containers, variables; a sidecar and a label of others."""
    obj = deployment()
    (applied,) = lab.apply(obj)
    assert applied.operation == "created"
    sidecar = {"containers": [{"name": "sidecar", "image": "proxy"}]}
    others = {"metadata": {"labels": {"by": "hand"}}, "spec": {"template": {"spec": sidecar}}}
    lab.client.patch("deployments", "d", others, patch_type="strategic")
    obj["metadata"]["labels"] = {"team": "b"}
    containers = obj["spec"]["template"]["spec"]["containers"]
    containers.pop()
    del containers[0]["env"]
    (applied,) = lab.apply(obj)
    assert applied.operation == "configured"
    found = lab.get("deployments", "d")
    assert found["metadata"]["labels"] == {"team": "b", "by": "hand"}
    kept = found["spec"]["template"]["spec"]["containers"]
    assert sorted(c["name"] for c in kept) == ["c", "sidecar"]
    assert not any("env" in c for c in kept)


def test_an_apply_that_changes_nothing_is_unchanged(lab: crlab.Lab) -> None:
    """No new revision; a dry run says what would be, and changes nothing."""
    lab.apply(DEPLOYMENT)
    revision = lab.revision
    assert [a.operation for a in lab.apply(DEPLOYMENT)] == ["unchanged"]
    assert [a.operation for a in lab.apply(DEPLOYMENT, dry_run=True)] == ["unchanged"]
    obj = deployment()
    obj["spec"]["replicas"] = 5
    assert [a.operation for a in lab.apply(obj, dry_run=True)] == ["configured"]
    assert [a.operation for a in lab.apply(CONFIG_MAP, dry_run=True)] == ["created"]
    assert lab.revision == revision


def test_fields_of_others_are_taken_over_unless_force_is_off(lab: crlab.Lab) -> None:
    """The error names the field and who manages it."""
    lab.apply(DEPLOYMENT)
    scaled = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replicas": 7}}
    lab.client.apply("deployments", scaled, field_manager="scaler", force=True)
    with pytest.raises(Conflict, match=r'conflict with "scaler": \.spec\.replicas'):
        lab.apply(DEPLOYMENT, force=False)
    assert lab.get("deployments", "d")["spec"]["replicas"] == 7
    lab.apply(DEPLOYMENT)
    assert lab.get("deployments", "d")["spec"]["replicas"] == 4


def test_an_object_that_was_read_or_exported_can_be_applied(lab: crlab.Lab) -> None:
    """Out of a cache, as a dict of the client, as YAML; over what is there, or anew."""
    lab.apply(DEPLOYMENT)
    informer = lab.informer("deployments").wait_for_sync()
    cached = informer.get("default/d").to_dict()
    read = lab.get("deployments", "d")
    lab.client.scale("deployments", "d", 9)
    exported = yaml.safe_dump(read)
    for manifest in (cached, read, exported):
        lab.apply(manifest)
        assert lab.get("deployments", "d")["spec"]["replicas"] == 4
    lab.delete("deployments", "d")
    (applied,) = lab.apply(exported)
    assert applied.operation == "created"
    assert applied.object["metadata"]["uid"] != read["metadata"]["uid"]
    assert read["metadata"]["managedFields"], "the caller's own is left alone"


def by_kubectl(lab: crlab.Lab, obj: dict[str, Any]) -> None:
    """Write an object as `kubectl apply` without --server-side does."""
    metadata = {**obj["metadata"], "annotations": {"mine": "x", LAST_APPLIED: json.dumps(obj)}}
    manager = "kubectl-client-side-apply"
    lab.client.create(obj["kind"], {**obj, "metadata": metadata}, field_manager=manager)


def test_what_kubectl_applied_before_is_taken_over(lab: crlab.Lab) -> None:
    """What left the manifest goes; kubectl's annotation and what others added stay."""
    by_kubectl(lab, CONFIG_MAP)
    lab.client.patch("configmaps", "k", {"data": {"other": "z"}}, field_manager="other")
    obj = {**CONFIG_MAP, "data": {"a": "1"}}
    assert [a.operation for a in lab.apply(obj)] == ["configured"]
    found = lab.get("configmaps", "k")
    assert found["data"] == {"a": "1", "other": "z"}
    assert list(found["metadata"]["annotations"]) == [LAST_APPLIED]
    assert [a.operation for a in lab.apply(obj)] == ["unchanged"]
    lab.client.patch(
        "configmaps", "k", {"data": {"c": "3"}}, field_manager="kubectl-client-side-apply"
    )
    lab.apply(obj)
    assert lab.get("configmaps", "k")["data"] == {"a": "1", "other": "z"}


def test_taking_over_from_kubectl_is_tried_again_after_a_conflict(lab: crlab.Lab) -> None:
    """Somebody writes between the look and the write."""
    by_kubectl(lab, CONFIG_MAP)
    real, calls = lab.client.patch, []

    def patch(resource: Any, name: str, body: Any, **options: Any) -> Any:
        if isinstance(body, list) and not calls:
            calls.append(1)
            real("configmaps", "k", {"data": {"z": "1"}}, field_manager="other")
        return real(resource, name, body, **options)

    with mock.patch.object(lab.client, "patch", patch):
        lab.apply({**CONFIG_MAP, "data": {"a": "1"}})
    assert calls
    assert lab.get("configmaps", "k")["data"] == {"a": "1", "z": "1"}


def test_who_may_patch_may_apply(lab: crlab.Lab) -> None:
    """Nothing but `patch` is needed for what is there, `create` beside it for what is not."""
    lab.apply(CONFIG_MAP)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": "default"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "r", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    lab.apply([role, binding])
    eve = lab.as_user("eve")
    eve.client.apply_manifests({**CONFIG_MAP, "data": {"a": "2"}})
    assert lab.get("configmaps", "k")["data"] == {"a": "2"}
    with pytest.raises(Forbidden, match="create"):
        eve.client.apply_manifests({**CONFIG_MAP, "metadata": {"name": "new"}})


def test_items_that_cannot_be_told_apart_are_explained(lab: crlab.Lab) -> None:
    """Server-side apply refuses what kubectl's client-side one would have taken."""
    obj = deployment()
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    obj["spec"]["template"]["spec"]["containers"][0]["env"] = twice
    with pytest.raises(ServerFailure, match=r'env: duplicate entries for key \[name="A"\]') as e:
        lab.apply(obj)
    assert "leave one of each in the manifest" in e.value.__notes__[0]


def test_nothing_is_sent_of_manifests_one_of_which_may_not_leave(lab: crlab.Lab) -> None:
    """A forbidden namespace, a masked value, NaN, in whatever form: the first is not sent."""
    lab.serve()
    lab.client.create("namespaces", {"metadata": {"name": "other"}})
    metadata = {"name": "z", "namespace": "other"}
    forbidden = {**CONFIG_MAP, "metadata": metadata}
    masked = {**CONFIG_MAP, "data": {"password": "<redacted: 12 bytes>"}}
    nan = {**CONFIG_MAP, "data": {"a": float("nan")}}
    good = {**CONFIG_MAP, "metadata": {"name": "good"}}
    url, token = lab.server.url, lab.server.admin_token()
    with crlab.connect(url=url, token=token, driver="manual", allow_writes=["default"]) as there:
        for bad, error in (
            (forbidden, ReadOnlyError),
            ({"apiVersion": "v1", "kind": "List", "items": [forbidden]}, ReadOnlyError),
            (masked, BodyRefused),
            (nan, BodyRefused),
        ):
            with pytest.raises(error):
                there.apply([good, bad])
        with pytest.raises(BodyRefused, match=r"apply ConfigMap default/k: \.data\.password holds"):
            there.apply(yaml.safe_dump(good) + "---\n" + yaml.safe_dump(masked))
        assert lab.client.list("configmaps", namespace="default")["items"] == []
        body = json.dumps(masked).encode()
        path = "/api/v1/namespaces/default/configmaps"
        for transport in (there.client.transport, lab.client.transport):
            with pytest.raises(BodyRefused, match=rf"POST {path}: \.data\.password"):
                transport.request("POST", path, body=body)
