"""Truth to code, masks to eyes: what is shown or saved is masked here, and nothing else is.

From: whatever holds objects (objects, drafts, bodies, differences). To: reprs, frames, views,
traces, recordings. Code is given objects as the server sent them; only what is made for
secrets (Secret, token reviews) is masked when it is taken in, unless somebody asked for it.

Guarantees:
  1. A Secret keeps its key names and the byte length of each value, nothing else.
  2. The last-applied annotation, which repeats whole objects, keeps its length only.
  3. Scalars under secret-like names are masked: fields, keys, annotations, ``{name, value}``
     pairs, arguments (``--password``, ``x``); and text of a secret's shape, wherever it stands.
  4. The input is never changed; an object that needs nothing comes back as it is.

Thread: pure functions.
Source: kubernetes/kubectl:pkg/describe (Secret sizes), util/apply.go (the annotation).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from crlab.errors import DecodeError
from crlab.model.mask import (
    LAST_APPLIED,
    VALUE_MASK,
    mask,
    mask_text,
    mask_value,
    may_have_shape,
    may_hold_secret,
)
from crlab.model.object import KubeObject, thawed, tree_of
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource
from crlab.model.secret_name import is_secret, is_secret_name

__all__ = [
    "LAST_APPLIED",
    "PROFILE",
    "VALUE_MASK",
    "Revealed",
    "below",
    "hide",
    "holds_secrets",
    "is_secret_name",
    "mask",
    "mask_status",
    "mask_text",
    "mask_values",
    "redact_body",
    "redact_kube_object",
    "redact_object",
    "shown",
    "shown_with_secrets",
]

PROFILE = "crlab/1"  # what a recording says it was redacted with

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode

_INVALID_VALUE = re.compile(
    r"(?P<field>[^\s:]*)(?P<between>:\s{0,8}(?:Invalid|Unsupported|Duplicate) value:\s{0,8})"
    r'(?P<value>"(?:[^"\\]|\\.)*+"|[^:]*)'
)
_SCALARS = frozenset({str, int, float, bool, type(None)})
_KINDS = frozenset({"Secret", "TokenRequest", "TokenReview"})

#: Places where everything is secret: as it stands, or as base64 of it.
SEALED, SEALED_BASE64 = "\0", "\0\0"
_SECRETS = "\1"  # the place of a list's items that are Secrets and do not say so
#: What stands below one of these is judged by more than its name.
BEARERS = frozenset({"data", "stringData", "auths", "value", "items", LAST_APPLIED})


class Revealed(str):
    """A secret shown on purpose: an ordinary str whose repr is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<revealed, {len(self.encode())} bytes>"


def holds_secrets(resource: ApiResource | GroupVersionKind) -> bool:
    """Whether a resource is made for secrets, so that its objects are masked when taken in."""
    return resource.kind.removesuffix("List") in _KINDS


def below(node: Mapping[str, Any], under: str, field: str, kind: str = "") -> str:
    """Return the place of a field of `node`, itself at the place `under`, for `shown`.

    A place is the name that decides whether what stands there is secret.

    Args:
        kind: of `node`, where it does not say.
    """
    if under and under[0] == "\0":
        return under
    if field in BEARERS:
        if field == "value":
            name = node.get("name")
            if name is None and "effect" not in node and "operator" not in node:
                name = node.get("key")
            return name if isinstance(name, str) else under
        if field in ("data", "stringData") and _is_of_secret(node, under, kind):
            return SEALED_BASE64 if field == "data" else SEALED
        if field == "items" and (node.get("kind") or f"{kind}List") == "SecretList":
            return _SECRETS
        if field in ("auths", LAST_APPLIED):
            return SEALED
    return field


def _is_of_secret(node: Mapping[str, Any], under: str, kind: str) -> bool:
    """Whether a node is a Secret; an item of a list may not say its kind, but has a type."""
    kind = node.get("kind") or kind or ("Secret" if under == _SECRETS else "")
    return kind == "Secret" or (not kind and "type" in node and "metadata" in node)


def shown(value: Any, under: str = "", *, kind: str = "") -> Any:
    """Return a JSON value (or a view of one) as it may be shown: a fresh copy, masked.

    Args:
        under: its place: the name of the field that holds it; see `below`.
        kind: what it is, where it does not say (list items, patches).
    """
    if isinstance(value, str):
        return _masked(under, value) if _is_decided(under, value) else mask_value(value)
    if value is None or isinstance(value, int | float):
        return _masked(under, value) if _is_decided(under, value) else value
    root = [thawed(value)]
    _applied(_edits(root, under, kind))
    return root[0]


def shown_with_secrets(obj: KubeObject) -> tuple[Any, list[str]]:
    """Return an object as it may be shown, and the texts that were taken out, longest first.

    Texts of less than four characters are left out of the second; what is base64 is in it both
    as it stands and decoded.
    """
    tree = obj.to_dict()
    values, keys = edits = _edits([tree], "")
    found: set[str] = set()
    for _, _, masked, old in (*values, *keys):
        if isinstance(old, str):
            gone = {old[start:stop] for start, stop in _gaps(old, VALUE_MASK.split(masked))}
            found |= gone | {_plain_of(text) for text in gone}
    _applied(edits)
    return tree, sorted((text for text in found if len(text) > 3), key=len, reverse=True)


def redact_object(obj: Mapping[str, Any], *, kind: str = "") -> dict[str, Any]:
    """Return an object, list, table or Status without what must not be shown.

    Args:
        kind: what it is, where the body does not say (list items, patches).
    """
    fresh = thawed(obj)
    assert isinstance(fresh, dict)
    if fresh.get("kind") == "Status":
        return mask_status(fresh)
    _applied(_edits([fresh], "", kind))
    return fresh


def redact_body(body: Any, *, kind: str = "") -> Any:
    """Return a request or response body (object, JSON patch, text) without secrets."""
    if isinstance(body, Mapping):
        return redact_object(body, kind=kind)
    if isinstance(body, list | tuple):
        return [_redact_operation(item, kind) for item in thawed(body)]
    if isinstance(body, bytes):
        try:
            return redact_body(_decode(body), kind=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return f"<{len(body)} bytes>"
    return mask_text(body) if isinstance(body, str) else body


def redact_kube_object(
    obj: KubeObject,
    resource: ApiResource | GroupVersionKind | GroupVersionResource | None = None,
) -> KubeObject:
    """Return the object itself, or one without what must not be shown.

    Args:
        resource: what it is, for list items that carry no kind.

    Raises:
        DecodeError: its bytes are not JSON, or nested too deeply.
    """
    kind = _kind_of(resource)
    try:
        tree = tree_of(obj.raw)
        if tree.get("kind") == "Status":
            tree = mask_status(tree)
        else:
            edits = _edits([tree], "", kind)
            if not any(edits):
                return obj
            _applied(edits)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"a {kind or 'n object'} cannot be redacted: {error}") from error
    return KubeObject.trusted(_encode(tree), obj.name, obj.namespace, obj.uid, obj.resource_version)


def mask_values(values: list[Any], under: str = "") -> list[Any]:
    """Return values that stand at one place of many objects as they may be shown.

    Cheaper than `shown` of each: one look at all the texts.
    """
    if not _is_place(under):
        try:
            text = "\n".join(values)
        except TypeError:
            if not _SCALARS.issuperset(map(type, values)):
                return [_shown_or_same(value, under) for value in values]
            text = "\n".join([value for value in values if type(value) is str])
        if not may_hold_secret(text):
            return values
    return [shown(value, under) for value in values]


def _gaps(text: str, pieces: list[str]) -> list[tuple[int, int]]:
    """Return what stands between pieces of a text."""
    gaps, start = [], len(pieces[0])
    for piece in pieces[1:]:
        stop = text.find(piece, start) if piece else len(text)
        gaps.append((start, stop))
        start = stop + len(piece)
    return gaps


def _plain_of(text: str) -> str:
    """Return what base64 stands for, "" if it is none."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def hide(value: Any, secrets: Sequence[str]) -> Any:
    """Return what a user's function made of an object, without the secrets of that object."""
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, mask(secret))
        return value
    if isinstance(value, Mapping):
        return {key: hide(item, secrets) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [hide(item, secrets) for item in value]
    return value


def _shown_or_same(value: Any, under: str) -> Any:
    """Return the value itself where nothing of it is masked: most are shown as they are."""
    if type(value) in (dict, list) and not any(_edits([value], under)):
        return value
    return shown(value, under)


def mask_status(status: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """Mask a Status body: a server echoes values in messages and causes (422).

    Args:
        kind: kind or plural that was asked for; the values a server refused in a Secret
            are masked too.
    """
    is_secret_kind = not {kind, _status_kind(status)}.isdisjoint(("Secret", "secrets"))

    def refused(found: re.Match[str]) -> str:
        last = re.split(r"[.\[\]]", found["field"].rstrip("]"))[-1]
        is_hidden = is_secret_kind or is_secret_name(last)
        value = mask(found["value"].strip('"')) if is_hidden else found["value"]
        return found["field"] + found["between"] + value

    def masked(text: Any) -> Any:
        return mask_text(_INVALID_VALUE.sub(refused, text)) if isinstance(text, str) else text

    fresh = thawed(status)
    assert isinstance(fresh, dict)
    fresh["message"] = masked(fresh.get("message"))
    details = fresh.get("details")
    for cause in (details.get("causes") or []) if isinstance(details, dict) else []:
        if isinstance(cause, dict):
            cause["message"] = masked(cause.get("message"))
    return fresh


def _kind_of(resource: Any) -> str:
    if isinstance(resource, ApiResource | GroupVersionKind):
        return resource.kind
    if isinstance(resource, GroupVersionResource):
        return "Secret" if resource.resource.partition(".")[0] == "secrets" else ""
    return ""


def _status_kind(status: Mapping[str, Any]) -> str:
    details = status.get("details")
    kind = details.get("kind") if isinstance(details, Mapping) else ""
    return kind if isinstance(kind, str) else ""


# --- one walk for the names, and a look at the texts where they may hold a shape -----------

#: A change to make: the dict or list, the key in it, the new value (or key), what it was.
_Edit = tuple[Any, Any, str, Any]


def _is_place(under: str) -> bool:
    """Whether a place decides that what stands there is secret."""
    return bool(under) and (under[0] == "\0" or is_secret_name(under))


def _is_decided(under: str, value: Any) -> bool:
    return bool(under) and value is not None and (under[0] == "\0" or is_secret(under, value))


def _masked(under: str, value: Any) -> str:
    return mask(value, encoded=under == SEALED_BASE64)


def _edits(node: Any, under: str, kind: str = "") -> tuple[list[_Edit], list[_Edit]]:
    """Return what has to be masked below a dict or list: values, and keys. Changes nothing."""
    values: list[_Edit] = []
    keys: list[_Edit] = []
    texts: list[tuple[Any, Any, str]] = []
    names: list[tuple[Any, str]] = []
    _collect(node, under, kind, values, texts, names)
    whole = "\n".join([text for _, _, text in texts])
    if may_hold_secret(whole):
        has_shape = may_have_shape(whole)
        for holder, field, text in texts:
            if has_shape or ":" in text or "=" in text:
                masked = mask_value(text)
                if masked is not text and masked != text:
                    values.append((holder, field, masked, text))
    if names and may_hold_secret("\n".join([name for _, name in names])):
        for holder, name in names:
            if (masked := mask_value(name)) != name:
                keys.append((holder, name, masked, name))
    return values, keys


def _applied(edits: tuple[list[_Edit], list[_Edit]]) -> None:
    values, keys = edits
    for holder, field, masked, _ in values:
        holder[field] = masked
    for holder, field, masked, _ in keys:
        holder[masked] = holder.pop(field)


def _collect(
    node: Any,
    under: str,
    kind: str,
    edits: list[_Edit],
    texts: list[tuple[Any, Any, str]],
    names: list[tuple[Any, str]],
) -> None:
    """Find what its place decides; collect the other texts, and keys that may hold one."""
    if type(node) is dict:
        is_special = (under and under[0] <= "\1") or not BEARERS.isdisjoint(node)
        for field, child in node.items():
            place = below(node, under, field, kind) if is_special else field
            if len(field) > 15:
                names.append((node, field))
            type_ = type(child)
            if type_ is dict or type_ is list:
                if child and not (field == "fieldsV1" and _has_no_values(child)):
                    _collect(child, place, "", edits, texts, names)
            elif _is_place(place) and _is_decided(place, child):
                edits.append((node, field, _masked(place, child), child))
            elif type_ is str:
                texts.append((node, field, child))
        return
    flag, is_place = "", _is_place(under)
    for spot, child in enumerate(node):
        type_ = type(child)
        if type_ is dict or type_ is list:
            _collect(child, under, kind, edits, texts, names)
        elif (is_place and _is_decided(under, child)) or (
            flag and _is_decided(flag, child) and child[:2] != "--"
        ):
            edits.append((node, spot, _masked(under, child), child))
        elif type_ is str:
            texts.append((node, spot, child))
        flag = child if type_ is str and child[:1] == "-" and "=" not in child else ""


def _has_no_values(fields: Any) -> bool:
    """Whether managed fields, often half of an object, name fields and no values."""
    text = _encode(fields).decode()
    return '"v:' not in text and not may_have_shape(text)


def _redact_operation(operation: Any, kind: str) -> Any:
    """One operation of a JSON patch."""
    if not isinstance(operation, dict):
        return shown(operation)
    path = operation.get("path")
    if "value" not in operation or not isinstance(path, str):
        return redact_object(operation, kind=kind)
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    value = operation["value"]
    if not steps:
        masked = shown(value, kind=kind)
    else:
        under = steps[-1]
        if kind == "Secret" and steps[0] in ("data", "stringData"):
            under = SEALED_BASE64 if steps[0] == "data" else SEALED
        elif not {"value", "args", "command"}.isdisjoint(steps[-2:]) and isinstance(value, str):
            under = SEALED  # the name that belongs to it is not in the patch
        elif not {"auths", LAST_APPLIED}.isdisjoint(steps):
            under = SEALED
        masked = shown(value, under)
    return {**shown({k: v for k, v in operation.items() if k != "value"}), "value": masked}
