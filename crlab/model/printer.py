"""The columns kubectl prints, as data: one definition for the server's Table and the frames.

Each `PrinterColumn` gives a table cell (humanised, as the API server sends it) and a frame
value (typed; times stay times). Kinds: `columns_for`; custom resources: `crd_columns`.

Thread: pure functions; the caller brings the time.
Source: kubernetes/kubernetes:pkg/printers/internalversion/printers.go (1.36),
k8s.io/apimachinery/pkg/util/duration, apiextensions-apiserver tableconvertor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crlab.errors import JSONPathError
from crlab.model.jsonpath import JSONPath, compile_path
from crlab.model.object import thawed
from crlab.model.timestamp import parse_moment

Obj = Mapping[str, Any]
UNKNOWN = "<unknown>"
NONE = "<none>"
NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically. "
    "Name is primarily intended for creation idempotence and configuration definition. Cannot be "
    "updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/"
    "names#names"
)
AGE_DESCRIPTION = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. "
    "It is not guaranteed to be set in happens-before order across separate operations. Clients "
    "may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the "
    "system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/"
    "devel/sig-architecture/api-conventions.md#metadata"
)


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column.

    Attributes:
        name: as the table's header says it.
        type: the table's type: "string", "integer", "number", "boolean" or "date".
        cell: object and present time → the table's cell.
        value: object → the frame's value, an RFC 3339 text for times.
        frame_type: the frame's type where it differs from `type` ("date" for an age).
        priority: 0 always shown, 1 only with ``-o wide``.
        path: where the value stands, if it is a plain JSONPath.
    """

    name: str
    type: str
    cell: Callable[[Obj, float], Any]
    value: Callable[[Obj], Any]
    frame_type: str = ""
    priority: int = 0
    format: str = ""
    description: str = ""
    path: JSONPath | None = None

    def definition(self) -> dict[str, Any]:
        """Return the Table's columnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


def human_duration(seconds: float) -> str:
    """Return a duration as kubectl shows ages: 5s, 3m26s, 4h, 2d3h, 3y12d."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes, rest = divmod(total, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours, rest = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days, rest = divmod(hours, 24)
    if hours < 24 * 8:
        return f"{days}d{rest}h" if rest else f"{days}d"
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years, rest = divmod(days, 365)
    if hours < 24 * 365 * 8:
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


def parse_time(text: Any) -> float | None:
    """Return an RFC 3339 time as seconds since the epoch; None if it is none.

    A time without an offset is taken as UTC.
    """
    if not isinstance(text, str) or len(text) < 11:  # a date alone is no timestamp
        return None
    moment = parse_moment(text)
    return None if moment is None else moment.timestamp()


def age(text: Any, now: float) -> str:
    """Return how long ago an RFC 3339 time was, "<unknown>" if there is none."""
    if text is None or text == "":
        return UNKNOWN
    at = parse_time(text)
    return "<invalid>" if at is None else human_duration(now - at)


def table_cells(columns: Sequence[PrinterColumn], obj: Obj, now: float) -> list[Any]:
    """Return the cells of one row of a Table, as the API server sends them."""
    return [column.cell(obj, now) for column in columns]


def dig(obj: Any, *names: str) -> Any:
    """Return the value below nested fields, None where something is missing."""
    for name in names:
        if type(obj) is not dict and not isinstance(obj, Mapping):  # the first look is quick
            return None
        obj = obj.get(name)
    return obj


def mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """Return `value` if it is a list, else an empty one."""
    if value is None or type(value) is list:
        return value or ()
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def maps(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list, [] if it is no list."""
    return [item for item in sequence(value) if type(item) is dict or isinstance(item, Mapping)]


def integer(value: Any) -> int:
    """Return `value` if it is an int, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def text_of(value: Any) -> str:
    """Return a JSON value as kubectl's JSONPath printer writes it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _big_text(value)
    return msgspec.json.encode(thawed(value), order="deterministic").decode("utf-8", "replace")


def _big_text(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # over the interpreter's digit limit
        return f"<{value.bit_length()}-bit integer>"


# --- building blocks ---------------------------------------------------------


def shown(
    name: str,
    value: Callable[[Obj], Any],
    *,
    type: str = "string",
    wide: bool = False,
    frame_type: str = "",
    description: str = "",
) -> PrinterColumn:
    """Make a column whose cell is its value."""
    return PrinterColumn(
        name=name,
        type=type,
        cell=lambda obj, now: value(obj),
        value=value,
        frame_type=frame_type or type,
        priority=1 if wide else 0,
        description=description,
    )


def since(name: str, value: Callable[[Obj], Any], *, wide: bool = False) -> PrinterColumn:
    """Make a column that shows how long ago a time was."""
    return PrinterColumn(
        name=name,
        type="string",
        cell=lambda obj, now: age(value(obj), now),
        value=value,
        frame_type="date",
        priority=1 if wide else 0,
    )


def name_column() -> PrinterColumn:
    """Make the first column of every table."""
    return PrinterColumn(
        name="Name",
        type="string",
        cell=lambda obj, now: dig(obj, "metadata", "name"),
        value=lambda obj: dig(obj, "metadata", "name"),
        frame_type="string",
        format="name",
        description=NAME_DESCRIPTION,
        path=compile_path(".metadata.name"),
    )


def age_column() -> PrinterColumn:
    """Make the Age column; in a frame it is the creation time."""

    def created(obj: Obj) -> Any:
        return dig(obj, "metadata", "creationTimestamp")

    return PrinterColumn(
        name="Age",
        type="string",
        cell=lambda obj, now: age(created(obj), now),
        value=created,
        frame_type="date",
        description=AGE_DESCRIPTION,
        path=compile_path(".metadata.creationTimestamp"),
    )


def created_at_column() -> PrinterColumn:
    """Make the Created At column, which shows the time itself."""

    def created(obj: Obj) -> Any:
        return dig(obj, "metadata", "creationTimestamp")

    return PrinterColumn(
        name="Created At",
        type="date",
        cell=lambda obj, now: created(obj),
        value=created,
        frame_type="date",
        description=AGE_DESCRIPTION,
        path=compile_path(".metadata.creationTimestamp"),
    )


# --- custom resources ---------------------------------------------------------


def crd_columns(definitions: Sequence[Mapping[str, Any]] | None) -> tuple[PrinterColumn, ...]:
    """Return the columns of a custom resource: Name, then its additionalPrinterColumns.

    Without any, Name and Age. A definition whose path does not parse shows nothing.
    """
    if not definitions:
        last = age_column()
        return (
            name_column(),
            PrinterColumn(
                name="Age",
                type="date",
                cell=last.cell,
                value=last.value,
                frame_type="date",
                description=AGE_DESCRIPTION,
                path=last.path,
            ),
        )
    return (name_column(), *(_crd_column(definition) for definition in definitions))


def _crd_column(definition: Mapping[str, Any]) -> PrinterColumn:
    text = str(definition.get("jsonPath", ""))
    kind = str(definition.get("type", "string"))
    try:
        path = compile_path(text)
    except JSONPathError:
        path = None

    def value(obj: Obj) -> Any:
        return typed(kind, path.first(obj)) if path is not None else None

    def cell(obj: Obj, now: float) -> Any:
        found = value(obj)
        return age(found, now) if kind == "date" and found is not None else found

    return PrinterColumn(
        name=str(definition.get("name", "")),
        type=kind,
        cell=cell,
        value=value,
        frame_type=kind,
        priority=integer(definition.get("priority")),
        format=str(definition.get("format", "") or ""),
        description=str(
            definition.get("description")
            or f"Custom resource definition column (in JSONPath format): {text}"
        ),
        path=path,
    )


def typed(kind: str, value: Any) -> Any:
    """Return a value as a printer column of that type gives it, None if it does not fit."""
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return int(value) if is_number and abs(value) < 2**63 else None
    if kind == "number":
        return float(value) if is_number and abs(value) < 1e308 else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date":
        return value if isinstance(value, str) else None
    return text_of(value)


# --- built-in kinds -------------------------------------------------------------


def columns_for(group: str, kind: str) -> tuple[PrinterColumn, ...] | None:
    """Return the columns of a built-in kind, None if kubectl has no own ones for it."""
    from crlab.model.printer_builtin import BUILTIN  # data that needs this module

    return BUILTIN.get((group, kind))
