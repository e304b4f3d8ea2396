"""What the store keeps: one object at one revision, and one commit of it.

From: `storage.py`. To: everybody who reads. Objects are kept as JSON without apiVersion and
kind, so that every version of a resource is served from the same bytes.

Guarantees:
  1. A stored object never changes; a tree of it is a copy.
  2. The same tree gives the same bytes.

Thread: immutable, but for the cache of lines, which only the holder of the store's lock fills.
"""

from __future__ import annotations

from typing import Any

import msgspec

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)

_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_encode_as_given = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Tree = dict[str, Any]


class Stored:
    """One object at one revision: bytes without apiVersion and kind, and what lists need.

    Attributes:
        data: JSON of the object, in the order `encode` gives it.
        revision: the resourceVersion it carries.
        labels: its labels, for selectors without decoding.
        form: token of the version it was written under (see `Version.form`); below 0 for
            built-in kinds.
    """

    __slots__ = ("data", "form", "labels", "revision")

    def __init__(
        self, data: bytes, revision: int, labels: dict[str, str] | None, form: int
    ) -> None:
        self.data = data
        self.revision = revision
        self.labels = labels
        self.form = form

    def tree(self) -> Tree:
        """Return a fresh tree; it is the caller's own."""
        tree = _decode(self.data)
        assert isinstance(tree, dict)
        return tree

    @classmethod
    def of(cls, tree: Tree, revision: int, form: int) -> Stored:
        """Stamp a tree with its revision and freeze it."""
        metadata = tree["metadata"]
        metadata["resourceVersion"] = str(revision)
        return cls(encode(tree, form), revision, metadata.get("labels") or None, form)

    @classmethod
    def unsaved(cls, tree: Tree, form: int) -> Stored:
        """Freeze an object that has no revision: the answer to a dry run."""
        tree["metadata"].pop("resourceVersion", None)
        return cls(encode(tree, form), 0, tree["metadata"].get("labels") or None, form)


def encode(tree: Tree, form: int = 0) -> bytes:
    """Return the JSON of an object: whole floats as integers, as Go prints them.

    Custom resources come out sorted. Objects of built-in kinds (`form` below 0) begin with
    their metadata, in the order of ObjectMeta's fields; the rest stays in the writer's order.
    """
    if form < 0:
        given = tree["metadata"]
        metadata = {key: given[key] for key in METADATA_ORDER if key in given}
        tree = {"metadata": metadata, **{k: v for k, v in tree.items() if k != "metadata"}}
        data = _encode_as_given(tree)
    else:
        data = _encode_sorted(tree)
    if (b".0" in data or b"e+" in data) and has_whole_float(tree):
        data = (_encode_as_given if form < 0 else _encode_sorted)(whole(tree))
    return data


def has_whole_float(value: Any) -> bool:
    """Whether a JSON value holds a float such as 1.0 anywhere."""
    if isinstance(value, dict):
        return any(has_whole_float(item) for item in value.values())
    if isinstance(value, list):
        return any(has_whole_float(item) for item in value)
    return isinstance(value, float) and value.is_integer()


def whole(value: Any) -> Any:
    """Return a JSON value with its whole floats (below 1e21) as integers."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return int(value) if is_whole else value


class Commit:
    """One commit.

    Attributes:
        type: ADDED, MODIFIED or DELETED.
        stored: the new state; of a deletion the last state under the deletion's revision.
        previous: the state before, None for ADDED.
        lines: serialised watch lines, shared by all watches (see watch.py).
    """

    __slots__ = ("_exit", "key", "lines", "previous", "resource", "revision", "stored", "type")

    def __init__(
        self,
        revision: int,
        resource: str,
        key: str,
        type_: str,
        stored: Stored,
        previous: Stored | None,
    ) -> None:
        self.revision = revision
        self.resource = resource
        self.key = key
        self.type = type_
        self.stored = stored
        self.previous = previous
        self.lines: dict[Any, bytes] | None = None
        self._exit: Stored | None = None

    def departed(self) -> Stored:
        """Return the previous state under this revision: what a selector's exit shows."""
        if self.type == DELETED:
            return self.stored
        if self._exit is None:
            assert self.previous is not None
            self._exit = Stored.of(self.previous.tree(), self.revision, self.previous.form)
        return self._exit
