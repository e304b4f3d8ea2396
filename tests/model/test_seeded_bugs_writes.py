"""Ten bugs of writing, seeded one at a time: the promises about writes must notice them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from unittest import mock

import msgspec
import pytest
from support.written_value import World, check

import crlab
from crlab.apiserver.verb import option as options
from crlab.client import applier as apply
from crlab.client import dynamic, requester, write_gate
from crlab.lab import in_process
from crlab.model import encoder
from crlab.model.redaction import LAST_APPLIED

_MASK = "<redacted: 12 bytes>"
_CM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "k", "namespace": "default"},
    "data": {"a": "1", "b": "2"},
}
_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


def _merges(self: Any, resource: Any, obj: Any, *, force: bool = False, **options: Any) -> Any:
    found = self.list(resource)["items"]
    name = obj["metadata"]["name"]
    if any(item["metadata"]["name"] == name for item in found):
        return self.patch(resource, name, obj, **options)
    return self.create(resource, obj, **options)


# -- the promises, each a small test ---------------------------------------------------------


def nan_is_refused(world: World) -> None:
    check(world, "patch", {"replicas": math.nan})


def masks_are_refused(world: World) -> None:
    check(world, "ctx.update", [_MASK.replace("12", "3")])


def naive_times_are_refused(world: World) -> None:
    check(world, "update", datetime(2024, 1, 2))


def bytes_are_searched(world: World) -> None:
    body = json.dumps(_CM | {"data": {"p": _MASK}}).encode()
    with pytest.raises(crlab.errors.BodyRefused):
        world.client.transport.request("POST", "/api/v1/namespaces/default/configmaps", body=body)


def what_left_goes(world: World) -> None:
    world.lab.apply(_CM)
    world.lab.apply(_CM | {"data": {"a": "1"}})
    assert world.lab.get("configmaps", "k")["data"] == {"a": "1"}


def what_left_goes_after_kubectl(world: World) -> None:
    obj = copy.deepcopy(_CM)
    obj["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(_CM)}
    world.client.create("configmaps", obj, field_manager="kubectl-client-side-apply")
    what_left_goes(world)


def what_is_forbidden_stops_all(world: World) -> None:
    gate = write_gate.WriteGate(["default"])
    client = copy.copy(world.client)
    client._gate = gate
    other = copy.deepcopy(_CM)
    other["metadata"]["namespace"] = "kube-public"
    with pytest.raises(crlab.errors.ReadOnlyError):
        client.apply_manifests([_CM, other])
    assert not world.client.list("configmaps")["items"]


def an_eviction_may_be_dry(world: World) -> None:
    server = world.lab.server
    world.lab.apply(_POD)
    path = "/api/v1/namespaces/default/pods/p"
    server.request("POST", f"{path}/eviction", {}, query=(("dryRun", "All"),))
    assert server.request("GET", path)[0] == 200


def a_list_is_a_json_patch(world: World) -> None:
    check(world, "patch json", 5)


BUGS: dict[str, tuple[Callable[[World], None], Any, str, Any]] = {
    "NaN is let through": (nan_is_refused, encoder, "_float", lambda number: number),
    "masks are let through": (masks_are_refused, encoder, "_refuse_masked", lambda *_: None),
    "a naive time is taken for UTC": (
        naive_times_are_refused,
        encoder,
        "_time",
        lambda time: f"{time.isoformat()}Z",
    ),
    "a door encodes by itself": (
        nan_is_refused,
        requester,
        "encoded",
        lambda body, tried: (body, msgspec.json.encode(body)),
    ),
    "a transport does not look": (bytes_are_searched, in_process, "check_raw", lambda *_: None),
    "an apply never removes": (what_left_goes, dynamic.DynamicClient, "apply", _merges),
    "kubectl's part is left alone": (
        what_left_goes_after_kubectl,
        apply,
        "_adopted",
        lambda *_: None,
    ),
    "leave is asked for as it comes": (
        what_is_forbidden_stops_all,
        dynamic.DynamicClient,
        "check_may_write",
        lambda *_: None,
    ),
    "an eviction forgets that it is dry": (
        an_eviction_may_be_dry,
        options.DeleteOptions,
        "of_eviction",
        lambda *_: options.DeleteOptions(),
    ),
    "a list is sent as a merge patch": (
        a_list_is_a_json_patch,
        dynamic,
        "checked_patch_type",
        lambda patch, patch_type: patch_type or "merge",
    ),
}


@pytest.fixture
def world() -> Iterator[World]:
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        yield World(lab)


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_of_writing_is_caught(bug: str, world: World) -> None:
    """Each of them; the same promise holds without it."""
    promise, place, name, wrong = BUGS[bug]
    with (
        mock.patch.object(place, name, wrong),
        pytest.raises(
            (AssertionError, pytest.fail.Exception, crlab.errors.CrlabError, ExceptionGroup)
        ),
    ):
        promise(world)
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        promise(World(lab))
