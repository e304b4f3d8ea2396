"""Any value through any door that writes: a world to write in, and the promise to hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crlab
from crlab.errors import BodyRefused
from crlab.model.diff import diff

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.demo.dev"},
    "spec": {
        "group": "demo.dev",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": OPEN, "status": OPEN},
                    }
                },
            }
        ],
    },
}


class Refused(Exception):
    """A value that has no JSON form."""


def json_form(value: Any) -> Any:
    """Say in other words than the encoder's what a value is in JSON."""
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        return json_form(value.item())
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if "<redacted: 3 bytes>" in value or value.encode("utf-8", "ignore").decode() != value:
            raise Refused
        return str(value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**63 or float(value) == value:
            return value
        raise Refused
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise Refused
    if isinstance(value, pd.Timestamp) and not pd.isna(value) and value.tzinfo is not None:
        return value.tz_convert("UTC").isoformat().removesuffix("+00:00") + "Z"
    if hasattr(value, "keys"):
        if all(isinstance(key, str) for key in value):
            return {json_form(key): json_form(item) for key, item in value.items()}
        raise Refused
    if isinstance(value, list | tuple) or type(value).__name__ == "FrozenList":
        return [json_form(item) for item in value]
    raise Refused


class World:
    """A sandbox, one thing in it, and a controller whose run does what it is told."""

    def __init__(self, lab: crlab.Sandbox) -> None:
        self.lab, self.client = lab, lab.client
        lab.apply(CRD)
        self.todo: Callable[[Any], Any] = lambda ctx: None

        def told(request: Any, ctx: Any) -> None:
            self.todo(ctx)

        self.controller = lab.controller("things")(told)

    def fresh(self) -> None:
        for item in self.client.list("things")["items"]:
            self.client.delete("things", item["metadata"]["name"])
        self.client.create("things", thing("x", spec={"kept": 1}))

    def in_run(self, todo: Callable[[Any], Any]) -> None:
        self.todo = todo
        record = self.controller.step("default/x")
        assert record is not None, "the key was not run"
        if record.error is not None:
            raise record.error

    @property
    def writes(self) -> int:
        return sum(request.method != "GET" for request in self.client.requests)

    def stored(self, name: str = "x") -> Any:
        path = f"/apis/demo.dev/v1/namespaces/default/things/{name}"
        return self.lab.server.request("GET", path)[1]


def thing(name: str, **parts: Any) -> dict[str, Any]:
    head = {"apiVersion": "demo.dev/v1", "kind": "Thing"}
    return {**head, "metadata": {"name": name, "namespace": "default"}, **parts}


def spec(value: Any) -> dict[str, Any]:
    return {"spec": {"value": value}}


def status(value: Any) -> dict[str, Any]:
    return {"status": {"value": value}}


def add(value: Any) -> list[Any]:
    return [{"op": "add", "path": "/spec/value", "value": value}]


DOORS: dict[str, Callable[[World, Any], Any]] = {
    "create": lambda w, v: w.client.create("things", thing("new", **spec(v))),
    "update": lambda w, v: w.client.update("things", thing_now(w, **spec(v))),
    "update_status": lambda w, v: w.client.update_status("things", thing_now(w, **status(v))),
    "patch": lambda w, v: w.client.patch("things", "x", spec(v)),
    "patch json": lambda w, v: w.client.patch("things", "x", add(v)),
    "patch_status": lambda w, v: w.client.patch_status("things", "x", status(v)),
    "apply": lambda w, v: w.client.apply("things", thing("x", **spec(v)), force=True),
    "lab.apply": lambda w, v: w.lab.apply(thing("x", **spec(v))),
    "lab.apply list": lambda w, v: w.lab.apply([thing("y"), thing("x", **spec(v))]),
    "server.request": lambda w, v: w.lab.server.request(
        "PATCH",
        "/apis/demo.dev/v1/namespaces/default/things/x",
        spec(v),
        content_type="application/merge-patch+json",
    ),
    "ctx.create": lambda w, v: w.in_run(lambda ctx: ctx.create(thing("new", **spec(v)))),
    "ctx.update": lambda w, v: w.in_run(lambda ctx: ctx.update(thing_now(w, **spec(v)))),
    "ctx.update_status": lambda w, v: w.in_run(
        lambda ctx: ctx.update_status(thing_now(w, **status(v)))
    ),
    "ctx.patch": lambda w, v: w.in_run(lambda ctx: ctx.patch("things", "x", spec(v))),
    "ctx.patch json": lambda w, v: w.in_run(lambda ctx: ctx.patch("things", "x", add(v))),
    "ctx.patch_status": lambda w, v: w.in_run(lambda ctx: ctx.patch_status({"value": v})),
    "ctx.apply": lambda w, v: w.in_run(lambda ctx: ctx.apply(thing("x", **spec(v)))),
    "ctx.client": lambda w, v: w.in_run(lambda ctx: ctx.client.patch("things", "x", spec(v))),
}


def thing_now(world: World, **parts: Any) -> dict[str, Any]:
    return {**world.client.get("things", "x"), **parts}


def check(world: World, door: str, value: Any) -> None:
    """Write a value through a door and hold what happened to the promise."""
    world.fresh()
    before, revision = world.writes, world.lab.server.storage.revision
    try:
        expected = json_form(value)
    except Refused:
        with pytest.raises(BodyRefused) as caught:
            DOORS[door](world, value)
        assert all(
            path.startswith((".spec.value", ".status.value", "[0].value", ".value"))
            for path in caught.value.paths
        )
        assert world.writes == before
        assert world.lab.server.storage.revision == revision
        return
    DOORS[door](world, value)
    found = world.stored("new" if "create" in door else "x")
    part = found["status" if "status" in door else "spec"]
    assert not diff({"value": expected}, {"value": part.get("value")}, ignore=())
