"""Which columns a frame has: a kind's printed columns, and what the user asks for beyond.

Order: namespace, name, the kind's own columns, then conditions, owner, labels, extras.

Names: "key", "namespace", "name" and "created" are an object's own identity in every frame.
A column that would have one of these names, or one that a column before it has, is called
after where it comes from: ``printer_name``, ``label_name``, ``condition_ready``,
``owner_…``, ``wide_…``, and ``…_2`` if that is taken too. Only a column that the user names
in ``columns={…}`` may take the place of a printed one; an identity it may not.

Wide rule "crlab/wide/1": every printed column, then each field below ``.spec`` and
``.status`` (other top-level fields where the kind has neither), flattened to a dotted
name; lists of scalars are one text joined by commas, other lists one JSON text; the dtype
is the schema's, or "object" where none is known. Columns that were seen once stay.

Thread: pure functions.
Source: kubectl get (-o wide, -L, --show-labels, custom-columns).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crlab.errors import ConfigError, UnknownColumn, nearest
from crlab.frame.column import AGES, CREATED, Column
from crlab.model.argument import checked_function, checked_texts
from crlab.model.diff import field_path
from crlab.model.jsonpath import compile_path
from crlab.model.object import FrozenList, KubeObject
from crlab.model.printer import PrinterColumn, columns_for, crd_columns, dig, maps, text_of
from crlab.model.redaction import below, shown
from crlab.model.resource import ApiResource

ColumnSpec = Column | str | Callable[[KubeObject], Any] | tuple[str, str]
ColumnsArgument = Mapping[str, ColumnSpec] | Sequence[str | Column] | None

IDENTITY: dict[str, tuple[str, ...]] = {
    "key": (),
    "namespace": ("metadata", "namespace"),
    "name": ("metadata", "name"),
    "created": CREATED,
}

_LABELS = (("metadata", "labels"),)
_CONDITIONS = (("status", "conditions"),)
_OWNERS = (("metadata", "ownerReferences"),)
_PRINTERS_LOOK_AT = {
    ("", "Pod"): (("metadata", "deletionTimestamp"), ("spec",), ("status",)),
}


def base_columns(namespaced: bool = True) -> list[Column]:
    """Return what every frame begins with."""
    name = Column("name", "string", header="name")
    return [Column("namespace", "string", header="namespace"), name] if namespaced else [name]


def header_columns() -> list[Column]:
    """Return what can be asked for by name of any object."""
    return [
        Column("uid", "string", header="uid"),
        Column("resource_version", "string", header="resource_version"),
        _created_column(),
        Column.at("deleted", ".metadata.deletionTimestamp", "date"),
        Column.at("generation", ".metadata.generation", "integer"),
        Column.at("kind", ".kind", "string"),
        _labels_column(),
        _conditions_column(),
        Column("age", "date", path=compile_path(".metadata.creationTimestamp")),
        *owner_columns(),
    ]


def printed_columns(
    resource: ApiResource | None,
    definitions: Sequence[Mapping[str, Any]] | None = None,
    *,
    wide: bool = False,
) -> list[Column]:
    """Return a kind's own columns, without the name.

    Args:
        definitions: the CRD version's additionalPrinterColumns, if it is a custom resource.
        wide: with those that kubectl shows with ``-o wide`` only.
    """
    hidden: set[str] = set()  # named all the same: a name does not depend on `wide`
    printed: Sequence[PrinterColumn] | None = None
    if definitions is None and resource is not None:
        printed = columns_for(resource.gvr.group, resource.kind)
    if printed is None:
        printed = crd_columns(definitions)
    printed = [column for column in printed if column.format != "name"]
    fields = _PRINTERS_LOOK_AT.get((resource.gvr.group, resource.kind)) if resource else None
    columns: dict[str, Column] = {}
    for column, each in zip(printed, map(Column.of_printer, printed), strict=True):
        known = columns.get(each.name)
        if known is not None and known.path is each.path is not None:
            continue  # said twice, as Age and Created At
        each = _distinct("printer", each, columns)
        columns[each.name] = each if each.value is None else replace(each, looks_at=fields)
        if not wide and column.priority:
            hidden.add(each.name)
    if "created" not in columns and any(name in columns for name in AGES):
        columns["created"] = _created_column()  # what is called age is another one
    return [column for name, column in columns.items() if name not in hidden]


def _distinct(origin: str, column: Column, taken: Container[str]) -> Column:
    """Return a column under a name that is neither taken nor an object's identity."""
    if column.name not in taken and _is_free(column):
        return column
    name = free = f"{origin}_{column.name}"
    number = 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return column.named(free)


def _is_free(column: Column) -> bool:
    """Whether a column may have its name: an identity is the object's own."""
    path = column.path
    fields = path.fields if path is not None else None
    return column.name not in IDENTITY or (bool(fields) and fields == IDENTITY[column.name])


def label_columns(labels: Iterable[str]) -> list[Column]:
    """Return one text column per label key, named as the key."""
    return [
        Column(key, "string", path=compile_path(field_path(".metadata.labels", key)))
        for key in labels
    ]


def condition_columns(kinds: Iterable[str]) -> list[Column]:
    """Return one text column per condition type: "True", "False", "Unknown" or missing."""

    def of(kind: str) -> Callable[[Mapping[str, Any]], Any]:
        def value(obj: Mapping[str, Any]) -> Any:
            for condition in maps(dig(obj, "status", "conditions")):
                if condition.get("type") == kind:
                    return condition.get("status")
            return None

        return value

    return [Column(kind, "string", value=of(kind), looks_at=_CONDITIONS) for kind in kinds]


def owner_columns() -> list[Column]:
    """Return kind, name and uid of the controlling owner (of the first, if none controls)."""

    def of(field: str) -> Callable[[Mapping[str, Any]], Any]:
        def value(obj: Mapping[str, Any]) -> Any:
            owners = maps(dig(obj, "metadata", "ownerReferences"))
            controllers = [owner for owner in owners if owner.get("controller") is True]
            chosen = controllers or owners
            return chosen[0].get(field) if chosen else None

        return value

    return [
        Column(f"owner_{field}", "string", value=of(field), looks_at=_OWNERS)
        for field in ("kind", "name", "uid")
    ]


def _created_column() -> Column:
    return Column.at("created", ".metadata.creationTimestamp", "date")


def _labels_column() -> Column:
    return Column("labels", "string", value=_labels_text, looks_at=_LABELS)


def _conditions_column() -> Column:
    return Column("conditions", "string", value=_conditions_text, looks_at=_CONDITIONS)


def _labels_text(obj: Mapping[str, Any]) -> str | None:
    labels = dig(obj, "metadata", "labels")
    if not isinstance(labels, Mapping):
        return None
    return ",".join(f"{key}={text_of(value)}" for key, value in sorted(labels.items()))


def _conditions_text(obj: Mapping[str, Any]) -> str | None:
    conditions = maps(dig(obj, "status", "conditions"))
    return ",".join(f"{c.get('type')}={c.get('status')}" for c in conditions) or None


def choose_columns(
    resource: ApiResource | None,
    columns: ColumnsArgument = None,
    *,
    definitions: Sequence[Mapping[str, Any]] | None = None,
    schema: Mapping[str, Any] | None = None,
    labels: Sequence[str] | bool = (),
    conditions: Sequence[str] | bool = (),
    owner: bool = False,
    wide: bool = False,
    quantities: Sequence[str] | bool = False,
) -> list[Column]:
    """Return the columns of a frame, in order, each name once.

    Args:
        columns: names to choose; or name → JSONPath, (JSONPath, type), function of a
            `KubeObject` or Column, added to the kind's own; None: the kind's own.
        quantities: names of columns to read as numbers ("100m" → 0.1); True: those that
            are called cpu, memory, storage or capacity. Several values, as of
            ``.spec.containers[*].resources.requests.cpu``, are their sum.

    Raises:
        UnknownColumn: a name or, where the schema is known, a path that does not exist.
        ConfigError: a name that is an object's own: key, namespace, name, created.
        JSONPathError: a path that does not parse.
    """
    for name, wanted in (
        ("labels", labels),
        ("conditions", conditions),
        ("quantities", quantities),
    ):
        if not isinstance(wanted, bool):
            checked_texts(wanted, f"{name} (or True)")
    is_namespaced = resource is None or resource.is_namespaced
    if columns is None or isinstance(columns, Mapping):
        own = [*base_columns(is_namespaced), *printed_columns(resource, definitions, wide=wide)]
        named = [_made(name, spec, schema) for name, spec in (columns or {}).items()]
    else:
        own, named = [], _named(columns, resource, definitions, schema, is_namespaced)
    chosen = {column.name: column for column in [*own, *map(_allowed, named)]}
    extras: list[tuple[str, Sequence[Column]]] = []
    if conditions:
        kinds = () if isinstance(conditions, bool) else conditions
        extras.append(("condition", condition_columns(kinds) or [_conditions_column()]))
    if owner:
        extras.append(("owner", owner_columns()))
    if labels:
        keys = () if isinstance(labels, bool) else labels
        extras.append(("label", label_columns(dict.fromkeys(keys)) or [_labels_column()]))
    for origin, group in extras:
        for column in group:
            column = _distinct(origin, column, chosen)
            chosen[column.name] = column
    return _as_quantities(list(chosen.values()), quantities)


def _allowed(column: Column) -> Column:
    """Return a column that the user named.

    Raises:
        ConfigError: it would stand for what every row is found by.
    """
    if not _is_free(column) and column.header != column.name:
        raise ConfigError(
            f"a column cannot be called {column.name!r}: {', '.join(IDENTITY)} are the object's "
            "own in every frame; choose another name"
        )
    return column


def _named(
    wanted: Sequence[str | Column],
    resource: ApiResource | None,
    definitions: Sequence[Mapping[str, Any]] | None,
    schema: Mapping[str, Any] | None,
    namespaced: bool,
) -> list[Column]:
    if isinstance(wanted, str):
        wanted = [wanted]
    known = {
        column.name: column
        for column in (
            *header_columns(),
            *printed_columns(resource, definitions, wide=True),
            *base_columns(namespaced),
        )
    }
    chosen = []
    for item in wanted:
        if isinstance(item, Column):
            chosen.append(_made(item.name, item, schema))
        elif item in known:
            chosen.append(known[item])
        elif item[:1] in (".", "{", "$"):
            chosen.append(_made(item.strip(".{}$"), item, schema))
        else:
            raise unknown_column(item, known)
    return chosen


def unknown_column(name: str, known: Iterable[str]) -> UnknownColumn:
    """Make the error for a column that is not there."""
    known = list(known)
    near = nearest(name, known)
    hint = f"nearest: {', '.join(near)}" if near else f"columns: {', '.join(known)}"
    return UnknownColumn(
        f"no column {name!r}; {hint} (a path such as .spec.image makes a new one)",
        name=name,
        nearest=near,
    )


def _made(name: str, spec: Any, schema: Mapping[str, Any] | None) -> Column:
    value = spec.value if isinstance(spec, Column) else spec
    if callable(value):
        checked_function(value, f"column {name!r}", ("obj",))
    if isinstance(spec, Column):
        if spec.value is None:
            return spec.named(name)
        return Column(name, spec.type, function=spec.value)  # a user's: it gets what all get
    if callable(spec):
        return Column(name, "object", function=spec)
    text, kind = spec if isinstance(spec, tuple) else (spec, "")
    column = Column.at(name, text, kind or "object")
    if schema is not None and column.path is not None:
        found = schema_type(schema, column.path.prefix, text)
        if not kind and column.path.fields is not None:
            column = Column(name, found, path=column.path)
    elif not kind and column.path is not None and column.path.fields is not None:
        column = Column(name, _METADATA.get(column.path.fields, "object"), path=column.path)
    return column


_METADATA: dict[tuple[str, ...], str] = {
    ("kind",): "string",
    ("apiVersion",): "string",
    ("metadata", "name"): "string",
    ("metadata", "namespace"): "string",
    ("metadata", "uid"): "string",
    ("metadata", "resourceVersion"): "string",
    ("metadata", "generateName"): "string",
    ("metadata", "generation"): "integer",
    ("metadata", "creationTimestamp"): "date",
    ("metadata", "deletionTimestamp"): "date",
}


def schema_type(schema: Mapping[str, Any], fields: Sequence[str], text: str) -> str:
    """Return the column type of a field by its OpenAPI schema, "object" where it says nothing.

    Raises:
        UnknownColumn: the schema has no such field.
    """
    if tuple(fields) in _METADATA or tuple(fields[:1]) == ("metadata",):
        is_map = tuple(fields[1:2]) in (("labels",), ("annotations",)) and len(fields) == 3
        return _METADATA.get(tuple(fields), "string" if is_map else "object")
    node: Any = schema
    for depth, name in enumerate(fields):
        properties = node.get("properties") if isinstance(node, Mapping) else None
        if isinstance(properties, Mapping) and name in properties:
            node = properties[name]
            continue
        extra = node.get("additionalProperties") if isinstance(node, Mapping) else None
        open_ended = node.get("x-kubernetes-preserve-unknown-fields") is True
        if isinstance(extra, Mapping):
            node = extra
            continue
        if extra is True or open_ended or not isinstance(properties, Mapping):
            return "object"
        near = nearest(name, properties)
        parent = "." + ".".join(fields[:depth]) if depth else "the object"
        hint = ", ".join(near or list(properties)[:8])
        raise UnknownColumn(
            f"JSONPath {text!r}: {parent} has no field {name!r}; nearest: {hint}",
            name=text,
            nearest=near,
        )
    return _schema_leaf(node)


def _schema_leaf(node: Any) -> str:
    if not isinstance(node, Mapping) or node.get("x-kubernetes-int-or-string") is True:
        return "object"
    kind = node.get("type")
    if kind == "string":
        return "date" if node.get("format") == "date-time" else "string"
    return kind if kind in ("integer", "number", "boolean") else "object"


_QUANTITIES = ("cpu", "memory", "storage", "capacity")


def _as_quantities(columns: list[Column], wanted: Sequence[str] | bool) -> list[Column]:
    if not wanted:
        return columns
    names = (
        [c.name for c in columns if any(word in c.name.lower() for word in _QUANTITIES)]
        if wanted is True
        else list(wanted)
    )
    known = {column.name for column in columns}
    for name in names:
        if name not in known:
            raise unknown_column(name, known)
    return [replace(c, type="quantity", is_first=False) if c.name in names else c for c in columns]


# --- wide -----------------------------------------------------------------------------


def flatten(obj: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return the leaves of an object by the wide rule: path → scalar or text."""
    roots = [name for name in ("spec", "status") if name in obj]
    if not roots:
        roots = [n for n in obj if n not in ("apiVersion", "kind", "metadata")]
    leaves: dict[tuple[str, ...], Any] = {}
    stack: list[tuple[tuple[str, ...], Any]] = [((name,), obj[name]) for name in reversed(roots)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Mapping) and value:
            stack.extend(((*path, name), value[name]) for name in reversed(list(value)))
        else:
            leaves[path] = _leaf(value)
    return leaves


def _leaf(value: Any) -> Any:
    if isinstance(value, list | tuple | FrozenList):
        if any(isinstance(item, Mapping | list | FrozenList) for item in value):
            return text_of(value)
        return ",".join(text_of(item) for item in value)
    return None if isinstance(value, Mapping) else value


def wide_columns(
    paths: Iterable[tuple[str, ...]],
    schema: Mapping[str, Any] | None,
    beside: Sequence[Column],
) -> list[Column]:
    """Return the columns of flattened leaves, but for those that are there already."""
    taken = {column.name: column for column in beside}
    for path in paths:
        column = _wide_column(path, schema)
        known = taken.get(column.name)
        if known is None or known.path is None or known.path.fields != path:
            column = _distinct("wide", column, taken)
            taken[column.name] = column
    return list(taken.values())[len(beside) :]


def _wide_column(path: tuple[str, ...], schema: Mapping[str, Any] | None) -> Column:
    kind = "object"
    if schema is not None:
        try:
            kind = schema_type(schema, path, ".".join(path))
        except UnknownColumn:
            kind = "object"  # pruned elsewhere; the server keeps what the schema knows
    is_list = schema is not None and _is_array(schema, path)

    def value(obj: Mapping[str, Any]) -> Any:
        found: Any = obj
        under = ""
        for name in path:
            if not isinstance(found, Mapping) or name not in found:
                return None
            under = below(found, under, name)
            found = found[name]
        return _leaf(shown(found, under))

    looks_at = (("kind",), path[:1])
    return Column(".".join(path), "string" if is_list else kind, value=value, looks_at=looks_at)


def _is_array(schema: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    node: Any = schema
    for name in path:
        node = dig(node, "properties", name)
    return isinstance(node, Mapping) and node.get("type") == "array"
