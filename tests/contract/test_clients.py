"""Other people's clients, unchanged: create, watch, patch, finalize, recover from 410.

Every client lives through the same story. Its 410 is a true one: the server goes back to a
snapshot, so every resourceVersion a client may hold lies before the history that is left.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.poll import until
from support.server import CRDS, crd, serving, widget

from crlab.apiserver import ApiServer
from crlab.runtime.clock import RealClock

GROUP, PLURAL = "demo.crlab.dev", "widgets"
NAMESPACE = "default"
PLACE = (GROUP, "v1", NAMESPACE, PLURAL)
FINALIZER = "demo.crlab.dev/hold"
FREE = {"metadata": {"finalizers": None}}
LIFE = ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]  # made, patched, marked, let go

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(RealClock()) as found:
        assert found.request("POST", CRDS, crd("widgets", GROUP))[0] == 201
        yield found


@pytest.fixture
def config(server: ApiServer, tmp_path: Path) -> Path:
    """Return a kubeconfig of the server."""
    context = {"cluster": "it", "user": "it", "namespace": NAMESPACE}
    path = tmp_path / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": context}],
        "clusters": [{"name": "it", "cluster": {"server": server.url}}],
        "users": [{"name": "it", "user": {}}],
    }
    path.write_text(json.dumps(document))
    return path


def held(name: str) -> dict[str, Any]:
    body = widget(name, GROUP)
    body["metadata"]["finalizers"] = [FINALIZER]
    return body


def forget(server: ApiServer) -> None:
    """Let every resourceVersion seen so far be too old; end all watches."""
    server.restore(server.snapshot())


def make_outside(server: ApiServer, name: str) -> None:
    """Create a widget by another way than the client under test."""
    path = f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/{PLURAL}"
    assert server.request("POST", path, widget(name, GROUP))[0] == 201


def test_kubernetes_lives_with_it(server: ApiServer) -> None:
    """The official client: custom objects, dynamic apply, watch, 410 as an exception."""
    from kubernetes import client, dynamic, watch

    configuration = client.Configuration()
    configuration.host = server.url
    with client.ApiClient(configuration) as api:
        custom = client.CustomObjectsApi(api)

        def listed() -> tuple[list[str], str]:
            found = custom.list_namespaced_custom_object(*PLACE)
            names = [item["metadata"]["name"] for item in found["items"]]
            return names, found["metadata"]["resourceVersion"]

        def seen(since: str) -> Iterator[Any]:
            return watch.Watch().stream(
                custom.list_namespaced_custom_object,
                *PLACE,
                resource_version=since,
                timeout_seconds=5,
            )

        _, since = listed()
        custom.create_namespaced_custom_object(*PLACE, held("a"))
        custom.patch_namespaced_custom_object(*PLACE, "a", {"spec": {"size": 2}})
        custom.delete_namespaced_custom_object(*PLACE, "a")
        custom.patch_namespaced_custom_object(*PLACE, "a", FREE)
        events = seen(since)
        assert [next(events)["type"] for _ in LIFE] == LIFE

        forget(server)
        with pytest.raises(client.ApiException) as caught:
            list(seen(since))
        assert caught.value.status == 410
        names, since = listed()
        make_outside(server, "b")
        assert (names, next(seen(since))["object"]["metadata"]["name"]) == ([], "b")

        resource = dynamic.DynamicClient(api).resources.get(
            api_version=f"{GROUP}/v1", kind="Widget"
        )
        applied = resource.server_side_apply(
            body=widget("c", GROUP), namespace=NAMESPACE, field_manager="me"
        )
        assert applied.metadata.managedFields[0].manager == "me"


def test_kubernetes_asyncio_lives_with_it(server: ApiServer) -> None:
    """The asynchronous client: its watch raises 410, its next list and watch go on."""
    from kubernetes_asyncio import client, watch

    async def run() -> None:
        configuration = client.Configuration()
        configuration.host = server.url
        async with client.ApiClient(configuration) as api:
            custom = client.CustomObjectsApi(api)
            merge = {"_content_type": "application/merge-patch+json"}

            async def take(count: int, since: str) -> list[tuple[str, str]]:
                found: list[tuple[str, str]] = []
                method = custom.list_namespaced_custom_object
                options = {"resource_version": since, "timeout_seconds": 5}
                async with watch.Watch().stream(method, *PLACE, **options) as stream:
                    async for event in stream:
                        found.append((event["type"], event["object"]["metadata"]["name"]))
                        if len(found) == count:
                            break
                return found

            async def version() -> str:
                found = await custom.list_namespaced_custom_object(*PLACE)
                return str(found["metadata"]["resourceVersion"])

            since = await version()
            await custom.create_namespaced_custom_object(*PLACE, held("a"))
            await custom.patch_namespaced_custom_object(*PLACE, "a", {"spec": {"size": 2}}, **merge)
            await custom.delete_namespaced_custom_object(*PLACE, "a")
            await custom.patch_namespaced_custom_object(*PLACE, "a", FREE, **merge)
            assert await take(4, since) == [(kind, "a") for kind in LIFE]
            forget(server)
            with pytest.raises(client.ApiException) as caught:
                await take(1, since)
            assert caught.value.status == 410
            since = await version()
            make_outside(server, "b")
            assert await take(1, since) == [("ADDED", "b")]

    asyncio.run(run())


def test_lightkube_lives_with_it(server: ApiServer, config: Path) -> None:
    """Its watch starts anew by itself if its error handler says retry."""
    import lightkube
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.types import PatchType, on_error_retry

    client = lightkube.Client(KubeConfig.from_file(config), namespace=NAMESPACE)
    resource = create_namespaced_resource(GROUP, "v1", "Widget", PLURAL)
    listed = client.list(resource)
    assert list(listed) == []
    since = listed.resourceVersion
    client.create(resource.from_dict(held("a")))
    client.patch(resource, "a", {"spec": {"size": 3}}, patch_type=PatchType.MERGE)
    client.delete(resource, "a")
    assert client.get(resource, "a").metadata.deletionTimestamp is not None
    client.patch(resource, "a", FREE, patch_type=PatchType.MERGE)
    events = client.watch(resource, resource_version=since, server_timeout=5)
    assert [next(events)[0] for _ in LIFE] == LIFE
    forget(server)
    applied = client.apply(resource.from_dict(widget("b", GROUP)), field_manager="me")
    assert applied.metadata.managedFields[0].manager == "me"
    events = client.watch(
        resource, resource_version=since, server_timeout=5, on_error=on_error_retry
    )
    operation, found = next(events)
    assert (operation, found.metadata.name) == ("ADDED", "b")


def test_kr8s_lives_with_it(server: ApiServer, config: Path) -> None:
    """Its watch asks again after one 410; a list comes first if history is gone for good."""
    import kr8s

    async def run() -> None:
        api = await kr8s.asyncio.api(kubeconfig=str(config))
        kind = kr8s.asyncio.objects.new_class("Widget", f"{GROUP}/v1", namespaced=True)

        async def take(count: int, since: str) -> list[tuple[str, str]]:
            found: list[tuple[str, str]] = []
            async for event, item in api.async_watch(kind, namespace=NAMESPACE, since=since):
                found.append((event, item.name))
                if len(found) == count:
                    break
            return found

        since = str(server.storage.revision)
        widget_a = await kind(held("a"), api=api)
        await widget_a.create()
        await widget_a.patch({"spec": {"size": 9}})
        assert widget_a.spec.size == 9
        await widget_a.delete()
        await widget_a.patch(FREE)
        assert not await widget_a.exists()
        assert await take(4, since) == [(event, "a") for event in LIFE]
        fault = server.faults.expire_watch(PLURAL, times=1)
        assert await take(4, since) == [(event, "a") for event in LIFE]
        assert fault.hits == 1
        forget(server)
        make_outside(server, "b")
        assert [item.name async for item in api.get(kind)] == ["b"]

    asyncio.run(run())


def test_kopf_lives_with_it(server: ApiServer) -> None:
    """An operator: its handlers run, its finalizer holds, and it outlives a 410."""
    import kopf

    registry, seen = kopf.OperatorRegistry(), list[tuple[str, str]]()
    ready, stop = threading.Event(), threading.Event()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=server.url)

    @kopf.on.create(GROUP, "v1", PLURAL, registry=registry)
    def made(name: str, patch: kopf.Patch, **_: Any) -> None:
        seen.append(("made", name))
        patch.status["phase"] = "Up"

    @kopf.on.update(GROUP, "v1", PLURAL, registry=registry)
    def changed(name: str, **_: Any) -> None:
        seen.append(("changed", name))

    @kopf.on.delete(GROUP, "v1", PLURAL, registry=registry)
    def going(name: str, **_: Any) -> None:
        seen.append(("going", name))

    def operate() -> None:
        options = {"standalone": True, "namespaces": [NAMESPACE], "registry": registry}
        asyncio.run(kopf.operator(ready_flag=ready, stop_flag=stop, **options))

    thread = threading.Thread(target=operate)
    thread.start()
    try:
        assert ready.wait(10)
        make_outside(server, "a")
        until(lambda: _phase(server, "a") == "Up")
        forget(server)
        path = f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/{PLURAL}/a"
        merge = "application/merge-patch+json"
        server.request("PATCH", path, {"spec": {"size": 7}}, content_type=merge)
        until(lambda: ("changed", "a") in seen)
        assert server.request("DELETE", path)[1]["metadata"]["finalizers"]
        until(lambda: server.request("GET", path)[0] == 404)
        assert seen == [("made", "a"), ("changed", "a"), ("going", "a")]
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def _phase(server: ApiServer, name: str) -> Any:
    path = f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/{PLURAL}/{name}"
    return (server.request("GET", path)[1].get("status") or {}).get("phase")
