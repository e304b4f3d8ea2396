"""The review kinds."""

import pytest
from support.api_server import Talk

from crlab.apiserver.request import Identity
from crlab.apiserver.server import ApiServer
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids

AUTHZ = "/apis/authorization.k8s.io/v1"
AUTHN = "/apis/authentication.k8s.io/v1"
ALICE = Identity("alice", ("dev", "system:authenticated"))


@pytest.fixture
def server():
    return ApiServer(FakeClock(), Ids(0), tokens={"A": ("alice", ["dev"])})


@pytest.fixture
def alice(server):
    return Talk(server, identity=ALICE)


@pytest.fixture
def admin(server):
    return Talk(server)


def allowed(talk, path, spec, **metadata):
    status, body = talk.send("POST", path, {"metadata": metadata, "spec": spec})
    assert status == 201, body
    return body["status"]["allowed"]


def test_may_i(alice, admin):
    """Resources and paths; a denial is still 201."""
    spec = {"resourceAttributes": {"namespace": "x", "verb": "list", "resource": "pods"}}
    assert allowed(alice, f"{AUTHZ}/selfsubjectaccessreviews", spec) is False
    assert allowed(admin, f"{AUTHZ}/selfsubjectaccessreviews", spec) is True
    spec = {"nonResourceAttributes": {"path": "/version", "verb": "get"}}
    assert allowed(alice, f"{AUTHZ}/selfsubjectaccessreviews", spec) is True


def test_may_they(admin):
    """With the reason, as the real server gives it."""
    spec = {"user": "bob", "groups": ["system:authenticated"]}
    spec["nonResourceAttributes"] = {"path": "/api", "verb": "get"}
    _, body = admin.send("POST", f"{AUTHZ}/subjectaccessreviews", {"spec": spec})
    assert body["status"]["allowed"] is True
    assert body["status"]["reason"] == (
        'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole '
        '"system:discovery" to Group "system:authenticated"'
    )


def test_may_they_here(admin):
    """The namespaces must agree."""
    path = f"{AUTHZ}/namespaces/default/localsubjectaccessreviews"
    attributes = {"namespace": "default", "verb": "get", "resource": "pods"}
    assert (
        allowed(admin, path, {"user": "bob", "resourceAttributes": attributes}, namespace="default")
        is False
    )
    other = {**attributes, "namespace": "x"}
    status, body = admin.send(
        "POST",
        path,
        {
            "metadata": {"namespace": "default"},
            "spec": {"user": "bob", "resourceAttributes": other},
        },
    )
    assert status == 422
    assert "must match metadata.namespace" in body["message"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        (
            {"resourceAttributes": {}, "nonResourceAttributes": {}},
            "cannot be specified in combination with resourceAttributes",
        ),
    ],
)
def test_a_question_must_be_one_question(admin, spec, text):
    """422 otherwise."""
    status, body = admin.send("POST", f"{AUTHZ}/selfsubjectaccessreviews", {"spec": spec})
    assert status == 422
    assert text in body["message"]


def test_a_question_about_nobody_is_422(admin):
    """User or groups."""
    status, body = admin.send(
        "POST", f"{AUTHZ}/subjectaccessreviews", {"spec": {"resourceAttributes": {}}}
    )
    assert status == 422
    assert "at least one of user or group must be specified" in body["message"]


def test_what_may_i(alice, admin):
    """Rules of roles, split into resources and paths."""
    path = f"{AUTHZ}/selfsubjectrulesreviews"
    _, body = alice.send("POST", path, {"spec": {"namespace": "default"}})
    status = body["status"]
    assert status["incomplete"] is False
    assert {
        "verbs": ["create"],
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
    } in status["resourceRules"]
    _, body = admin.send("POST", path, {"spec": {"namespace": "default"}})
    assert {"verbs": ["*"], "nonResourceURLs": ["*"]} in body["status"]["nonResourceRules"]
    assert admin.send("POST", path, {"spec": {}})[0] == 400


def test_whose_token(admin):
    """Known, unknown and none."""
    path = f"{AUTHN}/tokenreviews"
    _, body = admin.send("POST", path, {"spec": {"token": "A"}})
    assert body["status"]["authenticated"] is True
    assert body["status"]["user"]["username"] == "alice"
    _, body = admin.send("POST", path, {"spec": {"token": "x"}})
    assert "authenticated" not in body["status"]
    assert admin.send("POST", path, {"spec": {}})[0] == 400
