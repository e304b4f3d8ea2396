"""Bytes of a watch become events: whole, in order, nothing skipped."""

import json
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.client.object_decoder import ObjectDecoder
from crlab.client.watch_decoder import WatchDecoder
from crlab.errors import DecodeError
from crlab.model.resource import ApiResource, GroupVersionResource

PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)


def decoder(**options):
    return WatchDecoder(ObjectDecoder(PODS), **options)


def line(name="a", rv="1", kind="ADDED", **extra):
    metadata = {"name": name, "namespace": "default", "uid": "u", "resourceVersion": rv}
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, **extra}
    return (
        json.dumps(
            {"type": kind, "object": obj}, ensure_ascii=False, separators=(",", ":")
        ).encode()
        + b"\n"
    )


def summary(events):
    return [(e.type, e.object.name if e.object else "", e.resource_version) for e in events]


def test_events_come_in_the_order_of_the_lines():
    """One call takes any number of lines; the object is the line's own bytes."""
    events = decoder().feed(line("a", "1") + line("b", "2", "MODIFIED") + line("a", "3", "DELETED"))
    assert summary(events) == [("ADDED", "a", "1"), ("MODIFIED", "b", "2"), ("DELETED", "a", "3")]
    assert json.loads(events[0].object.raw)["metadata"]["name"] == "a"


@given(st.lists(st.text(max_size=8), max_size=6), st.lists(st.integers(1, 40), max_size=60))
def test_chunks_may_be_cut_anywhere(texts, cuts):
    """Fault 8: also inside a character, byte by byte."""
    data = b"".join(line(f"n{i}", str(i), note=text) for i, text in enumerate(texts))
    whole, pieces = decoder(), decoder()
    got, at = [], 0
    for cut in [*cuts, len(data)]:
        got += pieces.feed(data[at : at + cut])
        at += cut
    assert [e.object.raw for e in got] == [e.object.raw for e in whole.feed(data)]
    assert not pieces.has_fragment


def test_blank_lines_carriage_returns_and_a_mark_are_passed_over():
    """Fault 10: an empty chunk, CRLF, blank lines, a byte order mark."""
    data = b"\xef\xbb\xbf" + line().replace(b"\n", b"\r\n") + b"\r\n\n   \n" + line("b")
    events = decoder()
    assert events.feed(b"") == []
    assert [e.object.name for e in events.feed(data)] == ["a", "b"]


@pytest.mark.parametrize(
    "number", [b"9" * 100_000, b"-" + b"9" * 30, b"1e999", b"18446744073709551616"]
)
def test_a_number_beyond_64_bits_is_data(number):
    """S32: nothing crashes on it, now or when it is looked at."""
    (event,) = decoder().feed(line(note=1).replace(b'"note":1', b'"note":' + number))
    assert float(event.object["note"]) == float(number)
    assert float(event.object.to_dict()["note"]) == float(number)


def test_a_fragment_is_never_an_event():
    """Fault 5: without its newline a line has not ended, however whole it looks."""
    events = decoder()
    assert events.feed(line()[:-1]) == []
    assert events.has_fragment


BAD = {
    "42 object null": b'{"type":"ADDED","object":null}\n',
    "42 no object": b'{"type":"ADDED"}\n',
    "41 no metadata": b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1"}}\n',
    "41 empty name": line(""),
    "44 wrong kind": line().replace(b'"Pod"', b'"ConfigMap"'),
    "44 wrong apiVersion": line().replace(b'"v1"', b'"v2"'),
    "44 a Table": line().replace(b'"Pod"', b'"Table"').replace(b'"v1"', b'"meta.k8s.io/v1"'),
    "40 damaged": line()[:-9] + b"\n",
    "40 two objects on a line": line()[:-1] + line(),
    "9 invalid UTF-8": line(note="x").replace(b'"x"', b'"\xff"'),
    "9 overlong UTF-8": line(note="x").replace(b'"x"', b'"\xc0\xaf"'),
    "S32 lone surrogate": line(note="x").replace(b'"x"', b'"\\ud800"'),
    "S32 NaN": line(note=1).replace(b'"note":1', b'"note":NaN'),
    "S31 nesting": line(note=1).replace(b'"note":1', b'"note":' + b"[" * 100_000 + b"]" * 100_000),
    "52 bookmark without RV": b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}\n',
    "52 bookmark without metadata": b'{"type":"BOOKMARK","object":{"kind":"Pod"}}\n',
    "52 bookmark with a number": b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":7}}}'
    + b"\n",
    "51 numeric RV": line(rv=7),
    "39 HTML": b"<html><body>please log in</body></html>\n",
    "40 a list": b"[]\n",
    "43 type is a number": b'{"type":5,"object":{}}\n',
    "S32 UTF-16": line().decode().encode("utf-16"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_an_error_after_the_events_before_it(name):
    """Faults 9, 39-44, 52; S31, S32: never skipped, and never forgotten."""
    events = decoder()
    assert [e.object.name for e in events.feed(line("good") + BAD[name] + line("after"))] == [
        "good"
    ]
    for _ in range(2):
        with pytest.raises(DecodeError, match="line 2 of the watch"):
            events.feed(line("later"))


def test_a_bad_first_line_is_an_error_at_once():
    """Nothing was decoded that would have to be returned first."""
    with pytest.raises(DecodeError) as caught:
        decoder().feed(b'{"type":"ADDED","object":{"kind":1}}\n')
    assert "canary" not in str(caught.value)


def test_the_error_holds_no_content_of_the_object():
    """S37: what an object says stays out of error texts."""
    with pytest.raises(DecodeError) as caught:
        decoder().feed(line(note="canary-4711").replace(b"}}", b"}]"))
    assert "canary" not in str(caught.value) + caught.value.excerpt


def test_an_unknown_type_is_passed_on():
    """Fault 43: the reflector decides; there is no object to take."""
    (event,) = decoder().feed(line(kind="RENAMED"))
    assert (event.type, event.object) == ("RENAMED", None)


def test_an_error_event_carries_its_status():
    """Fault 46: also one without a code, and one that is no Status at all."""
    events = decoder().feed(
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'
        b'{"type":"ERROR","object":null}\n'
    )
    assert [e.status for e in events] == [{"kind": "Status", "code": 410, "reason": "Expired"}, {}]


def test_a_bare_status_is_an_error_event():
    """A Status answered with 200 instead of a stream (python#1047) is not a broken line."""
    (event,) = decoder().feed(b'{"kind":"Status","status":"Failure","code":410}\n')
    assert (event.type, event.status["code"]) == ("ERROR", 410)


def test_a_bookmark_tells_whether_the_initial_events_end():
    """Rule 21: by its annotation."""
    end = {
        "metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
    }
    data = json.dumps({"type": "BOOKMARK", "object": end}).encode() + b"\n"
    data += b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"10"}}}\n'
    events = decoder().feed(data)
    assert [(e.resource_version, e.is_initial_events_end) for e in events] == [
        ("9", True),
        ("10", False),
    ]


def test_a_duplicate_member_cannot_smuggle_a_type():
    """The fast path gives what the whole line says."""
    data = line()[:-2] + b',"type":"DELETED"}\n'
    assert [e.type for e in decoder().feed(data)] == ["DELETED"]


def test_a_line_beyond_the_cap_is_an_error_and_not_kept():
    """Fault 11, S18: the buffer stops at the cap."""
    events = decoder(max_line_bytes=10_000)
    for _ in range(10):
        events.feed(b"x" * 1000)
    with pytest.raises(DecodeError, match="longer than 10000 bytes"):
        events.feed(b"x")
    assert not events._fragments


def test_a_large_object_below_the_cap_is_taken():
    """Fault 12: 2 MiB."""
    assert decoder().feed(line(note="x" * (2 << 20)))[0].size_bytes > 2 << 20


@pytest.mark.timeout(20)
def test_assembling_a_line_takes_linear_time():
    """Fault 14: 16 MiB in 1 KiB chunks costs about as much per byte as 4 MiB."""
    seconds = []
    for size in (4, 16):
        data = line(note="x" * (size << 20))
        events, started = decoder(), time.process_time()
        for at in range(0, len(data), 1024):
            events.feed(data[at : at + 1024])
        seconds.append(time.process_time() - started)
    assert seconds[1] < 12 * seconds[0] + 0.05


@pytest.mark.parametrize("text", ["plain", "überall"])
def test_lines_that_are_passed_over_do_not_have_the_whole_text_read_again(text):
    """Fault 13: a flood of blank lines costs a line each, in any language."""
    calls = []

    def count(frame, event, function):
        if event == "c_call" and getattr(function, "__name__", "") == "isascii":
            calls.append(function.__self__)

    data = b"\n" * 1000 + line(note=text)
    watch = decoder()
    sys.setprofile(count)
    try:
        events = watch.feed(data)
    finally:
        sys.setprofile(None)
    assert summary(events) == [("ADDED", "a", "1")]
    assert sum(map(len, calls)) < 3 * len(data)


def test_ten_thousand_events_in_one_piece():
    """Fault 13."""
    assert len(decoder().feed(line() * 10_000)) == 10_000
