"""Whether a watch event may be applied.

From: a decoded `WatchEvent`. To: the reflector. Distrust: what cannot be applied is never
skipped, because the next good event would carry the resourceVersion past it and the change
would be lost until the next relist.

Thread: pure functions.
Source: kubernetes/client-go:tools/watch/retrywatcher.go (the strict reading; the reflector
skips, rules 15 and 17).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from crlab.cache import revision
from crlab.cache.fifo import DeltaType
from crlab.client.list_watch import WatchEvent

QUEUED_AS = {
    "ADDED": DeltaType.ADDED,
    "MODIFIED": DeltaType.UPDATED,
    "DELETED": DeltaType.DELETED,
}


class Verdict(StrEnum):
    """What to do with an event; those after ERROR are reasons for distrust."""

    APPLY = "apply"
    BOOKMARK = "bookmark"
    INITIAL_END = "initial events end"
    ERROR = "error"
    NO_OBJECT = "an event carries no object"
    NO_VERSION = "an event carries no resourceVersion"
    ODD_VERSION = "an event's resourceVersion is not a number, unlike those before"
    ODD_BOOKMARK = "a bookmark's resourceVersion is missing or not a number"
    OLD_BOOKMARK = "a bookmark is older than what was seen before it"
    UNKNOWN_TYPE = "an event is of an unknown type"


def usual_count(events: Iterable[WatchEvent], last_version: str) -> int:
    """Return how many events from the first on are plainly to be applied; cheaper than `judge`."""
    if last_version and not revision.is_number(last_version):
        return 0
    count = 0
    for event in events:
        if (
            event.object is None
            or event.type not in QUEUED_AS
            or not revision.is_number(event.resource_version)
        ):
            break
        count += 1
    return count


def judge(event: WatchEvent, last_version: str) -> Verdict:
    """Return what to do with an event, given the last good resourceVersion."""
    version = event.resource_version
    if event.type in QUEUED_AS:
        if event.object is None:
            return Verdict.NO_OBJECT
        if not version:
            return Verdict.NO_VERSION
        if last_version and not revision.is_comparable(version, last_version):
            return Verdict.ODD_VERSION
        return Verdict.APPLY
    if event.type == "BOOKMARK":
        return _judge_bookmark(event, last_version)
    return Verdict.ERROR if event.type == "ERROR" else Verdict.UNKNOWN_TYPE


def _judge_bookmark(event: WatchEvent, last_version: str) -> Verdict:
    version = event.resource_version
    if not version or (last_version and not revision.is_comparable(version, last_version)):
        return Verdict.ODD_BOOKMARK
    if event.is_initial_events_end:
        return Verdict.INITIAL_END
    if revision.is_older(version, last_version):
        return Verdict.OLD_BOOKMARK
    return Verdict.BOOKMARK
