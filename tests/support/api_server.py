"""A server without a socket, and short words for talking to it."""

from __future__ import annotations

from typing import Any

import msgspec

from crlab.apiserver.request import ADMIN, HttpRequest, HttpResponse
from crlab.apiserver.server import ApiServer
from crlab.apiserver.watch import WatchResponse
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Talk:
    """One client of an embedded server; it is the administrator unless told otherwise."""

    def __init__(self, server: ApiServer | None = None, *, identity: Any = ADMIN) -> None:
        self.server = server or ApiServer(FakeClock(), Ids(0))
        self.identity = identity

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Return (status, decoded body)."""
        headers = {"user-agent": "tests/1", **options.pop("headers", {})}
        if body is not None and "content-type" not in headers:
            headers["content-type"] = "application/json"
        query = tuple(options.pop("query", {}).items())
        assert not options
        data = None if body is None else msgspec.json.encode(body)
        answer = self.server.handle(HttpRequest(method, path, query, headers, data, self.identity))
        assert isinstance(answer, HttpResponse)
        return answer.status, msgspec.json.decode(answer.body)

    def create(self, name: str, **data: str) -> tuple[int, Any]:
        """Create a ConfigMap."""
        return self.send("POST", CONFIG_MAPS, {"metadata": {"name": name}, "data": data})

    def watch(self, path: str = CONFIG_MAPS, **query: str) -> WatchResponse:
        """Open a watch."""
        pairs = tuple({"watch": "1", **query}.items())
        answer = self.server.handle(HttpRequest("GET", path, pairs, identity=self.identity))
        assert isinstance(answer, WatchResponse)
        return answer


def events(watch: WatchResponse) -> list[tuple[str, str]]:
    """Return (type, name) of what is ready."""
    found = []
    for line in watch.poll().splitlines():
        event = msgspec.json.decode(line)
        found.append((event["type"], event["object"].get("metadata", {}).get("name", "")))
    return found
