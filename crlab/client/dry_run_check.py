"""What a request inside a dry run may be: a read, or a write that the server makes dry.

From: the dynamic client, for every dry run; the transports, for whatever is sent inside of one. The
second catches what no verb of crlab made: a raw request, the official client.

Thread: any; pure but for the context variable.
Source: k8s.io/apiserver endpoints/handlers (a DELETE with a body ignores the query).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crlab.errors import ReadOnlyError
from crlab.runtime.dry_run import in_dry_run

_READS = ("GET", "HEAD", "OPTIONS")
# A server passes these on, or answers them for real, whatever dryRun says.
_NEVER_DRY = frozenset({"attach", "exec", "portforward", "proxy", "token"})


def check_sent(method: str, path: str, query: Iterable[tuple[str, str]], body: Any) -> None:
    """Raise `ReadOnlyError` if the caller is in a dry run and this request would write."""
    if in_dry_run() and method not in _READS:
        require_dry(method, path, query, body, tried=f"{method} {path}")


def require_dry(
    method: str, path: str, query: Iterable[tuple[str, str]], body: Any, *, tried: str
) -> None:
    """Raise unless a write is one that the server checks and does not do.

    Args:
        body: as sent or before it is encoded; None for none.

    Raises:
        ReadOnlyError: it is not asked to, or it cannot.
    """
    subresource = _subresource(path)
    if subresource in _NEVER_DRY:
        why = f"no server makes a dry run of {subresource}"
    elif not _is_dry(method, query, body):
        why = "it does not ask for dryRun=All"
    else:
        return
    raise ReadOnlyError(
        f"{tried}: refused, a dry run writes nothing and {why}; "
        "leave it out while ctx.is_dry_run, or run with dry_run=False"
    )


def _is_dry(method: str, query: Iterable[tuple[str, str]], body: Any) -> bool:
    if method != "DELETE" or not body:
        return ("dryRun", "All") in [tuple(pair) for pair in query]
    if isinstance(body, bytes | str):
        try:
            body = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return False
    return isinstance(body, Mapping) and list(body.get("dryRun") or ()) == ["All"]


def _subresource(path: str) -> str:
    """Return the subresource that a path names, "proxy" for what is no path of the API."""
    parts = path.strip("/").split("/")
    below = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else None
    if below is None:
        return "proxy"
    if below[:1] == ["namespaces"] and len(below) > 2 and below[2] not in ("finalize", "status"):
        below = below[2:]
    return below[2] if len(below) > 2 else ""
