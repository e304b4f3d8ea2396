"""Manifests to a server: created where absent, brought up to date where not.

From: `lab.apply`. To: the dynamic client.

Guarantees:
  1. Everything is read and checked before anything is sent.
  2. Namespaces and CustomResourceDefinitions go first; a kind that a manifest itself
     defines is waited for.
  3. What was done before a failure is noted on the error.

Without `server_side`, fields that a manifest no longer names stay as they are (a JSON
merge patch); with it, those this manager owned are removed.

Thread: the caller's.
Source: kubernetes/kubectl:pkg/cmd/apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from crlab.errors import CrlabError, NotFound, UnknownResource
from crlab.model.key import join_key
from crlab.model.manifest import Manifest, load_manifests
from crlab.model.resource import ApiResource, GroupVersionKind
from crlab.runtime.dry_run import in_dry_run

if TYPE_CHECKING:
    from crlab.client.dynamic import DynamicClient

SERVED_TIMEOUT_SECONDS = 10.0
SERVED_POLL_SECONDS = 0.05

_FIRST = {"Namespace": 0, "CustomResourceDefinition": 1}


class Applied(msgspec.Struct, frozen=True):
    """What happened to one manifest.

    Attributes:
        operation: "created", "configured" or "unchanged".
        resource: "plural.group".
        object: as stored.
    """

    operation: str
    resource: str
    key: str
    object: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.resource} {self.key} {self.operation}"

    def __repr__(self) -> str:
        return f"<{self}>"


def apply_manifests(
    client: DynamicClient,
    source: Manifest,
    *,
    namespace: str | None = None,
    server_side: bool = False,
    dry_run: bool = False,
) -> list[Applied]:
    """Create or bring up to date what manifests describe, in their order.

    Args:
        source: a path, a folder, YAML or JSON text, a mapping, or a list of these.
        namespace: for namespaced objects that name none; default the client's.
        server_side: apply server-side, taking over what others manage.

    Returns:
        One `Applied` per manifest, in the order they were sent.

    Raises:
        ManifestError: nothing was sent.
        UnknownResource: no such kind; nothing was sent.
        ApiError: the server refused one; `__notes__` says which went before it.
    """
    objects = sorted(load_manifests(source), key=lambda obj: _FIRST.get(obj["kind"], 2))
    defined = _defined_kinds(objects)
    for obj in objects:
        if _kind(obj) not in defined:
            client.resolve_kind(_kind(obj))
    done: list[Applied] = []
    for obj in objects:
        try:
            done.append(_apply_one(client, obj, namespace, server_side, dry_run))
            if not (dry_run or in_dry_run()) and obj["kind"] == "CustomResourceDefinition":
                for kind in _defined_kinds([obj]):
                    _await_kind(client, kind)
        except CrlabError as error:
            if done:
                error.add_note(f"applied before: {', '.join(map(str, done))}")
            raise
    return done


def _apply_one(
    client: DynamicClient,
    obj: dict[str, Any],
    namespace: str | None,
    server_side: bool,
    dry_run: bool,
) -> Applied:
    resource = client.resolve_kind(_kind(obj))
    metadata = obj["metadata"]
    place = metadata.get("namespace") or namespace or client.default_namespace
    options: dict[str, Any] = {"dry_run": dry_run}
    if resource.is_namespaced:
        options["namespace"] = place
    name = metadata.get("name")
    before: dict[str, Any] | None = None
    if name:
        try:
            before = client.get(resource, name, namespace=options.get("namespace"))
        except NotFound:
            before = None
    if name and server_side:
        after = client.apply(resource, obj, force=True, **options)
    elif before is None:
        after = client.create(resource, obj, **options)
    else:
        after = client.patch(resource, str(name), obj, **options)
    return Applied(_operation(before, after), resource.gvr.group_resource, _key(after), after)


def _operation(before: dict[str, Any] | None, after: dict[str, Any]) -> str:
    if before is None:
        return "created"
    versions = [obj.get("metadata", {}).get("resourceVersion") for obj in (before, after)]
    return "unchanged" if versions[0] == versions[1] else "configured"


def _key(obj: dict[str, Any]) -> str:
    metadata = obj.get("metadata") or {}
    return join_key(metadata.get("namespace"), str(metadata.get("name") or ""))


def _kind(obj: dict[str, Any]) -> GroupVersionKind:
    return GroupVersionKind.from_api_version(obj["apiVersion"], obj["kind"])


def _defined_kinds(objects: list[dict[str, Any]]) -> set[GroupVersionKind]:
    """Return the kinds that CustomResourceDefinitions among `objects` will serve."""
    kinds = set()
    for obj in objects:
        if obj["kind"] != "CustomResourceDefinition":
            continue
        spec = obj.get("spec")
        if not isinstance(spec, dict):
            continue
        names, versions = spec.get("names"), spec.get("versions")
        if not isinstance(names, dict) or not isinstance(versions, list):
            continue  # the server will say what is wrong with it
        for version in versions:
            if isinstance(version, dict) and version.get("served"):
                kinds.add(
                    GroupVersionKind(
                        str(spec.get("group")), str(version.get("name")), str(names.get("kind"))
                    )
                )
    return kinds


def _await_kind(client: DynamicClient, kind: GroupVersionKind) -> ApiResource:
    """Wait until a kind is served."""
    started = client.clock.monotonic()
    while True:
        try:
            return client.resolve_kind(kind)
        except UnknownResource:
            waited = client.clock.monotonic() - started
            if client.pause is None or waited >= SERVED_TIMEOUT_SECONDS:
                raise
            client.pause(SERVED_POLL_SECONDS)
