"""What an HTTP status means: an answer, or an error of the `ApiError` tree.

Guarantees:
  1. No text of a response body gets into an error except a Status' own message, and of
     that nothing a Secret was refused for.
  2. ``Retry-After`` is read as seconds or as a date, and never exceeds a minute.

Thread: pure functions.
Source: kubernetes/client-go:rest/request.go (transformResponse), rest/with_retry.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from crlab.client.transport import Response
from crlab.errors import ApiError, api_error
from crlab.model.redaction import mask_status

MAX_RETRY_AFTER_SECONDS = 60.0

_decode_any = msgspec.json.Decoder().decode


def decoded(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a body, None if it is something else."""
    try:
        tree = _decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return tree if isinstance(tree, dict) else None


def status_of(body: bytes) -> dict[str, Any] | None:
    """Return the Status in an error's body, None if it is something else."""
    status = decoded(body)
    return status if status is not None and status.get("kind") == "Status" else None


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return the delay a server asks for, between 0 and a minute; None if it asks for none."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    if seconds != seconds or seconds < 0:
        return None if seconds != seconds else 0.0
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def error_of(response: Response, *, tried: str, now: float, kind: str = "") -> ApiError:
    """Make the error that a refused request deserves.

    Args:
        now: wall time, for a Retry-After that is a date.
        kind: what was asked for; the values that a message about a Secret echoes are masked.
    """
    status = status_of(response.body)
    if status is None:
        status = {"message": _foreign(response)}
    else:
        status = mask_status(status, kind)
    return api_error(
        response.status,
        status,
        tried=tried,
        retry_after_seconds=retry_after_seconds(response.headers, now),
    )


def _foreign(response: Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()[:60]
    if response.status == 407:
        return "a proxy asks for credentials of its own; set them in the proxy URL"
    if kind == "text/html":
        return "an HTML page came back: a proxy or gateway answered, not the API server"
    if 300 <= response.status < 400:
        return "the server redirects; redirects are not followed, name its final URL"
    return f"the answer is not a Status ({kind or 'no content type'}, {len(response.body)} bytes)"
