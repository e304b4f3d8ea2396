"""Resource types as data.

From: `kind/catalog.py` and `crd/definition.py`. To: routing, discovery, every verb.
A `ResourceType` is what all versions of a resource share; a `Version` is how one of them
looks: schema, columns, selectable fields, conversion.

Guarantees:
  1. A version's `form` is a number of its own: an object stored under it needs no
     pruning, defaulting or conversion to be served under it.
  2. Types are replaced, never changed: a request works on the type it found.

Thread: read by any thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from crlab.apiserver.status import Cause
from crlab.apiserver.storage import Commit, Stored, Tree, encode
from crlab.model.printer import PrinterColumn

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")

_forms = itertools.count(1)


class Schema(Protocol):
    """What a compiled structural schema does (see schema/)."""

    def prune(self, obj: Tree, unknown: list[str] | None = None) -> None:
        """Drop undeclared fields in place, naming them in `unknown`."""

    def default(self, obj: Tree) -> None:
        """Fill in defaults in place."""

    def validate(
        self,
        obj: Tree,
        old: Tree | None = None,
        *,
        of_status: bool = False,
        with_faults: bool = False,
    ) -> list[Cause]:
        """Return every broken rule; `with_faults`: the rest of the object is broken already."""


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a scalable object keeps its replicas; field paths as tuples."""

    spec_replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...] = ()
    is_selector_object: bool = False  # a meta/v1 LabelSelector rather than text


@dataclass(frozen=True, slots=True)
class Subresource:
    """An entry of discovery below a resource."""

    name: str
    kind: str
    group: str | None = None
    version: str | None = None
    verbs: tuple[str, ...] = SUBRESOURCE_VERBS


Convert = Callable[[Tree], Tree]


@dataclass(slots=True)
class Version:
    """One version of a resource.

    Attributes:
        traits: fields of the `ResourceType` in which this version differs (subresources).
    """

    name: str
    is_served: bool = True
    is_storage: bool = True
    schema: Schema | None = None
    open_api: Mapping[str, Any] | None = None
    columns: tuple[PrinterColumn, ...] | None = None
    selectable: tuple[tuple[str, tuple[str, ...]], ...] = ()
    is_deprecated: bool = False
    deprecation_warning: str = ""
    to_storage: Convert | None = None
    from_storage: Convert | None = None
    traits: Mapping[str, Any] | None = None
    form: int = field(default_factory=lambda: next(_forms))


def _no_causes(*_: Any) -> list[Cause]:
    return []


def _no_warnings(*_: Any) -> list[str]:
    return []


def _no_names(tree: Tree) -> list[str]:
    del tree
    return []


def _no_grace(tree: Tree) -> int:
    del tree
    return 0


@dataclass(slots=True)
class ResourceType:
    """Everything the verbs need to know of a resource.

    Attributes:
        storage_name: where its objects live; two resources may share one (events).
        generation: "spec" (anything outside metadata and status), "spec+annotations", ""
            (no generation).
        name_rule: "subdomain", "label", "service", "path", "" (the kind checks it).
        fields: field selector names beyond metadata.name and metadata.namespace.
        orphans_by_default: a deletion that states no propagation policy keeps dependents.
        needs_webhook: other versions than the stored one are a webhook's to make.
        delete_warning: sent with such a deletion.
        prepare: called with (new, old) before validation, changes `new`.
        check: called with (new, old), returns causes.
        warn: called with (new, old), returns warnings for the writer.
        before_delete: called with the live tree, may raise StatusError.
        begin_delete: called with the tree when its graceful deletion begins, changes it.
        after_commit: called with each commit, in the writer's critical section.
        spec_finalizers: names that hold a deletion besides metadata.finalizers.
        definition: spec and accepted names of the CRD behind it.
        unmanaged: paths that nobody owns when the server, not the writer, filled them in.
        grace_seconds: how long a deletion of this object takes by default.
    """

    group: str
    plural: str
    kind: str
    versions: dict[str, Version]
    singular: str = ""
    list_kind: str = ""
    is_namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    has_status: bool = False
    scale: ScalePaths | None = None
    is_custom: bool = False
    is_established: bool = True
    is_terminating: bool = False
    storage_name: str = ""
    generation: str = ""
    name_rule: str = "subdomain"
    allows_unconditional_update: bool = True
    returns_object_on_delete: bool = False
    can_collect: bool = True
    shows_deletion_time: bool = False
    orphans_by_default: bool = False
    needs_webhook: bool = False
    delete_warning: str = ""
    fields: Mapping[str, Callable[[Tree], str]] = field(default_factory=dict)
    prepare: Callable[[Tree, Tree | None], None] | None = None
    check: Callable[[Tree, Tree | None], list[Cause]] = _no_causes
    warn: Callable[[Tree, Tree | None], list[str]] = _no_warnings
    before_delete: Callable[[Tree], None] | None = None
    begin_delete: Callable[[Tree], None] | None = None
    after_commit: Callable[[Commit], None] | None = None
    spec_finalizers: Callable[[Tree], list[str]] = _no_names
    grace_seconds: Callable[[Tree], int] = _no_grace
    definition: tuple[Any, Any] | None = None
    unmanaged: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        self.singular = self.singular or self.kind.lower()
        self.list_kind = self.list_kind or f"{self.kind}List"
        self.storage_name = self.storage_name or self.group_resource

    @property
    def group_resource(self) -> str:
        """``plural.group``, or ``plural`` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_version(self) -> Version:
        """The version objects are stored in."""
        return next(v for v in self.versions.values() if v.is_storage)

    def api_version(self, version: Version) -> str:
        """Return what objects of a version carry."""
        return f"{self.group}/{version.name}" if self.group else version.name

    def seen_by(self, version: Version) -> ResourceType:
        """Return the type as a version shows it: itself, unless the version has traits."""
        return replace(self, **version.traits) if version.traits else self

    def key(self, namespace: str, name: str) -> str:
        """Return the storage key of a name."""
        return f"{namespace}/{name}" if self.is_namespaced else name

    def tree(self, version: Version, stored: Stored) -> Tree:
        """Return a fresh tree of an object as a version shows it, with apiVersion and kind."""
        tree = stored.tree()
        if version.from_storage is not None:
            tree = version.from_storage(tree)
        tree = {"apiVersion": self.api_version(version), "kind": self.kind, **tree}
        if version.schema is not None and stored.form != version.form:
            version.schema.prune(tree)
            version.schema.default(tree)
        return tree

    def item(self, version: Version, stored: Stored) -> bytes:
        """Return an object's JSON without apiVersion and kind."""
        if version.from_storage is None and (version.schema is None or stored.form == version.form):
            return stored.data
        tree = self.tree(version, stored)
        del tree["apiVersion"], tree["kind"]
        return encode(tree, version.form)

    def document(self, version: Version, stored: Stored) -> bytes:
        """Return an object's JSON as served."""
        return self.prefix(version) + self.item(version, stored)[1:]

    def prefix(self, version: Version) -> bytes:
        """Return the opening of every object: its apiVersion and kind."""
        head = {"apiVersion": self.api_version(version), "kind": self.kind}
        return msgspec.json.encode(head)[:-1] + b","

    def field_values(self, version: Version, tree: Tree) -> dict[str, str]:
        """Return what field selectors compare."""
        metadata = tree.get("metadata") or {}
        found = {"metadata.name": metadata.get("name", "")}
        if self.is_namespaced:
            found["metadata.namespace"] = metadata.get("namespace", "")
        for name, path in version.selectable:
            found[name] = text_of(look(tree, path))
        for name, read in self.fields.items():
            found[name] = read(tree)
        return found

    def supports_field(self, version: Version, name: str) -> bool:
        """Whether a field selector may name a field."""
        return (
            name in ("metadata.name", "metadata.namespace")
            or name in self.fields
            or any(name == field_name for field_name, _ in version.selectable)
        )


def look(tree: Any, path: tuple[str, ...]) -> Any:
    """Return what is at a path of field names, None if nothing is."""
    for part in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(part)
    return tree


def text_of(value: Any) -> str:
    """Return a scalar as selectors compare it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
