"""What kind of failure an error is, as far as the reflector decides by it.

From: the errors of the client. To: `reflector_state.py`, which has one row per kind.

After a 404 it also finds out whether the resource is gone, or only the version of it that is
watched (crlab's own, fault 38; client-go goes on asking for the version).

Thread: pure functions, but `served_as`: the reflector's, a few requests, each said to `on_request`.
Source: kubernetes/client-go:tools/cache/reflector.go (isExpiredError,
isTooLargeResourceVersionError, isWatchErrorRetriable), apimachinery/pkg/api/errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from crlab.client.list_watch import ListerWatcher
from crlab.errors import (
    ApiError,
    BadRequest,
    CredentialError,
    DecodeError,
    Forbidden,
    NotFound,
    ResourceExpired,
    ServerTimeout,
    TooManyRequests,
    TransportError,
    Unauthorized,
    api_error,
)
from crlab.model.redaction import mask_status

MAX_RETRY_AFTER_SECONDS = 60.0


class WatchFault(StrEnum):
    """Kinds of failure that are answered differently."""

    REFUSED = "refused"
    THROTTLED = "throttled"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    INTERNAL = "internal"
    UNDECODABLE = "undecodable"
    OTHER = "other"


_BY_TYPE: tuple[tuple[type[BaseException], WatchFault], ...] = (
    (TooManyRequests, WatchFault.THROTTLED),
    (ResourceExpired, WatchFault.EXPIRED),
    (Unauthorized, WatchFault.UNAUTHORIZED),
    (CredentialError, WatchFault.UNAUTHORIZED),
    (Forbidden, WatchFault.FORBIDDEN),
    (NotFound, WatchFault.NOT_FOUND),
    (BadRequest, WatchFault.BAD_REQUEST),
    (DecodeError, WatchFault.UNDECODABLE),
)


def classify(error: BaseException) -> WatchFault:
    """Return the kind of an error."""
    for kind, fault in _BY_TYPE:
        if isinstance(error, kind):
            return fault
    if isinstance(error, TransportError):
        return WatchFault.REFUSED if error.is_refused else WatchFault.OTHER
    if isinstance(error, ServerTimeout) and error.is_too_large_resource_version:
        return WatchFault.TOO_LARGE
    if isinstance(error, ApiError) and error.code == 500:
        return WatchFault.INTERNAL
    return WatchFault.OTHER


def retry_after_seconds(error: BaseException) -> float:
    """Return how long the server asked to be left alone: 0 to 60 s, 0 if it did not."""
    asked = getattr(error, "retry_after_seconds", None)
    if not isinstance(asked, int | float) or math.isnan(asked):
        return 0.0
    return min(MAX_RETRY_AFTER_SECONDS, max(0.0, float(asked)))


def status_error(status: Mapping[str, Any] | None, resource: str) -> ApiError:
    """Return the error of an in-stream ERROR event, whatever its Status lacks."""
    body = mask_status(status or {}, resource)
    code, details = body.get("code"), body.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, Mapping) else None
    return api_error(
        code if isinstance(code, int) else 0,
        body,
        tried=f"watch {resource}",
        retry_after_seconds=float(seconds) if isinstance(seconds, int | float) else None,
    )


def served_as(
    lister_watcher: ListerWatcher, error: BaseException, on_request: Callable[[], None]
) -> tuple[str, ...]:
    """Return the resource's names in other versions, () unless it answered 404 in its own."""
    if classify(error) is not WatchFault.NOT_FOUND:
        return ()
    find = getattr(lister_watcher, "other_versions", None)
    found: tuple[str, ...] = () if find is None else find(on_request)
    return found
