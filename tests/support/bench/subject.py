"""The clients that are compared: crlab, the raw floor, and the neighbours.

Each is used as its documentation says: list into a cache, one handler, then watch. All of
them read plain HTTP from the static server.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from support.bench import payload

if TYPE_CHECKING:  # a subject's constructor pays for its imports
    from crlab.cache.shared_informer import ListMode


class Seen:
    """What the handler was told; `kept` has (nanoseconds, object) of what came after the list."""

    def __init__(self, *, is_keeping: bool, initial: int) -> None:
        self.count = 0
        self.kept: list[tuple[int, Any]] = []
        self._is_keeping = is_keeping
        self._initial = initial

    def told(self, obj: Any) -> None:
        """Be a handler."""
        if self._is_keeping and self.count >= self._initial:
            self.kept.append((time.monotonic_ns(), obj))
        self.count += 1


class Subject(Protocol):
    """A client under measurement; its constructor pays for imports, `start` returns at once."""

    @property
    def is_watching(self) -> bool: ...

    def start(self, seen: Seen) -> None: ...

    def sent_at(self, obj: Any) -> int: ...


class Crlab:
    """The front door: connect, informer, handler; trace and indices on."""

    list_mode: ListMode = "auto"

    def __init__(self, kind: payload.Kind, url: str) -> None:
        import crlab

        self._lab = crlab.connect(url=url)
        self._informer = self._lab.informer(
            kind.plural,
            start=False,
            list_mode=self.list_mode,
        )
        self._shared = self._informer.shared

    def start(self, seen: Seen) -> None:
        self._shared.add_event_handler(
            on_add=lambda obj, is_initial: seen.told(obj),
            on_update=lambda old, new: seen.told(new),
            on_delete=seen.told,
        )
        self._shared.start()

    @property
    def is_watching(self) -> bool:
        return self._shared.status.phase == "watching"

    def sent_at(self, obj: Any) -> int:
        return payload.sent_at(obj.raw)


class CrlabPages(Crlab):
    """The same, listing by pages as the floor does."""

    list_mode = "list"


class Floor:
    """Bytes and four metadata fields kept, pages of 500, one thread, no promises."""

    def __init__(self, kind: payload.Kind, url: str) -> None:
        from support.bench import floor

        split = urlsplit(url)
        self._connect = lambda: http.client.HTTPConnection(split.hostname or "", split.port)
        self._kind, self._floor = kind, floor
        self.is_watching = False
        self.cache: dict[tuple[str, str], Any] = {}

    def start(self, seen: Seen) -> None:
        threading.Thread(target=self._run, args=(seen,), daemon=True).start()

    def _run(self, seen: Seen) -> None:
        connection = self._connect()
        token = ""
        while True:
            after = f"&continue={token}" if token else ""
            connection.request("GET", f"{self._kind.path}?limit=500{after}")
            items, token = self._floor.page(connection.getresponse().read())
            for raw, metadata in items:
                self.cache[metadata.namespace, metadata.name] = (raw, metadata)
                seen.told(raw)
            if not token:
                break
        connection.request("GET", f"{self._kind.path}?watch=1")
        response = connection.getresponse()
        self.is_watching = True
        rest = b""
        while chunk := response.read1(256 * 1024):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for text in lines:
                _, raw, metadata = self._floor.line(text)
                self.cache[metadata.namespace, metadata.name] = (raw, metadata)
                seen.told(raw)

    def sent_at(self, obj: Any) -> int:
        return payload.sent_at(obj)


class SharedInformer:
    """kubernetes.informer.SharedInformer; custom resources through the dynamic API."""

    def __init__(self, kind: payload.Kind, url: str) -> None:
        from kubernetes import client
        from kubernetes import informer as informers

        configuration = client.Configuration()
        configuration.host = url
        api = client.ApiClient(configuration)
        if kind.name != "pods":
            raise NotImplementedError("it takes typed list functions only")
        listing = client.CoreV1Api(api).list_pod_for_all_namespaces
        self._informer = informers.SharedInformer(list_func=listing)
        self._events = (informers.ADDED, informers.MODIFIED, informers.DELETED)

    def start(self, seen: Seen) -> None:
        for event in self._events:
            self._informer.add_event_handler(event, seen.told)
        self._informer.start()

    @property
    def is_watching(self) -> bool:
        return self._informer._watch is not None

    def sent_at(self, obj: Any) -> int:
        return int(obj.metadata.labels["sent"])


class Lightkube:
    """lightkube: list, then watch, into a dict (it brings no cache)."""

    def __init__(self, kind: payload.Kind, url: str) -> None:
        import lightkube
        from lightkube import KubeConfig
        from lightkube.config.models import Cluster, User
        from lightkube.generic_resource import create_namespaced_resource
        from lightkube.resources.core_v1 import Pod

        config = KubeConfig.from_one(cluster=Cluster(server=url), user=User(token="none"))
        self._client = lightkube.Client(config, trust_env=False)
        group, _, version = kind.api_version.rpartition("/")
        self._resource: Any = Pod
        if group:
            self._resource = create_namespaced_resource(group, version, kind.kind, kind.plural)
        self.is_watching = False
        self.cache: dict[tuple[str, str], Any] = {}

    def start(self, seen: Seen) -> None:
        threading.Thread(target=self._run, args=(seen,), daemon=True).start()

    def _run(self, seen: Seen) -> None:
        found = self._client.list(self._resource, namespace="*", chunk_size=500)
        for obj in found:
            self.cache[obj.metadata.namespace, obj.metadata.name] = obj
            seen.told(obj)
        self.is_watching = True
        version = found.resourceVersion
        for _, obj in self._client.watch(self._resource, namespace="*", resource_version=version):
            self.cache[obj.metadata.namespace, obj.metadata.name] = obj
            seen.told(obj)

    def sent_at(self, obj: Any) -> int:
        return int(obj.metadata.labels["sent"])


class _Asyncio:
    """A client that runs in an event loop, here in a thread of its own."""

    is_watching = False

    def start(self, seen: Seen) -> None:
        threading.Thread(target=lambda: asyncio.run(self.go(seen)), daemon=True).start()

    async def go(self, seen: Seen) -> None:
        raise NotImplementedError


class KubernetesAsyncio(_Asyncio):
    """kubernetes_asyncio: list, then watch, into a dict."""

    def __init__(self, kind: payload.Kind, url: str) -> None:
        from kubernetes_asyncio import client, watch

        self._kind, self._url, self._client, self._watch = kind, url, client, watch
        self.cache: dict[tuple[str, str], Any] = {}

    async def go(self, seen: Seen) -> None:
        configuration = self._client.Configuration()
        configuration.host = self._url
        api = self._client.ApiClient(configuration)
        group, _, version = self._kind.api_version.rpartition("/")
        args: dict[str, Any] = {}
        call: Any
        if not group:
            call = self._client.CoreV1Api(api).list_pod_for_all_namespaces
        else:
            call = self._client.CustomObjectsApi(api).list_cluster_custom_object
            args = {"group": group, "version": version, "plural": self._kind.plural}
        token = None
        while True:
            paging: dict[str, str] = {"_continue": token} if token else {}
            found = await call(limit=500, **paging, **args)
            items, metadata = _parts(found)
            for obj in items:
                self._keep(obj, seen)
            token = metadata["continue"]
            if not token:
                break
        self.is_watching = True
        async with self._watch.Watch() as watch:
            async for event in watch.stream(call, resource_version=metadata["version"], **args):
                self._keep(event["object"], seen)

    def _keep(self, obj: Any, seen: Seen) -> None:
        metadata = obj["metadata"] if isinstance(obj, dict) else obj.metadata
        get: Any = metadata.get if isinstance(metadata, dict) else metadata.to_dict().get
        if isinstance(metadata, dict):
            key = (get("namespace"), get("name"))
        else:
            key = (metadata.namespace, metadata.name)
        self.cache[key] = obj
        seen.told(obj)

    def sent_at(self, obj: Any) -> int:
        labels = obj["metadata"]["labels"] if isinstance(obj, dict) else obj.metadata.labels
        return int(labels["sent"])


def _parts(found: Any) -> tuple[list[Any], dict[str, str]]:
    """Return a list's items and what is needed of its metadata, typed or not."""
    if isinstance(found, dict):
        metadata = found["metadata"]
        token, version = metadata.get("continue", ""), metadata["resourceVersion"]
        return found["items"], {"continue": token, "version": version}
    metadata = found.metadata
    return found.items, {
        "continue": metadata._continue or "",
        "version": metadata.resource_version,
    }


class Kr8s(_Asyncio):
    """kr8s: list, then watch, into a dict."""

    def __init__(self, kind: payload.Kind, url: str) -> None:
        import kr8s.asyncio
        from kr8s.asyncio.objects import Pod, new_class

        self._kr8s, self._url = kr8s, url
        self._class: Any = Pod
        if kind.name != "pods":
            self._class = new_class(
                kind.kind, version=kind.api_version, namespaced=True, plural=kind.plural
            )
        self.cache: dict[tuple[str, str], Any] = {}

    async def go(self, seen: Seen) -> None:
        api = await self._kr8s.asyncio.api(url=self._url)
        async for obj in self._class.list(api=api, namespace=self._kr8s.ALL):
            self._keep(obj, seen)
        self.is_watching = True
        version = str(1000 + len(self.cache))
        stream = api.async_watch(self._class, namespace=self._kr8s.ALL, since=version)
        async for _, obj in stream:
            self._keep(obj, seen)

    def _keep(self, obj: Any, seen: Seen) -> None:
        self.cache[obj.namespace, obj.name] = obj
        seen.told(obj)

    def sent_at(self, obj: Any) -> int:
        return int(obj.labels["sent"])


SUBJECTS: dict[str, Callable[[payload.Kind, str], Subject]] = {
    "crlab": Crlab,
    "crlab, pages": CrlabPages,
    "floor": Floor,
    "SharedInformer": SharedInformer,
    "lightkube": Lightkube,
    "kubernetes_asyncio": KubernetesAsyncio,
    "kr8s": Kr8s,
}
