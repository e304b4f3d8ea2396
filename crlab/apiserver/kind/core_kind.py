"""Namespaces, ConfigMaps, Secrets: the defaults and rules that clients notice.

Thread: pure functions that change the object they are given.
Source: kubernetes/kubernetes:pkg/apis/core/validation, pkg/registry/core/{namespace,
configmap,secret}/strategy.go.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from crlab.apiserver.status import Cause, bad_request, forbidden, invalid_value, required, too_long
from crlab.apiserver.storage import Tree

IMMUTABLE = "field is immutable"
IMMUTABLE_SET = "field is immutable when `immutable` is set"
_KEY_HINT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
DATA_LIMIT = 1_048_576
NAME_LABEL = "kubernetes.io/metadata.name"
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/basic-auth": ("username", "password"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
PROTECTED = ("default", "kube-system", "kube-public")


# --- namespaces --------------------------------------------------------------------------------


def prepare_namespace(new: Tree, old: Tree | None) -> None:
    """Give a namespace its label, finalizer and phase; an update keeps spec and status."""
    if old is None:
        spec = new.setdefault("spec", {})
        finalizers = list(spec.get("finalizers") or ())
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        new["spec"] = {"finalizers": finalizers}
        new["status"] = {"phase": "Active"}
    else:
        new["spec"] = old.get("spec") or {}
    name = new["metadata"].get("name", "")
    if name:
        new["metadata"]["labels"] = {**(new["metadata"].get("labels") or {}), NAME_LABEL: name}


def protect_namespace(tree: Tree) -> None:
    """Refuse to delete what a cluster cannot be without."""
    name = tree["metadata"]["name"]
    if name in PROTECTED:
        raise forbidden("namespaces", name, "this namespace may not be deleted")


def terminate_namespace(tree: Tree) -> None:
    """Mark a namespace as terminating."""
    tree["status"] = {**(tree.get("status") or {}), "phase": "Terminating"}


def namespace_finalizers(tree: Tree) -> list[str]:
    """Return what holds a namespace besides its metadata."""
    return list((tree.get("spec") or {}).get("finalizers") or ())


# --- config maps and secrets -------------------------------------------------------------------


def check_config_map(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a ConfigMap."""
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    causes = []
    for key in sorted(data):
        causes += _key_causes("data", key)
        if key in binary:
            detail = "duplicate of key present in binaryData"
            causes.append(invalid_value(f"data[{key}]", key, detail))
    for key in sorted(binary):
        causes += _key_causes("binaryData", key)
    size = sum(len(text.encode()) for text in data.values())
    if size + sum(_decoded_bytes(text) for text in binary.values()) > DATA_LIMIT:
        causes.append(too_long("[]", DATA_LIMIT))  # so Go prints a path without a name
    if old is not None and old.get("immutable") is True:
        causes += _immutable_causes(new, old, ("data", "binaryData"))
    return causes


def _decoded_bytes(text: Any) -> int:
    """Return how long base64 is when decoded."""
    return len(text.rstrip("=")) * 3 // 4 if isinstance(text, str) else 0


def _key_causes(field: str, key: str) -> list[Cause]:
    if re.fullmatch(r"[-._a-zA-Z0-9]+", key) and len(key) <= 253 and key not in (".", ".."):
        return []
    return [invalid_value(f"{field}[{key}]", key, _KEY_HINT)]


def _immutable_causes(new: Tree, old: Tree, fields: tuple[str, ...]) -> list[Cause]:
    causes = []
    if new.get("immutable") is not True:
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {IMMUTABLE_SET}", "immutable"))
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            causes.append(Cause("FieldValueForbidden", f"Forbidden: {IMMUTABLE_SET}", field))
    return causes


def prepare_config_map(new: Tree, old: Tree | None) -> None:
    """Drop empty maps; null in a map of texts is an empty text."""
    del old
    for key, value in (new.get("data") or {}).items():
        if value is None:
            new["data"][key] = ""
    for key in ("data", "binaryData"):
        if new.get(key) in ({}, None):
            new.pop(key, None)


def prepare_secret(new: Tree, old: Tree | None) -> None:
    """Fold stringData into data and default the type.

    Raises:
        StatusError: 400 for data that is not base64.
    """
    data = dict(new.get("data") or {})
    for value in data.values():
        fault = _base64_fault(value)
        if fault is not None:
            raise bad_request(
                'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at '
                f"input byte {fault}"
            )
    for key, value in (new.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(str(value).encode()).decode()
    if data:
        new["data"] = data
    else:
        new.pop("data", None)
    if not new.get("type"):
        new["type"] = (old or {}).get("type") or "Opaque"


def _base64_fault(text: Any) -> int | None:
    if not isinstance(text, str):
        return 0
    for index, char in enumerate(text):
        if not re.match(r"[A-Za-z0-9+/=\r\n]", char):
            return index
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return max(0, len(text) - len(text) % 4)
    return None


def _missing_keys(secret: Tree) -> list[Cause]:
    """Return the keys that a secret of its type must have."""
    data, kind = secret.get("data") or {}, secret.get("type")
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if not (secret["metadata"].get("annotations") or {}).get(name):
            return [required(f"metadata.annotations[{name}]")]
    wanted = _SECRET_KEYS.get(str(kind), ())
    if kind == "kubernetes.io/basic-auth" and any(key in data for key in wanted):
        return []
    return [required(f"data[{key}]") for key in wanted if key not in data]


def check_secret(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Secret."""
    causes = _missing_keys(new)
    if sum(_decoded_bytes(text) for text in (new.get("data") or {}).values()) > DATA_LIMIT:
        causes.append(too_long("data", DATA_LIMIT))
    for key in sorted(new.get("data") or {}):
        causes += _key_causes("data", key)
    if old is not None:
        if new.get("type") != old.get("type"):
            causes.append(invalid_value("type", new.get("type"), IMMUTABLE))
        if old.get("immutable") is True:
            causes += _immutable_causes(new, old, ("data",))
    return causes
