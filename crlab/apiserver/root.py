"""What is served outside of resources: health, version, OpenAPI, discovery.

Thread: any; answers are made from the registry of the moment.
Source: k8s.io/apiserver/pkg/server/{healthz,routes}.
"""

from __future__ import annotations

from crlab.apiserver.api_group import NOT_FOUND, ApiGroups
from crlab.apiserver.registry import Registry
from crlab.apiserver.request import JSON, TEXT, HttpRequest, HttpResponse

PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
PATHS = ("/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version")
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2+crlab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


class Root:
    """Answers paths that name no resource."""

    def __init__(self, registry: Registry, discovery: ApiGroups) -> None:
        self._registry = registry
        self._discovery = discovery

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; what is not there is a plain 404."""
        path = request.path.rstrip("/") or "/"
        if path in PUBLIC_PATHS:
            return public_answer(path, verbose=request.has("verbose"))
        if path.startswith("/openapi/"):
            return self._open_api(path)
        if path == "/":
            return HttpResponse.json({"paths": PATHS})
        found = self._discovery.answer(request)
        return found if found is not None else HttpResponse.text(NOT_FOUND, 404)

    def _open_api(self, path: str) -> HttpResponse:
        # Heavy, and few clients ask.
        from crlab.apiserver.openapi.document import (
            openapi_v2_protobuf,
            openapi_v3_bytes,
            openapi_v3_index,
        )

        if path == "/openapi/v2":
            body = openapi_v2_protobuf()
            return HttpResponse(200, [("Content-Type", OPENAPI_V2)], body)
        if path == "/openapi/v3":
            index = openapi_v3_index(self._registry)
            return HttpResponse.json(index, content_type=TEXT)
        document = openapi_v3_bytes(self._registry, path.removeprefix("/openapi/v3/"))
        if document is None:
            return HttpResponse.text(NOT_FOUND, 404)
        return HttpResponse(200, [("Content-Type", JSON)], document)


def public_answer(path: str, *, verbose: bool = False) -> HttpResponse:
    """Answer what needs no credentials: health and version."""
    if path == "/version":
        return HttpResponse.json(VERSION)
    return HttpResponse.text(_health(path, verbose=verbose))


def _health(path: str, *, verbose: bool) -> str:
    if not verbose:
        return "ok"
    checks = "".join(f"[+]{name} ok\n" for name in ("ping", "log", "etcd"))
    return f"{checks}{path.strip('/')} check passed\n"
