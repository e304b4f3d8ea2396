"""OpenAPI documents: what kubectl explain and client-side validation read."""

from __future__ import annotations

from typing import Any

import pytest
from support.server import CRDS, MERGE, api_server, install

from crlab.apiserver import ApiServer
from crlab.apiserver.openapi.document import openapi_v2_protobuf, openapi_v3_bytes, openapi_v3_index

__all__ = ["api_server"]
V1 = "apis/demo.crlab.dev/v1"


def document(server: ApiServer, name: str = V1) -> dict[str, Any]:
    status, body = server.request("GET", f"/openapi/v3/{name}")
    assert status == 200
    return dict(body)


def schemas(server: ApiServer, name: str = V1) -> dict[str, Any]:
    return dict(document(server, name)["components"]["schemas"])


def test_every_served_group_version_has_a_document(api_server: ApiServer) -> None:
    """And none that is not served."""
    install(api_server)
    paths = openapi_v3_index(api_server.registry)["paths"]

    assert {"api/v1", "apis/apps/v1", V1} <= set(paths)
    assert all(openapi_v3_bytes(api_server.registry, name) for name in paths)
    assert openapi_v3_bytes(api_server.registry, "apis/nope/v1") is None
    assert openapi_v3_bytes(api_server.registry, "nope") is None


def test_hashes_change_with_their_document_only(api_server: ApiServer) -> None:
    """Clients cache by them."""
    install(api_server)
    before = openapi_v3_index(api_server.registry)["paths"]
    column = {"name": "N", "type": "integer", "jsonPath": ".spec.size"}
    schema = {"type": "object", "description": "new"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column],
        "schema": {"openAPIV3Schema": schema},
    }
    patch = {"spec": {"versions": [version]}}
    place = f"{CRDS}/widgets.demo.crlab.dev"
    status, _ = api_server.request("PATCH", place, patch, content_type=MERGE)
    assert status == 200
    after = openapi_v3_index(api_server.registry)["paths"]

    assert before["api/v1"] == after["api/v1"]
    assert before[V1] != after[V1]


def test_a_patch_names_its_kind_and_takes_field_validation(api_server: ApiServer) -> None:
    """kubectl apply asks for both."""
    install(api_server)
    place = f"/{V1}/namespaces/{{namespace}}/widgets/{{name}}"
    patch = document(api_server)["paths"][place]["patch"]

    kind = {"group": "demo.crlab.dev", "version": "v1", "kind": "Widget"}
    assert patch["x-kubernetes-group-version-kind"] == kind
    assert "fieldValidation" in [found["name"] for found in patch["parameters"]]


def test_a_custom_schema_is_the_crds_with_object_metadata(api_server: ApiServer) -> None:
    """Without rules, which only the server evaluates."""
    install(api_server)
    found = schemas(api_server)["dev.crlab.demo.v1.Widget"]

    assert found["properties"]["spec"]["properties"]["color"]["enum"] == ["red", "green", "blue"]
    assert set(found["properties"]) >= {"apiVersion", "kind", "metadata", "spec", "status"}
    assert "x-kubernetes-validations" not in found["properties"]["spec"]


@pytest.mark.parametrize("name", ["api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1", V1])
def test_every_reference_leads_somewhere(api_server: ApiServer, name: str) -> None:
    """A dangling one breaks explain."""
    install(api_server)
    found = document(api_server, name)
    known = {f"#/components/schemas/{key}" for key in found["components"]["schemas"]}

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(item) for item in value.values()))
        if isinstance(value, list):
            return set().union(*(references(item) for item in value))
        return set()

    assert references(found["components"]) <= known
    assert references(found["paths"]) <= known


def test_core_kinds_can_be_explained(api_server: ApiServer) -> None:
    """Down to a container's fields, with words where people look most."""
    found = schemas(api_server, "api/v1")
    containers = found["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]

    assert containers["description"]
    assert containers["items"] == {"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}
    assert "image" in found["io.k8s.api.core.v1.Container"]["properties"]


def test_a_stranger_to_v3_gets_the_smallest_v2_document() -> None:
    """Seventeen bytes of protobuf: swagger "2.0" and an info."""
    body = openapi_v2_protobuf()

    assert len(body) == 17
    assert body.startswith(b"\n\x032.0\x12\n")
