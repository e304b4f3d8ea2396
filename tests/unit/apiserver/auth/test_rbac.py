"""RBAC over stored roles and bindings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.api_server import CONFIG_MAPS, Talk

from crlab.apiserver.auth.rbac_authorizer import Action, covers
from crlab.apiserver.request import Identity
from crlab.apiserver.server import ApiServer
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids

BASE = "/apis/rbac.authorization.k8s.io/v1"
ALICE = Identity("alice", ("dev", "system:authenticated"))
REF = {"apiGroup": "rbac.authorization.k8s.io"}


@pytest.fixture
def server():
    return ApiServer(FakeClock(), Ids(0))


@pytest.fixture
def alice(server):
    return Talk(server, identity=ALICE)


def rule(resources, verbs, groups=("",), **more):
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs), **more}


def role(server, name, *rules, namespace="", **more):
    place = f"{BASE}/namespaces/{namespace}/roles" if namespace else f"{BASE}/clusterroles"
    body = {"metadata": {"name": name, **more.pop("metadata", {})}, "rules": list(rules), **more}
    assert server.request("POST", place, body)[0] == 201


def bind(server, name, role_kind, subject, namespace=""):
    place = (
        f"{BASE}/namespaces/{namespace}/rolebindings"
        if namespace
        else f"{BASE}/clusterrolebindings"
    )
    body = {
        "metadata": {"name": f"b-{name}"},
        "subjects": [{**subject, **REF}],
        "roleRef": {"kind": role_kind, "name": name, **REF},
    }
    assert server.request("POST", place, body)[0] == 201


USER = {"kind": "User", "name": "alice"}


def test_nothing_is_allowed_without_a_binding(alice):
    """The 403 names user, verb, resource and place."""
    status, body = alice.send("GET", f"{CONFIG_MAPS}/a")
    assert status == 403
    assert body["message"] == (
        'configmaps "a" is forbidden: User "alice" cannot get resource "configmaps" in API '
        'group "" in the namespace "default"'
    )
    assert body["details"] == {"name": "a", "kind": "configmaps"}


def test_a_role_binding_reaches_as_far_as_its_namespace(server, alice):
    """And counts from the next request on."""
    role(server, "r", rule(["configmaps"], ["list"]), namespace="default")
    bind(server, "r", "Role", USER, "default")
    assert alice.send("GET", CONFIG_MAPS)[0] == 200
    assert alice.send("GET", "/api/v1/namespaces/kube-system/configmaps")[0] == 403
    assert alice.send("GET", "/api/v1/configmaps")[0] == 403


def test_a_cluster_role_bound_in_a_namespace_stays_there(server, alice):
    """By group, too."""
    role(server, "c", rule(["configmaps"], ["*"]))
    bind(server, "c", "ClusterRole", {"kind": "Group", "name": "dev"}, "default")
    assert alice.create("a")[0] == 201
    assert alice.send("GET", "/api/v1/configmaps")[0] == 403


def test_removing_the_binding_takes_the_right_away(server, alice):
    """At once."""
    role(server, "c", rule(["configmaps"], ["list"]))
    bind(server, "c", "ClusterRole", USER)
    assert alice.send("GET", CONFIG_MAPS)[0] == 200
    server.request("DELETE", f"{BASE}/clusterrolebindings/b-c")
    assert alice.send("GET", CONFIG_MAPS)[0] == 403


def test_a_default_role_can_be_bound(server, alice):
    """view reads, and does not read secrets."""
    bind(server, "view", "ClusterRole", USER)
    assert alice.send("GET", CONFIG_MAPS)[0] == 200
    assert alice.send("GET", "/api/v1/namespaces/default/secrets")[0] == 403
    assert alice.create("a")[0] == 403


def test_an_aggregated_role_has_the_rules_of_the_others(server, alice):
    """By label, also of roles that come later."""
    selector = {"clusterRoleSelectors": [{"matchLabels": {"to": "sum"}}]}
    role(server, "sum", aggregationRule=selector)
    bind(server, "sum", "ClusterRole", USER)
    assert alice.send("GET", CONFIG_MAPS)[0] == 403
    role(server, "part", rule(["configmaps"], ["list"]), metadata={"labels": {"to": "sum"}})
    assert alice.send("GET", CONFIG_MAPS)[0] == 200


@pytest.mark.parametrize(
    ("given", "action", "allowed"),
    [
        (rule(["pods"], ["get"]), Action("get", "", "pods"), True),
        (rule(["pods"], ["get"]), Action("get", "", "pods", "log"), False),
        (rule(["pods/log"], ["get"]), Action("get", "", "pods", "log"), True),
        (rule(["*/status"], ["*"], ["*"]), Action("patch", "apps", "deployments", "status"), True),
        (rule(["*/status"], ["*"], ["*"]), Action("patch", "apps", "deployments"), False),
        (rule(["*"], ["get"]), Action("get", "apps", "deployments"), False),
        (rule(["*"], ["get"]), Action("get", "", "pods", "log"), True),
        (rule(["pods"], ["get"], resourceNames=["a"]), Action("get", "", "pods", name="a"), True),
        (rule(["pods"], ["get"], resourceNames=["a"]), Action("get", "", "pods", name="b"), False),
        (rule(["pods"], ["list"], resourceNames=["a"]), Action("list", "", "pods"), False),
        ({"nonResourceURLs": ["/a/*"], "verbs": ["get"]}, Action("get", path="/a/b"), True),
        ({"nonResourceURLs": ["/a/*"], "verbs": ["get"]}, Action("get", path="/a"), False),
        ({"nonResourceURLs": ["/a"], "verbs": ["get"]}, Action("get", "", "a"), False),
        (rule(["*"], ["*"], ["*"]), Action("get", path="/a"), False),
        ({}, Action("get", "", "pods"), False),
    ],
)
def test_a_rule_covers_what_kubernetes_says(given, action, allowed):
    """Wildcards, subresources, names and paths."""
    assert covers(given, action) is allowed


def test_escalation_is_refused(server, alice):
    """Roles and bindings cannot give what their writer lacks."""
    own = rule(["roles", "rolebindings"], ["create"], ["rbac.authorization.k8s.io"])
    role(server, "keeper", own, rule(["configmaps"], ["get", "list"]), namespace="default")
    bind_only = {"metadata": {"name": "b"}, "subjects": [{**USER, **REF}]}
    bind(server, "keeper", "Role", USER, "default")
    roles = f"{BASE}/namespaces/default/roles"
    fine = {"metadata": {"name": "fine"}, "rules": [rule(["configmaps"], ["get"])]}
    assert alice.send("POST", roles, {"metadata": {"name": "own"}, "rules": [own]})[0] == 201
    assert alice.send("POST", roles, fine)[0] == 201
    greedy = {"metadata": {"name": "greedy"}, "rules": [rule(["secrets"], ["get", "list"])]}
    status, body = alice.send("POST", roles, greedy)
    assert status == 403
    assert body["message"].endswith(
        'user "alice" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC '
        "permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    bindings = f"{BASE}/namespaces/default/rolebindings"
    admin = {**bind_only, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", **REF}}
    assert alice.send("POST", bindings, admin)[0] == 403


def test_bind_and_escalate_are_ways_around(server, alice):
    """Whoever may do that is trusted."""
    group = ["rbac.authorization.k8s.io"]
    role(
        server,
        "giver",
        rule(["rolebindings"], ["create"], group),
        rule(["clusterroles"], ["bind"], group),
    )
    bind(server, "giver", "ClusterRole", USER)
    body = {
        "metadata": {"name": "b"},
        "subjects": [{**USER, **REF}],
        "roleRef": {"kind": "ClusterRole", "name": "edit", **REF},
    }
    assert alice.send("POST", f"{BASE}/namespaces/default/rolebindings", body)[0] == 201


def test_a_role_ref_never_changes(server):
    """422, also for the administrator."""
    bind(server, "view", "ClusterRole", USER)
    _, binding = server.request("GET", f"{BASE}/clusterrolebindings/b-view")
    binding["roleRef"]["name"] = "edit"
    status, body = Talk(server).send("PUT", f"{BASE}/clusterrolebindings/b-view", binding)
    assert status == 422
    assert "cannot change roleRef" in body["message"]


words = st.sampled_from(["a", "b", "*"])
rules = st.fixed_dictionaries(
    {
        "verbs": st.lists(words, max_size=2),
        "apiGroups": st.lists(words, max_size=2),
        "resources": st.lists(st.sampled_from(["a", "b", "*", "a/b", "*/b"]), max_size=2),
    },
    optional={"resourceNames": st.lists(st.sampled_from(["a", "b"]), max_size=2)},
)
actions = st.builds(
    Action,
    st.sampled_from("ab"),
    st.sampled_from("ab"),
    st.sampled_from("ab"),
    st.sampled_from(["", "b"]),
    name=st.sampled_from(["", "a"]),
)


@given(rules, actions)
def test_more_words_never_allow_less(one, action):
    """Adding a wildcard to every list keeps what was allowed."""
    if covers(one, action):
        names = {"resourceNames": []} if "resourceNames" in one else {}
        wide = {key: [*listed, "*"] for key, listed in one.items() if key != "resourceNames"}
        assert covers({**wide, **names}, action)


def test_a_watch_of_one_name_needs_the_right_to_that_name(server, alice):
    """As kubectl get -w does it: by field selector."""
    role(server, "one", rule(["configmaps"], ["list", "watch"], resourceNames=["a"]))
    bind(server, "one", "ClusterRole", USER)
    assert alice.send("GET", CONFIG_MAPS, query={"fieldSelector": "metadata.name=a"})[0] == 200
    status, body = alice.send("GET", CONFIG_MAPS, query={"fieldSelector": "metadata.name=b"})
    assert status == 403
    assert body["message"].startswith('configmaps "b" is forbidden')
    assert alice.send("GET", CONFIG_MAPS)[0] == 403
    assert alice.watch(fieldSelector="metadata.name=a").status == 200


@pytest.mark.parametrize(
    ("plural", "body", "text"),
    [
        ("clusterroles", {"rules": [None]}, "rules[0].verbs: Required value: verbs must contain"),
        ("clusterroles", {"rules": [rule(["pods"], [])]}, "rules[0].verbs: Required value"),
        ("clusterroles", {"rules": [{"verbs": ["get"]}]}, "must supply at least one resource"),
        (
            "namespaces/default/roles",
            {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]},
            "namespaced rules cannot apply to non-resource URLs",
        ),
        (
            "clusterrolebindings",
            {"roleRef": {"kind": "Role", "name": "x"}},
            'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        ),
        (
            "clusterrolebindings",
            {"roleRef": {"kind": "ClusterRole"}, "subjects": [None]},
            "roleRef.name: Required value",
        ),
    ],
)
def test_a_malformed_role_or_binding_is_422(server, plural, body, text):
    """With the cause named."""
    sent = {"metadata": {"name": "x"}, **body}
    status, answer = Talk(server).send("POST", f"{BASE}/{plural}", sent)
    assert status == 422
    assert text in answer["message"]


def test_null_entries_grant_nothing_and_break_nothing(server, alice):
    """A stored oddity must not take authorization down."""
    selector = {"clusterRoleSelectors": [None]}
    role(server, "odd", aggregationRule=selector)
    bind(server, "odd", "ClusterRole", USER)
    assert alice.send("GET", CONFIG_MAPS)[0] == 403
