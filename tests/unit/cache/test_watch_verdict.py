"""The quick look at events and the whole judgement agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.scripted import pod

from crlab.cache.watch_verdict import Verdict, judge, usual_count
from crlab.client.list_watch import WatchEvent

VERSIONS = st.sampled_from(["", "0", "7", "12", "x", "١", "9" * 200])
EVENTS = st.builds(
    WatchEvent,
    st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "ODD"]),
    st.sampled_from([None, pod("a", 1)]),
    VERSIONS,
)


@given(st.lists(EVENTS, max_size=6), VERSIONS)
def test_what_is_counted_as_usual_would_all_be_applied(events, last_version):
    """Events from the first on; the first that is not counted may be anything."""
    count = usual_count(events, last_version)
    assert all(judge(event, last_version) is Verdict.APPLY for event in events[:count])


def test_the_usual_stream_is_counted_whole():
    """Numbers for versions, an object in each: nothing is left to the slow way."""
    events = [WatchEvent(kind, pod("a", 3), "3") for kind in ("ADDED", "MODIFIED", "DELETED")]
    assert usual_count(events, "2") == usual_count(events, "") == 3
