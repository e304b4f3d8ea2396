"""From Python values to the JSON that leaves this process; what has no JSON form does not.

From: every verb of the client, manifests, the transports. To: the wire. Everything that is
written passes here, so that no other place has to know what may be written.

Guarantees:
  1. What arrives is what was given: numbers, texts and times of Python, numpy and pandas in
     their JSON form, views and drafts of objects as the objects; nothing is dropped, and
     nothing is turned into null.
  2. NaN, infinities, `pd.NA`, `NaT`, sets, bytes, keys that are no text, a structure that
     holds itself, half a character: each is one `BodyRefused` that names the path.
  3. A masked value (`<redacted: N bytes>`) never leaves: it would replace the real one.

A whole float is written as Go writes it, 5 and not 5.0, so that a count out of a frame is a
count. A time is written in UTC; one without a zone is refused, since the server would have
to guess. A whole number beyond 64 bits leaves only if a float holds it exactly, as which Go
reads it.

numpy and pandas are told by what their values can do; neither is imported.

Thread: pure functions.
Source: RFC 8259, RFC 3339, sigs.k8s.io/json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn
from uuid import UUID

import msgspec

from crlab.errors import BodyRefused
from crlab.model.diff import field_path
from crlab.model.object import FrozenList, FrozenMap, KubeObject, tree_of
from crlab.model.redaction import VALUE_MASK

MAX_DEPTH = 200
MAX_SHOWN_STEPS = 12

_LEAST, _MOST = -(2**63), 2**63 - 1
_AS_IT_IS = frozenset({str, bool, type(None)})
_NUMPY_NUMBERS = frozenset("biuf")  # the kinds of a dtype whose scalars are numbers
_MASK_BYTES = b"<redacted: "
_encode = msgspec.json.Encoder().encode

Steps = tuple[str | int, ...]


class _NoForm(Exception):
    """A value that cannot be written; its path grows from the inside outwards."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.steps: list[str | int] = []


def encoded(body: Any, tried: str) -> tuple[Any, bytes]:
    """Return a body as a plain, fresh JSON tree, and as the bytes to send.

    Args:
        tried: how an error begins: "update configmaps default/web".

    Raises:
        BodyRefused: it has no JSON form, or holds a masked value.
    """
    tree = plain(body, tried)
    try:
        raw = _encode(tree)
    except UnicodeEncodeError:
        why = "holds half of a character (a lone surrogate), which no text on the wire can"
        _refuse(tried, list(_paths(tree, _has_surrogate)), why)
    if _MASK_BYTES in raw:
        _refuse_masked(tree, tried)
    return tree, raw


def check_whole(obj: Any, tried: str) -> None:
    """Refuse to write an object whole of which a cache's transform dropped a part.

    Raises:
        BodyRefused: the write would drop that part on the server too.
    """
    if getattr(obj, "is_partial" if isinstance(obj, KubeObject) else "_is_partial", False) is True:
        raise BodyRefused(
            f"{tried}: the transform of a cache dropped or changed a part of this object, and so "
            "would a write of it; nothing was sent: patch what you change, or read the object "
            "from the server (lab.client.get, ctx.get with live=True, ctx.modify)",
            paths=("",),
        )


def check_raw(raw: bytes, tried: str) -> None:
    """Return if a body that somebody else encoded holds no masked value.

    Raises:
        BodyRefused: it does.
    """
    if _MASK_BYTES not in raw and b"\\u" not in raw:
        return
    try:
        tree = tree_of(bytes(raw))
    except (ValueError, RecursionError):  # YAML, protobuf: searched as it stands
        tree = bytes(raw).decode("utf-8", "replace")
    _refuse_masked(tree, tried)


def plain(body: Any, tried: str) -> Any:
    """Return the JSON tree of a value, fresh and of plain types; masks are not looked for.

    Raises:
        BodyRefused: it has none.
    """
    try:
        return _plain(body, 0)
    except _NoForm as error:
        _refuse(tried, [_path(error.steps[::-1])], str(error))
    except RecursionError:
        _refuse(tried, [""], "is nested too deeply, or holds itself")


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if kind is int:
        return value if _LEAST <= value <= _MOST else _wide(value)
    if kind is dict:
        return _map(value, depth)
    if kind is list:
        return _list(value, depth)
    if kind is float:
        return _float(value)
    if kind is KubeObject:
        return _map(value.to_dict(), depth)
    if kind is FrozenMap:
        return _map(value._tree, depth)  # noqa: SLF001 - the tree itself, not a copy of it
    if kind is FrozenList:
        return _list(value._items, depth)  # noqa: SLF001 - the items themselves
    if isinstance(value, Mapping):
        return _map(value, depth)
    if isinstance(value, list | tuple):
        return _list(value, depth)
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    return _scalar(value)


def _map(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    _check_depth(depth)
    made: dict[str, Any] = {}
    for key, item in value.items():
        name = key if type(key) is str else _key(key)
        try:
            made[name] = item if type(item) in _AS_IT_IS else _plain(item, depth + 1)
        except _NoForm as error:
            error.steps.append(name)
            raise
    return made


def _list(value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    _check_depth(depth)
    made: list[Any] = []
    for place, item in enumerate(value):
        try:
            made.append(item if type(item) in _AS_IT_IS else _plain(item, depth + 1))
        except _NoForm as error:
            error.steps.append(place)
            raise
    return made


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _NoForm(f"is nested deeper than {MAX_DEPTH} levels, or holds itself")


def _key(key: Any) -> str:
    value = key.value if isinstance(key, Enum) else key
    if not isinstance(value, str):
        raise _NoForm(f"has a key that is no text but of type {type(key).__name__}")
    return str.__str__(value)


def _wide(number: int) -> float:
    """Return a whole number beyond 64 bits as the float that Go makes of it, if that is it."""
    try:
        made = float(number)
        if int(made) == number:
            return made
    except OverflowError:
        pass
    raise _NoForm("is a whole number that 64 bits do not hold")


def _float(number: float) -> int | float:
    if number - number != 0:
        raise _NoForm(f"is {'NaN' if number != number else 'infinity'}, which JSON does not have")
    if number.is_integer() and _LEAST <= number <= _MOST:
        return int(number)
    return number


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)  # of a subclass: numpy's, a revealed secret
    if isinstance(value, int):
        return _plain(int.__int__(value), 0)
    if isinstance(value, float):
        return _float(float.__float__(value))
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if isinstance(kind, str) and kind in _NUMPY_NUMBERS and getattr(value, "ndim", None) == 0:
        number = value.item()
        if type(number) in (bool, int, float):
            return _plain(number, 0)
    raise _NoForm(_why(value))


def _time(value: datetime) -> str:
    if value != value:
        raise _NoForm("is NaT, a time that is missing; leave the field out, or give None")
    if value.utcoffset() is None:
        raise _NoForm("is a time without a zone; give it one, as with .replace(tzinfo=UTC)")
    try:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise _NoForm("is a time that UTC cannot name") from None


def _why(value: Any) -> str:
    """Say what a value is, and what to give instead; never the value."""
    name = type(value).__name__
    if name == "NAType":
        return "is NA, a value that is missing; leave the field out, or give None"
    if isinstance(value, set | frozenset):
        return f"is a {name}, which has no order; give a sorted list"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"is {name}; give text (the data of a Secret is base64 text)"
    if isinstance(value, Decimal):
        return "is a Decimal; give str() of it (as quantities are) or float()"
    if isinstance(value, timedelta):
        return "is a timedelta; give .total_seconds(), or a text such as '90s'"
    for way in ("tolist", "to_dict"):
        if callable(getattr(type(value), way, None)):
            return f"is a {name}; give its .{way}()"
    return f"is a {name}, which has no JSON form"


def _refuse_masked(tree: Any, tried: str) -> None:
    found = list(_paths(tree, VALUE_MASK.search))
    if found:
        _refuse(
            tried,
            found,
            "holds a masked value (<redacted: N bytes>), which would replace the real one",
            "read the object with lab.client.get or with include_secrets=True, or write only "
            "the fields that change, with a patch or ctx.modify",
        )


def _refuse(tried: str, paths: list[str], why: str, what_next: str = "") -> NoReturn:
    shown = ", ".join(path or "the body" for path in paths[:5])
    more = f" (and {len(paths) - 5} more)" if len(paths) > 5 else ""
    tail = f"; {what_next}" if what_next else ""
    raise BodyRefused(f"{tried}: {shown}{more} {why}; nothing was sent{tail}", paths=tuple(paths))


def _paths(tree: Any, is_wanted: Callable[[str], Any]) -> Iterator[str]:
    """Yield where in a plain tree the texts are, keys included, that are wanted."""
    waiting: list[tuple[Steps, Any]] = [((), tree)]
    while waiting:
        steps, value = waiting.pop()
        if isinstance(value, dict):
            for name, item in reversed(value.items()):
                if is_wanted(name):
                    yield _path((*steps, name))
                else:
                    waiting.append(((*steps, name), item))
        elif isinstance(value, list):
            waiting += [((*steps, n), item) for n, item in reversed([*enumerate(value)])]
        elif isinstance(value, str) and is_wanted(value):
            yield _path(steps)


def _path(steps: Steps | list[str | int]) -> str:
    path = ""
    for step in steps[:MAX_SHOWN_STEPS]:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path = field_path(path, step.encode("utf-8", "backslashreplace").decode())
    return f"{path}…" if len(steps) > MAX_SHOWN_STEPS else path


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)
