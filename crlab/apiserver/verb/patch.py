"""Patching: JSON, merge and strategic patches, and server-side apply.

From: routing. To: the update and create of `write.py`.

Guarantees:
  1. A patch is applied to the live object in the same critical section that stores it, so
     without a resourceVersion it never conflicts.
  2. An apply creates what is not there; a patch does not.

Thread: any; holds the store's lock from the look at the live object to the commit.
Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.patch import json_patch, merge_patch, strategic
from crlab.apiserver.patch.apply import server_side_apply
from crlab.apiserver.status import (
    StatusError,
    bad_request,
    conflict,
    not_found,
    unsupported_media_type,
)
from crlab.apiserver.storage import Stored, Tree
from crlab.apiserver.verb.body import (
    SyntaxFault,
    media_type,
    parse_json,
    parse_yaml,
)
from crlab.apiserver.verb.body_decoder import (
    WriteOperation,
    check_identity,
    check_name,
    decode_patched,
)
from crlab.apiserver.verb.option import WriteOptions
from crlab.apiserver.verb.write import Writer, open_api_of
from crlab.model.go_text import json_kind

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Patcher(Writer):
    """A writer that also patches and applies."""

    # --- patch -------------------------------------------------------------------------------

    def patch(self, call: WriteOperation) -> tuple[Stored, bool, bool]:
        """Patch an object; return (stored, whether it is new, whether a deletion completed)."""
        kind = media_type(call.request.header("content-type"))
        self._check_patch_type(call, kind)
        is_apply = kind == APPLY_PATCH
        call.options = WriteOptions.read(call.request, "PatchOptions", apply=is_apply)
        if is_apply:
            return self._apply(call)
        body, repeated = self._patch_body(call, kind)
        with self._core.lock:
            live = self._live(call)
            before = call.resource.tree(call.version, live)
            tree = self._patched(call, kind, before, body)
            decode_patched(call, tree, repeated)
            check_identity_of_patch(call, tree)
            stored, is_gone = self.replace(call, tree, from_patch=True)
            return stored, False, is_gone

    def patched(self, call: WriteOperation, before: Tree) -> Tree:
        """Return what the request's patch makes of a tree (for the scale subresource)."""
        kind = media_type(call.request.header("content-type"))
        self._check_patch_type(call, kind)
        body, _ = self._patch_body(call, kind)
        return self._patched(call, kind, before, body)

    def _check_patch_type(self, call: WriteOperation, kind: str) -> None:
        accepted = [JSON_PATCH, MERGE_PATCH]
        if not call.resource.is_custom:
            accepted.append(STRATEGIC_PATCH)
        accepted.append(APPLY_PATCH)
        if kind not in accepted and not call.resource.is_custom:
            raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        if kind not in accepted:
            raise unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types "
                "include: " + ", ".join(accepted)
            )

    def _patch_body(self, call: WriteOperation, kind: str) -> tuple[Any, list[str]]:
        raw = call.request.body or b""
        where = "" if kind == STRATEGIC_PATCH else "error decoding patch: "
        try:
            body, repeated = parse_json(raw)
        except SyntaxFault as error:
            raise bad_request(f"{where}{error}") from error
        wanted = list if kind == JSON_PATCH else dict
        if not isinstance(body, wanted):
            target = "[]handlers.jsonPatchOp" if wanted is list else "map[string]interface {}"
            raise bad_request(
                f"{where}json: cannot unmarshal {json_kind(body)} into Go value of type {target}"
            )
        return body, repeated if kind != JSON_PATCH else []

    def _patched(self, call: WriteOperation, kind: str, before: Tree, body: Any) -> Tree:
        tree = self._patched_value(call, kind, before, body)
        if not isinstance(tree, dict):
            raise bad_request("the patched object is not an object")
        return tree

    def _patched_value(self, call: WriteOperation, kind: str, before: Tree, body: Any) -> Any:
        if kind == JSON_PATCH:
            return json_patch.apply(before, body)
        if kind == MERGE_PATCH:
            return merge_patch.apply(before, body)
        return strategic.apply(before, body, open_api_of(call))

    # --- apply -------------------------------------------------------------------------------

    def _apply(self, call: WriteOperation) -> tuple[Stored, bool, bool]:
        applied = self._applied_body(call)
        with self._core.lock:
            key = call.resource.key(call.info.namespace, call.info.name)
            live = self._core.storage.get(call.resource.storage_name, key)
            if live is None:
                return self._apply_new(call, applied), True, False
            before = call.resource.tree(call.version, live)
            tree = self._merged(call, before, applied)
            wanted = str(applied["metadata"].get("resourceVersion") or "")
            decode_patched(call, tree, [])
            if wanted not in ("", "0") and wanted != str(live.revision):
                raise conflict(call.resource.group_resource, call.info.name)
            uid = applied["metadata"].get("uid")
            if uid:
                tree["metadata"]["uid"] = uid
            stored, is_gone = self.store_changed(call, tree, live, with_managers=True)
            return stored, False, is_gone

    def _apply_new(self, call: WriteOperation, applied: Tree) -> Stored:
        resource, name = call.resource, call.info.name
        if call.info.subresource:
            raise not_found(resource.group_resource, name)
        uid = applied["metadata"].get("uid")
        if uid:
            raise conflict(
                resource.group_resource,
                name,
                f"uid mismatch: the provided object specified uid {uid}, and no existing "
                "object was found",
            )
        tree = self._merged(call, None, applied)
        decode_patched(call, tree, [])
        check_identity(call, tree)
        return self.store_new(call, tree, with_managers=True)

    def applied_scale(self, call: WriteOperation) -> Tree:
        """Return the Scale that a request applies.

        Raises:
            StatusError: it is none, or another object's.
        """
        call.options = WriteOptions.read(call.request, "PatchOptions", apply=True)
        return self._applied_body(call, "autoscaling/v1", "Scale")

    def apply_scaled(self, call: WriteOperation, applied: Tree, live: Stored) -> Stored:
        """Apply the part of an object that its Scale stands for."""
        tree = self._merged(call, call.resource.tree(call.version, live), applied)
        stored, _ = self.store_changed(call, tree, live, with_managers=True)
        return stored

    def _applied_body(self, call: WriteOperation, version: str = "", kind: str = "") -> Tree:
        raw = call.request.body or b""
        try:
            body, repeated = parse_yaml(raw)
        except SyntaxFault as error:
            raise bad_request(f"error decoding YAML: {error}") from error
        if body is None:
            body = {}
        if not isinstance(body, dict):
            raise bad_request(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
                f"unmarshal {json_kind(body)} into Go value of type map[string]interface {{}}"
            )
        if repeated and call.options.field_validation == "Strict":
            listed = ", ".join(
                f'key "{path.rpartition(".")[2]}" already set in map' for path in repeated
            )
            raise bad_request(f"error strict decoding YAML: {listed}")
        wanted = version or call.api_version, kind or call.resource.kind
        self._check_applied(call, body, wanted)
        return body

    def _check_applied(self, call: WriteOperation, body: Tree, wanted: tuple[str, str]) -> None:
        version, kind = str(body.get("apiVersion") or ""), str(body.get("kind") or "")
        if (version, kind) != wanted:
            group, _, name = version.rpartition("/")
            raise bad_request(f"invalid object type: {group}/{name}, Kind={kind}")
        metadata = body.setdefault("metadata", {})
        if not isinstance(metadata, dict):
            raise bad_request("metadata is not an object")
        if metadata.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        if metadata.get("namespace"):
            check_identity(call, body)  # what it does not state is not filled in: texts show it
        check_name(call, body)

    def _merged(self, call: WriteOperation, live: Tree | None, applied: Tree) -> Tree:
        return server_side_apply(
            live,
            applied,
            manager=call.options.manager,
            force=call.options.force,
            api_version=call.api_version,
            subresource=call.info.subresource,
            time=self._core.now(),
            schema=open_api_of(call),
            ignores_status=call.resource.has_status and not call.info.subresource,
        )


def check_identity_of_patch(call: WriteOperation, tree: Tree) -> None:
    """Refuse a patch that renames its object."""
    metadata = tree["metadata"]
    if not metadata.get("name"):
        raise bad_request(
            f"the name of the object ({call.info.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    check_name(call, tree)
    check_identity(call, tree)
