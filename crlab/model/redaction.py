"""What must not be shown: secret values are masked before anybody can read them.

From: the client (every object, body and error text it takes in). To: cache, trace,
frames, diffs, recordings, none of which can be asked for a secret. Secrets, ConfigMaps and
token reviews are masked before they are cached; objects of other kinds when somebody first
reads them (`Redactor`), so until then their bytes lie in this process as they came.

Guarantees:
  1. A Secret keeps its key names and the byte length of each value, nothing else.
  2. The last-applied annotation, which repeats whole objects, is dropped everywhere.
  3. Values of secret-like ``{name, value}`` pairs (env, headers) and of secret-like
     ConfigMap keys are masked; so is text shaped like a token, a private key or a cloud
     key, wherever it stands.
  4. The input is never changed; an object that needs nothing comes back as it is.

Not found (say so where it matters): secrets under innocent names and of no known shape.

Thread: pure functions.
Source: kubernetes/kubectl:pkg/describe (Secret sizes), util/apply.go (the annotation).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec

from crlab.errors import DecodeError
from crlab.model.object import KubeObject, mask_on_read, thawed, tree_of
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MASK = "<redacted>"
VALUE_MASK = re.compile(r"<redacted: \d+ bytes>")  # what stands where a value was
PROFILE = "crlab/1"  # what a recording says it was redacted with

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode
_parse_first = json.JSONDecoder().raw_decode  # of a text that goes on behind it

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|pwd|secret|token|api[-_.]?key|access[-_.]?key|private[-_.]?key"
    r"|signing[-_.]?key|encryption[-_.]?key|master[-_.]?key|auth[-_.]?key|account[-_.]?key"
    r"|ssh[-_.]?key|tls[-_.]?key|credential|dockercfg|dockerconfigjson|authorization|cookie"
    r"|client[-_.]?key|sas[-_.]?key|webhook[-_.]?url|connection[-_.]?string|conn[-_.]?str"
    r"|(^|[-_.])(pass|dsn|pin|otp|jwt|pat|salt|hmac)($|[-_.])|\.pem$|\.key$|kubeconfig",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(
    r"[-_.](file|path|dir|name|names|ttl|seconds|enabled|expiry|expiration|count|length|type|mode)$",
    re.IGNORECASE,
)

_JWT = r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"
_SHAPES = re.compile(
    "|".join(
        (
            _JWT,
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"\bAIza[A-Za-z0-9_-]{35}",
            r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[\w-]{16,})",
            r"\bxox[abprs]-[A-Za-z0-9-]{8,}",
            r"\bsk_live_[A-Za-z0-9]{16,}",
        )
    ),
    re.DOTALL,
)
_BEARER = re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(://)[^/\s:@\"']*:[^/\s@\"']+(@)")
_FIELD = re.compile(
    r"(?i)((?:[\w.-]*(?:password|passwd|token|secret|api[-_]?key|access[-_]?key|private[-_]?key)"
    r"|client-key-data|client-certificate-data)\\?[\"']?\s*[:=]\s*)"
    r"(\\?\"(?:[^\"\\]|\\[^\"])*\\?\"|'[^']*'|[^\s\"',;&}{\[\]<>]+)"
)
_DATA_MAP = re.compile(r"(\\?\"(?:data|stringData)\\?\"\s*:\s*)\{[^{}]*\}?")
_INVALID_VALUE = re.compile(
    r'((?:Invalid|Unsupported|Duplicate) value:\s*)("(?:[^"\\]|\\.)*"|[^:]*)'
)

# Cheap tests on the bytes of any object, before anything is decoded (`needs_redaction`).
# The rarer shapes are looked for where secrets live: ConfigMaps and what matches here.
MAX_HARMLESS = 4096
MAX_REMEMBERED_BYTES = 300
_ENTRIES = (b'"apiVersion":"', b'"manager":"')  # how one of managedFields begins
_VALUE = b'"value":"'
_PAIR_NAME = re.compile(rb'"name"\s*:\s*"([^"\\]*)"')
_MANY = 16
_TOKEN_FIELDS = ("client-key-data", "client-certificate-data", "id-token", "refresh-token")
_KINDS = {"Secret", "ConfigMap", "TokenRequest", "TokenReview", "Config"}
_PLAIN_KINDS = {"Pod", "Node", "Event", "EndpointSlice", "Endpoints", "Lease", "Service"}


class _Kind(msgspec.Struct, gc=False):
    kind: Any = None


_decode_kind = msgspec.json.Decoder(_Kind).decode


class Revealed(str):
    """A secret shown on purpose: an ordinary str whose repr is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<revealed, {len(self.encode())} bytes>"


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a variable, header or key of this name usually holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def mask(value: Any, *, is_base64: bool = False) -> str:
    """Return what stands in for a secret value: its length in bytes."""
    if not isinstance(value, str):
        return MASK
    if value.startswith("<redacted"):
        return value
    size = len(value.encode("utf-8", "surrogatepass"))
    if is_base64:
        try:
            size = len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            pass  # not base64: the length as it stands
    return f"<redacted: {size} bytes>"


def mask_text(text: str) -> str:
    """Mask tokens, keys, passwords and Secret payloads in free text (errors, messages)."""
    text = _SHAPES.sub(MASK, text)
    text = _BEARER.sub(rf"\1\2{MASK}", text)
    text = _USERINFO.sub(rf"\1{MASK}\2", text)
    text = _DATA_MAP.sub(rf"\1{MASK}", text)
    return _FIELD.sub(rf"\1{MASK}", text)


def mask_status(status: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """Mask a Status body: a server echoes values in messages and causes (422).

    Args:
        kind: kind or plural that was asked for; the values a server refused in a Secret
            are masked too.
    """
    is_secret = kind in ("Secret", "secrets") or _status_kind(status) in ("Secret", "secrets")

    def masked(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        text = _INVALID_VALUE.sub(rf"\1{MASK}", text) if is_secret else text
        return mask_text(text)

    fresh = thawed(status)
    assert isinstance(fresh, dict)
    fresh["message"] = masked(fresh.get("message"))
    details = fresh.get("details")
    for cause in (details.get("causes") or []) if isinstance(details, dict) else []:
        if isinstance(cause, dict):
            cause["message"] = masked(cause.get("message"))
    return fresh


def redact_object(obj: Mapping[str, Any], *, kind: str = "") -> dict[str, Any]:
    """Return an object, list, table or Status without what must not be kept.

    Args:
        kind: what it is, where the body does not say (list items, patches).
    """
    tree = thawed(obj)
    assert isinstance(tree, dict)
    return _redact_tree(tree, kind)


def redact_body(body: Any, *, kind: str = "") -> Any:
    """Return a request or response body (object, JSON patch, text) without secrets."""
    if isinstance(body, Mapping):
        return redact_object(body, kind=kind)
    if isinstance(body, list | tuple):
        return [_redact_operation(item, kind) for item in thawed(body)]
    if isinstance(body, bytes):
        try:
            return redact_body(_decode(body), kind=kind)
        except (msgspec.DecodeError, RecursionError):
            return f"<{len(body)} bytes>"
    return mask_text(body) if isinstance(body, str) else body


def needs_redaction(raw: bytes, kind: str) -> bool:
    """Whether `redact_kube_object` would have to look inside; cheap, on the bytes."""
    if kind in _KINDS or kind.endswith("List"):
        return True
    if kind not in _PLAIN_KINDS and b'"Secret"' in raw:
        return True  # one may be embedded: a template, a row of a table
    raw = _without_managed_fields(raw)
    return (
        b"last-applied-configuration" in raw
        or _has_shape(raw)
        or _has_url_password(raw)
        or _has_secret_pair(raw)
    )


def _without_managed_fields(raw: bytes) -> bytes:
    """Cut out field names, which are no values and often half of an object's bytes.

    The mark cannot stand inside a string, and nothing before the next bracket is outside.
    """
    start = raw.find(b'"managedFields":[{"', 0, 4096)
    if start < 0 or not raw.startswith(_ENTRIES, start + 18):
        return raw
    end = raw.find(b"]", start)
    if end < 0 or raw.find(b'"spec":', 0, start) >= 0:
        return raw
    return raw[:start] + raw[end:]


# A search for one rare byte costs a tenth of one for a word, so the rare byte comes first.


def _has_shape(raw: bytes) -> bool:
    """Whether text in the shape of a token or key stands anywhere."""
    if b" " in raw and (b"earer " in raw or b"PRIVATE KEY" in raw):
        return True
    if b"AKIA" in raw:
        return True
    place = raw.find(b"J")
    for _ in range(_MANY):
        if place < 0:
            return False
        if raw.startswith(b"ey", place - 2):
            return True
        place = raw.find(b"J", place + 1)
    return b"eyJ" in raw


def _has_url_password(raw: bytes) -> bool:
    """Whether a URL may carry ``user:password@``; an image's digest does not."""
    place = raw.find(b"@")
    while place >= 0:
        slashes = raw.rfind(b"://", raw.rfind(b'"', 0, place) + 1, place)  # in the same text
        if slashes >= 0:
            user = raw[slashes + 3 : place]
            if b":" in user and b"/" not in user:
                return True
        place = raw.find(b"@", place + 1)
    return False


_harmless: set[bytes] = set()


def _has_secret_pair(raw: bytes) -> bool:
    """Whether an object in `raw` has a value, and a name that usually names a secret.

    What stands between two values is remembered if the name in it was harmless: objects
    made from one template, and the versions of one object, repeat it.
    """
    pieces = raw.split(_VALUE)
    pieces.pop()
    if (b" " in raw or b"\n" in raw) and raw.count(b'"value"') != len(pieces):
        return _has_secret_pair_anywhere(raw)  # it may be written with spaces
    if not pieces:
        return False
    pieces[0] = pieces[0][pieces[0].rfind(b"{") :]
    if _harmless.issuperset(pieces):
        return False
    if len(_harmless) > MAX_HARMLESS:
        _harmless.clear()
    for piece in pieces:
        if piece not in _harmless:
            before, _, name = piece.removesuffix(b'",').rpartition(b'"')
            if not before.endswith(b'"name":'):
                return _has_secret_pair_anywhere(raw)
            if is_secret_name(_text(name)):
                return True
            if len(piece) <= MAX_REMEMBERED_BYTES:
                _harmless.add(piece)
    return False


def _has_secret_pair_anywhere(raw: bytes) -> bool:
    """The same where name and value do not follow each other; in doubt, yes."""
    for found in _PAIR_NAME.finditer(raw):
        if not is_secret_name(_text(found[1])):
            continue
        start = raw.rfind(b"{", 0, found.start())
        if start < 0 or raw.find(b"}", start, found.start()) >= 0:
            return True  # something lies between the bracket and the name: not worth parsing
        try:
            pair, _ = _parse_first(_text(raw[start : start + 4096]))
        except (ValueError, RecursionError):
            return True
        if isinstance(pair.get("value"), str):
            return True  # a reference to a Secret has none
    return False


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def redact_kube_object(
    obj: KubeObject,
    resource: ApiResource | GroupVersionKind | GroupVersionResource | None = None,
) -> KubeObject:
    """Return the object itself, or one without what must not be kept.

    Args:
        resource: what it is, for list items that carry no kind.

    Raises:
        DecodeError: the bytes have to be looked into and are not JSON.
    """
    raw = obj.raw
    masked = redact_bytes(raw, _kind_of(resource))
    if masked is raw:
        return obj
    return KubeObject.trusted(masked, obj.name, obj.namespace, obj.uid, obj.resource_version)


def redact_bytes(raw: bytes, kind: str = "") -> bytes:
    """Return the bytes of an object without what must not be kept; the same if nothing is.

    Raises:
        DecodeError: they have to be looked into, and are not JSON or nested too deeply.
    """
    kind = kind or _said_kind(raw)
    if not needs_redaction(raw, kind):
        return raw
    try:
        masked: bytes = _encode(_redact_tree(tree_of(raw), kind))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"a {kind or 'n object'} cannot be redacted: {error}") from error
    return raw if masked == raw else masked


class Redactor:
    """Takes in the objects of one resource, so that what is secret in them is never read.

    What usually holds secrets is masked at once. In any other kind the look for them waits
    until somebody reads the object: it costs as much as all the rest of taking one in, and
    most objects of a large cache are never read.

    Thread: any; the wait ends on the thread that reads.
    """

    def __init__(self, resource: ApiResource) -> None:
        kind = _kind_of(resource)
        self._resource = resource
        self._is_eager = kind in _KINDS or kind.endswith("List")
        self._mask = partial(redact_bytes, kind=kind)

    def __call__(self, obj: KubeObject) -> KubeObject:
        """Return the object to keep; `obj` must be fresh, and not used further.

        Raises:
            DecodeError: see `redact_bytes`; later, by whoever reads, for most kinds.
        """
        if self._is_eager:
            return redact_kube_object(obj, self._resource)
        mask_on_read(obj, self._mask)
        return obj


#: Below one of these, whether a value is secret depends on more than the value.
BEARERS = frozenset({"data", "stringData", "auths", "annotations", "value", "token"})


def mask_values(values: list[Any], field: str = "") -> list[Any]:
    """Mask values that were read at one path of many objects, none of it in `BEARERS`.

    Cheaper than `redact_bytes` of the objects, and the same for these values.

    Args:
        values: fresh; what is masked changes in place.
        field: the last step of the path.
    """
    try:
        text = "\n".join(values)
    except TypeError:
        kinds = set(map(type, values))
        text = "\n".join([value for value in values if type(value) is str])
        if dict in kinds or list in kinds:
            for value in values:
                _walk({field: value})
    if _may_hold_secrets(text) or field in _TOKEN_FIELDS:
        return [_masked_value(field, v) if type(v) is str else v for v in values]
    return values


def _may_hold_secrets(text: str) -> bool:
    return (
        "AKIA" in text
        or LAST_APPLIED in text
        or ("J" in text and "eyJ" in text)
        or ("@" in text and "://" in text)
        or (" " in text and ("earer " in text or "PRIVATE KEY" in text))
    )


def _kind_of(resource: Any) -> str:
    if isinstance(resource, ApiResource | GroupVersionKind):
        return resource.kind
    if isinstance(resource, GroupVersionResource):
        return {"secrets": "Secret", "configmaps": "ConfigMap"}.get(resource.resource, "")
    return ""


def _said_kind(raw: bytes) -> str:
    try:
        kind = _decode_kind(raw).kind
    except (msgspec.DecodeError, RecursionError):
        return ""
    return kind if isinstance(kind, str) else ""


def _status_kind(status: Mapping[str, Any]) -> str:
    details = status.get("details")
    kind = details.get("kind") if isinstance(details, Mapping) else ""
    return kind if isinstance(kind, str) else ""


def _redact_tree(tree: dict[str, Any], kind: str) -> dict[str, Any]:
    """Redact a fresh tree in place; no reference to it is held elsewhere."""
    named = tree.get("kind")
    kind = named if isinstance(named, str) and named else kind
    if kind == "Status":
        return mask_status(tree)
    items = tree.get("items")
    if isinstance(items, list) and (kind.endswith("List") or "kind" not in tree):
        item_kind = kind.removesuffix("List")
        tree["items"] = [
            _redact_tree(item, item_kind) if isinstance(item, dict) else item for item in items
        ]
        return tree
    if kind == "Secret":
        _mask_map(tree, "data", is_base64=True)
        _mask_map(tree, "stringData")
    elif kind == "ConfigMap":
        _mask_secret_keys(tree)
    elif kind in ("TokenRequest", "TokenReview"):
        for part in ("spec", "status"):
            inner = tree.get(part)
            if isinstance(inner, dict) and "token" in inner:
                inner["token"] = mask(inner["token"])
    _walk(tree)
    return tree


def _mask_map(tree: dict[str, Any], field: str, *, is_base64: bool = False) -> None:
    values = tree.get(field)
    if isinstance(values, dict):
        tree[field] = {name: mask(value, is_base64=is_base64) for name, value in values.items()}
    elif values is not None:
        tree[field] = MASK


def _mask_secret_keys(tree: dict[str, Any]) -> None:
    for field in ("data", "binaryData"):
        values = tree.get(field)
        if isinstance(values, dict):
            for name, value in values.items():
                if is_secret_name(name):
                    values[name] = mask(value)


def _walk(node: Any) -> None:
    """Drop the annotation and mask pairs and shapes below `node`, in place."""
    if isinstance(node, dict):
        node.pop(LAST_APPLIED, None)
        name, value = node.get("name"), node.get("value")
        if isinstance(name, str) and isinstance(value, str) and is_secret_name(name):
            node["value"] = mask(value)
        if "auths" in node:
            node["auths"] = MASK
        for field, child in node.items():
            if isinstance(child, str):
                node[field] = _masked_value(field, child)
            elif isinstance(child, dict):
                if child.get("kind") == "Secret":  # embedded, e.g. in a template or a row
                    _mask_map(child, "data", is_base64=True)
                    _mask_map(child, "stringData")
                _walk(child)
            elif isinstance(child, list):
                _walk(child)
    elif isinstance(node, list):
        for place, child in enumerate(node):
            if isinstance(child, str):
                node[place] = _masked_value("", child)
            else:
                _walk(child)


def _masked_value(field: str, text: str) -> str:
    if field in _TOKEN_FIELDS:
        return mask(text)
    if len(text) < 8:
        return text
    masked = _SHAPES.sub(MASK, text)
    if "earer " in text or "asic " in text:
        masked = _BEARER.sub(rf"\1\2{MASK}", masked)
    if "://" in text and "@" in text:
        masked = _USERINFO.sub(rf"\1{MASK}\2", masked)
    if "-key-data" in text or LAST_APPLIED in text or '"auths"' in text:
        masked = MASK
    return masked


def _redact_operation(operation: Any, kind: str) -> Any:
    """One operation of a JSON patch."""
    if not isinstance(operation, dict):
        return mask_text(operation) if isinstance(operation, str) else operation
    path = operation.get("path")
    if "value" not in operation or not isinstance(path, str):
        return _redact_tree(operation, kind)
    value = operation["value"]
    last = path.rsplit("/", 1)[-1].replace("~1", "/").replace("~0", "~")
    if path == "" and isinstance(value, dict):
        operation["value"] = _redact_tree(value, kind)
    elif kind == "Secret" and path.split("/")[1:2] in (["data"], ["stringData"]):
        holder = {"value": value}
        _mask_map(holder, "value", is_base64=path.startswith("/data"))
        operation["value"] = (
            holder["value"] if isinstance(value, dict) else mask(value, is_base64=True)
        )
    elif last == LAST_APPLIED or is_secret_name(last):
        operation["value"] = mask(value)
    else:
        _walk(operation)
    return operation
