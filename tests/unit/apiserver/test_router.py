"""Which verb answers what; subresources that are more than a view of the object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.server import CRDS, MERGE, crd

from crlab.apiserver import ApiServer, Request, Response, WatchResponse

PODS = "/api/v1/namespaces/default/pods"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def reason(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, body.get("reason", "") if isinstance(body, dict) else body


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("POST", "/api/v1/configmaps", (405, "MethodNotAllowed")),
        ("DELETE", "/api/v1/configmaps", (405, "MethodNotAllowed")),
        ("GET", "/api/v1/configmaps/a", (404, "NotFound")),
        ("GET", "/api/v1/namespaces/default/nodes", (404, "NotFound")),
        ("PATCH", "/api/v1/namespaces/default/configmaps", (405, "MethodNotAllowed")),
        ("DELETE", "/api/v1/namespaces", (405, "MethodNotAllowed")),
        ("GET", "/apis/nope.example.com/v1/things", (404, "404 page not found\n")),
    ],
)
def test_a_path_that_does_not_fit_is_refused(
    api_server: ApiServer, method: str, path: str, wanted: tuple[int, str]
) -> None:
    """By scope, by method, by group."""
    assert reason(api_server.request(method, path, {} if method != "GET" else None)) == wanted


def test_an_eviction_deletes_the_pod(api_server: ApiServer) -> None:
    """As `kubectl drain` asks for it."""
    api_server.request("POST", PODS, POD)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert api_server.request("POST", f"{PODS}/p/eviction", eviction)[0] == 201
    assert api_server.request("GET", f"{PODS}/p")[0] == 404


def test_a_binding_schedules_the_pod_once(api_server: ApiServer) -> None:
    """A second scheduler is told that it is late."""
    api_server.request("POST", PODS, POD)
    binding = {"target": {"kind": "Node", "name": "n1"}}
    assert api_server.request("POST", f"{PODS}/p/binding", binding)[0] == 201
    assert api_server.request("GET", f"{PODS}/p")[1]["spec"]["nodeName"] == "n1"
    assert reason(api_server.request("POST", f"{PODS}/p/binding", binding)) == (409, "Conflict")


def test_subresources_belong_to_a_version(api_server: ApiServer) -> None:
    """A version without status drops nothing and has no /status; its sibling does."""
    definition = crd("gauges")
    for version in definition["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]["properties"]
        schema["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        if version["name"] == "v1":
            version["subresources"] = {"status": {}}
    assert api_server.request("POST", CRDS, definition)[0] == 201
    root = "/apis/demo.crlab.dev"
    names = {
        version: {
            row["name"] for row in api_server.request("GET", f"{root}/{version}")[1]["resources"]
        }
        for version in ("v1", "v1beta1")
    }
    assert names == {"v1": {"gauges", "gauges/status"}, "v1beta1": {"gauges"}}
    body = {"kind": "Gauge", "metadata": {"name": "g"}, "status": {"seen": True}}
    old = f"{root}/v1beta1/namespaces/default/gauges"
    created = api_server.request("POST", old, {"apiVersion": "demo.crlab.dev/v1beta1", **body})
    assert created[1]["status"] == {"seen": True}
    change = {"status": {"seen": False}}
    assert api_server.request("PATCH", f"{old}/g/status", change, content_type=MERGE)[0] == 404
    new = f"{root}/v1/namespaces/default/gauges/g"
    kept = api_server.request("PATCH", new, change, content_type=MERGE)
    assert kept[1]["status"] == {"seen": True}


@pytest.mark.parametrize(
    ("text", "is_watch"),
    [("1", True), ("true", True), ("TRUE", True), ("yes", True), ("", True), ("0", False)],
)
def test_a_flag_is_true_unless_it_says_no(api_server: ApiServer, text: str, is_watch: bool) -> None:
    """As Go reads flags: `?watch` and `?watch=yes` watch."""
    query = (("watch", text), ("timeoutSeconds", "1"))
    answer = api_server.handle(Request("GET", "/api/v1/configmaps", query))
    assert isinstance(answer, WatchResponse) == is_watch


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"continue": "x"}, ["Forbidden"]),
        ({"resourceVersionMatch": "NotOlderThan"}, ["Forbidden"]),
        ({"resourceVersionMatch": "Exact"}, ["Forbidden", "NotSupported"]),
        ({"sendInitialEvents": "true"}, ["Forbidden"]),
    ],
)
def test_a_watch_refuses_what_only_a_list_can_do(
    api_server: ApiServer, query: dict[str, str], fields: list[str]
) -> None:
    """Each with its cause."""
    pairs = (("watch", "1"), *query.items())
    answer = api_server.handle(Request("GET", "/api/v1/configmaps", pairs))
    assert isinstance(answer, Response)
    causes = json.loads(answer.body)["details"]["causes"]
    assert [cause["reason"].removeprefix("FieldValue") for cause in causes] == fields
