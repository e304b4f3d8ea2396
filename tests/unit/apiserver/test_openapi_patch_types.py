"""Which patch types the OpenAPI documents promise: kubectl goes by them."""

import msgspec

from crlab.apiserver.request import ADMIN, HttpRequest
from crlab.apiserver.server import ApiServer
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids

STRATEGIC = "application/strategic-merge-patch+json"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.g.dev"},
    "spec": {
        "group": "g.dev",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


def patch_types(server, name, kind):
    status, document = server.request("GET", f"/openapi/v3/{name}")
    assert status == 200
    return {
        media
        for path in document["paths"].values()
        if (patch := path.get("patch")) and patch["x-kubernetes-group-version-kind"]["kind"] == kind
        for media in patch["requestBody"]["content"]
    }


def test_strategic_merge_patch_is_promised_for_core_kinds_alone():
    """A custom resource that promises it gets 415s from kubectl apply."""
    server = ApiServer(FakeClock(), Ids(0))
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = server.handle(HttpRequest("POST", path, body=msgspec.json.encode(CRD), identity=ADMIN))
    assert answer.status == 201
    assert STRATEGIC in patch_types(server, "api/v1", "ConfigMap")
    assert STRATEGIC not in patch_types(server, "apis/g.dev/v1", "Thing")
