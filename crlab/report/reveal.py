"""Secrets, shown on purpose: one value, one call, kept nowhere.

Thread: the caller's; one GET.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec

from crlab.errors import UnknownColumn, api_error, nearest
from crlab.model.jsonpath import compile_path
from crlab.model.key import split_key
from crlab.model.redaction import Revealed
from crlab.model.resource import ApiResource

if TYPE_CHECKING:
    from crlab.client import DynamicClient


def revealed(client: DynamicClient, resource: ApiResource, key: str, field: str) -> Revealed:
    """Read one field of one object, past the client that logs what it reads."""
    namespace, name = split_key(key)
    path = resource.gvr.path(namespace or None, name)
    answer = client.transport.request("GET", path, headers={"accept": "application/json"})
    tried = f"reveal {field} of {resource.gvr.group_resource} {key}"
    if answer.status != 200:
        raise api_error(answer.status, _status(answer.body), tried=tried)
    obj = msgspec.json.decode(answer.body)
    data = obj.get("data") if isinstance(obj.get("data"), dict) else {}
    is_secret = resource.gvr.group_resource == "secrets"
    value = data.get(field) if not field.startswith(".") else compile_path(field).first(obj)
    if not isinstance(value, str):
        known = [*data, *(f".{name}" for name in obj)]
        raise UnknownColumn(
            f"{tried}: no such text; there are {', '.join(nearest(field, known) or known)}"
        )
    return Revealed(_decoded(value) if is_secret and "data" in obj else value)


def _status(body: bytes) -> dict[str, Any] | None:
    """Return a refusal's Status; a GET's quotes no object."""
    try:
        tree = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return tree if isinstance(tree, dict) and tree.get("kind") == "Status" else None


def _decoded(text: str) -> str:
    """Return a Secret's value as text; what is not base64 or not UTF-8 as it is."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
