"""Times of core kinds, read and written as Go's metav1.Time and metav1.MicroTime are.

A Time is kept in UTC to the second; a MicroTime has exactly six decimals.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go; Go's time.Parse.
"""

from __future__ import annotations

import re

from crlab.model.timestamp import parse_moment

MICRO_TIMES = frozenset({"eventTime", "lastObservedTime", "acquireTime", "renewTime"})
TIMES = frozenset(
    {
        "completionTime",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "finishedAt",
        "firstTimestamp",
        "lastHeartbeatTime",
        "lastProbeTime",
        "lastScaleTime",
        "lastScheduleTime",
        "lastSuccessfulTime",
        "lastTimestamp",
        "lastTransitionTime",
        "lastUpdateTime",
        "startTime",
        "startedAt",
    }
)
_SECONDS, _MICRO = "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000000Z07:00"
_PARTS = (
    (r"\d{4}", "2006"),
    ("-", "-"),
    (r"\d\d", "01"),
    ("-", "-"),
    (r"\d\d", "02"),
    ("T", "T"),
    (r"\d\d", "15"),
    (":", ":"),
    (r"\d\d", "04"),
    (":", ":"),
    (r"\d\d", "05"),
)
_FRACTION = re.compile(r"[.,]\d+")
_SIX = re.compile(r"[.,]\d{6}")
_ZONE = re.compile(r"Z|[+-]\d\d:\d\d")


class TimeFault(Exception):
    """A text is no time; the message is Go's."""


def normal_time(text: str, *, micro: bool) -> str:
    """Return a time as the server shows it.

    Raises:
        TimeFault: it cannot be parsed.
    """
    layout = _MICRO if micro else _SECONDS
    rest = text
    for pattern, name in _PARTS:
        found = re.match(pattern, rest)
        if found is None:
            raise _fault(text, layout, rest, name)
        rest = rest[found.end() :]
    fraction = (_SIX if micro else _FRACTION).match(rest)
    if micro and fraction is None:
        raise _fault(text, layout, rest, ".000000")
    rest = rest[fraction.end() :] if fraction else rest
    zone = _ZONE.match(rest)
    if zone is None:
        raise _fault(text, layout, rest, "Z07:00")
    if rest[zone.end() :]:
        raise TimeFault(f'parsing time "{text}": extra text: "{rest[zone.end() :]}"')
    return _in_utc(text, micro=micro)


def _fault(text: str, layout: str, rest: str, name: str) -> TimeFault:
    return TimeFault(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"')


def _in_utc(text: str, *, micro: bool) -> str:
    plain = text[:19]
    offset = "+00:00" if text.endswith("Z") else text[-6:]
    moment = parse_moment(plain + offset)
    if moment is None:
        raise TimeFault(f'parsing time "{text}": {_out_of_range(plain)} out of range')
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S").zfill(19)
    return f"{whole}.{text[20:26]}Z" if micro else f"{whole}Z"


def _out_of_range(plain: str) -> str:
    for at, name, limit in ((5, "month", 12), (11, "hour", 23), (14, "minute", 59)):
        if int(plain[at : at + 2]) > limit or plain[5:7] == "00":
            return name
    return "second" if int(plain[17:19]) > 59 else "day"
