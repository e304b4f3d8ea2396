"""What a CRD's schema says of a field: its type, its documentation, its neighbours.

No code is generated: a `SchemaNode` is a view of one node of the OpenAPI v3 schema that the
CRD carries, and `Draft` asks it.

Thread: immutable values.
Source: apiextensions.k8s.io/v1 JSONSchemaProps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.client.dynamic import DynamicClient
from crlab.errors import ConfigError, CrlabError, nearest
from crlab.model.resource import ApiResource
from crlab.trace.cause import caused_by

_METADATA: dict[str, Any] = {
    "type": "object",
    "description": "Standard object's metadata.",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "name": {"type": "string", "description": "Unique within a namespace."},
        "generateName": {"type": "string", "description": "Prefix of a generated name."},
        "namespace": {"type": "string", "description": "The space the name is unique in."},
        "labels": {"type": "object", "description": "Keys and values to select by."},
        "annotations": {"type": "object", "description": "Keys and values for tools."},
        "ownerReferences": {"type": "array", "description": "Objects this one depends on."},
        "finalizers": {"type": "array", "description": "Must be empty before it is removed."},
        "uid": {"type": "string", "description": "Set by the server; never reused."},
        "resourceVersion": {"type": "string", "description": "Changes with every write."},
        "generation": {"type": "integer", "description": "Changes with the desired state."},
        "creationTimestamp": {"type": "string", "description": "Set by the server."},
        "deletionTimestamp": {"type": "string", "description": "Set once it is to be deleted."},
    },
}
_HEAD: dict[str, Any] = {
    "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
    "kind": {"type": "string", "description": "What this object is."},
}


class SchemaNode:
    """One node of a schema.

    Attributes:
        type: "object", "array", "string", "integer", "number", "boolean", "" if unknown.
        description: as written in the CRD, "" if none.
    """

    __slots__ = ("_node", "description", "type")

    def __init__(self, node: Mapping[str, Any] | None = None) -> None:
        self._node: Mapping[str, Any] = node if isinstance(node, Mapping) else {}
        self.type = str(self._node.get("type") or "")
        self.description = str(self._node.get("description") or "")

    @property
    def properties(self) -> Mapping[str, Any]:
        """The fields that have a name of their own."""
        properties = self._node.get("properties")
        return properties if isinstance(properties, Mapping) else {}

    @property
    def is_closed(self) -> bool:
        """Whether the server drops fields that are not named here."""
        return bool(self.properties) and not (
            self._node.get("x-kubernetes-preserve-unknown-fields")
            or self._node.get("additionalProperties")
        )

    def has(self, name: str) -> bool:
        """Whether the field is named here."""
        return name in self.properties

    def field(self, name: str) -> SchemaNode:
        """Return the node of a field; an empty one if nothing is known of it."""
        node = self.properties.get(name, self._node.get("additionalProperties"))
        return SchemaNode(node) if isinstance(node, Mapping) else NO_SCHEMA

    @property
    def items(self) -> SchemaNode:
        """The node of the items of an array."""
        node = self._node.get("items")
        return SchemaNode(node) if isinstance(node, Mapping) else NO_SCHEMA

    def at(self, path: str) -> SchemaNode:
        """Return the node at a dotted path (".spec.ports[].name"; "" is this one).

        Raises:
            ConfigError: the schema names no such field; the nearest are named.
        """
        node = self
        for part in path.replace("[]", ".[]").replace("[*]", ".[]").split("."):
            if not part:
                continue
            if part == "[]":
                node = node.items
                continue
            known = node.items if node.type == "array" else node
            if not known.has(part) and known.is_closed:
                close = nearest(part, known.properties)
                hint = f"; nearest: {', '.join(close)}" if close else ""
                raise ConfigError(f"the schema has no field {path!r}{hint}")
            node = known.field(part)
        return node

    def documentation(self) -> str:
        """Return the documentation of this node as text, "" if nothing is known."""
        lines = [line for line in (self.description, self._facts()) if line]
        for name in self.properties:
            field = self.field(name)
            required = " (required)" if name in (self._node.get("required") or ()) else ""
            text = f"    {name}  <{field.type or 'any'}>{required}"
            first = field.description.split("\n", 1)[0]
            lines.append(f"{text}  {first}".rstrip())
        return "\n".join(lines)

    def _facts(self) -> str:
        names = ("type", "format", "default", "enum", "minimum", "maximum", "pattern", "maxLength")
        facts = [f"{name}: {self._node[name]}" for name in names if name in self._node]
        return ", ".join(facts)


NO_SCHEMA = SchemaNode()


def crd_schema(crd: Mapping[str, Any], version: str) -> SchemaNode:
    """Return the schema of one version of a CRD, with metadata filled in."""
    spec = crd.get("spec")
    versions = spec.get("versions") if isinstance(spec, Mapping) else None
    for entry in versions or ():
        if not isinstance(entry, Mapping) or entry.get("name") != version:
            continue
        schema = entry.get("schema")
        root = schema.get("openAPIV3Schema") if isinstance(schema, Mapping) else None
        if isinstance(root, Mapping):
            properties = {**_HEAD, **(root.get("properties") or {}), "metadata": _METADATA}
            return SchemaNode({**root, "properties": properties})
    return NO_SCHEMA


class SchemaReader:
    """Reads the CRD of a resource once, on first need.

    Thread: any; a race reads it twice, with equal results.
    """

    def __init__(self, client: DynamicClient) -> None:
        self._client = client
        self._known: dict[str, SchemaNode] = {}

    def schema(self, resource: ApiResource) -> SchemaNode:
        """Return the schema of a custom resource; an empty one if there is none to be read."""
        plural = resource.gvr.group_resource
        known = self._known.get(plural)
        if known is None:
            known = NO_SCHEMA
            if "." in resource.gvr.group and not resource.gvr.group.endswith(".k8s.io"):
                known = self._read(resource)
            self._known[plural] = known
        return known

    def _read(self, resource: ApiResource) -> SchemaNode:
        name = "customresourcedefinitions.apiextensions.k8s.io"
        try:
            with caused_by((), "lab"):
                crd = self._client.get(name, resource.gvr.group_resource)
        except CrlabError:  # no CRD, or none that we may read: no help, no harm
            return NO_SCHEMA
        return crd_schema(crd, resource.gvr.version)
