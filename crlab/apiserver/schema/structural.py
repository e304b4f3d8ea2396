"""A CRD version's schema, compiled once: prune, default and validate objects with it.

From: ``spec.versions[*].schema.openAPIV3Schema``. To: the registry, which calls `prune` and
`default` on every object it takes in, `default` on what it reads, `validate` before it stores.

Guarantees:
  1. `validate` reports what kube-apiserver reports, in its order: schema errors, replica
     counts, embedded resources, repeated list items, then CEL rules.
  2. CEL rules are skipped, and a cause says so, if an error makes their input unreliable.
  3. With an old object, an unchanged part never fails the request (ratcheting).

Thread: immutable after construction; any thread.
Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.apiserver.schema.check import TOO_MANY, check
from crlab.apiserver.schema.invariant import check_embedded, check_list_types, check_scale
from crlab.apiserver.schema.node import MISSING, Node
from crlab.apiserver.schema.object_meta import prune_metadata
from crlab.apiserver.schema.reshape import fill, prune
from crlab.apiserver.schema.rule import compile_rules
from crlab.apiserver.status import (
    INVALID,
    NOT_SUPPORTED,
    REQUIRED,
    TOO_LONG,
    TYPE_INVALID,
    Cause,
)

_BLOCKING = frozenset({NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID})
_NOT_CHECKED = Cause(
    INVALID,
    "Invalid value: null: some validation rules were not checked because the object was "
    "invalid; correct the existing errors to complete validation",
    "<nil>",
)


class CompiledSchema:
    """One version's schema, ready for use.

    Attributes:
        node: the root; `Node.child` and `Node.items` lead to the parts (for apply and Tables).
        is_preserving: the whole object is kept as it is (no schema, or the root says so).
    """

    def __init__(
        self, openapi: Mapping[str, Any], *, scale: Mapping[str, Any] | None, with_cel: bool
    ) -> None:
        root = {**openapi, "x-kubernetes-embedded-resource": True}
        root["properties"] = {
            key: sub
            for key, sub in (openapi.get("properties") or {}).items()
            if key not in ("apiVersion", "kind", "metadata")
        }
        self.node = Node(root)
        self.is_preserving = self.node.is_preserving
        self._metadata = _metadata_node(openapi)
        self._status = self.node.properties.get("status")
        self._scale = scale
        self._rules = compile_rules(openapi, root=True) if with_cel else None

    def prune(self, obj: dict[str, Any], unknown: list[str] | None = None) -> None:
        """Remove fields that the schema does not know, in place.

        `unknown` receives their paths as the server spells them ("spec.bogus",
        "spec.ports[0].zz"), those of the metadata first, then the rest sorted.
        """
        metadata_paths: list[str] | None = None if unknown is None else []
        if "metadata" in obj:
            prune_metadata(obj["metadata"], "metadata", metadata_paths)
        paths: list[str] | None = None if unknown is None else []
        prune(obj, self.node, "", paths)
        if unknown is not None:
            unknown.extend(metadata_paths or ())
            unknown.extend(sorted(paths or ()))

    def default(self, obj: dict[str, Any]) -> None:
        """Fill in defaults and drop nulls that may not be there, in place."""
        fill(obj, self.node)

    def validate(
        self,
        obj: dict[str, Any],
        old: dict[str, Any] | None = None,
        *,
        of_status: bool = False,
        with_faults: bool = False,
    ) -> list[Cause]:
        """Return what is wrong with an object, [] if nothing.

        Args:
            old: the stored object on an update.
            of_status: an update through /status; only the status is held to the schema.
            with_faults: the metadata is broken in a way that makes CEL's input unreliable.
        """
        out: list[Cause] = []
        if of_status:
            self._check_status(obj, old, out)
        else:
            self._check_schema(obj, old, out)
        if self._scale is not None:
            check_scale(self._scale, obj, out, of_status=of_status)
        if self.node.has_embedded:
            check_embedded(self.node, obj, "", out)
        if self.node.has_list_type:
            self._check_lists(obj, old, out)
        if self._rules is not None:
            if with_faults or any(cause.reason in _BLOCKING for cause in out):
                out.append(_NOT_CHECKED)
            else:
                out.extend(self._rules.validate(obj, old))
        return out

    def _check_schema(
        self, obj: dict[str, Any], old: dict[str, Any] | None, out: list[Cause]
    ) -> None:
        check(self.node, obj, MISSING if old is None else old, "", "", out)
        metadata = obj.get("metadata")
        if self._metadata is not None and metadata is not None:
            check(self._metadata, metadata, MISSING, "", "metadata", out)
        if out and old == obj:
            out.clear()
        for at, cause in enumerate(out):
            if not cause.field:
                out[at] = Cause(cause.reason, cause.message, "<nil>")

    def _check_status(
        self, obj: dict[str, Any], old: dict[str, Any] | None, out: list[Cause]
    ) -> None:
        if self._status is None or "status" not in obj:
            return
        was = MISSING if old is None or "status" not in old else old["status"]
        found: list[Cause] = []
        check(self._status, obj["status"], was, "", "", found)
        if found and was == obj["status"]:
            found = []
        out.extend(below("status", cause) for cause in found)

    def _check_lists(
        self, obj: dict[str, Any], old: dict[str, Any] | None, out: list[Cause]
    ) -> None:
        found: list[Cause] = []
        check_list_types(self.node, obj, "", found)
        if found and old is not None:
            before: list[Cause] = []
            check_list_types(self.node, old, "", before)
            if before:
                return  # it was wrong already
        out.extend(found)


def below(base: str, cause: Cause) -> Cause:
    """Return a cause whose path is taken from `base` on."""
    if cause.field == "<nil>" or not cause.field:
        return Cause(cause.reason, cause.message, base)
    joint = "" if cause.field.startswith("[") else "."
    return Cause(cause.reason, cause.message, f"{base}{joint}{cause.field}")


def _metadata_node(openapi: Mapping[str, Any]) -> Node | None:
    schema = (openapi.get("properties") or {}).get("metadata") or {}
    return Node({"type": "object", **schema}) if schema.get("properties") else None


def compile_schema(
    openapi: Mapping[str, Any] | None,
    *,
    scale: Mapping[str, Any] | None = None,
    with_cel: bool = True,
) -> CompiledSchema:
    """Compile a version's ``openAPIV3Schema``.

    Args:
        openapi: the schema; None means that anything is kept and accepted.
        scale: ``subresources.scale`` of the version, whose paths are validated too.
        with_cel: whether x-kubernetes-validations are evaluated.
    """
    if openapi is None:
        openapi = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return CompiledSchema(openapi, scale=scale, with_cel=with_cel)
