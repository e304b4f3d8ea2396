"""The embedded server with its controllers, a client and a manual driver, no sockets."""

from __future__ import annotations

from typing import Any

from crlab.apiserver import ApiServer
from crlab.client.dynamic import DynamicClient
from crlab.controller.builtin import GROUPS, ControllerManager
from crlab.lab.in_process import InProcessTransport
from crlab.runtime.clock import FakeClock
from crlab.runtime.driver import ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace


class ControlledServer:
    """Everything of a sandbox below its informers."""

    def __init__(self, groups: tuple[str, ...] = GROUPS, **options: Any) -> None:
        self.clock = FakeClock()
        self.ids = Ids(0)
        self.trace = Trace(self.clock)
        self.driver = ManualDriver()
        self.server = ApiServer(self.clock, self.ids.fork("server"))
        self.client = DynamicClient(
            InProcessTransport(self.server), clock=self.clock, trace=self.trace, allow_writes=True
        )
        self.manager = ControllerManager(
            self.server.storage,
            self.client,
            driver=self.driver,
            clock=self.clock,
            ids=self.ids,
            trace=self.trace,
            groups=groups,
            **options,
        ).start()

    def settle(self) -> None:
        self.driver.settle()

    def config_map(self, name: str, *owners: dict, namespace: str = "default", **meta: Any) -> dict:
        metadata = {"name": name, "namespace": namespace, **meta}
        if owners:
            metadata["ownerReferences"] = [*owners]
        return self.client.create("configmaps", {"metadata": metadata})

    def names(self, plural: str, namespace: str = "default") -> list[str]:
        items = self.client.list(plural, namespace=namespace)["items"]
        return sorted(item["metadata"]["name"] for item in items)

    def deployment(self, name: str = "web", replicas: int = 3, **spec: Any) -> dict:
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
        }
        body = {"selector": {"matchLabels": {"app": name}}, "replicas": replicas, **spec}
        return self.client.create(
            "deployments", {"metadata": {"name": name}, "spec": {"template": template, **body}}
        )


def ref(owner: dict, **extra: Any) -> dict:
    """Return an ownerReference to an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        **extra,
    }
