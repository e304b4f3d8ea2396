"""CRDs end to end: names that come free, warnings, defaults that come later."""

from __future__ import annotations

import copy
import json
from typing import Any

from support.server import CRDS, api_server, crd, install, widget

from crlab.apiserver import ApiServer, HttpRequest

__all__ = ["api_server"]


def conditions(server: ApiServer, name: str) -> dict[str, str]:
    _, body = server.request("GET", f"{CRDS}/{name}")
    return {found["type"]: found["status"] for found in body["status"]["conditions"]}


def rival() -> dict[str, Any]:
    found = crd("widgets")
    found["metadata"]["name"] = "gadgets.demo.crlab.dev"
    found["spec"]["names"] = {"plural": "gadgets", "kind": "Widget"}
    return found


def test_a_deleted_crd_frees_its_names(api_server: ApiServer) -> None:
    """The one that was refused is served then."""
    install(api_server)
    api_server.request("POST", CRDS, rival())
    assert conditions(api_server, "gadgets.demo.crlab.dev")["NamesAccepted"] == "False"

    api_server.request("DELETE", f"{CRDS}/widgets.demo.crlab.dev")

    assert conditions(api_server, "gadgets.demo.crlab.dev")["Established"] == "True"
    status, _ = api_server.request("GET", "/apis/demo.crlab.dev/v1/gadgets")
    assert status == 200


def test_an_unknown_format_is_warned_about(api_server: ApiServer) -> None:
    """And ignored afterwards."""
    found = crd("widgets")
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["when"]["format"] = "colour"
    body = json.dumps(found).encode()
    answer = api_server.handle(HttpRequest("POST", CRDS, (), {}, body))

    assert ("Warning", '299 - "unrecognized format \\"colour\\""') in answer.headers
    path = "/apis/demo.crlab.dev/v1/namespaces/default/widgets"
    assert api_server.request("POST", path, widget("a", when="never"))[0] == 201


def test_each_version_has_its_own_schema(api_server: ApiServer) -> None:
    """A field of one version is unknown to the other."""
    found = crd("widgets")
    second = copy.deepcopy(found["spec"]["versions"][0])
    second.update(name="v2", storage=False)
    spec = second["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["extra"] = {"type": "integer", "default": 7}
    found["spec"]["versions"].append(second)
    assert api_server.request("POST", CRDS, found)[0] == 201
    place = "/apis/demo.crlab.dev/{}/namespaces/default/widgets"
    api_server.request("POST", place.format("v1"), widget("a"))

    _, old = api_server.request("GET", f"{place.format('v1')}/a")
    _, new = api_server.request("GET", f"{place.format('v2')}/a")

    assert "extra" not in old["spec"]
    assert new["spec"]["extra"] == 7
    assert old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]


def test_conversion_by_webhook_is_refused_not_faked(api_server: ApiServer) -> None:
    """Item 63: a warning with the CRD, 501 for every version but the stored one."""
    found = crd("widgets")
    stored = found["spec"]["versions"][0]
    found["spec"]["versions"] = [stored, {**stored, "name": "v2", "storage": False}]
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://x.example/c"}}
    found["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    answer = api_server.handle(HttpRequest("POST", CRDS, body=json.dumps(found).encode()))
    assert "calls no webhook" in dict(answer.headers)["Warning"]
    place = "/apis/demo.crlab.dev/{}/namespaces/default/widgets"
    assert api_server.request("POST", place.format("v1"), widget("a"))[0] == 201
    for path in (place.format("v2"), f"{place.format('v2')}/a"):
        status, body = api_server.request("GET", path)
        assert (status, body["reason"]) == (501, "NotImplemented")
