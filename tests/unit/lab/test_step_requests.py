"""A step shows every request that its reconcile made, whatever it was made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import crlab
from crlab.errors import AlreadyExists, Forbidden, Invalid, ReconcileFailed
from crlab.lab.lab_controller import LabController


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def controller_of(lab: crlab.Lab, body: Callable[[Any], Any]) -> LabController:
    """Return a controller whose reconcile of "default/a" is `body`."""

    @lab.controller("configmaps")
    def work(request: Any, ctx: Any) -> None:
        if request.name == "a":
            body(ctx)

    lab.client.create("configmaps", config_map("a"))
    return work


def calls(lab: crlab.Lab, body: Callable[[Any], Any], **options: Any) -> list[str]:
    record = controller_of(lab, body).step("default/a", **options)
    assert record is not None
    if record.error is not None:
        raise record.error
    return [str(call) for call in record.calls]


def test_requests_through_the_client_of_the_context_are_calls(lab: crlab.Lab) -> None:
    """Reads and writes, in order, with the verb that was meant."""

    def body(ctx: Any) -> None:
        ctx.client.create("configmaps", config_map("b"))
        ctx.client.apply("configmaps", config_map("c"))
        ctx.client.list("configmaps", namespace="default")
        ctx.client.patch("configmaps", "b", {"data": {"x": "1"}})
        ctx.client.delete("configmaps", "b")
        ctx.client.delete_collection("configmaps", label_selector="none=here")

    assert calls(lab, body) == [
        "create configmaps default/b (new)",
        "apply configmaps default/c (new)",
        "list configmaps in default",
        "patch configmaps default/b",
        "delete configmaps default/b",
        "deletecollection configmaps in default",
    ]


def test_requests_past_the_context_are_calls_too(lab: crlab.Lab) -> None:
    """Those of `lab.client` and `lab.apply`, between the others."""

    def body(ctx: Any) -> None:
        ctx.create(config_map("b"))
        lab.client.create("configmaps", config_map("c"))
        with pytest.raises(Invalid):
            lab.client.create("configmaps", config_map("UPPER"))
        ctx.delete("configmaps", "b")

    assert calls(lab, body) == [
        "create configmaps default/b (new)",
        "create configmaps default/c (new)",
        "create configmaps default/UPPER (422 Invalid)",
        "delete configmaps default/b",
    ]


def test_a_dry_run_covers_the_client_of_the_context(lab: crlab.Lab) -> None:
    """Nothing that it is asked to write or delete happens."""

    def body(ctx: Any) -> None:
        ctx.client.create("configmaps", config_map("b"))
        ctx.client.patch("configmaps", "a", {"data": {"x": "1"}})
        ctx.client.delete("configmaps", "a")
        ctx.client.delete_collection("configmaps")

    told = calls(lab, body, dry_run=True)
    assert len(told) == 4
    assert all("dry run" in each for each in told)
    assert [obj["metadata"]["name"] for obj in lab.client.list("configmaps")["items"]] == ["a"]
    assert "data" not in lab.get("configmaps", "a") or not lab.get("configmaps", "a")["data"]


def test_own_writes_through_the_client_are_read_back_at_once(lab: crlab.Lab) -> None:
    """As those of the context are, before the watch has brought them."""
    found: list[Any] = []

    def body(ctx: Any) -> None:
        ctx.client.patch("configmaps", "a", {"data": {"x": "1"}})
        found.append(ctx.get("configmaps", "a")["data"])

    calls(lab, body)
    assert found == [{"x": "1"}]


def test_a_run_that_is_over_writes_with_no_client_either(lab: crlab.Lab) -> None:
    """One that was given up cannot write behind its successor's back."""
    kept: list[Any] = []
    calls(lab, lambda ctx: kept.append(ctx.client))

    with pytest.raises(ReconcileFailed, match="it has returned"):
        kept[0].create("configmaps", config_map("late"))


def test_a_refused_create_names_the_object(lab: crlab.Lab) -> None:
    """Its name is in no path, so it must be in what was tried."""
    lab.client.create("configmaps", config_map("a"))
    with pytest.raises(AlreadyExists, match=r"^create configmaps default/a: 409") as caught:
        lab.client.create("configmaps", config_map("a"))
    assert caught.value.tried == "create configmaps default/a"
    with pytest.raises(Invalid, match=r"^apply configmaps default/UPPER: 422"):
        lab.apply(config_map("UPPER"))
    body = {"metadata": {"generateName": "web-"}}
    with pytest.raises(Forbidden, match=r"^create configmaps default/web-\*: 403"):
        lab.as_user("eve").client.create("configmaps", body)
    assert list(lab.requests["name"])[-2:] == ["UPPER", "UPPER"]
