"""From a body to an object of its type: pruned, defaulted, named by its URL.

From: the writing verbs. To: `strategy.py`. A `WriteOperation` carries one write through both.

Guarantees:
  1. What leaves `decode` has no field its type does not know; each dropped one was
     warned about, or the write is refused (fieldValidation).

Thread: functions on the call's own trees.
Source: k8s.io/apimachinery/pkg/runtime/serializer, k8s.io/apiextensions-apiserver/pkg/
apiserver/customresource_handler.go (schemaCoercingDecoder).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crlab.apiserver.kind.field import check_fields
from crlab.apiserver.metadata import prune_metadata, type_fault
from crlab.apiserver.request import HttpRequest, Identity, RequestInfo
from crlab.apiserver.resource_type import ResourceType, Version
from crlab.apiserver.status import INVALID, Cause, StatusError, bad_request, invalid, show
from crlab.apiserver.storage import Tree, encode
from crlab.apiserver.verb.option import WriteOptions


@dataclass(slots=True)
class WriteOperation:
    """One write on its way.

    Attributes:
        warnings: texts for Warning headers, in order.
    """

    request: HttpRequest
    info: RequestInfo
    resource: ResourceType
    version: Version
    identity: Identity
    options: WriteOptions = field(default_factory=WriteOptions)
    warnings: list[str] = field(default_factory=list)

    @property
    def api_version(self) -> str:
        """The apiVersion of the URL."""
        return self.resource.api_version(self.version)

    @property
    def is_status(self) -> bool:
        """Whether the write goes to /status."""
        return self.info.subresource == "status"


class Malformed(Exception):
    """An object that is not of its type; the text follows 'cannot be handled as a …'."""


def decode(call: WriteOperation, tree: Tree, repeated: list[str]) -> None:
    """Prune and default an object in place; warn about or refuse what its type lacks.

    Raises:
        Malformed: a field of the wrong JSON type, or unknown fields under Strict.
    """
    resource, version = call.resource, call.version
    unknown: list[str] = []
    is_known = tree.get("kind") == resource.kind
    if version.schema is not None:
        version.schema.prune(tree, unknown)
        fault = type_fault(tree.get("metadata"))
        if fault is not None:
            raise Malformed(_go_type_error(*fault))
        _drop_empty_metadata(tree)
        if is_known and tree.get("apiVersion") == call.api_version:
            version.schema.default(tree)
    else:
        found = check_fields(call.api_version, resource.kind, tree, unknown)
        if found:
            raise Malformed(found)
        prune_metadata(tree)
    faults = [f'duplicate field "{path}"' for path in repeated]
    faults += [f'unknown field "{path}"' for path in unknown]
    if faults and call.options.field_validation == "Strict":
        raise Malformed("strict decoding error: " + ", ".join(faults))
    if call.options.field_validation == "Warn":
        call.warnings.extend(faults)


def _go_type_error(place: str, found: str, wanted: str) -> str:
    return f"json: cannot unmarshal {found} into Go struct field {place} of type {wanted}"


def _drop_empty_metadata(tree: Tree) -> None:
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict):
        tree["metadata"] = {}
        return
    for key in [key for key, value in metadata.items() if value in (None, "", {}, [])]:
        del metadata[key]


def decode_body(call: WriteOperation, tree: Tree, repeated: list[str]) -> None:
    """Decode the body of a create or update.

    Raises:
        StatusError: 400.
    """
    kind = str(tree.get("kind") or call.resource.kind)
    try:
        decode(call, tree, repeated)
    except Malformed as error:
        raise bad_request(
            f'{kind} in version "{call.version.name}" cannot be handled as a '
            f"{call.resource.kind}: {error}"
        ) from error


def decode_patched(call: WriteOperation, tree: Tree, repeated: list[str]) -> None:
    """Decode what a patch made of an object.

    Raises:
        StatusError: 422 on the field "patch".
    """
    before = encode(tree)
    try:
        decode(call, tree, repeated)
    except Malformed as error:
        raise patch_fault(before, str(error)) from error


def patch_fault(patched: Tree | bytes, why: str) -> StatusError:
    """422: what a patch made of an object does not decode."""
    text = patched if isinstance(patched, bytes) else encode(patched)
    shown = show(text.decode())
    return invalid("", "", "", [Cause(INVALID, f"Invalid value: {shown}: {why}", "patch")])


def check_identity(call: WriteOperation, tree: Tree) -> None:
    """Refuse a body whose name or namespace is not the URL's; fill in the namespace.

    Raises:
        StatusError: 400.
    """
    metadata = tree["metadata"]
    info = call.info
    if call.resource.is_namespaced:
        namespace = metadata.get("namespace") or info.namespace
        if namespace != info.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on "
                "the request"
            )
        metadata["namespace"] = info.namespace
    else:
        metadata.pop("namespace", None)


def check_name(call: WriteOperation, tree: Tree) -> None:
    """Refuse a body that does not name the object of the URL.

    Raises:
        StatusError: 400.
    """
    name = tree["metadata"].get("name", "")
    if not name:
        raise bad_request(
            f"the name of the object ({call.info.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != call.info.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({call.info.name})"
        )
