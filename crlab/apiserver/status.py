"""Refusals as the API server words them: one error type, one constructor per Status.

From: every stage of the embedded server raises `StatusError`. To: `handle` turns it into
the response, a watch into its ERROR line.

Guarantees:
  1. `to_dict` has no key without a value, as the real server's Status.
  2. Messages are word for word those of Kubernetes 1.36.

Thread: immutable values.
Source: k8s.io/apimachinery/pkg/api/errors, pkg/util/validation/field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
FORBIDDEN = "FieldValueForbidden"
DUPLICATE = "FieldValueDuplicate"
TOO_LONG = "FieldValueTooLong"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a refusal: machine-readable reason, sentence, field path."""

    reason: str
    message: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def to_dict(self) -> dict[str, str]:
        """Return it as it stands in a Status."""
        found = {"reason": self.reason, "message": self.message, "field": self.field}
        return {key: value for key, value in found.items() if value}


def show(value: Any) -> str:
    """Return a value as Go's field errors print it: strings quoted, the rest as JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return msgspec.json.encode(value, order="deterministic").decode()


def required(field: str, detail: str = "") -> Cause:
    """A field that must be there is not."""
    return Cause(REQUIRED, f"Required value: {detail}" if detail else "Required value", field)


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    """A field has a value that is not allowed."""
    return Cause(INVALID, f"Invalid value: {show(value)}: {detail}", field)


def unsupported(field: str, value: Any, supported: Sequence[str]) -> Cause:
    """A field's value is none of the listed ones (printed in the order given)."""
    listed = ", ".join(show(item) for item in supported)
    return Cause(
        NOT_SUPPORTED, f"Unsupported value: {show(value)}: supported values: {listed}", field
    )


def forbidden_field(field: str, detail: str) -> Cause:
    """A field may not be set or changed."""
    return Cause(FORBIDDEN, f"Forbidden: {detail}", field)


def duplicate(field: str, value: Any) -> Cause:
    """A field repeats a value that must be unique."""
    return Cause(DUPLICATE, f"Duplicate value: {show(value)}", field)


def too_long(field: str, limit: int) -> Cause:
    """A field is over its length in bytes."""
    return Cause(TOO_LONG, f"Too long: may not be more than {limit} bytes", field)


class StatusError(Exception):
    """A request is answered with a Status instead of an object.

    Attributes:
        code: HTTP status.
        reason: "NotFound", "" if the Status has none.
        message: the sentence.
        details: the Status' details; None means the key is absent.
        headers: extra response headers.
        metadata: the Status' ListMeta, usually empty.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = None if details is None else dict(details)
        self.headers = tuple(headers)
        self.metadata = dict(metadata or {})

    def to_dict(self) -> dict[str, Any]:
        """Return the Status as a fresh dict."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": dict(self.metadata),
            "status": "Failure",
        }
        if self.message:
            body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = dict(self.details)
        body["code"] = self.code
        return body


def _named(group_resource: str, name: str) -> dict[str, Any]:
    plural, _, group = group_resource.partition(".")
    return {key: text for key, text in (("name", name), ("group", group), ("kind", plural)) if text}


def success(group_resource: str, name: str, uid: str = "") -> dict[str, Any]:
    """Return the Status of a deletion that leaves nothing behind."""
    details = _named(group_resource, name)
    if uid:
        details["uid"] = uid
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: the credentials were not accepted."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(
    group_resource: str, name: str, why: str, causes: Iterable[Cause] = ()
) -> StatusError:
    """403: `why` completes the sentence '<resource> "<name>" is forbidden: '."""
    details = _named(group_resource, name)
    found = [cause.to_dict() for cause in causes]
    if found:
        details["causes"] = found
    if not group_resource:
        return StatusError(403, "Forbidden", f"forbidden: {why}", details)
    subject = f'{group_resource} "{name}"' if name else group_resource
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {why}", details)


def not_found(group_resource: str, name: str) -> StatusError:
    """404: no object of that name."""
    return StatusError(
        404, "NotFound", f'{group_resource} "{name}" not found', _named(group_resource, name)
    )


def no_resource() -> StatusError:
    """404: a known group and version does not have the resource or subresource."""
    message = "the server could not find the requested resource"
    return StatusError(404, "NotFound", message, {})


def method_not_allowed(message: str = "") -> StatusError:
    """405: the resource does not support the method."""
    text = message or "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", text, {})


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406: the server offers only these media types."""
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return StatusError(406, "NotAcceptable", message)


def already_exists(group_resource: str, name: str, *, terminating: bool = False) -> StatusError:
    """409: the name is taken."""
    message = f'{group_resource} "{name}" already exists'
    if terminating:
        message = f"object is being deleted: {message}"
    return StatusError(409, "AlreadyExists", message, _named(group_resource, name))


STALE = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(group_resource: str, name: str, why: str = STALE) -> StatusError:
    """409: the object is not the one the caller has seen."""
    message = f'Operation cannot be fulfilled on {group_resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _named(group_resource, name))


def expired(message: str, *, continue_token: str = "") -> StatusError:
    """410: the revision is no longer held."""
    metadata = {"continue": continue_token} if continue_token else None
    return StatusError(410, "Expired", message, metadata=metadata)


def too_large(limit: int) -> StatusError:
    """413: the body is over the limit."""
    message = f"Request entity too large: limit is {limit}"
    return StatusError(413, "RequestEntityTooLarge", message)


def unsupported_media_type(message: str) -> StatusError:
    """415: the body's content type is not read."""
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """422: the object breaks rules; `causes` lists them in order."""
    qualified = f"{kind}.{group}" if group else kind
    texts = list(dict.fromkeys(str(cause) for cause in causes))
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {
        key: item for key, item in (("name", name), ("group", group), ("kind", kind)) if item
    }
    listed: dict[str, Any] = {"causes": [cause.to_dict() for cause in causes]}
    message = f'{qualified} "{name}" is invalid' + (f": {text}" if texts else "")
    return StatusError(422, "Invalid", message, {**details, **listed})


def unprocessable() -> StatusError:
    """422: a patch that cannot be applied."""
    message = "the server rejected our request due to an error in our request"
    return StatusError(422, "Invalid", message, {})


def internal(message: str) -> StatusError:
    """500 without a reason, for errors the server does not classify."""
    return StatusError(500, "", message)


def internal_error(message: str) -> StatusError:
    """500 with the reason InternalError."""
    text = f"Internal error occurred: {message}"
    return StatusError(500, "InternalError", text, {"causes": [{"message": message}]})


def future_revision(asked: int, current: int, *, with_retry: bool = True) -> StatusError:
    """504: the asked resourceVersion lies ahead of the store."""
    details: dict[str, Any] = {
        "causes": [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"},
        ]
    }
    if with_retry:
        details["retryAfterSeconds"] = 1
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details,
        headers=[("Retry-After", "1")] if with_retry else (),
    )
