"""Other people's clients, unchanged: create, watch, patch, finalize, delete, recover from 410."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.server import CRDS, crd, serving, widget

from crlab.apiserver import ApiServer
from crlab.runtime.clock import RealClock

GROUP, PLURAL = "demo.crlab.dev", "widgets"
NAMESPACE = "default"
PLACE = (GROUP, "v1", NAMESPACE, PLURAL)
FINALIZER = "demo.crlab.dev/hold"

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(RealClock()) as found:
        assert found.request("POST", CRDS, crd("widgets", GROUP))[0] == 201
        yield found


def kubeconfig(url: str) -> dict[str, Any]:
    context = {"cluster": "it", "user": "it", "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": context}],
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "users": [{"name": "it", "user": {}}],
    }


def held(name: str) -> dict[str, Any]:
    body = widget(name, GROUP)
    body["metadata"]["finalizers"] = [FINALIZER]
    return body


FREE = {"metadata": {"finalizers": None}}


def test_kubernetes_lives_with_it(server: ApiServer) -> None:
    """The official client: typed and custom objects, dynamic apply, watch, 410."""
    client = pytest.importorskip("kubernetes.client")
    from kubernetes import dynamic, watch

    configuration = client.Configuration()
    configuration.host = server.url
    with client.ApiClient(configuration) as api:
        core, custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
        custom.create_namespaced_custom_object(*PLACE, held("a"))
        custom.patch_namespaced_custom_object(*PLACE, "a", {"spec": {"size": 2}})
        custom.patch_namespaced_custom_object_status(*PLACE, "a", {"status": {"phase": "Up"}})
        custom.delete_namespaced_custom_object(*PLACE, "a")
        custom.patch_namespaced_custom_object(*PLACE, "a", FREE)
        listed = custom.list_namespaced_custom_object(*PLACE)
        assert listed["items"] == []
        start = str(int(listed["metadata"]["resourceVersion"]) - 5)
        stream = watch.Watch().stream(
            custom.list_namespaced_custom_object, *PLACE, resource_version=start, timeout_seconds=1
        )
        assert [event["type"] for event in stream][-1] == "DELETED"
        server.compact()
        with pytest.raises(client.ApiException) as caught:
            list(
                watch.Watch().stream(
                    core.list_namespaced_config_map, NAMESPACE, resource_version="2"
                )
            )
        assert caught.value.status == 410
        found = dynamic.DynamicClient(api)
        resource = found.resources.get(api_version=f"{GROUP}/v1", kind="Widget")
        applied = found.server_side_apply(
            resource, body=widget("b", GROUP), namespace=NAMESPACE, field_manager="me"
        )
        assert applied.metadata.managedFields[0].manager == "me"


def test_kubernetes_asyncio_lives_with_it(server: ApiServer) -> None:
    """The asynchronous client: create, patch, watch, delete."""
    client = pytest.importorskip("kubernetes_asyncio.client")
    from kubernetes_asyncio import watch

    async def run() -> list[str]:
        configuration = client.Configuration()
        configuration.host = server.url
        async with client.ApiClient(configuration) as api:
            core = client.CoreV1Api(api)
            await core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "a"}})
            await core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"k": "v"}})
            await core.delete_namespaced_config_map("a", NAMESPACE)
            seen = []
            method = core.list_namespaced_config_map
            async with watch.Watch().stream(
                method, NAMESPACE, resource_version="8", timeout_seconds=1
            ) as stream:
                async for event in stream:
                    seen.append(event["type"])
            return seen

    assert asyncio.run(run()) == ["ADDED", "MODIFIED", "DELETED"]


def test_lightkube_lives_with_it(server: ApiServer) -> None:
    """Generic resources, apply, watch, finalizers."""
    lightkube = pytest.importorskip("lightkube")
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.types import PatchType

    config = KubeConfig.from_dict(kubeconfig(server.url))
    client = lightkube.Client(config, namespace=NAMESPACE)
    resource = create_namespaced_resource(GROUP, "v1", "Widget", PLURAL)
    client.create(resource.from_dict(held("a")))
    client.patch(resource, "a", {"spec": {"size": 3}}, patch_type=PatchType.MERGE)
    applied = client.apply(resource.from_dict(widget("b", GROUP)), field_manager="me")
    assert applied.metadata.name == "b"
    client.delete(resource, "a")
    assert client.get(resource, "a").metadata.deletionTimestamp is not None
    client.patch(resource, "a", FREE, patch_type=PatchType.MERGE)
    assert [item.metadata.name for item in client.list(resource)] == ["b"]
    for operation, found in client.watch(resource, server_timeout=1):
        assert (operation, found.metadata.name) == ("ADDED", "b")
        break


def test_kr8s_lives_with_it(server: ApiServer, tmp_path: Path) -> None:
    """Objects that know their client: create, patch, delete."""
    kr8s = pytest.importorskip("kr8s")
    config = tmp_path / "config"
    config.write_text(json.dumps(kubeconfig(server.url)))

    async def run() -> None:
        api = await kr8s.asyncio.api(kubeconfig=str(config))
        kind = kr8s.asyncio.objects.new_class("Widget", f"{GROUP}/v1", namespaced=True)
        found = await kind(widget("a", GROUP), api=api)
        await found.create()
        await found.patch({"spec": {"size": 9}})
        assert found.spec.size == 9
        assert [item.name async for item in api.get(kind)] == ["a"]
        await found.delete()
        assert not await found.exists()

    asyncio.run(run())
