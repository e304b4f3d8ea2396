"""A few dozen lines of API server: objects, revisions, watches, and the client's verbs.

For tests of what stands above a client and informers; the embedded server is tested by its
own. Writes are optimistic, deletes honour finalizers, status is part of the object.
"""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

from crlab.cache import SharedInformer
from crlab.client.list_watch import EndOfStream, ListOptions, ListPage, WatchEvent
from crlab.client.requester import Demand
from crlab.controller import Controller
from crlab.errors import Conflict, NotFound, UnknownResource, api_error
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import FakeClock
from crlab.runtime.driver import ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.cause import current_actor, current_causes
from crlab.trace.record import Trace


def _resource(group, version, plural, kind, *, is_namespaced=True):
    subresources = ("status",) if group else ()
    gvr = GroupVersionResource(group, version, plural)
    return ApiResource(gvr, kind, is_namespaced, subresources=subresources)


SERVICES = _resource("example.com", "v1alpha1", "myservices", "MyService")
DEPLOYMENTS = _resource("apps", "v1", "deployments", "Deployment")
CONFIGMAPS = _resource("", "v1", "configmaps", "ConfigMap")
SECRETS = _resource("", "v1", "secrets", "Secret")
EVENTS = _resource("", "v1", "events", "Event")
NODES = _resource("", "v1", "nodes", "Node", is_namespaced=False)
ALL = (SERVICES, DEPLOYMENTS, CONFIGMAPS, SECRETS, EVENTS, NODES)


class _Stream:
    def __init__(self, cluster: TinyCluster, resource: str, after: int) -> None:
        self._cluster, self._resource, self._after = cluster, resource, after
        self.is_closed = False

    def read(self, timeout_seconds: float | None) -> list[WatchEvent]:
        if self.is_closed:
            raise EndOfStream("closed")
        log = [e for e in self._cluster.log if e[0] > self._after and e[1] == self._resource]
        if log:
            self._after = log[-1][0]
        elif timeout_seconds:
            raise TimeoutError
        return [
            WatchEvent(kind, obj, obj.resource_version, size_bytes=len(obj.raw))
            for _, _, kind, obj in log
        ]

    def close(self) -> None:
        self.is_closed = True


class _ListerWatcher:
    supports_watch_list = False

    def __init__(self, cluster: TinyCluster, resource: ApiResource) -> None:
        self._cluster = cluster
        self.resource = resource
        self.namespace = None

    def list(self, options: ListOptions) -> ListPage:
        held = self._cluster.objects[self.resource.gvr.group_resource]
        return ListPage([KubeObject.of(held[key]) for key in sorted(held)], str(self._cluster.rv))

    def watch(self, options: ListOptions) -> _Stream:
        return _Stream(
            self._cluster,
            self.resource.gvr.group_resource,
            int(options.resource_version or self._cluster.rv),
        )

    def abort(self) -> None:
        pass


class TinyCluster:
    """Server, client, clock, driver, trace and informers in one."""

    def __init__(self, driver: Any = None, clock: Any = None) -> None:
        self.clock = clock or FakeClock()
        self.driver = driver or ManualDriver()
        self.trace = Trace(self.clock)
        self.ids = Ids(0)
        self.rv = 0
        self.log: list[tuple[int, str, str, KubeObject]] = []
        self.objects: dict[str, dict[str, dict]] = {r.gvr.group_resource: {} for r in ALL}
        self.informers: dict[str, SharedInformer] = {}
        self.failures: list[BaseException] = []

    # -- parts -------------------------------------------------------------------------

    def informer(self, resource: ApiResource) -> SharedInformer:
        name = resource.gvr.group_resource
        if name not in self.informers:
            self.informers[name] = SharedInformer(
                _ListerWatcher(self, resource),
                driver=self.driver,
                clock=self.clock,
                ids=self.ids,
                trace=self.trace,
                list_mode="list",
            )
            self.informers[name].start()
        return self.informers[name]

    def controller(self, reconcile: Any, **options: Any) -> Controller:
        options.setdefault("informer", self.informer(SERVICES))
        options.setdefault("ids", self.ids)
        return Controller(
            options.pop("name", "test"),
            reconcile,
            client=self,  # type: ignore[arg-type]  # it has the client's verbs that are tested
            driver=self.driver,
            clock=self.clock,
            trace=self.trace,
            **options,
        )

    def service(self, name: str = "web", namespace: str = "default", **spec: Any) -> dict:
        metadata = {"name": name, "namespace": namespace}
        return self.create(SERVICES, {**_head(SERVICES), "metadata": metadata, "spec": spec})

    # -- the client's verbs ---------------------------------------------------------------

    def resolve(self, name: Any) -> ApiResource:
        for each in ALL:
            if name in (each, each.gvr.resource, each.kind, each.gvr.group_resource):
                return each
        raise UnknownResource(str(name))

    def resolve_kind(self, kind: Any) -> ApiResource:
        return self.resolve(kind.kind)

    def get(self, resource, name, *, namespace=None):
        found = self.resolve(resource)
        held = self._held(found, name, namespace)
        self._note("get", found, namespace, name)
        return copy.deepcopy(held)

    def list(self, resource, *, namespace=None, label_selector=""):
        found = self.resolve(resource)
        self._note("list", found, namespace, "")
        held = self.objects[found.gvr.group_resource]
        return {"items": [copy.deepcopy(held[key]) for key in sorted(held)]}

    def create(self, resource, obj, *, namespace=None, dry_run=False, field_manager=None):
        found = self.resolve(resource)
        self._fail()
        fresh = copy.deepcopy(dict(obj))
        key = _key(found, fresh["metadata"].get("namespace") or namespace, fresh)
        if key in self.objects[found.gvr.group_resource]:
            status = {"reason": "AlreadyExists", "message": f"{key} exists"}
            raise api_error(409, status, tried=f"create {key}")
        fresh["metadata"]["uid"] = self.ids.uid()
        return self._store("create", "ADDED", found, key, fresh, dry_run)

    def update(
        self, resource, obj, *, namespace=None, dry_run=False, field_manager=None, subresource=""
    ):
        found = self.resolve(resource)
        self._fail()
        held = self._held(found, obj["metadata"]["name"], namespace)
        asked = obj["metadata"].get("resourceVersion")
        if asked and asked != held["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", code=409, reason="Conflict")
        fresh = copy.deepcopy(dict(obj))
        return self._changed("update", found, held, fresh, dry_run, subresource)

    def update_status(self, resource, obj, **options):
        return self.update(resource, obj, subresource="status", **options)

    def patch(self, resource, name, patch, *, namespace=None, dry_run=False, **options):
        found = self.resolve(resource)
        self._fail()
        held = self._held(found, name, namespace)
        asked = (patch.get("metadata") or {}).get("resourceVersion")
        if asked and asked != held["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", code=409, reason="Conflict")
        fresh = _merged(copy.deepcopy(held), patch)
        sub = options.get("subresource", "")
        return self._changed("patch", found, held, fresh, dry_run, sub)

    def patch_status(self, resource, name, patch, **options):
        return self.patch(resource, name, patch, subresource="status", **options)

    def apply(
        self, resource, obj, *, namespace=None, dry_run=False, field_manager=None, force=False
    ):
        found = self.resolve(resource)
        key = _key(found, namespace, obj)
        if key not in self.objects[found.gvr.group_resource]:
            return self.create(found, obj, namespace=namespace, dry_run=dry_run)
        body = copy.deepcopy(dict(obj))
        body["metadata"].pop("resourceVersion", None)
        return self.patch(
            found, obj["metadata"]["name"], body, namespace=namespace, dry_run=dry_run
        )

    def delete(self, resource, name, *, namespace=None, dry_run=False, **options):
        found = self.resolve(resource)
        self._fail()
        held = copy.deepcopy(self._held(found, name, namespace))
        key = _key(found, namespace, held)
        if held["metadata"].get("finalizers"):
            held["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            return self._store("delete", "MODIFIED", found, key, held, dry_run)
        return self._store("delete", "DELETED", found, key, held, dry_run)

    def get_scale(self, resource, name, *, namespace=None):
        return self.get(resource, name, namespace=namespace)

    def observed(self, around, *, field_manager=""):
        """As `DynamicClient.observed`: every request passes through `around`."""
        return _Observed(self, around)

    # -- inside ------------------------------------------------------------------------

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _held(self, found: ApiResource, name: str, namespace: str | None) -> dict:
        key = f"{namespace}/{name}" if found.is_namespaced else name
        held = self.objects[found.gvr.group_resource].get(key)
        if held is None:
            raise NotFound(f"{found.gvr.resource} {key!r} not found", code=404, reason="NotFound")
        return held

    def _changed(self, verb, found, held, fresh, dry_run, sub=""):
        key = _key(found, held["metadata"].get("namespace"), held)
        fresh["metadata"]["resourceVersion"] = held["metadata"]["resourceVersion"]
        if json.dumps(fresh, sort_keys=True) == json.dumps(held, sort_keys=True):
            self._note(verb, found, held["metadata"].get("namespace"), held["metadata"]["name"])
            return copy.deepcopy(held)
        is_gone = fresh["metadata"].get("deletionTimestamp") and not fresh["metadata"].get(
            "finalizers"
        )
        return self._store(verb, "DELETED" if is_gone else "MODIFIED", found, key, fresh, dry_run)

    def _store(self, verb, kind, found, key, fresh, dry_run):
        metadata = fresh["metadata"]
        if dry_run:
            return fresh
        self.rv += 1
        metadata["resourceVersion"] = str(self.rv)
        held = self.objects[found.gvr.group_resource]
        if kind == "DELETED":
            held.pop(key)
        else:
            held[key] = copy.deepcopy(fresh)
        self.log.append((self.rv, found.gvr.group_resource, kind, KubeObject.of(fresh)))
        seq = self._note(verb, found, metadata.get("namespace"), metadata["name"])
        self.trace.note_write(found.gvr.group_resource, str(self.rv), seq)
        return copy.deepcopy(fresh)

    def _note(self, verb, found, namespace, name) -> int:
        return self.trace.append(
            "client",
            "request",
            resource=found.gvr.group_resource,
            causes=current_causes(),
            data={
                "verb": verb,
                "status": 201 if verb == "create" else 200,
                "actor": current_actor(),
                "namespace": namespace or "",
                "name": name,
            },
        )


def _head(resource: ApiResource) -> dict:
    return {"apiVersion": resource.gvr.api_version, "kind": resource.kind}


def _key(resource: ApiResource, namespace: str | None, obj: dict) -> str:
    name = obj["metadata"]["name"]
    return f"{namespace}/{name}" if resource.is_namespaced else name


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return patch
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _merged(target.get(name), value) if name in target else value
    return target


class _Observed:
    """The cluster's verbs, each sent through a run."""

    def __init__(self, cluster: TinyCluster, around: Any) -> None:
        self._cluster = cluster
        self._around = around

    def _ask(self, verb, resource, namespace, name, send, body=None, subresource="", kind=""):
        found = self._cluster.resolve(resource)
        is_write = verb not in ("get", "list")
        method = {"create": "POST", "delete": "DELETE", "get": "GET", "list": "GET"}.get(verb)
        demand = Demand(
            verb,
            method or ("PATCH" if verb == "patch" else "PUT"),
            found,
            namespace or "",
            "" if verb == "create" else name,
            subresource,
            [],
            body,
            f"application/{kind}-patch+yaml" if kind else "application/json",
            False,
            name if verb == "create" else "",
        )

        def sent(demand: Demand) -> Any:
            return send(dry_run=demand.is_dry_run) if is_write else send()

        return self._around(demand, sent)

    def get(self, resource, name, *, namespace=None, subresource=""):
        send = functools.partial(self._cluster.get, resource, name, namespace=namespace)
        return self._ask("get", resource, namespace, name, send, subresource=subresource)

    def get_scale(self, resource, name, *, namespace=None):
        return self.get(resource, name, namespace=namespace, subresource="scale")

    def list(self, resource, *, namespace=None, label_selector=""):
        send = functools.partial(self._cluster.list, resource, namespace=namespace)
        return self._ask("list", resource, namespace, "", send)

    def create(self, resource, obj, *, namespace=None):
        body = _placed(obj, namespace)
        send = functools.partial(self._cluster.create, resource, body, namespace=namespace)
        return self._ask("create", resource, namespace, body["metadata"].get("name"), send, body)

    def update(self, resource, obj, *, namespace=None, subresource=""):
        body = _placed(obj, namespace)
        send = functools.partial(
            self._cluster.update, resource, body, namespace=namespace, subresource=subresource
        )
        name = body["metadata"]["name"]
        return self._ask("update", resource, namespace, name, send, body, subresource)

    def patch(self, resource, name, patch, *, namespace=None, patch_type=None, subresource=""):
        send = functools.partial(
            self._cluster.patch,
            resource,
            name,
            patch,
            namespace=namespace,
            patch_type=patch_type,
            subresource=subresource,
        )
        return self._ask("patch", resource, namespace, name, send, patch, subresource)

    def apply(self, resource, obj, *, namespace=None, force=False):
        body = _placed(obj, namespace)
        body["metadata"].pop("managedFields", None)
        send = functools.partial(
            self._cluster.apply, resource, body, namespace=namespace, force=force
        )
        name = body["metadata"]["name"]
        return self._ask("patch", resource, namespace, name, send, body, kind="apply")

    def delete(self, resource, name, *, namespace=None, **options):
        send = functools.partial(
            self._cluster.delete, resource, name, namespace=namespace, **options
        )
        return self._ask("delete", resource, namespace, name, send)


def _placed(obj, namespace):
    place = {"namespace": namespace} if namespace else {}
    return {**obj, "metadata": {**place, **obj["metadata"]}}
