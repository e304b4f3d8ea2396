"""Rules of metadata that core kinds have beyond those of custom ones."""

from __future__ import annotations

import pytest
from support.server import install, widget

from crlab.apiserver import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("finalizer", "fields"),
    [
        ("x.dev/y", []),
        ("bare", ["metadata.finalizers[0]"]),
        ("a b", ["metadata.finalizers", "metadata.finalizers[0]"]),
    ],
)
def test_a_core_kinds_finalizer_has_a_domain(
    api_server: ApiServer, finalizer: str, fields: list[str]
) -> None:
    """Checked beside its form, whatever that gives."""
    body = {"metadata": {"name": "a", "finalizers": [finalizer]}}
    _, found = api_server.request("POST", MAPS, body)
    causes = (found.get("details") or {}).get("causes", [])
    assert [cause["field"] for cause in causes] == fields


def test_a_custom_objects_finalizer_need_not(api_server: ApiServer) -> None:
    """Item 35: it is warned about only."""
    path = install(api_server)
    body = widget("a")
    body["metadata"]["finalizers"] = ["bare"]
    assert api_server.request("POST", path, body)[0] == 201
