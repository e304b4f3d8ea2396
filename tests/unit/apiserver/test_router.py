"""Which verb answers what; subresources that are more than a view of the object."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support.server import CRDS, MERGE, crd

from crlab.apiserver import ApiServer, HttpRequest, HttpResponse, WatchResponse

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


@pytest.mark.parametrize("how", ["query", "body", "both"])
def test_a_dry_run_of_an_eviction_leaves_the_pod(api_server: ApiServer, how: str) -> None:
    """As `kubectl drain --dry-run=server` asks for it, and as everybody else does."""
    api_server.request("POST", PODS, POD)
    eviction: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction"}
    if how != "query":
        eviction["deleteOptions"] = {"dryRun": ["All"]}
    query = (("dryRun", "All"),) if how != "body" else ()
    revision = api_server.storage.revision
    assert api_server.request("POST", f"{PODS}/p/eviction", eviction, query=query)[0] == 201
    assert api_server.storage.revision == revision
    assert api_server.request("GET", f"{PODS}/p")[0] == 200


def test_an_eviction_follows_its_delete_options(api_server: ApiServer) -> None:
    """Preconditions hold; options that are none are refused."""
    api_server.request("POST", PODS, POD)
    path = f"{PODS}/p/eviction"
    wrong = {"deleteOptions": {"preconditions": {"uid": "other"}}}
    assert reason(api_server.request("POST", path, wrong)) == (409, "Conflict")
    assert reason(api_server.request("POST", path, {"deleteOptions": "x"})) == (400, "BadRequest")
    assert reason(api_server.request("POST", path, {"deleteOptions": {"dryRun": ["No"]}})) == (
        422,
        "Invalid",
    )
    bad = (("dryRun", "No"),)
    assert reason(api_server.request("POST", path, {}, query=bad)) == (422, "Invalid")
    assert api_server.request("GET", f"{PODS}/p")[0] == 200


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
HELD = {"metadata": {"name": "held", "finalizers": ["a.dev/b"]}}
CM = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}}
NEW = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
POD_TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": POD_TEMPLATE},
}
WRITES: list[tuple[str, str, Any, str]] = [
    ("POST", CONFIG_MAPS, {"metadata": {"name": "b"}}, ""),
    ("POST", CONFIG_MAPS, {"metadata": {"generateName": "b-"}}, ""),
    ("PUT", f"{CONFIG_MAPS}/a", CM, ""),
    ("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "2"}}, MERGE),
    ("PATCH", f"{CONFIG_MAPS}/a", [{"op": "add", "path": "/data", "value": {}}], JSON_PATCH),
    ("PATCH", f"{CONFIG_MAPS}/a", CM | {"data": {"y": "1"}}, APPLY),
    ("PATCH", f"{CONFIG_MAPS}/new", NEW, APPLY),
    ("PATCH", f"{CONFIG_MAPS}/held", {"metadata": {"finalizers": None}}, MERGE),
    ("DELETE", f"{CONFIG_MAPS}/a", None, ""),
    ("DELETE", f"{CONFIG_MAPS}/a", {"dryRun": ["All"]}, ""),
    ("DELETE", f"{CONFIG_MAPS}/held", None, ""),
    ("DELETE", CONFIG_MAPS, None, ""),
    ("DELETE", f"{PODS}/p", None, ""),
    ("PATCH", f"{PODS}/p/status", {"status": {"phase": "Running"}}, MERGE),
    ("POST", f"{PODS}/p/eviction", {"kind": "Eviction"}, ""),
    ("POST", f"{PODS}/p/binding", {"target": {"name": "n1"}}, ""),
    ("PUT", f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": 3}}, ""),
    ("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}, MERGE),
    ("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": "Foreground", "dryRun": ["All"]}, ""),
    ("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}}, ""),
    ("DELETE", "/api/v1/namespaces/spare", None, ""),
    ("PUT", "/api/v1/namespaces/going/finalize", {"metadata": {"name": "going"}}, ""),
    ("POST", CRDS, crd("notes"), ""),
    ("DELETE", f"{CRDS}/gauges.g.dev", None, ""),
    ("PATCH", f"{CRDS}/gauges.g.dev", {"spec": {"names": {"shortNames": ["gg"]}}}, MERGE),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type"), WRITES, ids=lambda value: str(value)[-40:]
)
def test_a_dry_run_changes_nothing(
    api_server: ApiServer, method: str, path: str, body: Any, content_type: str
) -> None:
    """By no verb: no commit, and every object is what it was; without it, each is a write."""
    for place, obj in (
        (CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}}),
        (CONFIG_MAPS, HELD),
        (PODS, POD),
        (DEPLOYMENTS, DEPLOYMENT),
        ("/api/v1/namespaces", {"metadata": {"name": "spare"}}),
        ("/api/v1/namespaces", {"metadata": {"name": "going"}}),
        (CRDS, crd("gauges", "g.dev")),
    ):
        status, answer = api_server.request("POST", place, obj)
        assert status == 201, answer
    api_server.request("DELETE", f"{CONFIG_MAPS}/held" if "held" in path else f"{PODS}/none")
    api_server.request("DELETE", "/api/v1/namespaces/going")
    revision, objects = api_server.storage.revision, list(api_server.objects())
    asks = [("fieldManager", "t"), *([("dryRun", "All")] if "dryRun" not in str(body) else [])]
    options = {"content_type": content_type or "application/json"}
    status, answer = api_server.request(method, path, body, query=asks, **options)
    assert 200 <= status < 300, answer
    assert api_server.storage.revision == revision
    assert list(api_server.objects()) == objects
    real = {k: v for k, v in body.items() if k != "dryRun"} if isinstance(body, dict) else body
    status, answer = api_server.request(
        method, path, real or None, query=[("fieldManager", "t")], **options
    )
    assert 200 <= status < 300, answer
    if method != "DELETE" or "held" not in path:
        assert api_server.storage.revision > revision


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
    answer = api_server.handle(HttpRequest("GET", "/api/v1/configmaps", query))
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
    answer = api_server.handle(HttpRequest("GET", "/api/v1/configmaps", pairs))
    assert isinstance(answer, HttpResponse)
    causes = json.loads(answer.body)["details"]["causes"]
    assert [cause["reason"].removeprefix("FieldValue") for cause in causes] == fields


@pytest.mark.parametrize(
    ("name", "text", "status", "why"),
    [
        ("limit", "9223372036854775808", 400, "value out of range"),
        ("limit", "9" * 5000, 400, "value out of range"),
        ("limit", "\uff11", 400, "invalid syntax"),
        ("resourceVersion", "9" * 5000, 400, "value out of range"),
        ("resourceVersion", "\uff11", 400, "invalid syntax"),
    ],
)
def test_a_query_number_is_read_as_go_reads_it(
    api_server: ApiServer, name: str, text: str, status: int, why: str
) -> None:
    """64 bits, and the digits of ASCII."""
    code, body = api_server.request("GET", PODS, query=[(name, text)])
    assert (code, why in body["message"]) == (status, True), body


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"kind": "Node"}, "target.name: Required value"),
        (
            {"kind": "Pod"},
            '[target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", '
            "target.name: Required value]",
        ),
    ],
)
def test_a_pod_is_bound_to_a_node_only(
    api_server: ApiServer, target: dict[str, str], why: str
) -> None:
    """Anything else is 500, without a reason."""
    api_server.request("POST", PODS, POD)
    status, body = api_server.request("POST", f"{PODS}/p/binding", {"target": target})
    assert (status, body["message"], body.get("reason")) == (500, why, None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metadata": {"finalizers": ["a.dev/x"]}}, "is being deleted"),
        ({"spec": {"schedulingGates": [{"name": "a"}]}}, "has non-empty .spec.schedulingGates"),
    ],
)
def test_a_pod_that_is_not_to_run_is_not_bound(
    api_server: ApiServer, change: dict[str, Any], why: str
) -> None:
    """While it is deleted, or before its gates are open."""
    pod = {key: {**POD[key], **change.get(key, {})} for key in POD}
    api_server.request("POST", PODS, pod)
    if "metadata" in change:
        api_server.request("DELETE", f"{PODS}/p")
    status, body = api_server.request("POST", f"{PODS}/p/binding", {"target": {"name": "n1"}})
    assert (status, why in body["message"]) == (409, True), body


def test_a_binding_leaves_one_condition_and_the_generation(api_server: ApiServer) -> None:
    """As a real server: below the strategy of updates, a condition of a type stands once."""
    api_server.request("POST", PODS, POD)
    waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    api_server.request(
        "PATCH", f"{PODS}/p/status", {"status": {"conditions": [waiting]}}, content_type=MERGE
    )
    body = {"metadata": {"annotations": {"a": "1"}}, "target": {"name": "n1"}}
    assert api_server.request("POST", f"{PODS}/p/binding", body)[0] == 201
    _, pod = api_server.request("GET", f"{PODS}/p")
    (condition,) = pod["status"]["conditions"]
    assert (condition["status"], condition["lastProbeTime"], "reason" in condition) == (
        "True",
        None,
        False,
    )
    assert pod["metadata"]["generation"] == 1
    assert pod["metadata"]["annotations"] == {"a": "1"}


def raw(server: ApiServer, method: str, path: str, body: str, *query: tuple[str, str]) -> Any:
    """Send bytes that no client of ours would."""
    headers = {"content-type": "application/json"}
    answer = server.handle(HttpRequest(method, path, query, headers, body.encode()))
    assert isinstance(answer, HttpResponse)
    return answer.status, json.loads(answer.body)


def test_a_grace_period_beyond_all_years_is_served(api_server: ApiServer) -> None:
    """An int64 of seconds from now has no date; the last one there is stands for it."""
    pod = {**POD, "spec": {**POD["spec"], "nodeName": "n1"}}
    api_server.request("POST", PODS, pod)
    query = [("gracePeriodSeconds", str(2**63 - 1))]
    status, body = api_server.request("DELETE", f"{PODS}/p", query=query)
    assert (status, body["metadata"]["deletionTimestamp"]) == (200, "9999-12-31T23:59:59Z")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ('{"gracePeriodSeconds": "x"}', "string into Go struct field DeleteOptions.gracePeriod"),
        ('{"gracePeriodSeconds": 1.5}', "number 1.5 into Go struct field"),
        ('{"gracePeriodSeconds": 9223372036854775808}', "number 9223372036854775808 into"),
        ('{"preconditions": [1]}', "array into Go struct field DeleteOptions.preconditions"),
        ('{"dryRun": 5}', "number into Go struct field DeleteOptions.dryRun"),
    ],
)
def test_delete_options_of_a_wrong_type_are_refused(
    api_server: ApiServer, options: str, why: str
) -> None:
    """400 with Go's words, and nothing is deleted."""
    api_server.request("POST", PODS, POD)
    status, body = raw(api_server, "DELETE", f"{PODS}/p", options)
    assert (status, why in body["message"]) == (400, True), body
    assert api_server.request("GET", f"{PODS}/p")[0] == 200


@pytest.mark.parametrize("revision", ["Infinity", "9" * 5000, "NaN", '"x"'])
def test_a_forged_continue_token_is_refused(api_server: ApiServer, revision: str) -> None:
    """400, whatever number it claims."""
    token = f'{{"v": "meta.k8s.io/v1", "rv": {revision}, "start": "a"}}'
    forged = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    status, body = api_server.request("GET", PODS, query=[("continue", forged), ("limit", "1")])
    assert (status, body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("index", ["1_0", " 0", "\uff10", "9" * 5000])
def test_an_index_of_a_json_patch_is_read_as_go_reads_it(api_server: ApiServer, index: str) -> None:
    """Digits of ASCII, nothing around or between them."""
    api_server.request("POST", PODS, POD)
    patch = [{"op": "replace", "path": f"/spec/containers/{index}/image", "value": "x"}]
    kind = "application/json-patch+json"
    assert api_server.request("PATCH", f"{PODS}/p", patch, content_type=kind)[0] == 422


def test_a_number_beyond_its_go_type_is_refused(api_server: ApiServer) -> None:
    """An int32 stays one."""
    body = '{"metadata": {"name": "q"}, "spec": {"priority": 2147483648, "containers": []}}'
    status, answer = raw(api_server, "POST", PODS, body)
    assert status == 400
    assert "number 2147483648 into Go struct field Pod.spec.priority of type int32" in str(
        answer["message"]
    )


def test_a_revision_of_other_digits_never_reaches_a_fault(api_server: ApiServer) -> None:
    """A superscript two is a digit for Python only."""
    api_server.faults.watch_window("pods", events=1)
    query = (("watch", "1"), ("resourceVersion", "\u00b2"))
    status, body = raw(api_server, "GET", PODS, "", *query)
    assert (status, "invalid syntax" in body["message"]) == (500, True)
