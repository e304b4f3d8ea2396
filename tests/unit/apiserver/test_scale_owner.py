"""Who owns replicas after a write through /scale."""

from support.api_server import Talk
from support.server import install, widget

from crlab.apiserver import ApiServer

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}


def test_the_entry_names_the_scale_subresource():
    """And the creator loses the field."""
    talk = Talk()
    assert talk.send("POST", DEPLOYMENTS, DEPLOYMENT)[0] == 201
    status, _ = talk.send(
        "PATCH",
        f"{DEPLOYMENTS}/d/scale",
        {"spec": {"replicas": 3}},
        headers={"content-type": "application/merge-patch+json"},
        query={"fieldManager": "kubectl"},
    )
    assert status == 200
    _, live = talk.send("GET", f"{DEPLOYMENTS}/d")
    entries = {e["manager"]: e for e in live["metadata"]["managedFields"]}
    assert entries["kubectl"]["subresource"] == "scale"
    assert entries["kubectl"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entries["tests"]["fieldsV1"]["f:spec"]


def test_a_scale_can_be_applied(api_server: ApiServer) -> None:
    """Its applier owns the replicas; a second one conflicts until it insists."""
    path = install(api_server)
    api_server.request("POST", path, widget("a", size=2))

    def apply(replicas: int, manager: str, **query: str) -> tuple[int, dict]:
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}}
        return api_server.request(
            "PATCH",
            f"{path}/a/scale",
            {**body, "spec": {"replicas": replicas}},
            content_type="application/apply-patch+yaml",
            query=[("fieldManager", manager), *query.items()],
        )

    assert apply(5, "one", force="true")[1]["spec"] == {"replicas": 5}
    status, refused = apply(6, "two")
    clash = 'conflict with "one" with subresource "scale": .spec.size'
    assert (status, refused["message"]) == (409, f"Apply failed with 1 conflict: {clash}")
    assert apply(6, "two", force="true")[0] == 200
    entries = api_server.request("GET", f"{path}/a")[1]["metadata"]["managedFields"]
    assert [e["manager"] for e in entries if e.get("subresource") == "scale"] == ["two"]
