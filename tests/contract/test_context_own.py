"""`ctx.own` refuses what the garbage collector would not honour, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import crlab
from crlab.errors import CrlabError
from crlab.examples import myservice

CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap"}
CLUSTER_ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}


def child(head: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """An object to be owned."""
    return {**head, "metadata": {"name": "c", **metadata}}


def reconciled(resource: str, key: str, body: Callable[[Any], Any]) -> Any:
    """Run `body(ctx)` for one key; return the lab's ConfigMap c, or raise what the run raised."""
    with crlab.sandbox(seed=0, driver="manual") as lab:
        lab.apply(myservice.CRD)
        lab.apply(myservice.EXAMPLE)
        made = lab.controller(resource, name="test")(lambda request, ctx: body(ctx) and None)
        lab.settle()
        record = made.step(key)
        assert record is not None
        if record.error is not None:
            assert not record.writes, "nothing is sent"
            raise record.error
        return lab.get("configmaps", "c")


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (
        lambda ctx: ctx.own(child(CLUSTER_ROLE)),
        "MyService default/web cannot own ClusterRole c: a cluster-scoped object",
    ),
    (lambda ctx: ctx.own(child(CONFIGMAP, namespace="other")), "in namespace other"),
    (lambda ctx: ctx.own({"metadata": {"name": "c", "namespace": "other"}}), "in namespace other"),
    (
        lambda ctx: ctx.own(child(CONFIGMAP), ctx.new("deployments", "d")),
        "Deployment d cannot own anything yet.*create it, or read it",
    ),
    (lambda ctx: ctx.own(child(CONFIGMAP), {"metadata": {"uid": "u"}}), "apiVersion and kind"),
    (lambda ctx: ctx.own(ctx.object), "MyService default/web cannot own itself"),
    (lambda ctx: ctx.own(ctx.new("myservices", "web")), "cannot own itself"),
    (lambda ctx: ctx.own("configmaps"), "takes a dict or a Draft"),
    (lambda ctx: ctx.own(child({**CONFIGMAP, "kind": "Nothing"})), "Nothing"),
]


@pytest.mark.parametrize(("body", "said"), REFUSED)
def test_an_owner_that_cannot_own_is_refused(body: Callable[[Any], Any], said: str) -> None:
    """With what would happen, and what to do instead."""
    with pytest.raises(CrlabError, match=said):
        reconciled("myservices", "default/web", body)


def test_another_owner_is_named_by_its_own_kind() -> None:
    """Not by that of what is reconciled."""

    def body(ctx: Any) -> Any:
        namespace = ctx.get("namespaces", "default", live=True)
        ctx.create(ctx.own(child(CONFIGMAP), namespace))

    (reference,) = reconciled("myservices", "default/web", body)["metadata"]["ownerReferences"]
    assert (reference["apiVersion"], reference["kind"]) == ("v1", "Namespace")


def test_a_cluster_scoped_owner_owns_anything() -> None:
    """In every namespace, and what is in none; no namespace is put where none belongs."""

    def body(ctx: Any) -> Any:
        ctx.create(ctx.own(child(CONFIGMAP, namespace="default")))
        role = ctx.own(child(CLUSTER_ROLE))
        assert "namespace" not in role["metadata"]
        ctx.create(role)

    made = reconciled("namespaces", "default", body)
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Namespace"


def test_an_owner_that_is_being_deleted_may_own() -> None:
    """A clean-up job is its own, until it has gone."""

    def body(ctx: Any) -> Any:
        ctx.add_finalizer("a.example.com/b")
        ctx.delete(ctx.object)
        assert ctx.is_deleting
        ctx.create(ctx.own(child(CONFIGMAP)))

    assert reconciled("myservices", "default/web", body)["metadata"]["ownerReferences"]
