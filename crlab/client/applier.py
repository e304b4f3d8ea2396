"""Manifests to a server, as ``kubectl apply``: what they name is there, what left them goes.

From: `lab.apply`. To: the dynamic client.

Each object is applied server-side: one PATCH creates it or merges it in, and the server keeps,
per field, who stated it. So a field (or an item of a list: a container, a port, a variable)
that this manager stated and that left the manifest is removed, and what others added stays. A
field that others manage and the manifest names is taken over; with ``force=False`` it is a
`Conflict` that names them.

Guarantees:
  1. Everything is read and checked before anything is sent: kinds, namespaces that may not be
     written, values without a JSON form, masked values.
  2. Namespaces and CustomResourceDefinitions go first; a kind that a manifest itself
     defines is waited for.
  3. What was done before a failure is noted on the error.
  4. What only the server sets (uid, resourceVersion, managedFields, ...) is taken out of a
     manifest first, so that an object that was read or exported can be applied.

What ``kubectl apply`` wrote without ``--server-side`` becomes this manager's at its first apply
here, as ``kubectl apply --server-side`` takes it over; kubectl's annotation stays. Objects made
by other verbs (`client.create`, `client.patch`) keep what the manifest does not name, as with
kubectl.

Thread: the caller's.
Source: kubernetes/kubectl:pkg/cmd/apply; k8s.io/client-go/util/csaupgrade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from crlab.errors import CrlabError, Forbidden, NotFound, UnknownResource
from crlab.model.diff import diff
from crlab.model.encoder import encoded
from crlab.model.key import join_key
from crlab.model.manifest import Manifest, load_manifests
from crlab.model.redaction import LAST_APPLIED
from crlab.model.resource import ApiResource, GroupVersionKind
from crlab.runtime.dry_run import in_dry_run

if TYPE_CHECKING:
    from crlab.client.dynamic import DynamicClient

SERVED_TIMEOUT_SECONDS = 10.0
SERVED_POLL_SECONDS = 0.05

KUBECTL = "kubectl-client-side-apply"
SERVER_SETS = (
    "managedFields",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)

Tree = dict[str, Any]

_FIRST = {"Namespace": 0, "CustomResourceDefinition": 1}


class Applied(msgspec.Struct, frozen=True):
    """What happened to one manifest.

    Attributes:
        operation: "created", "configured" or "unchanged" (no new revision); "configured"
            also where the object could not be looked at first.
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
    force: bool = True,
    dry_run: bool = False,
) -> list[Applied]:
    """Make what manifests describe so, in their order.

    Args:
        source: a path, a folder, YAML or JSON text, a mapping, or a list of these.
        namespace: for namespaced objects that name none; default the client's.
        force: take over fields that others manage.
        dry_run: have the server check it all and change nothing; what kubectl's client-side
            apply wrote is not taken over first.

    Returns:
        One `Applied` per manifest, in the order they were sent.

    Raises:
        ManifestError, BodyRefused: nothing was sent.
        UnknownResource: no such kind; nothing was sent.
        ReadOnlyError: one of them may not be written; nothing was sent.
        Conflict: others manage some of its fields, and `force` is off.
        ApiError: the server refused one; `__notes__` says which went before it.
    """
    dry_run = dry_run or in_dry_run()
    objects = sorted(load_manifests(source), key=lambda obj: _FIRST.get(obj["kind"], 2))
    defined = _defined_kinds(objects)
    for obj in objects:
        _take_out_what_the_server_sets(obj)
        metadata = obj["metadata"]
        place = metadata.get("namespace") or namespace or client.default_namespace
        encoded(obj, f"apply {obj['kind']} {_key(obj)}")
        if _kind(obj) not in defined:
            resource = client.resolve_kind(_kind(obj))
            if not dry_run:
                name = metadata.get("name") or f"{metadata['generateName']}*"
                key = join_key(place if resource.is_namespaced else "", name)
                tried = f"apply {resource.gvr.group_resource} {key}"
                client.check_may_write(resource, place, tried)
    done: list[Applied] = []
    for obj in objects:
        try:
            done.append(_apply_one(client, obj, namespace, force=force, dry_run=dry_run))
            if not dry_run and obj["kind"] == "CustomResourceDefinition":
                for kind in _defined_kinds([obj]):
                    _await_kind(client, kind)
        except CrlabError as error:
            if "duplicate entries for key" in str(error):
                error.add_note(
                    "server-side apply tells the items of this list apart by that key: leave "
                    "one of each in the manifest"
                )
            if done:
                error.add_note(f"applied before: {', '.join(map(str, done))}")
            raise
    return done


def _take_out_what_the_server_sets(obj: Tree) -> None:
    """Leave of an object, in place, what a manifest can state."""
    metadata = obj["metadata"]
    for field in SERVER_SETS:
        metadata.pop(field, None)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and annotations.pop(LAST_APPLIED, None) and not annotations:
        del metadata["annotations"]


def _apply_one(
    client: DynamicClient, obj: Tree, namespace: str | None, *, force: bool, dry_run: bool
) -> Applied:
    resource = client.resolve_kind(_kind(obj))
    metadata = obj["metadata"]
    options: Tree = {"dry_run": dry_run}
    if resource.is_namespaced:
        options["namespace"] = metadata.get("namespace") or namespace or client.default_namespace
    name = metadata.get("name")
    if not name:
        before, after = None, client.create(resource, obj, **options)
    else:
        place = options.get("namespace")
        before = client.retry_on_conflict(lambda: _before(client, resource, name, place, dry_run))
        after = client.apply(resource, obj, force=force, **options)
    operation = "configured"
    if before is None:
        operation = "created"
    elif _is_same(before, after, dry_run):
        operation = "unchanged"
    return Applied(operation, resource.gvr.group_resource, _key(after), after)


def _before(
    client: DynamicClient, resource: ApiResource, name: str, place: str | None, dry_run: bool
) -> Tree | None:
    """Return the object as it is, None if there is none; kubectl's part of it is made ours.

    Raises:
        Conflict: it changed meanwhile.
    """
    try:
        before = client.get(resource, name, namespace=place)
    except NotFound:
        return None
    except Forbidden:
        return {}  # who may write may not have to look
    entries = None if dry_run else _adopted(before, client.field_manager)
    if entries is None:
        return before
    version = before["metadata"]["resourceVersion"]
    operations = [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]
    client.patch(resource, name, operations, namespace=place)
    return before


def _adopted(obj: Tree, manager: str) -> list[Tree] | None:
    """Return managedFields in which what kubectl applied is the manager's; None if it is."""
    metadata = obj["metadata"]
    if LAST_APPLIED not in (metadata.get("annotations") or {}):
        return None
    kept: list[Tree] = []
    taken: list[Tree] = []
    own: Tree | None = None
    for entry in metadata.get("managedFields") or ():
        role = entry.get("manager"), entry.get("operation"), entry.get("subresource", "")
        if own is None and role == (manager, "Apply", ""):
            own = entry
            continue
        if role == (KUBECTL, "Update", ""):
            rest, note = _without_annotation(entry.get("fieldsV1") or {})
            if rest:
                taken.append({**entry, "fieldsV1": rest})
                if not note:
                    continue
                entry = {**entry, "fieldsV1": note}
        kept.append(entry)
    if not taken:
        return None
    made = own or {**taken[0], "manager": manager, "operation": "Apply"}
    for entry in taken:
        made = {**made, "fieldsV1": _union(made["fieldsV1"], entry["fieldsV1"])}
    return [*kept, made]


def _without_annotation(fields: Tree) -> tuple[Tree, Tree]:
    """Split a set of fields into all but kubectl's annotation, and the annotation."""
    mark = f"f:{LAST_APPLIED}"
    metadata = fields.get("f:metadata") or {}
    annotations = metadata.get("f:annotations") or {}
    if mark not in annotations:
        return fields, {}
    note: Tree = {"f:metadata": {"f:annotations": {mark: {}}}}
    others = {name: below for name, below in annotations.items() if name not in (mark, ".")}
    rest = {name: below for name, below in metadata.items() if name != "f:annotations"}
    if others:
        rest["f:annotations"] = others
    left = {name: below for name, below in fields.items() if name != "f:metadata"}
    if rest:
        left["f:metadata"] = rest
    return left, note


def _union(one: Tree, other: Tree) -> Tree:
    return one | {name: _union(one.get(name) or {}, below) for name, below in other.items()}


def _is_same(before: Tree, after: Tree, dry_run: bool) -> bool:
    if dry_run:  # its answer has the version that is there
        return not diff(before, after)
    versions = [obj.get("metadata", {}).get("resourceVersion") for obj in (before, after)]
    return bool(versions[0] == versions[1])


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
