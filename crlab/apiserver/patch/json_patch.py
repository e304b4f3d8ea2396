"""JSON Patch (RFC 6902) as the API server applies it.

From: PATCH with application/json-patch+json. To: the patched document.

Guarantees:
  1. All or nothing; the document given is never changed. Copies add at most
     `COPY_LIMIT` bytes in all.
  2. Where the server is laxer than the RFC, so is this: `replace` of a missing key adds it,
     `copy` of a missing key gives null, array indices may count from the end.

Thread: pure functions.
Source: gopkg.in/evanphx/json-patch.v4, k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from crlab.apiserver.patch.compare import is_same
from crlab.apiserver.status import StatusError, bad_request, unprocessable
from crlab.model.go_text import json_kind

MAX_OPERATIONS = 10_000
COPY_LIMIT = 3 * 1024 * 1024
_ABSENT: Any = object()


class _Rejected(Exception):
    """An operation cannot be applied."""


def apply(doc: Any, ops: Any) -> Any:
    """Return a copy of `doc` with the operations done in order.

    Raises:
        StatusError: 400 if `ops` is not a list of objects, 413 if it is too long, 422 if an
            operation fails.
    """
    ops = [] if ops is None else ops
    _check_shape(ops)
    patched = _copy(doc)
    copied = 0
    try:
        for op in ops:
            copied += _apply(patched, op, COPY_LIMIT - copied)
    except _Rejected:
        raise unprocessable() from None
    return patched


def _check_shape(ops: Any) -> None:
    problem = ""
    if not isinstance(ops, list):
        problem = f"{json_kind(ops)} into Go value of type []handlers.jsonPatchOp"
    for op in ops if isinstance(ops, list) else ():
        if not isinstance(op, dict):
            problem = f"{json_kind(op)} into Go value of type handlers.jsonPatchOp"
            break
    if problem:
        raise bad_request(f"error decoding patch: json: cannot unmarshal {problem}")
    if len(ops) > MAX_OPERATIONS:
        message = (
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(ops)}"
        )
        raise StatusError(413, "RequestEntityTooLarge", message)


def _apply(doc: Any, op: dict[str, Any], budget: int) -> int:
    """Do one operation; return how many bytes it copied within the document."""
    kind = op.get("op")
    path = _text(op, "path")
    if kind == "add":
        _add(*_find(doc, path), _copy(op.get("value")))
    elif kind == "remove":
        _remove(*_find(doc, path))
    elif kind == "replace":
        _replace(*_find(doc, path), _copy(op.get("value")))
    elif kind == "test":
        found = _get(*_find(doc, path))
        found = None if found is _ABSENT else found
        if not is_same(found, op.get("value")):
            raise _Rejected
    elif kind == "move":
        source = _find(doc, _text(op, "from"))
        value = _get(*source)
        _remove(*source)
        _add(*_find(doc, path), value)
    elif kind == "copy":
        value = _get(*_find(doc, _text(op, "from")))
        data = msgspec.json.encode(None if value is _ABSENT else value)
        if len(data) > budget:
            raise _Rejected
        _add(*_find(doc, path), msgspec.json.decode(data))
        return len(data)
    else:
        raise _Rejected
    return 0


def _copy(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _text(op: dict[str, Any], name: str) -> str:
    text = op.get(name)
    if not isinstance(text, str):
        raise _Rejected
    return text


def _find(doc: Any, path: str) -> tuple[Any, str]:
    """Return the container a pointer ends in, and the key in it."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    if len(parts) < 2:
        raise _Rejected
    container = doc
    for part in parts[1:-1]:
        container = _get(container, part)
        if not isinstance(container, dict | list):
            raise _Rejected
    return container, parts[-1]


def _index(items: list[Any], key: str, size: int) -> int:
    # As Go's Atoi: ASCII digits only, where int() takes spaces and underscores as well.
    if not re.fullmatch("[+-]?[0-9]{1,18}", key):
        raise _Rejected
    index = int(key)
    if index < -size or index >= size:
        raise _Rejected
    return index + size if index < 0 else index


def _get(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return container[_index(container, key, len(container))]
    return container.get(key, _ABSENT)


def _add(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(container, key, len(container) + 1), value)


def _replace(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        container[_index(container, key, len(container))] = value


def _remove(container: Any, key: str) -> None:
    if isinstance(container, list):
        del container[_index(container, key, len(container))]
    elif key in container:
        del container[key]
    else:
        raise _Rejected
