"""Objects' bytes → column values, decoding only what the columns look at.

A msgspec struct is generated from the columns' paths, so that a 5 KB object costs a skip
and not a dict. An object that does not have the expected shape (a list where a field
should be) is decoded as a whole instead; one that cannot be decoded gives missing values.
A user's function is given the object itself, as every callback is; what it raises leaves its
cell missing, and is noted in `failing`. What a column shows is masked (`crlab.model.redaction`).

Thread: a reader is immutable; any thread.
Source: docs/architecture.md, decision 8 (decode the columns in use, the rest on demand).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from crlab.errors import ColumnTypeError, CrlabError
from crlab.frame.column import Column
from crlab.frame.failing_column import FailingColumns
from crlab.model.argument import checked_answer
from crlab.model.object import KubeObject, thawed
from crlab.model.redaction import BEARERS, hide, mask_values, shown_with_secrets

_Tree = dict[str, Any]
_Take = Callable[[list[Any], list[KubeObject]], list[Any]]
_BYTES_OF: Callable[[KubeObject], bytes] = attrgetter("raw")
_WORD = re.compile(r"\w+")
_LAST_FIELD = re.compile(r"\.([A-Za-z_$][\w$-]*)\}?$")
_TOGETHER = 256  # objects decoded in one call
_TREES_TOGETHER = 16  # the same where cells are taken out of trees: few live, few are traced


class RowReader:
    """Reads the values of fixed columns from objects."""

    def __init__(self, columns: Sequence[Column], failing: FailingColumns | None = None) -> None:
        self.columns = tuple(columns)
        self.failing = failing if failing is not None else FailingColumns()
        self._functions = [c for c in self.columns if c.function is not None]
        self._header = [c for c in self.columns if c.header]
        self._below = [c for c in self.columns if c.path is not None or c.value is not None]
        has_trees = any(
            c.path is None or c.path.fields is None or c.type == "object" for c in self._below
        )
        self._together = _TREES_TOGETHER if has_trees else _TOGETHER
        self._places = [_place_of(column) for column in self._below]
        self._decode: Callable[[bytes], Any] | None = None
        fields = [path for column in self._below for path in _fields(column)]
        tree: _Tree = {}
        if fields and all(fields):
            for path in fields:
                _plant(tree, path)
        if tree and _can_name(tree):
            kind = _struct(tree)
            self._decode = msgspec.json.Decoder(kind).decode
            self._decode_many = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]
            self._blank = self._decode(b"{}")
            self._takers = [self._taker(tree, column) for column in self._below]
            self._pruners: dict[Any, Callable[[Any], dict[str, Any]]] = {
                column.looks_at: _pruner(tree, column.looks_at)
                for column in self._below
                if column.path is None and column.looks_at is not None
            }

    def read(self, objects: Iterable[KubeObject]) -> list[Sequence[Any]]:
        """Return one list of values per column, in the columns' order."""
        objects = list(objects)
        found: dict[str, list[Any]] = {column.name: [] for column in self._below}
        for column in self._header:
            get = attrgetter(column.header)
            found[column.name] = [get(obj) for obj in objects]
        called = [[self._called(column, obj) for obj in objects] for column in self._functions]
        for column, values in zip(self._functions, _hidden(called, objects), strict=True):
            found[column.name] = mask_values(values, column.name)
        rows = [found[column.name] for column in self._below]
        for start in range(0, len(objects) if rows else 0, self._together):
            part = objects[start : start + self._together]
            values = self._of_structs(part) if self._decode is not None else self._of_trees(part)
            for row, more in zip(rows, self._masked(part, values), strict=True):
                row += more
        return [found[column.name] for column in self.columns]

    def _called(self, column: Column, obj: KubeObject) -> Any:
        """Return what a user's function makes of an object, as plain JSON where it is some."""
        assert column.function is not None
        try:
            return thawed(checked_answer(column.function(obj), f"column {column.name!r}"))
        except Exception as error:  # noqa: BLE001 - a user's function; noted
            self.failing.add(column.name, obj.key, error)
            return None

    def _masked(
        self, objects: list[KubeObject], rows: Sequence[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        """Return the values of each column as they may be shown."""
        trees: list[tuple[Any, list[str]]] = []
        for column, place, values in zip(self._below, self._places, rows, strict=True):
            if place is not None:
                yield mask_values(list(values), place)
                continue
            if not trees:
                trees = list(map(_shown, objects))
            if column.path is not None:
                yield [
                    None if value is None else _taken_of_shown(column, tree)
                    for value, (tree, _) in zip(values, trees, strict=True)
                ]
                continue
            found = [
                hide(value, secrets) if secrets else value
                for value, (_, secrets) in zip(values, trees, strict=True)
            ]
            yield mask_values(found, column.name)

    def _of_structs(self, objects: list[KubeObject]) -> list[Sequence[Any]]:
        odd: dict[int, list[Any]] = {}
        try:
            structs = self._decode_many(b"[" + b",".join(map(_BYTES_OF, objects)) + b"]")
        except (msgspec.DecodeError, RecursionError):
            structs = []
        if len(structs) != len(objects):
            structs = self._one_by_one(objects, odd)
        pruned = {fields: list(map(prune, structs)) for fields, prune in self._pruners.items()}
        result: list[Sequence[Any]] = []
        for number, (column, take) in enumerate(zip(self._below, self._takers, strict=True)):
            if take is not None:
                values = take(structs, objects)
            else:
                values = [_valued(column, tree) for tree in pruned[column.looks_at]]
            for place, row in odd.items():
                values[place] = row[number]
            result.append(values)
        return result

    def _one_by_one(self, objects: list[KubeObject], odd: dict[int, list[Any]]) -> list[Any]:
        """Decode objects of which one has another shape; what is odd is read as a whole."""
        decode = self._decode
        assert decode is not None
        structs = []
        for place, obj in enumerate(objects):
            try:
                structs.append(decode(obj.raw))
            except (msgspec.DecodeError, RecursionError):
                structs.append(self._blank)
                odd[place] = [row[0] for row in self._of_trees([obj])]
        return structs

    def _of_trees(self, objects: list[KubeObject]) -> list[list[Any]]:
        result: list[list[Any]] = [[] for _ in self._below]
        for obj in objects:
            tree = _decoded(obj)
            for column, values in zip(self._below, result, strict=True):
                path = column.path
                values.append(
                    _valued(column, tree)
                    if path is None
                    else self._taken(column, path.find(tree), obj)
                )
        return result

    def _taken(self, column: Column, found: list[Any], obj: KubeObject) -> Any:
        """Return the cell of what a path found; one that cannot be shown is noted."""
        try:
            return column.take(found)
        except ColumnTypeError as error:
            self.failing.add(column.name, obj.key, error)
            return None

    def _taker(self, tree: _Tree, column: Column) -> _Take | None:
        """Return what takes a path's values out of structs; None where a function does it."""
        path = column.path
        if path is None:
            return None
        spot, consumed = _place(tree, path.prefix)
        get = attrgetter(".".join(spot))
        if path.fields is not None and consumed == len(path.fields):
            return lambda structs, objects: list(map(get, structs))
        steps = path.below(consumed)
        return lambda structs, objects: [
            None if value is None else self._taken(column, steps(value), obj)
            for value, obj in zip(map(get, structs), objects, strict=True)
        ]


def _place_of(column: Column) -> str | None:
    """Return the place of a column's values, None where the whole object decides."""
    path = column.path
    if path is None:
        return None if column.looks_at is None else ""
    words = path.fields or _WORD.findall(path.text)
    last = _LAST_FIELD.search(path.text)
    if not BEARERS.isdisjoint(words) or "last-applied" in path.text:
        return None
    if path.fields is not None:
        return path.fields[-1] if path.fields else None
    return last[1] if last is not None and ".." not in path.text else None


def _shown(obj: KubeObject) -> tuple[Any, list[str]]:
    try:
        return shown_with_secrets(obj)
    except (CrlabError, msgspec.DecodeError, RecursionError):
        return {}, []


def _hidden(columns: list[list[Any]], objects: list[KubeObject]) -> list[list[Any]]:
    """Return what functions made of objects without the objects' secrets; each is read once."""
    for place, obj in enumerate(objects):
        kept = [c for c in columns if isinstance(c[place], str | list | dict) and len(c[place]) > 0]
        secrets = _shown(obj)[1] if kept else ()
        for column in kept if secrets else ():
            column[place] = hide(column[place], secrets)
    return columns


def _taken_of_shown(column: Column, tree: Any) -> Any:
    assert column.path is not None
    try:
        return column.take(column.path.find(tree))
    except ColumnTypeError:  # of a number or date, the mask is none
        return None


def _decoded(obj: KubeObject) -> dict[str, Any]:
    try:
        return obj.to_dict()
    except (CrlabError, msgspec.DecodeError, RecursionError):
        return {}  # its row is there, its cells are missing


def _valued(column: Column, tree: dict[str, Any]) -> Any:
    assert column.value is not None
    try:
        return column.value(tree)
    except Exception:  # noqa: BLE001 - a printer's function met a shape it does not know
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


def _fields(column: Column) -> tuple[tuple[str, ...], ...]:
    """Return the fields a column needs; an empty one is the whole object."""
    if column.path is not None:
        return (column.path.prefix,)
    return ((),) if column.looks_at is None else column.looks_at


def _pruner(tree: _Tree, fields: tuple[tuple[str, ...], ...]) -> Callable[[Any], dict[str, Any]]:
    """Return what makes an object with just these fields of a struct."""
    places = []
    for path in fields:
        spot, consumed = _place(tree, path)
        places.append((attrgetter(".".join(spot)), path[: consumed - 1], path[consumed - 1]))

    def prune(struct: Any) -> dict[str, Any]:
        whole: dict[str, Any] = {}
        for get, above, name in places:
            value = get(struct)
            if value is not None:
                node = whole
                for step in above:
                    node = node.setdefault(step, {})
                node[name] = value
        return whole

    return prune


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
