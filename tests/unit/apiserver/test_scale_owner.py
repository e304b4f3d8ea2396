"""Who owns replicas after a write through /scale."""

from support.api_server import Talk

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
