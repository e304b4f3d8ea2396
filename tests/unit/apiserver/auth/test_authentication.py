"""Tokens and impersonation."""

import pytest
from support.api_server import CONFIG_MAPS, Talk

from crlab.apiserver.auth.authentication import Authenticator
from crlab.apiserver.server import ApiServer
from crlab.errors import ConfigError
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids

TOKENS = {"T": ("admin", ["system:masters"]), "A": ("alice", ["dev"])}
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
def talk():
    return Talk(ApiServer(FakeClock(), Ids(0), tokens=TOKENS), identity=None)


def bearer(token, **headers):
    return {
        "authorization": f"Bearer {token}",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }


def whoami(talk, **headers):
    status, body = talk.send("POST", WHOAMI, {}, headers=headers)
    return body["status"]["userInfo"] if status == 201 else status


def test_a_token_is_a_user_and_a_wrong_one_is_401(talk):
    """The 401 has no details."""
    assert whoami(talk, **bearer("A")) == {
        "username": "alice",
        "groups": ["dev", "system:authenticated"],
    }
    status, body = talk.send("GET", CONFIG_MAPS, headers=bearer("wrong"))
    assert (status, body["message"]) == (401, "Unauthorized")
    assert "details" not in body
    assert talk.send("GET", CONFIG_MAPS, headers={"authorization": "Basic T"})[0] == 401


def test_no_token_is_anonymous(talk):
    """Who may see the version and little else."""
    status, body = talk.send("GET", CONFIG_MAPS)
    assert status == 403
    assert 'User "system:anonymous" cannot list' in body["message"]
    assert talk.send("GET", "/version")[0] == 200


def test_without_tokens_everybody_is_the_administrator():
    """Whatever they send."""
    talk = Talk(identity=None)
    assert whoami(talk, **bearer("x"))["username"] == "admin"


def test_masters_may_become_anybody(talk):
    """And then have that user's rights."""
    info = whoami(talk, **bearer("T", impersonate_user="bob", impersonate_group="a\nb"))
    assert info == {"username": "bob", "groups": ["a", "b", "system:authenticated"]}
    headers = bearer("T", impersonate_user="bob")
    status, body = talk.send("GET", CONFIG_MAPS, headers=headers)
    assert status == 403
    assert 'User "bob" cannot list resource "configmaps"' in body["message"]


def test_service_accounts_get_their_groups(talk):
    """As if the account's own token had been used."""
    info = whoami(talk, **bearer("T", impersonate_user="system:serviceaccount:ns:robot"))
    assert info["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    ]


def test_extras_and_uid_are_carried_over(talk):
    """They are headers of their own."""
    extra = {"impersonate-user": "bob", "impersonate-uid": "7", "impersonate-extra-scopes": "x"}
    info = whoami(talk, **bearer("T"), **extra)
    assert info["uid"] == "7"
    assert info["extra"] == {"scopes": ["x"]}


def test_others_may_not_unless_a_rule_lets_them(talk):
    """The classic verb on users is enough."""
    headers = bearer("A", impersonate_user="bob")
    status, body = talk.send("GET", CONFIG_MAPS, headers=headers)
    assert status == 403
    assert (
        'User "alice" cannot impersonate-on:user-info:list resource "configmaps"' in body["message"]
    )
    rules = [
        {
            "apiGroups": [""],
            "resources": ["users"],
            "verbs": ["impersonate"],
            "resourceNames": ["bob"],
        }
    ]
    grant(talk, "alice", rules)
    assert whoami(talk, **headers)["username"] == "bob"
    assert whoami(talk, **bearer("A", impersonate_user="eve")) == 403
    assert (
        whoami(talk, **bearer("A", impersonate_user="bob", impersonate_group="system:masters"))
        == 403
    )


def grant(talk, user, rules):
    base = "/apis/rbac.authorization.k8s.io/v1"
    talk.server.request("POST", f"{base}/clusterroles", {"metadata": {"name": "r"}, "rules": rules})
    binding = {
        "metadata": {"name": "b"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
    }
    assert talk.server.request("POST", f"{base}/clusterrolebindings", binding)[0] == 201


def test_a_group_without_a_user_is_400(talk):
    """In Go's words."""
    status, body = talk.send("GET", CONFIG_MAPS, headers=bearer("T", impersonate_group="dev"))
    assert status == 400
    assert body["message"] == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, '
        "Extra:map[string][]string(nil)} without impersonating a user name"
    )


def test_tokens_that_cannot_work_are_refused_and_never_shown():
    """A blank token would let everybody in."""
    with pytest.raises(ConfigError) as caught:
        Authenticator({" ": ("alice", [])})
    assert "alice" not in str(caught.value)
    assert "T" not in repr(Authenticator(TOKENS).__dict__.keys())


def test_a_fork_has_its_own_rules(talk):
    """What is granted there is not granted here."""
    other = Talk(talk.server.fork(), identity=None)
    grant(other, "alice", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}])
    assert other.send("GET", CONFIG_MAPS, headers=bearer("A"))[0] == 200
    assert talk.send("GET", CONFIG_MAPS, headers=bearer("A"))[0] == 403
