"""Comparing resourceVersions, where they can be compared at all.

The API calls them opaque; every real server sends decimal integers of one counter. Two
that parse are compared as numbers, however long; one that does not parse is only ever
compared for equality, so that no odd server can make crlab drop or loop on an object.

Thread: pure functions.
Source: KEP-5504 (comparable resourceVersions), reliability of RetryWatcher.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

_MAX_DIGITS = 100  # a longer one is not a revision, and int() of it would cost


def number(resource_version: str) -> int | None:
    """Return a resourceVersion as an integer, None if it is not one."""
    return int(resource_version) if is_number(resource_version) else None


def is_number(resource_version: str) -> bool:
    """Whether a resourceVersion is a decimal integer of a sane length."""
    return (
        resource_version.isdigit()
        and resource_version.isascii()
        and len(resource_version) <= _MAX_DIGITS
    )


def is_older(left: str, right: str) -> bool:
    """Whether `left` is certainly before `right`; False when they cannot be compared."""
    if not (is_number(left) and is_number(right)):
        return False
    return left < right if len(left) == len(right) else int(left) < int(right)


def newest(left: str, right: str) -> str:
    """Return the later of two; `right` when they cannot be compared."""
    return left if is_older(right, left) else right


def newest_of(first: str, others: Sequence[str]) -> str:
    """Return what `newest` makes of all of them, one after the other."""
    if all(map(is_number, others)):
        latest = max(others, key=int, default=first)
        return newest(first, latest)
    for other in others:
        first = newest(first, other)
    return first


def oldest_of(versions: Collection[str]) -> str:
    """Return the earliest; "" of none, and of several that cannot be compared."""
    if len(versions) == 1:
        return next(iter(versions))
    if all(map(is_number, versions)):
        return min(versions, key=int, default="")
    return next(iter(versions)) if len(set(versions)) == 1 else ""


def has_reached(version: str, wanted: str) -> bool:
    """Whether what is at `version` has all that was written up to `wanted`; "" is at nothing."""
    if not version or not wanted:
        return bool(version)
    return version == wanted or (
        is_number(version) and is_number(wanted) and not is_older(version, wanted)
    )


def is_comparable(left: str, right: str) -> bool:
    """Whether both are numbers, or neither is."""
    if left.isdigit() and right.isdigit() and left.isascii() and right.isascii():
        return (len(left) > _MAX_DIGITS) == (len(right) > _MAX_DIGITS)
    return (number(left) is None) == (number(right) is None)
