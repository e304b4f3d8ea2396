"""The dynamic client against the embedded server."""

import json
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from support.server import make_server

from crlab.client.discovery_document import plain_rows
from crlab.client.dynamic import DynamicClient
from crlab.client.list_watch import ListOptions
from crlab.client.retry import retry_on_conflict
from crlab.client.transport import Response
from crlab.errors import (
    AlreadyExists,
    BodyRefused,
    ConfigError,
    Conflict,
    Invalid,
    ManifestError,
    NotFound,
    ReadOnlyError,
    ServerFailure,
    TooManyRequests,
    UnknownResource,
)
from crlab.lab.in_process import InProcessTransport
from crlab.runtime.clock import FakeClock
from crlab.trace.cause import caused_by
from crlab.trace.record import Trace

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {
            "plural": "gadgets",
            "kind": "Gadget",
            "singular": "gadget",
            "listKind": "Gadgetry",
        },
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.size",
                        "statusReplicasPath": ".status.size",
                    },
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"size": {"type": "integer", "minimum": 0}},
                            },
                            "status": {
                                "type": "object",
                                "properties": {"size": {"type": "integer"}},
                            },
                        },
                    }
                },
            }
        ],
    },
}


def gadget(name, size=1):
    return {
        "apiVersion": "example.com/v1",
        "kind": "Gadget",
        "metadata": {"name": name},
        "spec": {"size": size},
    }


@pytest.fixture
def server():
    return make_server()


@pytest.fixture
def client(server):
    return client_of(server, True)


def client_of(server, allow_writes, **options):
    clock = FakeClock()
    return DynamicClient(
        InProcessTransport(server),
        clock=clock,
        trace=Trace(clock),
        allow_writes=allow_writes,
        **options,
    )


@pytest.fixture
def gadgets(client):
    client.apply_manifests([CRD, gadget("a")])
    return client


def test_an_object_lives(client):
    """create, get, list, update, patch, delete; each answer is the caller's own dict."""
    made = client.create("configmaps", {"metadata": {"name": "c"}, "data": {"k": "1"}})
    made["data"]["k"] = "2"
    stored = client.update("cm", made)
    assert client.patch("ConfigMap", "c", {"data": {"l": "3"}})["data"] == {"k": "2", "l": "3"}
    assert [i["kind"] for i in client.list("configmaps", namespace="default")["items"]] == [
        "ConfigMap"
    ]
    with pytest.raises(Conflict):
        client.update("configmaps", stored)
    client.delete("configmaps", "c", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound, match=r"get configmaps default/c: 404 NotFound"):
        client.get("configmaps", "c")


def test_status_and_scale_are_their_own(gadgets):
    """Subresources change only their part."""
    gadgets.patch_status("gadgets", "a", {"status": {"size": 7}, "spec": {"size": 9}})
    assert gadgets.scale("gadgets", "a", 3)["spec"] == {"replicas": 3}
    assert gadgets.get_scale("gadgets", "a")["status"]["replicas"] == 7
    obj = gadgets.get("gadgets", "a")
    assert (obj["spec"]["size"], obj["status"]["size"]) == (3, 7)
    obj["status"]["size"] = 8
    assert gadgets.update_status("gadgets", obj)["status"]["size"] == 8


def test_a_dry_run_changes_nothing(gadgets):
    """Every write takes it."""
    before = gadgets.list("gadgets")["metadata"]["resourceVersion"]
    gadgets.create("gadgets", gadget("b"), dry_run=True)
    gadgets.patch("gadgets", "a", {"spec": {"size": 5}}, dry_run=True)
    gadgets.apply("gadgets", gadget("c"), dry_run=True)
    gadgets.delete("gadgets", "a", dry_run=True)
    gadgets.delete_collection("gadgets", dry_run=True)
    assert gadgets.list("gadgets")["metadata"]["resourceVersion"] == before
    assert [r.is_dry_run for r in gadgets.requests[-6:-1]] == [True] * 5


def test_server_side_apply_makes_and_keeps_owners(gadgets):
    """A second manager conflicts unless it forces."""
    gadgets.apply("gadgets", gadget("b", 1), field_manager="one")
    with pytest.raises(Conflict, match="conflict"):
        gadgets.apply("gadgets", gadget("b", 2), field_manager="two")
    assert gadgets.apply("gadgets", gadget("b", 2), field_manager="two", force=True)["spec"] == {
        "size": 2
    }


def test_a_refused_object_says_what_field_by_field(gadgets):
    """The server's causes are on the error."""
    with pytest.raises(Invalid, match=r"create gadgets\.example\.com default") as caught:
        gadgets.create("gadgets", gadget("b", -1))
    assert [cause["field"] for cause in caught.value.causes][:1] == ["spec.size"]
    with pytest.raises(AlreadyExists):
        gadgets.create("gadgets", gadget("a"))


WRITES = [
    lambda c: c.create("configmaps", {"metadata": {"name": "x"}}),
    lambda c: c.update("configmaps", {"metadata": {"name": "x"}}),
    lambda c: c.patch("configmaps", "x", {}),
    lambda c: c.patch_status("pods", "x", {}),
    lambda c: c.apply("configmaps", {"metadata": {"name": "x"}}),
    lambda c: c.scale("deployments", "x", 1),
    lambda c: c.delete("configmaps", "x"),
    lambda c: c.delete_collection("configmaps"),
    lambda c: c.apply_manifests(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    ),
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("allowed", [(), ["other"], False])
def test_nothing_is_written_without_leave(server, write, allowed):
    """S9: read-only until told otherwise; the error says how to be told."""
    client = client_of(server, allowed)
    client.list("configmaps")
    before = len(client.requests)
    with pytest.raises(ReadOnlyError, match=r"connect\(allow_writes=\['default'\]\)"):
        write(client)
    assert all(r.verb == "get" for r in client.requests[before:])


def test_a_dry_run_needs_no_leave_and_none_is_given_for_what_cannot_be_dry(server):
    """The server checks it and stores nothing; what it would pass on is refused."""
    client = client_of(server, ())
    made = client.create("configmaps", {"metadata": {"name": "x"}}, dry_run=True)
    assert made["metadata"]["name"] == "x"
    with pytest.raises(NotFound):
        client.get("configmaps", "x")
    with pytest.raises(ReadOnlyError, match="no server makes a dry run of proxy"):
        client.patch("pods", "x", {}, subresource="proxy", dry_run=True)
    assert client.requests[-1].verb == "get"


def test_leave_is_by_namespace_and_cluster_scope_needs_all(server):
    """allow_writes=[...] covers its namespaces and nothing of the cluster."""
    client = client_of(server, ["default"])
    client.create("configmaps", {"metadata": {"name": "x"}})
    with pytest.raises(ReadOnlyError, match="it is cluster-scoped"):
        client.create("namespaces", {"metadata": {"name": "n"}})
    client_of(server, "*").create("namespaces", {"metadata": {"name": "n"}})
    for wrong in (5, [""], [None]):
        with pytest.raises(ConfigError, match="allow_writes is a list"):
            client_of(server, wrong)


def test_only_reviews_of_kubernetes_own_groups_need_no_leave(server):
    """A resource of that name in another group stores what it is given."""
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    client = client_of(server, ())
    assert client.create("selfsubjectaccessreviews.authorization.k8s.io", review)["status"]
    assert client.create("selfsubjectreviews.authentication.k8s.io", {})["status"]
    crd = json.loads(json.dumps(CRD).replace("gadget", "selfsubjectreview"))
    crd["spec"]["names"] |= {"kind": "Fake", "listKind": "FakeList"}
    client_of(server, True).create("customresourcedefinitions", crd)
    with pytest.raises(ReadOnlyError, match="read-only"):
        client.create("selfsubjectreviews.example.com", {"metadata": {"name": "x"}})


def test_a_patch_is_of_the_kind_that_it_looks_like(gadgets):
    """A list is a JSON patch, a mapping a merge patch; a contradiction is an error."""
    operation = {"op": "replace", "path": "/spec/size", "value": 5}
    assert gadgets.patch("gadgets", "a", [operation])["spec"] == {"size": 5}
    assert gadgets.patch("gadgets", "a", (operation,))["spec"] == {"size": 5}
    assert gadgets.patch("gadgets", "a", {"spec": {"size": 6}})["spec"] == {"size": 6}
    for patch, patch_type, text in (
        ([operation], "merge", "a merge patch is a mapping, not a list"),
        ({"spec": {}}, "json", "a json patch is a list of operations, not a dict"),
        ("{}", None, "a patch is a mapping, or a list of JSON patch operations; not a str"),
        (None, None, "not a NoneType"),
    ):
        with pytest.raises(ConfigError, match=text):
            gadgets.patch("gadgets", "a", patch, patch_type=patch_type)


def test_numbers_and_names_of_frames_can_be_written(gadgets):
    """numpy's scalars in bodies, as replicas and as names; NaN is refused."""
    assert gadgets.scale("gadgets", np.str_("a"), np.float64(3))["spec"] == {"replicas": 3}
    name = Enum("Name", {"A": "a"}, type=str).A
    assert gadgets.get("gadgets", name)["spec"] == {"size": 3}
    assert len(gadgets.list("gadgets", limit=np.int64(1))["items"]) == 1
    before = len(gadgets.requests)
    for replicas in (float("nan"), np.float64("nan"), float("inf")):
        with pytest.raises(
            BodyRefused, match=r"^patch gadgets.*/scale default/a: \.spec\.replicas"
        ):
            gadgets.scale("gadgets", "a", replicas)
    labels = {"metadata": {"labels": {"a": float("nan")}}}
    with pytest.raises(BodyRefused, match=r"\.metadata\.labels\.a is NaN"):
        gadgets.patch("gadgets", "a", labels)
    for bad in (float("nan"), pd.NA, 5):
        with pytest.raises(ConfigError, match=r"a text|a name"):
            gadgets.get("gadgets", bad)
        with pytest.raises(ConfigError, match="a namespace is a text"):
            gadgets.get("gadgets", "a", namespace=bad)
        with pytest.raises(ConfigError, match="name is a text"):
            gadgets.create("gadgets", {"metadata": {"name": bad}})
        with pytest.raises(ConfigError, match="namespace is a text"):
            gadgets.create("gadgets", {"metadata": {"name": "x", "namespace": bad}})
    assert len(gadgets.requests) == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb", "/", None])
def test_a_name_that_is_a_path_is_refused(client, name):
    """S30: it would be another object's path."""
    with pytest.raises(ConfigError):
        client.delete("configmaps", name)
    with pytest.raises(ConfigError):
        client.get("configmaps", "x", namespace=name or "..")


def test_bad_arguments_are_named(client):
    """Typed errors, nothing sent."""
    cases = [
        (lambda: client.patch("cm", "x", {}, patch_type="smart"), "patch_type is one of"),
        (lambda: client.create("cm", 5), "an object is a mapping"),
        (lambda: client.create("cm", {"metadata": {"name": "x"}, "x": object()}), "no JSON form"),
        (
            lambda: client.create("cm", {"metadata": {"namespace": "a"}}, namespace="b"),
            "in namespace 'a'",
        ),
    ]
    for call, text in cases:
        with pytest.raises(ConfigError, match=text):
            call()
    with pytest.raises(UnknownResource):
        client.get("gizmos", "x")


def test_requests_are_traced_with_cause_and_actor(gadgets):
    """A write's record is found by the resourceVersion it made."""
    trace = gadgets.log._trace
    with caused_by((1,), "controller/x"):
        made = gadgets.create("gadgets", gadget("b"))
    seq = trace.write_seq("gadgets.example.com", made["metadata"]["resourceVersion"])
    record = trace.get(seq)
    assert (record.stage, record.kind, record.key, record.causes) == (
        "client",
        "request",
        "default/b",
        (1,),
    )
    names = ("verb", "method", "status", "actor", "namespace")
    facts = [record.data[name] for name in names]
    assert facts == ["create", "POST", 201, "controller/x", "default"]
    assert record.data["request_body"]["spec"] == {"size": 1}
    assert gadgets.requests[-1].seq == seq


def test_secrets_are_in_no_record_and_no_error(client):
    """S5, S37: neither what was sent, nor what came back, nor what was refused."""
    canary = "canary-8d21"
    client.create("secrets", {"metadata": {"name": "s"}, "stringData": {"k": canary}})
    assert client.get("secrets", "s")["data"]
    with pytest.raises(Invalid) as caught:
        client.create("secrets", {"metadata": {"name": "t"}, "data": {"!": "Y2Fu"}})
    client.patch("secrets", "s", {"stringData": {"l": canary}})
    kept = f"{client.log._trace.records()} {client.requests} {caught.value} {caught.value.details}"
    assert canary not in kept
    assert "Y2Fu" not in kept


def test_the_list_of_requests_is_bounded(client):
    """The newest 10,000."""
    assert client.log._records.maxlen == 10_000


def test_manifests_are_created_configured_and_left(client):
    """Definitions first, whatever their order; the kinds they define are known then."""
    source = [gadget("a"), CRD]
    assert [str(a) for a in client.apply_manifests(source)] == [
        "customresourcedefinitions.apiextensions.k8s.io gadgets.example.com created",
        "gadgets.example.com default/a created",
    ]
    assert {a.operation for a in client.apply_manifests(source)} == {"unchanged"}
    assert [a.operation for a in client.apply_manifests(gadget("a", 2))] == ["configured"]
    (applied,) = client.apply_manifests(gadget("a", 3))
    assert (applied.operation, applied.object["spec"]) == ("configured", {"size": 3})
    (named,) = client.apply_manifests(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}}
    )
    assert named.key.startswith("default/g-")


def test_nothing_is_sent_of_manifests_with_a_fault(client):
    """An unknown kind or a broken document stops all of them before the first."""
    good = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    for bad, error in ((gadget("a"), UnknownResource), ({"kind": "Pod"}, ManifestError)):
        with pytest.raises(error):
            client.apply_manifests([good, bad])
    assert client.list("configmaps")["items"] == []


def test_what_was_applied_before_a_failure_is_noted(client):
    """The error tells how far it came."""
    with pytest.raises(Invalid) as caught:
        client.apply_manifests([CRD, gadget("a"), gadget("b", -1)])
    assert "gadgets.example.com default/a created" in caught.value.__notes__[0]


def test_a_list_kind_of_its_own_is_checked_at_the_definition(gadgets):
    """An informer of a CRD with listKind works, empty or not."""
    lister = gadgets.lister_watcher("gadgets")
    assert [o.name for o in lister.list(ListOptions()).items] == ["a"]
    gadgets.delete("gadgets", "a")
    assert gadgets.lister_watcher("gadgets").list(ListOptions()).items == []


PODS = tuple(
    plain_rows({"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}, "", "v1", True)
)


class Throttled:
    """Says 429 a number of times."""

    def __init__(self, times, headers):
        self.left, self.headers = times, headers

    def request(self, method, path, **options):
        if path.startswith("/api/v1/") and self.left:
            self.left -= 1
            return Response(429, self.headers, b"{}")
        resources = [{"name": "pods", "kind": "Pod", "namespaced": True}]
        return Response(200, {}, json.dumps({"versions": ["v1"], "resources": resources}).encode())


def test_a_server_that_asks_for_patience_gets_it():
    """Faults 29, 30; P21: after the delay it names, at most ten times, each clamped to a minute."""
    waits = []
    for headers in ({"retry-after": "5"}, {"retry-after": "1e9"}, {"retry-after": "-4"}):
        client = DynamicClient(Throttled(1, headers), clock=FakeClock(), pause=waits.append)
        client.discovery._rows = PODS
        client.list("pods")
    assert waits == [5.0, 60.0, 0.0]
    client = DynamicClient(
        Throttled(99, {"retry-after": "1"}), clock=FakeClock(), pause=waits.append
    )
    client.discovery._rows = PODS
    with pytest.raises(TooManyRequests):
        client.list("pods")
    assert len(waits) == 13


def test_without_a_named_delay_nothing_is_tried_again():
    """The caller's own back-off decides."""
    client = DynamicClient(Throttled(1, {}), clock=FakeClock(), pause=lambda seconds: None)
    client.discovery._rows = PODS
    with pytest.raises(TooManyRequests):
        client.list("pods")


def test_a_conflict_is_tried_five_times():
    """Rule 67: 10 ms apart with a jitter of 0.1; other errors pass at once."""
    waits, calls = [], []

    def write(error):
        calls.append(1)
        raise error

    with pytest.raises(Conflict):
        retry_on_conflict(lambda: write(Conflict("c", code=409)), pause=waits.append)
    assert len(calls) == 5
    assert all(0.01 <= wait < 0.011 for wait in waits)
    with pytest.raises(ServerFailure):
        retry_on_conflict(lambda: write(ServerFailure("s", code=500)), pause=waits.append)
    assert len(calls) == 6
