"""How objects are shown: whole, as Table, or as metadata only.

From: `negotiation.py` chooses one per request. To: responses and watch lines. A view
turns stored objects into bytes; equal views share the watch lines they make.

Thread: immutable; `Table` views keep no state, the first line's column definitions are
asked for by the watch.
Source: k8s.io/apiserver/pkg/endpoints/handlers/response.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crlab.apiserver.resource_type import ResourceType, Version
from crlab.apiserver.storage import Stored, Tree
from crlab.model.printer import crd_columns, table_cells

_json = msgspec.json.encode
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Representation:
    """Whole objects of one resource and version."""

    def __init__(self, resource: ResourceType, version: Version) -> None:
        self.resource = resource
        self.version = version
        self.key: tuple[Any, ...] = ("object", resource.group_resource, version.form)
        self._prefix = resource.prefix(version)

    is_cacheable = True

    def document(self, stored: Stored) -> bytes:
        """Return one object."""
        return self._prefix + self.resource.item(self.version, stored)[1:]

    def list_document(self, items: Sequence[Stored], metadata: dict[str, Any]) -> bytes:
        """Return a collection."""
        resource, version = self.resource, self.version
        api_version = resource.api_version(version)
        if resource.is_custom:
            head = {"apiVersion": api_version, "kind": resource.list_kind, "metadata": metadata}
            rows = [self._prefix + resource.item(version, item)[1:] for item in items]
        else:
            head = {"kind": resource.list_kind, "apiVersion": api_version, "metadata": metadata}
            rows = [resource.item(version, item) for item in items]
        return b'%b,"items":[%b]}\n' % (_json(head)[:-1], b",".join(rows))

    def event_object(self, stored: Stored, *, first: bool) -> bytes:
        """Return what a watch line carries."""
        del first
        return self.document(stored)

    def bookmark(self, revision: int, *, ends_initial: bool) -> bytes:
        """Return the object of a BOOKMARK."""
        return _json({**self._head(), "metadata": _bookmark_metadata(revision, ends_initial)})

    def _head(self) -> dict[str, Any]:
        return {
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(self.version),
        }


def _bookmark_metadata(revision: int, ends_initial: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if ends_initial:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    return metadata


class PartialRepresentation(Representation):
    """Metadata only."""

    def __init__(self, resource: ResourceType, version: Version, api_version: str) -> None:
        super().__init__(resource, version)
        self._api_version = api_version
        self.key = ("partial", resource.group_resource, version.form, api_version)

    def document(self, stored: Stored) -> bytes:
        return _json(_partial(stored.tree(), self._api_version))

    def list_document(self, items: Sequence[Stored], metadata: dict[str, Any]) -> bytes:
        head = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": self._api_version,
            "metadata": {key: item for key, item in metadata.items() if item != ""},
        }
        rows = [_partial(item.tree(), self._api_version) for item in items]
        return _json({**head, "items": rows})

    def _head(self) -> dict[str, Any]:
        return {"kind": "PartialObjectMetadata", "apiVersion": self._api_version}


def _partial(tree: Tree, api_version: str) -> dict[str, Any]:
    metadata = tree.get("metadata") or {}
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": metadata}


class TableRepresentation(Representation):
    """Rows of cells, as kubectl prints them."""

    is_cacheable = False  # ages differ from moment to moment

    def __init__(
        self,
        resource: ResourceType,
        version: Version,
        api_version: str,
        include: str,
        now: Callable[[], float],
    ) -> None:
        super().__init__(resource, version)
        self._api_version = api_version
        self._include = include
        self._now = now
        self._columns = version.columns if version.columns is not None else DEFAULT_COLUMNS

    def document(self, stored: Stored) -> bytes:
        tree = self.resource.tree(self.version, stored)
        return self._table({"resourceVersion": str(stored.revision)}, [tree], with_columns=True)

    def list_document(self, items: Sequence[Stored], metadata: dict[str, Any]) -> bytes:
        shown = {key: item for key, item in metadata.items() if item != ""}
        trees = [self.resource.tree(self.version, item) for item in items]
        return self._table(shown, trees, with_columns=True)

    def event_object(self, stored: Stored, *, first: bool) -> bytes:
        tree = self.resource.tree(self.version, stored)
        metadata = {"resourceVersion": str(stored.revision)}
        return self._table(metadata, [tree], with_columns=first)

    def bookmark(self, revision: int, *, ends_initial: bool) -> bytes:
        tree = {"metadata": _bookmark_metadata(revision, ends_initial)}
        blank = self._row(tree)
        blank["cells"] = ["", *(None for _ in self._columns[1:])]
        return _json(
            {
                "kind": "Table",
                "apiVersion": self._api_version,
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [blank],
            }
        )

    def _table(self, metadata: dict[str, Any], trees: list[Tree], *, with_columns: bool) -> bytes:
        return _json(
            {
                "kind": "Table",
                "apiVersion": self._api_version,
                "metadata": metadata,
                "columnDefinitions": [c.definition() for c in self._columns]
                if with_columns
                else None,
                "rows": [self._row(tree) for tree in trees],
            }
        )

    def _row(self, tree: Tree) -> dict[str, Any]:
        row: dict[str, Any] = {"cells": table_cells(self._columns, tree, self._now())}
        if self._include == "Object":
            row["object"] = tree
        else:
            shows = self._include != "None"
            row["object"] = _partial(tree, self._api_version) if shows else None
        return row


DEFAULT_COLUMNS = crd_columns(None)


def event_line(kind: str, document: bytes) -> bytes:
    """Return one line of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), document.rstrip(b"\n"))


def error_line(status: dict[str, Any]) -> bytes:
    """Return the ERROR line of a watch."""
    return event_line("ERROR", encode_status(status))


def encode_status(status: dict[str, Any]) -> bytes:
    """Return a Status in its customary key order."""
    return _json(status)
