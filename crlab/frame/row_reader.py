"""Objects' bytes → column values, decoding only what the columns look at.

A msgspec struct is generated from the columns' paths, so that a 5 KB object costs a skip
and not a dict. An object that does not have the expected shape (a list where a field
should be) is decoded as a whole instead; one that cannot be decoded gives missing values.

Thread: a reader is immutable; any thread.
Source: docs/architecture.md, decision 8 (decode the columns in use, the rest on demand).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from crlab.errors import CrlabError
from crlab.frame.column import Column
from crlab.model.object import KubeObject

_Tree = dict[str, Any]
_TOGETHER = 256  # objects decoded in one call


class RowReader:
    """Reads the values of fixed columns from objects."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._header = [c for c in self.columns if c.header]
        self._paths = [c for c in self.columns if c.path is not None]
        self._functions = [c for c in self.columns if c.value is not None]
        tree: _Tree = {}
        for column in self._paths:
            assert column.path is not None
            _plant(tree, column.path.prefix)
        self._decode: Callable[[bytes], Any] | None = None
        if self._paths and not self._functions and _fits(self._paths, tree):
            kind = _struct(tree)
            self._decode = msgspec.json.Decoder(kind).decode
            self._decode_many = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]
            places = [_place(tree, c.path.prefix) for c in self._paths if c.path is not None]
            self._getters = [attrgetter(".".join(spot)) for spot, _ in places]
            self._rests = [
                _finisher(column, consumed)
                for column, (_, consumed) in zip(self._paths, places, strict=True)
            ]
            self._blank = self._decode(b"{}")

    def read(self, objects: Iterable[KubeObject]) -> list[Sequence[Any]]:
        """Return one list of values per column, in the columns' order."""
        objects = list(objects)
        found: dict[str, Sequence[Any]] = {}
        for column in self._header:
            get = attrgetter(column.header)
            found[column.name] = [get(obj) for obj in objects]
        if self._decode is not None:
            found.update(self._read_structs(objects))
        elif self._paths or self._functions:
            found.update(self._read_trees(objects))
        return [found[column.name] for column in self.columns]

    def _read_structs(self, objects: list[KubeObject]) -> dict[str, Sequence[Any]]:
        odd: dict[int, tuple[Any, ...]] = {}
        structs: list[Any] = []
        for start in range(0, len(objects), _TOGETHER):
            part = objects[start : start + _TOGETHER]
            try:
                joined = b"[" + b",".join([obj.raw for obj in part]) + b"]"
                found = self._decode_many(joined)
            except (msgspec.DecodeError, RecursionError):
                found = []
            if len(found) != len(part):
                found = self._one_by_one(part, start, odd)
            structs += found
        result: dict[str, Sequence[Any]] = {}
        for number, column in enumerate(self._paths):
            values: list[Any] = list(map(self._getters[number], structs))
            finish = self._rests[number]
            if finish is not None:
                values = [finish(value) for value in values]
            for place, row in odd.items():
                values[place] = row[number]
            result[column.name] = values
        return result

    def _one_by_one(
        self, objects: list[KubeObject], start: int, odd: dict[int, tuple[Any, ...]]
    ) -> list[Any]:
        """Decode objects of which one has another shape; what is odd is read as a whole."""
        decode = self._decode
        assert decode is not None
        structs = []
        for place, obj in enumerate(objects, start=start):
            try:
                structs.append(decode(obj.raw))
            except (msgspec.DecodeError, RecursionError):
                structs.append(self._blank)
                odd[place] = self._whole(obj)
        return structs

    def _whole(self, obj: KubeObject) -> tuple[Any, ...]:
        tree = _decoded(obj)
        return tuple(c.take(c.path.find(tree)) for c in self._paths if c.path is not None)

    def _read_trees(self, objects: list[KubeObject]) -> dict[str, Sequence[Any]]:
        wanted = [*self._paths, *self._functions]
        result: dict[str, list[Any]] = {column.name: [] for column in wanted}
        for obj in objects:
            tree = _decoded(obj)
            for column in wanted:
                result[column.name].append(_value(column, tree))
        return dict(result)


def _decoded(obj: KubeObject) -> dict[str, Any]:
    try:
        return obj.to_dict()
    except (CrlabError, msgspec.DecodeError, RecursionError):
        return {}  # its row is there, its cells are missing


def _value(column: Column, tree: dict[str, Any]) -> Any:
    if column.path is not None:
        return column.take(column.path.find(tree))
    assert column.value is not None
    try:
        return column.value(tree)
    except Exception:  # noqa: BLE001 - a user's or a printer's function met a shape it does not know
        return None


def _plant(tree: _Tree, path: tuple[str, ...]) -> None:
    """Add a path to the tree of needed fields; {} below a field means "all of it"."""
    node = tree
    for depth, name in enumerate(path):
        if depth == len(path) - 1:
            node[name] = {}
            return
        if name in node and not node[name]:
            return  # all of it is taken already
        node = node.setdefault(name, {})


def _place(tree: _Tree, path: tuple[str, ...]) -> tuple[list[str], int]:
    """Where the struct keeps a path's value, and how much of the path that covers."""
    node, spot = tree, []
    for consumed, name in enumerate(path, start=1):
        spot.append(f"f{list(node).index(name)}")
        node = node[name]
        if not node:
            return spot, consumed
    return spot, len(path)


def _finisher(column: Column, consumed: int) -> Callable[[Any], Any] | None:
    """What is left to do with the struct's value; None if nothing is."""
    path = column.path
    assert path is not None
    if path.fields is not None and consumed == len(path.fields):
        return None
    steps = path.below(consumed)
    return lambda value: None if value is None else column.take(steps(value))


def _fits(columns: Sequence[Column], tree: _Tree) -> bool:
    """Whether a struct can have these fields: a path may be the whole object, or name any
    key that JSON can hold."""
    is_below = all(column.path is not None and column.path.prefix for column in columns)
    return is_below and _can_name(tree)


def _can_name(tree: _Tree) -> bool:
    return all(
        name.isprintable() and not {'"', "\\"} & set(name) and _can_name(below)
        for name, below in tree.items()
    )


def _struct(tree: _Tree) -> type[msgspec.Struct]:
    """Generate the struct that decodes just this tree."""
    fields: list[tuple[str, Any, Any]] = []
    for number, below in enumerate(tree.values()):
        if below:
            kind = _struct(below)
            fields.append((f"f{number}", kind, msgspec.field(default_factory=kind)))
        else:
            fields.append((f"f{number}", Any, None))
    names = {f"f{number}": name for number, name in enumerate(tree)}
    return msgspec.defstruct("Fields", fields, rename=names, gc=False)
