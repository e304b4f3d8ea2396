"""What goes in and out of `ApiServer.handle`, and what a path means.

Thread: values; a `HttpRequest` belongs to the thread that handles it.
Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BODY_LIMIT = 3_145_728  # bytes; as of a kube-apiserver
_SPECIAL_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `is_system` marks the server's own controllers."""

    name: str = "admin"
    groups: tuple[str, ...] = ("system:masters", "system:authenticated")
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_system: bool = False


ADMIN = Identity()
SYSTEM = Identity(name="system:crlab-controller", groups=("system:masters",), is_system=True)


@dataclass(slots=True)
class HttpRequest:
    """One HTTP request, without the HTTP.

    Attributes:
        path: decoded path below the server's prefix, "/api/v1/…".
        query: (name, value) in order, decoded.
        headers: lower-case names.
        identity: set for in-process callers; None asks the server to authenticate.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    identity: Identity | None = None

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        for key, value in self.query:
            if key == name:
                return value
        return default

    def has(self, name: str) -> bool:
        """Whether a query parameter is there, with or without a value."""
        return any(key == name for key, _ in self.query)

    def header(self, name: str) -> str:
        """Return a header, "" if absent."""
        return self.headers.get(name, "")


@dataclass(slots=True)
class HttpResponse:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return the first header of that (lower-case) name, "" if absent."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return ""

    @classmethod
    def json(cls, body: Any, status: int = 200, content_type: str = JSON) -> HttpResponse:
        """Answer with a JSON document."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return cls(status, [("Content-Type", content_type)], data)

    @classmethod
    def text(cls, body: str, status: int = 200) -> HttpResponse:
        """Answer with plain text."""
        return cls(status, [("Content-Type", TEXT)], body.encode())


@dataclass(slots=True)
class RequestInfo:
    """What a request is about.

    Attributes:
        is_resource: whether it names a resource; the rest is then set.
        verb: get, list, watch, create, update, patch, delete, deletecollection, or the
            lower-case method for other paths.
        path: the path as asked.
    """

    is_resource: bool
    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def read_info(request: HttpRequest) -> RequestInfo:
    """Take a request's path and method apart; nothing is checked against the registry."""
    parts = [unquote(part) for part in request.path.split("/")[1:]]
    info = _resource_path(parts, request.path)
    if info is None:
        return RequestInfo(False, request.method.lower(), request.path)
    info.verb = _verb(request, info)
    return info


def _resource_path(parts: list[str], path: str) -> RequestInfo | None:
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    is_watch = rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if is_watch else rest
    if rest[-1] == "":
        rest = rest[:-1]
    if not rest:
        return None
    info = RequestInfo(True, "watch" if is_watch else "", path, group, version)
    if rest[0] == "namespaces" and len(rest) > 2 and not _is_subresource_of_namespace(group, rest):
        info.namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and group == "" and len(rest) > 1:
        info.namespace = rest[1]
    info.resource = rest[0]
    info.name = rest[1] if len(rest) > 1 else ""
    info.subresource = "/".join(rest[2:])
    return info


def _is_subresource_of_namespace(group: str, rest: list[str]) -> bool:
    return group == "" and len(rest) == 3 and rest[2] in ("status", "finalize")


_FALSE = ("0", "false")  # anything else, and nothing at all, is true to the real server


def _verb(request: HttpRequest, info: RequestInfo) -> str:
    if request.method in ("GET", "HEAD"):
        if info.verb == "watch":
            return "watch"
        if info.name:
            return "get"
        is_watch = request.has("watch") and request.parameter("watch").lower() not in _FALSE
        return "watch" if is_watch else "list"
    if request.method == "DELETE" and not info.name:
        return "deletecollection"
    return _SPECIAL_VERBS.get(request.method, request.method.lower())
