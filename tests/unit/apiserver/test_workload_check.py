"""What a server refuses in pods, services, leases and the kinds that make pods."""

from __future__ import annotations

from typing import Any

import pytest

from crlab.apiserver import ApiServer

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SECRETS = "/api/v1/namespaces/default/secrets"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
MERGE = "application/merge-patch+json"
C = {"name": "c", "image": "i"}


def causes(answer: tuple[int, dict[str, Any]]) -> list[str]:
    """Return "field: message" of every cause of a refusal."""
    status, body = answer
    assert status == 422, body
    return [f"{cause['field']}: {cause['message']}" for cause in body["details"]["causes"]]


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [C]}}
    selector = {"matchLabels": {"app": "w"}}
    return {"metadata": {"name": "w"}, "spec": {"selector": selector, "template": template} | spec}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "spec.containers: Required value"),
        ({"containers": [{"name": "c"}]}, "spec.containers[0].image: Required value"),
        ({"containers": [C, C]}, 'spec.containers[1].name: Duplicate value: "c"'),
        (
            {"containers": [C], "restartPolicy": "Maybe"},
            'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", '
            '"OnFailure", "Never"',
        ),
        (
            {"containers": [{**C, "ports": [{"containerPort": 70000}]}]},
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 "
            "and 65535, inclusive",
        ),
        (
            {"containers": [{**C, "ports": [{"protocol": "TCP"}]}]},
            "spec.containers[0].ports[0].containerPort: Required value",
        ),
    ],
)
def test_a_wrong_pod_is_refused(api_server: ApiServer, spec: Any, expected: str) -> None:
    """Item 78: field by field."""
    body = {"metadata": {"name": "p"}, "spec": spec}
    assert causes(api_server.request("POST", PODS, body)) == [expected]


def test_a_pods_containers_may_change_their_image_only(api_server: ApiServer) -> None:
    """The lesson of every pod controller: replace the pod, do not edit it."""
    body = {"metadata": {"name": "p"}, "spec": {"containers": [C]}}
    api_server.request("POST", PODS, body)
    path, strategic = f"{PODS}/p", "application/strategic-merge-patch+json"
    image = {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}
    assert api_server.request("PATCH", path, image, content_type=strategic)[0] == 200
    command = {"spec": {"containers": [{"name": "c", "command": ["x"]}]}}
    refused = causes(api_server.request("PATCH", path, command, content_type=strategic))
    assert refused[0].startswith("spec: Forbidden: pod updates may not change fields other than")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
def test_resources_decide_the_quality_class(
    api_server: ApiServer, resources: Any, expected: str
) -> None:
    """status.qosClass."""
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{**C, "resources": resources}]}}
    _, found = api_server.request("POST", PODS, body)
    assert found["status"]["qosClass"] == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["spec.ports: Required value"]),
        ({"clusterIP": "None"}, None),
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        ),
        (
            {"ports": [{"port": 0}]},
            ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            {"type": "X", "ports": [{"port": 1}]},
            [
                'spec.type: Unsupported value: "X": supported values: "ClusterIP", '
                '"ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
    ],
)
def test_a_wrong_service_is_refused(
    api_server: ApiServer, spec: Any, expected: list[str] | None
) -> None:
    """Its ports and its type."""
    answer = api_server.request("POST", SERVICES, {"metadata": {"name": "s"}, "spec": spec})
    if expected is None:
        assert answer[0] == 201
    else:
        assert causes(answer) == expected


def test_a_service_keeps_its_address(api_server: ApiServer) -> None:
    """Given at creation, kept by an update that does not name it; owned by nobody."""
    body = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    _, made = api_server.request("POST", SERVICES, body)
    assert made["spec"]["clusterIP"].startswith("10.")
    assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]]
    assert 30000 <= made["spec"]["ports"][0]["nodePort"] < 32768
    owned = made["metadata"]["managedFields"][0]["fieldsV1"]
    assert "f:clusterIP" not in owned["f:spec"]
    assert "f:status" not in owned
    _, put = api_server.request("PUT", f"{SERVICES}/s", body)
    assert put["spec"] == made["spec"]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("kubernetes.io/tls", ["tls.crt", "tls.key"]),
        ("kubernetes.io/dockerconfigjson", [".dockerconfigjson"]),
        ("kubernetes.io/basic-auth", ["username", "password"]),
        ("kubernetes.io/ssh-auth", ["ssh-privatekey"]),
    ],
)
def test_a_secret_has_the_keys_of_its_type(
    api_server: ApiServer, kind: str, keys: list[str]
) -> None:
    """One cause for each that is missing."""
    answer = api_server.request("POST", SECRETS, {"metadata": {"name": "s"}, "type": kind})
    assert causes(answer) == [f"data[{key}]: Required value" for key in keys]


@pytest.mark.parametrize(("plural", "field"), [("configmaps", "[]"), ("secrets", "data")])
def test_data_has_a_limit(api_server: ApiServer, plural: str, field: str) -> None:
    """One MiB, whatever it is that is kept."""
    value = "eHh4" * (349_526 if plural == "secrets" else 262_145)
    body = {"metadata": {"name": "a"}, "data": {"x": value}}
    answer = api_server.request("POST", f"/api/v1/namespaces/default/{plural}", body)
    assert causes(answer) == [f"{field}: Too long: may not be more than 1048576 bytes"]


def test_null_in_a_config_map_is_an_empty_text(api_server: ApiServer) -> None:
    """As Go decodes a map of strings."""
    body = {"metadata": {"name": "a"}, "data": {"x": None}}
    status, found = api_server.request("POST", "/api/v1/namespaces/default/configmaps", body)
    assert (status, found["data"]) == (201, {"x": ""})


def test_a_lease_lasts_a_while(api_server: ApiServer) -> None:
    """Its numbers have floors."""
    spec = {"leaseDurationSeconds": 0, "leaseTransitions": -1}
    answer = api_server.request("POST", LEASES, {"metadata": {"name": "l"}, "spec": spec})
    assert causes(answer) == [
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"selector": None},
            [
                "spec.selector: Required value",
                'spec.template.metadata.labels: Invalid value: {"app":"w"}: `selector` does not '
                "match template `labels`",
            ],
        ),
        (
            {"selector": {}},
            ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
        ),
        (
            {"replicas": -1},
            ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"w"}: `selector` does not '
                "match template `labels`"
            ],
        ),
    ],
)
def test_a_wrong_deployment_is_refused(
    api_server: ApiServer, spec: Any, expected: list[str]
) -> None:
    """Selector, template and replicas."""
    assert causes(api_server.request("POST", DEPLOYMENTS, deployment(**spec))) == expected


def test_nobody_scales_below_zero(api_server: ApiServer) -> None:
    """The Scale is what is invalid then."""
    api_server.request("POST", DEPLOYMENTS, deployment())
    body = {"spec": {"replicas": -3}}
    answer = api_server.request("PATCH", f"{DEPLOYMENTS}/w/scale", body, content_type=MERGE)
    fault = "spec.replicas: Invalid value: -3: must be greater than or equal to 0"
    assert answer[1]["message"] == f'Scale.autoscaling "w" is invalid: {fault}'


def test_a_job_ends(api_server: ApiServer) -> None:
    """Its pods are not restarted for ever."""
    body = {"metadata": {"name": "j"}, "spec": {"template": {"spec": {"containers": [C]}}}}
    assert causes(api_server.request("POST", JOBS, body)) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Always": supported values: '
        '"OnFailure", "Never"'
    ]


def test_the_creator_owns_what_it_wrote(api_server: ApiServer) -> None:
    """Defaults included; status and what the server adds are not."""
    _, pod = api_server.request(
        "POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": [C]}}
    )
    owned = pod["metadata"]["managedFields"][0]["fieldsV1"]
    assert set(owned) == {"f:spec"}
    assert "f:priority" not in owned["f:spec"]
    _, space = api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    assert set(space["metadata"]["managedFields"][0]["fieldsV1"]) == {"f:metadata"}
