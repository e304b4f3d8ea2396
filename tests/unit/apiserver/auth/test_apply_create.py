"""Server-side apply of an object that is not there yet creates it: that takes both verbs."""

from crlab.apiserver import ApiServer, HttpRequest
from crlab.apiserver.request import Identity

ALICE = Identity("alice", ("system:authenticated",))


def test_apply_needs_create_besides_patch() -> None:
    """With patch alone a new object is refused, an existing one is not."""
    server = ApiServer(tokens={"t": ("alice", ())})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]
    _send(server, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "r", rules=rules)
    _send(
        server,
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "r",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
        subjects=[{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}],
    )
    _send(server, "POST", "/api/v1/namespaces/default/configmaps", "old")

    assert _apply(server, "new").status == 403
    assert _apply(server, "old").status == 200


def _send(server: ApiServer, method: str, path: str, name: str, **fields: object) -> None:
    import json

    body = json.dumps({"metadata": {"name": name}, **fields}).encode()
    headers = {"content-type": "application/json"}
    answer = server.handle(
        HttpRequest(method, path, headers=headers, body=body, identity=Identity())
    )
    assert answer.status == 201, answer.body


def _apply(server: ApiServer, name: str):
    path = f"/api/v1/namespaces/default/configmaps/{name}"
    body = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n"
    return server.handle(
        HttpRequest(
            "PATCH",
            path,
            query=[("fieldManager", "m"), ("force", "true")],
            headers={"content-type": "application/apply-patch+yaml"},
            body=body.encode(),
            identity=ALICE,
        )
    )
