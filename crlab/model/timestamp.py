"""Times as texts: RFC 3339 read leniently, checked strictly, and written as Kubernetes does.

From: whatever holds a time as text: objects, frames, filters, CEL rules, plugins. To: nobody.
Who must answer in Go's words for each wrong part (`apiserver/kind/time.py`) looks at the parts
itself and reads the whole here.

Thread: pure functions.
Source: RFC 3339; k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime

_DATE_TIME = re.compile(
    r"(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    r"(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)
_LAST_SECOND = 253_402_300_799
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse_moment(text: object) -> datetime | None:
    """Return a time in UTC; None if it is none, or outside the years 1 to 9999.

    Without an offset it is UTC, a date alone its midnight; cut to microseconds.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def is_date_time(text: str) -> bool:
    """Tell whether the text is an RFC 3339 date-time."""
    found = _DATE_TIME.fullmatch(text)
    # The pattern knows how long a month can be at most; only for its end is a calendar needed.
    return found is not None and (found[1][8:] <= "28" or is_date(found[1]))


def is_date(text: str) -> bool:
    """Tell whether the text is a full-date of RFC 3339."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def timestamp(seconds: float) -> str:
    """Return a metav1.Time: UTC, whole seconds; beyond the year 9999 its last second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(seconds, _LAST_SECOND)))


def micro_timestamp(seconds: float) -> str:
    """Return a metav1.MicroTime: UTC, six decimals."""
    whole = int(seconds)
    return f"{timestamp(whole)[:-1]}.{int((seconds - whole) * 1e6):06d}Z"
